"""A StateFun job on Flink: JobManager and TaskManager in one process (engines/flink-3.3, engines/flink-2.2).

Here: starting it with a module.yaml, what it says of itself over REST, savepoints, and going on from a checkpoint.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, cast

from engines.errors import EngineError
from engines.jars import HERE, fetch
from engines.processes import JVM, free_port, is_alive, kill, pid_of, spawn, stop, tail, wait_until

__all__ = ["FlinkEngine", "Job", "JobOptions", "newest_checkpoint", "refusal"]

FlinkEngine: TypeAlias = Literal["flink-3.3", "flink-2.2"]
Json: TypeAlias = "Mapping[str, Json] | list[Json] | str | int | float | bool | None"
# Flink's closure cleaner and serializers look into these; Java 16 and later do not let them without being told.
OPEN = tuple(
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("java.lang", "java.util", "java.util.concurrent.atomic")
)
LOG = "-Dorg.slf4j.simpleLogger"
LOGGING = (
    f"{LOG}.defaultLogLevel=warn",
    f"{LOG}.showDateTime=true",
    f"{LOG}.dateTimeFormat=HH:mm:ss.SSS",
    f"{LOG}.log.org.apache.flink.client.cli.CliFrontend=error",
)
FRONT = "org.apache.flink.client.cli.CliFrontend"
MAIN = "org.apache.flink.statefun.flink.core.StatefulFunctionsJob"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """How a job is started."""

    engine: FlinkEngine = "flink-3.3"
    parallelism: int = 1
    heap: str = "768m"
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """Options of Flink, over those in conf/flink-conf.yaml."""
    jvm: tuple[str, ...] = ()
    """Options of Java, such as -Djavax.net.ssl.trustStore=..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job and its folder, which holds its checkpoints and its log."""

    folder: Path
    module: Path
    options: JobOptions
    rest_port: int

    @classmethod
    def start(
        cls, folder: Path, module: Path, options: JobOptions | None = None, *, restore: Path | None = None
    ) -> Job:
        """Start a job that deploys a module.yaml; return when all of its tasks run.

        `restore` is the folder of a checkpoint or a savepoint to go on from. Raises EngineError if it ends instead.
        """
        job = cls(folder=folder, module=module, options=options or JobOptions(), rest_port=free_port())
        job.run(restore=restore)
        return job

    def run(self, *, restore: Path | None = None, wait: bool = True) -> None:
        """Start it, again if it has run before; without `wait`, return before its tasks run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log").unlink(missing_ok=True)
        conf = HERE / self.options.engine / "conf"
        pid = spawn(self.folder, self.command(restore), environment={"FLINK_CONF_DIR": str(conf)})
        if wait:
            wait_until(self.all_run, what=f"the job on {self.options.engine}", pid=pid, folder=self.folder)

    def command(self, restore: Path | None) -> tuple[str, ...]:
        """Return what Java is started with."""
        settings = {
            "rest.bind-port": str(self.rest_port),
            "state.checkpoints.dir": (self.folder / "checkpoints").resolve().as_uri(),
            "state.savepoints.dir": (self.folder / "savepoints").resolve().as_uri(),
            **self.options.settings,
        }
        run: tuple[str, ...] = ("run", "-t", "local", "-p", str(self.options.parallelism))
        run += ("-s", restore.resolve().as_uri()) if restore else ()
        run += tuple(f"-D{name}={value}" for name, value in settings.items())
        machine = (*JVM, f"-Xmx{self.options.heap}", *OPEN, *LOGGING, *self.options.jvm)
        return (*machine, *_front(self.options.engine, run, self.module, self.folder / "module"))

    # --- what it says of itself ---

    @property
    def address(self) -> str:
        """The URL of its REST API."""
        return f"http://127.0.0.1:{self.rest_port}"

    def all_run(self) -> bool:
        """Tell whether all of its tasks run: that the job does comes seconds earlier."""
        overview = self._overview()
        if overview is None:
            return False
        tasks = cast("Mapping[str, int]", overview["tasks"])
        return 0 < tasks["total"] == tasks["running"]

    def is_submitted(self) -> bool:
        """Tell whether Flink has taken the job: what is in its module was accepted."""
        return self._overview() is not None

    def is_alive(self) -> bool:
        """Tell whether its process runs."""
        pid = pid_of(self.folder)
        return pid is not None and is_alive(pid)

    def id(self) -> str:
        """Return Flink's id of the job."""
        overview = self._overview()
        if overview is None:
            raise EngineError(f"the job in {self.folder} does not answer:\n{tail(self.folder)}")
        return str(overview["jid"])

    def failure(self) -> str | None:
        """Return why it failed the last time, with Java's stack; None if it never did."""
        told = cast("Mapping[str, Json]", self.ask(f"/jobs/{self.id()}/exceptions"))
        root = told.get("root-exception")
        return None if root is None else str(root)

    def checkpoints(self) -> Mapping[str, int]:
        """Return how many checkpoints were completed, failed and restored, by these names."""
        told = cast("Mapping[str, Mapping[str, int]]", self.ask(f"/jobs/{self.id()}/checkpoints"))
        return told["counts"]

    def ask(self, path: str, body: Json = None) -> Json:
        """Send a request to its REST API: a GET, or a POST if there is a body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"})  # noqa: S310  # loopback
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # the same
            return cast("Json", json.load(answer))

    def _overview(self) -> Mapping[str, Json] | None:
        try:
            told = cast("Mapping[str, list[Mapping[str, Json]]]", self.ask("/jobs/overview"))
        except (urllib.error.URLError, OSError):
            return None
        return told["jobs"][0] if told["jobs"] else None

    # --- its end ---

    def stop(self) -> None:
        """End the process; its folder stays, with the newest checkpoint."""
        stop(self.folder)

    def kill(self) -> None:
        """End the process without warning."""
        kill(self.folder)

    def cancel_with_savepoint(self) -> Path:
        """Take a savepoint and cancel the job; return the savepoint's folder. Raises EngineError if it fails.

        Not stop with savepoint, which doubles what comes from Kafka on these versions (FLINK-28758).
        """
        job = self.id()
        asked = cast("Mapping[str, str]", self.ask(f"/jobs/{job}/savepoints", {"cancel-job": True}))
        while True:
            told = cast("Mapping[str, Mapping[str, Json]]", self.ask(f"/jobs/{job}/savepoints/{asked['request-id']}"))
            if told["status"]["id"] == "COMPLETED":
                break
            time.sleep(0.05)
        location = told["operation"].get("location")
        if location is None:
            raise EngineError(f"no savepoint: {told['operation'].get('failure-cause')}")
        self.stop()
        return Path(str(location).removeprefix("file:"))


def _front(engine: FlinkEngine, verb: tuple[str, ...], module: Path, around: Path) -> tuple[str, ...]:
    """Return the class path, and a command of Flink's own front end for a module; 2.2 gets a copy in a folder."""
    jars = fetch(engine)
    (distribution,) = jars.glob("statefun-flink-distribution-*.jar")
    if engine == "flink-3.3":
        named = ("--statefun.remote.module-name", module.resolve().as_uri())
        return ("-cp", f"{jars}/*", FRONT, *verb, str(distribution), *named)
    # 2.2 looks for the module on the class path of the job, which must be the distribution's as well.
    around.mkdir(parents=True, exist_ok=True)
    shutil.copy(module, around / "module.yaml")
    classes = ":".join(str(jar) for jar in sorted(jars.glob("*.jar")) if jar != distribution)
    return ("-cp", classes, FRONT, *verb, "-C", f"{around.resolve().as_uri()}/", "-c", MAIN, str(distribution))


def refusal(engine: FlinkEngine, module: Path) -> str | None:
    """Return why a runtime does not start a job for a module.yaml, as Java's last cause; None if it does.

    The job is killed before it works. What is refused later, such as a URL at the first message, is not seen.
    """
    with tempfile.TemporaryDirectory() as made:
        job = Job(folder=Path(made), module=module, options=JobOptions(engine=engine), rest_port=free_port())
        job.run(wait=False)
        while job.is_alive():
            if job.is_submitted():
                job.kill()
                return None
            time.sleep(0.05)
        lines = (job.folder / "log").read_text(errors="replace").splitlines()
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    # what Java says of a null differs from one to the next
    return re.sub(r"(NullPointerException).*", r"\1", causes[-1]) if causes else "\n".join(lines[-5:])


def newest_checkpoint(folder: Path) -> Path:
    """Return the newest checkpoint or savepoint in a job's folder. Raises EngineError if there is none."""
    # written last: a checkpoint without it is not complete
    found = [*folder.glob("checkpoints/*/chk-*/_metadata"), *folder.glob("savepoints/*/_metadata")]
    if not found:
        raise EngineError(f"{folder} holds no checkpoint that is complete")
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent

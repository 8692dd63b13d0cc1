"""The ways to run an app: a runtime, a format of module.yaml, a wire, a transport. Records go in, records come out.

Here: one context manager that deploys an app as a user would: `statefun module`, `statefun serve`, then the runtime.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engines import Job, JobOptions
from engines.flink import FlinkEngine
from tests.engines.kafka import Kafka, Reader, Record
from tests.engines.served import App, served, statefun

__all__ = ["FLINK", "WAYS", "Deployed", "Way", "deploy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to run an app."""

    runtime: Literal["embedded", "StateFun 3.3.0", "StateFun 2.2.2"]
    module: Literal["2.0", "2.2", "3.3"]
    """What `statefun module --runtime` is told."""
    format: str
    wire: Literal["v2", "v3"]
    transport: Literal["in process", "HTTP", "async", "okhttp"]

    @property
    def id(self) -> str:
        """A short name, for pytest."""
        return f"{self.runtime}-{self.format}-{self.wire}-{self.transport}".replace(" ", "_")

    @property
    def engine(self) -> FlinkEngine:
        """The engine of a runtime on Flink."""
        return "flink-3.3" if self.runtime == "StateFun 3.3.0" else "flink-2.2"


WAYS = (
    Way(runtime="embedded", module="3.3", format="components", wire="v3", transport="in process"),
    Way(runtime="embedded", module="2.2", format="2.0", wire="v2", transport="in process"),
    Way(runtime="embedded", module="3.3", format="components", wire="v3", transport="HTTP"),
    Way(runtime="embedded", module="2.2", format="2.0", wire="v2", transport="HTTP"),
    Way(runtime="StateFun 3.3.0", module="3.3", format="components", wire="v3", transport="async"),
    Way(runtime="StateFun 3.3.0", module="3.3", format="components", wire="v3", transport="okhttp"),
    Way(runtime="StateFun 2.2.2", module="2.2", format="2.0", wire="v2", transport="okhttp"),
    Way(runtime="StateFun 2.2.2", module="2.0", format="1.0", wire="v2", transport="okhttp"),
)
FLINK = tuple(way for way in WAYS if way.runtime != "embedded")


@contextlib.contextmanager
def deploy(
    app: App, way: Way, kafka: Kafka, folder: Path, *, change: Callable[[str], str] = str, record: bool = False
) -> Generator[Deployed]:
    """Run an app in one of the ways for as long as the block lasts. The topics must be there.

    `change` is what a user would write into the module by hand. With `record`, what the runtime sends is kept in the
    folder "recorded".
    """
    with contextlib.ExitStack() as stack:
        url = "http://127.0.0.1:1/statefun"
        if way.transport != "in process":
            recording = ("--record", str(folder / "recorded")) if record else ()
            url = stack.enter_context(served(app, folder / "served.log", *recording)).url
        chosen = ("--transport", way.transport) if way.engine == "flink-3.3" and way.runtime != "embedded" else ()
        module = folder / "module.yaml"
        options = ("--runtime", way.module, "--endpoint", url, "--kafka", kafka.address, "--output", str(module))
        statefun(app, "module", app.name, *options, *chosen)
        module.write_text(change(module.read_text()))
        if way.runtime == "embedded":
            log = stack.enter_context(_embedded(app, way, module, folder))
            yield stack.enter_context(contextlib.closing(Deployed(kafka, log.read_text)))
        else:
            job = Job.start(folder / "job", module, JobOptions(engine=way.engine))
            stack.callback(job.stop)
            yield stack.enter_context(contextlib.closing(Deployed(kafka, lambda: str(job.failure()))))


@dataclass(slots=True)
class Deployed:
    """An app on a runtime: its records come from Kafka and go there."""

    kafka: Kafka
    log: Callable[[], str]
    """Tells what is known about what went wrong."""
    _readers: dict[str, tuple[Reader, list[Record]]] = field(default_factory=dict[str, tuple[Reader, list[Record]]])

    def so_far(self, topic: str) -> list[Record]:
        """Return what has come out so far."""
        if topic not in self._readers:
            self._readers[topic] = (self.kafka.consumer([topic]), [])
        reader, found = self._readers[topic]
        found += reader.some(seconds=0.05)
        return found

    def close(self) -> None:
        """Let go of the readers."""
        for reader, _ in self._readers.values():
            reader.close()


@contextlib.contextmanager
def _embedded(app: App, way: Way, module: Path, folder: Path) -> Generator[Path]:
    log = folder / "run.log"
    what = (app.name, "--module", str(module)) if way.transport == "in process" else (str(module),)
    options = ("--data", str(folder / "data"), "--no-http", "--quiet")
    command = (sys.executable, "-m", "statefun", "run", *what, *options)
    with log.open("ab") as out, subprocess.Popen(command, env=app.environment(), stdout=out, stderr=out) as process:
        try:
            yield log
        finally:
            process.terminate()

"""What is stored, when a job or its functions start anew: kept, added to, or refused as statefun.lock has said."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from engines import EngineError, Job, JobOptions, newest_checkpoint
from tests.engines.kafka import Kafka, Record
from tests.engines.served import App, Served, served, statefun
from tests.engines.ways import FLINK, Way

APPS = Path(__file__).parent / "apps"
COUNTING = App("counting:functions", APPS)
ASYNC, OKHTTP, FORMAT_2, FORMAT_1 = FLINK


def changed(version: str) -> App:
    """Return another version of the app."""
    return App(f"counting_changed:{version}", APPS)


@dataclass
class Deployment:
    """The app on a runtime, which has counted the numbers 0 and 1."""

    way: Way
    kafka: Kafka
    folder: Path
    function: Served
    job: Job

    def count(self, *numbers: int) -> None:
        """Send numbers for one key."""
        self.kafka.send(Record("numbers", "k", StringValue(value=str(n)).SerializeToString()) for n in numbers)

    def counted(self, least: int) -> list[bytes | None]:
        """Return all that came out so far."""
        return [record.value for record in self.kafka.read(["counted"], least, seconds=90, quiet=0.3)]

    def become(self, app: App) -> None:
        """Serve another version from now on."""
        self.function.end()
        self.function.app = app
        self.function.start()

    def restart(self, app: App | None = None, *, checkpoint: Path | None = None) -> None:
        """Start the job anew, with another version if there is one; from its newest checkpoint, if none is named."""
        self.job.stop()
        if app is not None:
            self.become(app)
        self.module(self.function.app)
        self.job.run(restore=checkpoint or newest_checkpoint(self.job.folder))

    def checkpoint(self) -> None:
        """Wait for two more checkpoints: all that was counted is in the second."""
        done = self.job.checkpoints()["completed"]
        end = time.monotonic() + 20
        while self.job.checkpoints()["completed"] < done + 2:
            assert time.monotonic() < end
            time.sleep(0.05)

    def module(self, app: App) -> None:
        """Write the module.yaml of a version."""
        self.job.module.unlink(missing_ok=True)
        chosen = ("--transport", self.way.transport) if self.way.wire == "v3" else ()
        statefun(app, "module", app.name, "--endpoint", self.function.url, "--kafka", self.kafka.address, "--runtime",
                 self.way.module, "--delivery", "exactly-once", *chosen, "--output", str(self.job.module))  # fmt: skip

    def failure(self) -> str:
        """Wait until the job fails, and return why."""
        end = time.monotonic() + 90
        while True:
            with contextlib.suppress(EngineError, OSError):
                if (failure := self.job.failure()) is not None:
                    return failure
            assert time.monotonic() < end, "the job does not fail"
            time.sleep(0.1)


@contextlib.contextmanager
def deployed(way: Way, kafka: Kafka, folder: Path) -> Generator[Deployment]:
    """Run the app on a runtime."""
    kafka.renew("numbers", "counted")
    with served(COUNTING, folder / "served.log") as function:
        job = Job(
            folder=folder / "job", module=folder / "module.yaml", options=JobOptions(engine=way.engine), rest_port=0
        )
        made = Deployment(way, kafka, folder, function, job)
        made.module(COUNTING)
        made.job = Job.start(job.folder, job.module, job.options)
        try:
            made.count(0, 1)
            assert made.counted(2) == [b"0 1", b"1 2"]
            yield made
        finally:
            made.job.stop()


def locked(folder: Path, app: App) -> str:
    """Return what `statefun lock --check` says of a version, after the app has been locked."""
    lock = folder / "statefun.lock"
    if not lock.exists():
        statefun(COUNTING, "lock", COUNTING.name, "--file", str(lock))
    command = (sys.executable, "-m", "statefun", "lock", app.name, "--file", str(lock), "--check")
    done = subprocess.run(command, env=app.environment(), capture_output=True, text=True, check=False)
    return "\n".join(line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith(str(lock)))


@pytest.mark.feature("restart from a checkpoint: the state is there", facts="12c")
@pytest.mark.parametrize("way", FLINK, ids=lambda way: way.id)
def test_restart(way: Way, kafka: Kafka, folder: Path) -> None:
    """A job that goes on from its newest checkpoint goes on counting."""
    with deployed(way, kafka, folder) as app:
        app.checkpoint()
        app.restart()
        app.count(2)
        assert app.counted(3) == [b"0 1", b"1 2", b"2 3"]


@pytest.mark.feature("a state is added while the job runs", facts="2.2")
@pytest.mark.parametrize("way", [ASYNC], ids=lambda way: way.id)
def test_a_new_state(way: Way, kafka: Kafka, folder: Path) -> None:
    """A new version asks for the state that it adds; the job is not restarted, and what was stored is kept."""
    assert locked(folder, changed("more")) == "note SF216: counting/numbers latest: a new state"
    with deployed(way, kafka, folder) as app:
        app.become(changed("more"))
        app.count(2, 3)
        assert app.counted(4)[2:] == [b"2 3 after none", b"3 4 after 2"]
        assert app.job.failure() is None


REFUSED = {
    "other_type": "error SF203: counting/numbers count: the state was of type io.statefun.types/long, and is of type"
    " io.statefun.types/string now",
    "expiring": "error SF204: counting/numbers count: the state expired never, and expires 3600 s after the last write"
    " now: no runtime restores a state with that change",
    "renamed": "error SF202: counting/numbers count: the state is gone: what it holds is lost, and not found under"
    " another name\nnote SF216: counting/numbers tally: a new state",
}
MIGRATION = "org.apache.flink.util.StateMigrationException: "


@pytest.mark.feature("what statefun.lock refuses fails, or loses data", facts="2.1, 2.2, 9")
@pytest.mark.parametrize("way", [ASYNC, FORMAT_2], ids=lambda way: way.id)
def test_what_the_lock_refuses(way: Way, kafka: Kafka, folder: Path) -> None:
    """Another type and a new expiration stop the job or the function; under another name, the count begins anew."""
    assert {version: locked(folder, changed(version)) for version in REFUSED} == REFUSED
    with deployed(way, kafka, folder) as app:
        app.checkpoint()
        checkpoint = folder / "checkpoint"  # the jobs below have checkpoints of their own
        until(lambda: copied(app.job.folder, checkpoint))
        app.restart(changed("renamed"), checkpoint=checkpoint)
        app.count(2)
        assert app.counted(3) == [b"0 1", b"1 2", b"2 1"]

        app.restart(changed("expiring"), checkpoint=checkpoint)
        app.count(3)
        assert MIGRATION in app.failure()

        app.restart(changed("other_type"), checkpoint=checkpoint)
        app.count(4)
        if way.wire == "v3":
            assert (
                "RemoteValueTypeMismatchException: Previous type was: TypeName(io.statefun.types, long),"
                " new type is: TypeName(io.statefun.types, string)" in app.failure()
            )
        else:  # which knows no types: it is the function that fails, again and again
            until(
                lambda: "UndecodableState: state 'count' holds io.statefun.types/long" in app.function.log.read_text()
            )
        assert len(app.counted(3)) == 3


def copied(job: Path, to: Path) -> bool:
    """Copy the newest checkpoint of a job that runs; tell whether it is whole: it is deleted when the next is made."""
    shutil.rmtree(to, ignore_errors=True)
    try:
        checkpoint = newest_checkpoint(job)
        shutil.copytree(checkpoint, to)
    except (FileNotFoundError, shutil.Error):
        return False
    return (checkpoint / "_metadata").exists()


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)

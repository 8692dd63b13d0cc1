"""What is stored, when a job or its functions start anew: kept, added to, or refused as statefun.lock has said."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Generator
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
        return [record.value for record in self.kafka.read(["counted"], least, seconds=20, quiet=0.3)]

    def become(self, app: App) -> None:
        """Serve another version from now on."""
        self.function.end()
        self.function.app = app
        self.function.start()

    def restart(self, app: App | None = None) -> None:
        """Start the job anew from its newest checkpoint, with another version if there is one."""
        self.checkpoint()
        self.job.stop()
        if app is not None:
            self.become(app)
        self.module(self.function.app)
        self.job.run(restore=newest_checkpoint(self.job.folder))

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

    def failure(self, least: int = 1) -> str:
        """Return why the job fails, again and again."""
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(EngineError, OSError):
                failure = self.job.failure()
                if failure is not None and self.job.restarts() >= least:
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
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.feature("restart from a checkpoint: the state is there", facts="12c")
@pytest.mark.parametrize("way", FLINK, ids=lambda way: way.id)
def test_restart(way: Way, kafka: Kafka, folder: Path) -> None:
    """A job that goes on from its newest checkpoint goes on counting."""
    with deployed(way, kafka, folder) as app:
        app.restart()
        app.count(2)
        assert app.counted(3) == [b"0 1", b"1 2", b"2 3"]


@pytest.mark.feature("a state is added while the job runs", facts="2.2")
@pytest.mark.parametrize("way", [ASYNC], ids=lambda way: way.id)
def test_a_new_state(way: Way, kafka: Kafka, folder: Path) -> None:
    """A new version asks for the state that it adds; the job is not restarted, and what was stored is kept."""
    assert locked(folder, changed("more")) == ""
    with deployed(way, kafka, folder) as app:
        app.become(changed("more"))
        app.count(2, 3)
        assert app.counted(4)[2:] == [b"2 3 after none", b"3 4 after 2"]
        assert app.job.restarts() == 0

"""The ways to run an app: a runtime, a format of module.yaml, a wire, a transport. Records go in, records come out.

Here: one context manager that deploys an app as a user would: `statefun module`, `statefun serve`, then the runtime.
"""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from engines import Job, JobOptions
from engines.flink import FlinkEngine
from statefun._proto.egress_pb2 import KafkaProducerRecord
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


class Deployed(Protocol):
    """A running app."""

    def send(self, records: Iterable[Record]) -> None:
        """Give it records."""
        ...

    def read(self, topics: Sequence[str], count: int) -> list[Record]:
        """Return the records that came out, of which there must be at least so many."""
        ...

    def so_far(self, topic: str) -> list[Record]:
        """Return what has come out so far."""
        ...

    def log(self) -> str:
        """Return what is known about what went wrong."""
        ...


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
            yield stack.enter_context(_embedded(app, way, module, folder))
        else:
            job = Job.start(folder / "job", module, JobOptions(engine=way.engine))
            stack.callback(job.stop)
            yield stack.enter_context(contextlib.closing(OnKafka(kafka, job)))


@dataclass(slots=True)
class OnKafka:
    """An app on Flink: its records come from Kafka and go there."""

    kafka: Kafka
    job: Job
    _readers: dict[str, tuple[Reader, list[Record]]] = field(default_factory=dict[str, tuple[Reader, list[Record]]])

    def send(self, records: Iterable[Record]) -> None:
        """Give it records."""
        self.kafka.send(records)

    def read(self, topics: Sequence[str], count: int) -> list[Record]:
        """Return the records that came out."""
        return self.kafka.read(topics, count)

    def so_far(self, topic: str) -> list[Record]:
        """Return what has come out so far."""
        if topic not in self._readers:
            self._readers[topic] = (self.kafka.consumer([topic]), [])
        reader, found = self._readers[topic]
        found += reader.some(seconds=0.05)
        return found

    def log(self) -> str:
        """Return why the job has failed."""
        return str(self.job.failure())

    def close(self) -> None:
        """Let go of the readers."""
        for reader, _ in self._readers.values():
            reader.close()


@dataclass(frozen=True, slots=True)
class OnFiles:
    """An app on the embedded runtime: a topic is a file of its name."""

    folder: Path
    data: Path
    out: Path

    def send(self, records: Iterable[Record]) -> None:
        """Give it records."""
        lines: dict[str, list[str]] = {}
        for record in records:
            assert record.value is not None
            line = {"key": record.key, "base64": base64.b64encode(record.value).decode()}
            lines.setdefault(record.topic, []).append(json.dumps(line) + "\n")
        for topic, written in lines.items():
            with (self.folder / f"{topic}.jsonl").open("a") as file:
                file.writelines(written)

    def read(self, topics: Sequence[str], count: int, *, seconds: float = 60, quiet: float = 0.5) -> list[Record]:
        """Return the records that came out: the bytes as they would go to Kafka."""
        end = time.monotonic() + seconds
        while len(found := self._kept(topics)) < count:
            assert time.monotonic() < end, (found[-3:], self.log())
            time.sleep(0.1)
        time.sleep(quiet)
        return self._kept(topics)

    def so_far(self, topic: str) -> list[Record]:
        """Return what has come out so far."""
        time.sleep(0.05)
        return self._kept([topic])

    def log(self) -> str:
        """Return what it has printed."""
        return self.out.read_text()

    def _kept(self, topics: Sequence[str]) -> list[Record]:
        with contextlib.closing(sqlite3.connect(self.data / "statefun.db")) as store:
            rows = store.execute("select value from record order by seq").fetchall()
        records = [KafkaProducerRecord.FromString(value) for (value,) in rows]
        return [Record(one.topic, one.key or None, one.value_bytes) for one in records if one.topic in topics]


@contextlib.contextmanager
def _embedded(app: App, way: Way, module: Path, folder: Path) -> Generator[OnFiles]:
    files, data, log = folder / "topics", folder / "data", folder / "run.log"
    what = (app.name, "--module", str(module)) if way.transport == "in process" else (str(module),)
    options = ("--data", str(data), "--stub-kafka", str(files), "--no-http", "--wire", way.wire, "--quiet")
    command = (sys.executable, "-m", "statefun", "run", *what, *options)
    with log.open("ab") as out, subprocess.Popen(command, env=app.environment(), stdout=out, stderr=out) as process:
        try:
            while not files.is_dir():
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield OnFiles(files, data, log)
        finally:
            process.terminate()

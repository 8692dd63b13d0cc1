"""The embedded runtime with files in place of Kafka's topics: `statefun run --stub-kafka`."""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from statefun._proto.egress_pb2 import KafkaProducerRecord
from tests.engines.kafka import Record
from tests.engines.served import App, served, statefun

__all__ = ["OnFiles", "on_files"]


@dataclass(frozen=True, slots=True)
class OnFiles:
    """A running app; a topic is a file of its name."""

    folder: Path
    data: Path
    log: Path

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

    def read(self, topics: Sequence[str], count: int, *, seconds: float = 120, quiet: float = 0.5) -> list[Record]:
        """Return the records that came out, when there are so many: the bytes as they would go to Kafka."""
        end = time.monotonic() + seconds
        while len(found := self._kept(topics)) < count:
            assert time.monotonic() < end, (len(found), count, found[-3:], self.log.read_text())
            time.sleep(0.1)
        time.sleep(quiet)
        return self._kept(topics)

    def _kept(self, topics: Sequence[str]) -> list[Record]:
        with contextlib.closing(sqlite3.connect(self.data / "statefun.db")) as store:
            rows = store.execute("select value from record order by seq").fetchall()
        records = [KafkaProducerRecord.FromString(value) for (value,) in rows]
        return [Record(one.topic, one.key or None, one.value_bytes) for one in records if one.topic in topics]


@contextlib.contextmanager
def on_files(app: App, folder: Path, *, http: bool) -> Generator[OnFiles]:
    """Run an app for as long as the block lasts: in the runtime's own process, or served and called over HTTP."""
    with contextlib.ExitStack() as stack:
        folder.mkdir()
        url = stack.enter_context(served(app, folder / "served.log")).url if http else "http://127.0.0.1:1/statefun"
        module, files, data, log = (folder / name for name in ("module.yaml", "topics", "data", "run.log"))
        statefun(app, "module", app.name, "--endpoint", url, "--output", str(module))
        what = (str(module),) if http else (app.name, "--module", str(module))
        options = ("--data", str(data), "--stub-kafka", str(files), "--no-http", "--quiet")
        command = (sys.executable, "-m", "statefun", "run", *what, *options)
        out = stack.enter_context(log.open("ab"))
        process = stack.enter_context(subprocess.Popen(command, env=app.environment(), stdout=out, stderr=out))
        stack.callback(process.terminate)
        while not files.is_dir():
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield OnFiles(files, data, log)

"""`statefun run` with Kafka in and out, as a process that can be killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.engines.served import App

__all__ = ["Embedded", "embedded", "kafka_module", "until"]


def kafka_module(
    address: str,
    *,
    topic: str,
    type: str,
    target: str,
    egress: str,
    delivery: str = "{type: exactly-once, transactionTimeout: 1min}",
    start: str = "{type: earliest}",
    more: Mapping[str, str] | None = None,
) -> str:
    """Write a module.yaml with one topic in and an egress; `more` are further keys of the ingress."""
    keys = "".join(f"  {name}: {value}\n" for name, value in (more or {}).items())
    return f"""\
kind: io.statefun.kafka.v1/ingress
spec:
  id: test/in
  address: {address}
  consumerGroupId: test
  startupPosition: {start}
{keys}\
  topics:
    - topic: {topic}
      valueType: {type}
      targets: [{target}]
---
kind: io.statefun.kafka.v1/egress
spec:
  id: {egress}
  address: {address}
  deliverySemantic: {delivery}
"""


@dataclass(slots=True)
class Embedded:
    """A runtime and its data folder."""

    app: App
    module: Path
    data: Path
    log: Path
    arguments: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start it; it begins by itself where it ended."""
        command = (sys.executable, "-m", "statefun", "run", self.app.name, "--module", str(self.module),
                   "--data", str(self.data), *self.arguments)  # fmt: skip
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self.app.environment(), stdout=log, stderr=log)

    def end(self, signal: signal.Signals) -> int:
        """Send it a signal; return its exit status."""
        assert self._process is not None
        self._process.send_signal(signal)
        return self._process.wait(30)

    @property
    def lives(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None


@contextmanager
def embedded(app: App, module: str, folder: Path, *arguments: str) -> Generator[Embedded]:
    """Run an app with this module.yaml; killed at the end, if it still runs."""
    file = folder / "module.yaml"
    file.write_text(module)
    runtime = Embedded(app, file, folder / "data", folder / "runtime.log", arguments)
    runtime.start()
    try:
        yield runtime
    except BaseException:
        print(runtime.log.read_text()[-3_000:])
        raise
    finally:
        if runtime.lives:
            runtime.end(signal.SIGKILL)


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)

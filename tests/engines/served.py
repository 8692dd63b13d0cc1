"""Apps served and described by the package's own commands, as on a real deployment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from engines import free_port

__all__ = ["App", "Served", "served", "statefun"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class App:
    """An app: "module:functions", and the folder that it is imported from."""

    name: str
    folder: Path

    def environment(self) -> dict[str, str]:
        """Return the environment of a command that imports it."""
        path = os.pathsep.join((str(self.folder), str(ROOT)))
        return {**os.environ, "PYTHONPATH": path}


def statefun(app: App, *arguments: str, cwd: Path | None = None) -> str:
    """Run a command of the package to its end; return what it prints."""
    done = subprocess.run(
        (sys.executable, "-m", "statefun", *arguments),
        env=app.environment(), cwd=cwd, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(slots=True)
class Served:
    """A process of `statefun serve`, which can be killed and started again on its port."""

    app: App
    log: Path
    arguments: tuple[str, ...] = ()
    scheme: str = "http"
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where its functions are."""
        return f"{self.scheme}://127.0.0.1:{self.port}/statefun"

    def start(self) -> None:
        """Start it; return when it serves."""
        command = (sys.executable, "-m", "statefun", "serve", self.app.name, "--port", str(self.port), *self.arguments)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self.app.environment(), stdout=log, stderr=log)
        end = time.monotonic() + 90
        while not self._answers():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def _answers(self) -> bool:
        if self.scheme == "https":
            return b"serving" in self.log.read_bytes()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send its process a signal, and wait until it is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(60)


@contextlib.contextmanager
def served(app: App, log: Path, *arguments: str) -> Generator[Served]:
    """Serve an app by `statefun serve` for as long as the block lasts."""
    one = Served(app, log, ("--linger", "0", *arguments))
    one.start()
    try:
        yield one
    finally:
        one.end()

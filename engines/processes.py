"""A Java process of an engine in the background: started, waited for, ended.

Here: what brokers and jobs have in common. A folder holds everything of one process: its data, `log` and `pid`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from engines.errors import EngineError
from engines.jars import java

__all__ = ["JVM", "free_port", "is_alive", "kill", "spawn", "stop", "wait_until"]

JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true")
"""Starts quickly and stays small: what is wanted where a process lives for minutes."""
PATIENCE = 180
"""Seconds that a start may take."""
POLL = 0.05
_children: dict[int, subprocess.Popen[bytes]] = {}
"""What this process has started: a child that has ended is there until its parent has asked."""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def spawn(folder: Path, arguments: Sequence[str], *, environment: dict[str, str] | None = None) -> int:
    """Start Java in the background, with its output in `log` of that folder; return its pid."""
    temporary = folder / "tmp"  # what a killed JVM leaves there goes with the folder
    temporary.mkdir(exist_ok=True)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            (java(), f"-Djava.io.tmpdir={temporary.resolve()}", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C is for who started it
        )
    _children[process.pid] = process
    (folder / "pid").write_text(f"{process.pid}\n")
    return process.pid


def is_alive(pid: int) -> bool:
    """Tell whether a process runs."""
    child = _children.get(pid)
    if child is not None:
        return child.poll() is None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], bool], *, what: str, pid: int, folder: Path) -> None:
    """Wait until a process is ready.

    Raises EngineError with the end of its log when it dies, or when it takes too long (it is killed then).
    """
    end = time.monotonic() + PATIENCE
    while not condition():
        if not is_alive(pid):
            raise EngineError(f"{what} has ended at its start:\n{tail(folder)}")
        if time.monotonic() > end:
            kill(folder)
            raise EngineError(f"{what} did not start within {PATIENCE} s:\n{tail(folder)}")
        time.sleep(POLL)


def tail(folder: Path, lines: int = 30) -> str:
    """Return the end of the log: the causes in it, if it has any, for the rest is frames of Java."""
    text = (folder / "log").read_text(errors="replace").splitlines()
    causes = [line for line in text if line.startswith("Caused by:") or "ERROR" in line]
    return "\n".join(dict.fromkeys(causes[-lines:] or text[-lines:]))


def pid_of(folder: Path) -> int | None:
    """Return the pid that was written down in a folder."""
    try:
        return int((folder / "pid").read_text())
    except FileNotFoundError:
        return None


def stop(folder: Path, *, patience: float = 30) -> None:
    """End a process as one does (SIGTERM), and by SIGKILL if that is not heard."""
    pid = pid_of(folder)
    if pid is None or not is_alive(pid):
        return
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + patience
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(POLL)
    kill(folder)


def kill(folder: Path) -> None:
    """End a process at once (SIGKILL), and wait until it is gone."""
    pid = pid_of(folder)
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    while is_alive(pid):
        time.sleep(POLL)
    (folder / "pid").unlink(missing_ok=True)

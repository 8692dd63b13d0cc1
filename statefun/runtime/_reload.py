"""`--reload`: the process starts anew when a source file changes; the listening socket stays open meanwhile.

Here: `Reloader`. A new process and not a new import: protobuf classes cannot be imported twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket as sockets
import sys
import time
from pathlib import Path
from typing import NoReturn

from statefun._loading import LoadError

__all__ = ["Reloader"]

_POLL_S = 0.3
_SOCKET = "STATEFUN_RELOAD_SOCKET"


class Reloader:
    """Watches the sources of an app."""

    def __init__(self, enabled: bool) -> None:  # noqa: FBT001 -- the one thing to say
        self._enabled = enabled
        # before the app is imported: what changes while it starts is not what was imported
        self._before: dict[Path, int] = _sources() if enabled else {}
        self._kept: int | None = None
        self.asked = False
        """Whether a source changed."""

    def inherited(self) -> sockets.socket | None:
        """Return the socket that the process before left open."""
        number = os.environ.pop(_SOCKET, None)
        return sockets.socket(fileno=int(number)) if number and self._enabled else None

    def keep(self, sock: sockets.socket) -> None:
        """Leave a socket open for the process after."""
        if self._enabled:
            self._kept = os.dup(sock.fileno())  # the server closes its own

    async def watch(self, over: asyncio.Event) -> None:
        """Return when a source has changed."""
        while not over.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(over.wait(), _POLL_S)
            if _sources() != self._before:
                self.asked = True
                print("A source file changed: starting anew.", file=sys.stderr, flush=True)
                return

    def restart_if_asked(self) -> bool:
        """Start anew if a source changed; else return False."""
        if self.asked:
            self._restart()
        return False

    def wait_and_restart(self, error: LoadError) -> NoReturn:
        """Say why the app cannot be loaded, and start anew when a source changes."""
        print(f"{error}\nWaiting for a change.", file=sys.stderr, flush=True)
        while _sources() == self._before:
            time.sleep(_POLL_S)
        number = os.environ.get(_SOCKET)
        if number:
            os.set_inheritable(int(number), True)  # noqa: FBT003 -- the os module's own signature
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 -- the same program again

    def _restart(self) -> NoReturn:
        if self._kept is not None:
            os.set_inheritable(self._kept, True)  # noqa: FBT003 -- the os module's own signature
            os.environ[_SOCKET] = str(self._kept)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 -- the same program again


def _sources() -> dict[Path, int]:
    """Return the Python files below the folder at hand with the time of their last change."""
    found: dict[Path, int] = {}
    for path in Path.cwd().rglob("*.py"):
        if not any(part.startswith(".") or part == "__pycache__" for part in path.parts[len(Path.cwd().parts) :]):
            with contextlib.suppress(OSError):
                found[path] = path.stat().st_mtime_ns
    return found

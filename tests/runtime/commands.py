"""What the tests of commands share: a runtime that works in a folder meanwhile, and what commands print."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from statefun import StatefulFunctions
from statefun._clock import VirtualClock, WallClock
from statefun.cli import main
from statefun.runtime._assembly import Runtime
from statefun.runtime._control import ControlServer
from statefun.runtime._driver import Driver
from statefun.runtime._operations import Operations
from statefun.runtime._plans import Wire
from statefun.runtime._session import run_driver


@contextmanager
def running(
    folder: Path, functions: StatefulFunctions, *, wire: Wire = "v3", told: int | None = None
) -> Generator[Driver, None, None]:
    """Let a runtime work in a folder, in a thread, until the end; `told` is the time that functions are told."""
    started = threading.Event()
    made: list[Driver] = []
    loop = asyncio.new_event_loop()

    async def go() -> None:
        with Runtime.in_process(functions, folder, wire=wire) as runtime:
            clock = WallClock(int(runtime.store.meta("clock offset") or 0))
            if told is not None:
                runtime.use_clock(VirtualClock(told))
            driver = Driver(runtime.pump, clock)
            operations = Operations(runtime.engine, runtime.store, runtime.values, clock)
            control = ControlServer(driver, operations, folder)
            made.append(driver)
            loop.call_later(0.05, started.set)
            await run_driver(driver, beside=[control.serve])

    thread = threading.Thread(target=loop.run_until_complete, args=[go()])
    thread.start()
    started.wait(60)
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(made[0].stop)
        thread.join(60)
        loop.close()


class Say:
    """Runs commands on a folder, and returns what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self.capsys = capsys
        self.folder = folder
        self.errors = ""

    def __call__(self, *words: str, status: int = 0) -> str:
        assert main([*words, "--data", str(self.folder)]) == status
        printed = self.capsys.readouterr()
        self.errors = printed.err
        return printed.out

    def rows(self, *words: str, status: int = 0) -> list[dict[str, object]]:
        """Return what a command prints for programs."""
        return [json.loads(line) for line in self(*words, "--json", status=status).splitlines()]

"""A driver in the foreground: signals, progress, and its end.

Here: `run_driver`. The first Ctrl-C or SIGTERM lets it finish and commit what it works on; a second one kills.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Generator, Sequence
from datetime import datetime, timezone
from typing import TextIO

from statefun.runtime._driver import Driver
from statefun.runtime._progress import Progress

__all__ = ["run_driver"]

Beside = Callable[[asyncio.Event], Awaitable[None]]
"""What runs beside a driver, until the event is set."""
_TICK_S = 0.05
_GRACE_S = 2.0


async def run_driver(driver: Driver, *, progress: TextIO | None = None, beside: Sequence[Beside] = ()) -> None:
    """Run a driver until it ends or a signal stops it; `beside` runs as long as it does."""
    over = asyncio.Event()
    helpers = [asyncio.ensure_future(start(over)) for start in beside]

    def stop_unless_over(_: asyncio.Future[None]) -> None:
        if not over.is_set():  # a door that fails ends the run; at its end, every door is told to go
            driver.stop()

    for helper in helpers:
        helper.add_done_callback(stop_unless_over)
    if progress is not None:
        helpers.append(asyncio.ensure_future(_watch(driver, Progress(progress, "records"), over)))
    with _signals(driver):
        try:
            await driver.run()
        except BaseException:
            over.set()
            await _end(helpers)  # what they may have raised on top of it is of no interest
            raise
        over.set()
        for result in await _end(helpers):
            if isinstance(result, Exception):
                raise result


async def _end(helpers: Sequence[asyncio.Future[None]]) -> list[BaseException | None]:
    """Give what runs beside a while to end; return what each raised."""
    if helpers:
        _, late = await asyncio.wait(helpers, timeout=_GRACE_S)
        for helper in late:
            helper.cancel()
    return await asyncio.gather(*helpers, return_exceptions=True)


@contextlib.contextmanager
def _signals(driver: Driver) -> Generator[None, None, None]:
    """Let the first signal stop the driver, and a second one kill."""
    loop = asyncio.get_running_loop()
    asked: list[int] = []

    def ask(number: int) -> None:
        if asked:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        asked.append(number)
        driver.stop()

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        with contextlib.suppress(NotImplementedError, RuntimeError):  # Windows, or not the main thread
            loop.add_signal_handler(number, ask, number)
    try:
        yield
    finally:
        for number in numbers:
            with contextlib.suppress(NotImplementedError, RuntimeError):
                loop.remove_signal_handler(number)


async def _watch(driver: Driver, progress: Progress, over: asyncio.Event) -> None:
    while not over.is_set():
        _show(driver, progress)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(over.wait(), _TICK_S)
    _show(driver, progress, final=True)


def _show(driver: Driver, progress: Progress, *, final: bool = False) -> None:
    read = size = 0
    with contextlib.suppress(OSError):
        for source in driver.sources:
            done, whole = source.progress()
            read, size = read + done, size + whole
    at = driver.clock.now()
    note = f"{datetime.fromtimestamp(at / 1_000, tz=timezone.utc):%Y-%m-%d %H:%M}" if at else ""
    progress.show(driver.fed, min(1.0, read / size) if size else 0.0, note, final=final)

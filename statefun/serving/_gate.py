"""How many requests are worked on at once, and how long the others wait.

Here: the count, the queue and the end of it. What a request is, is not known here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta

from statefun.errors import ConfigError

__all__ = ["CALL", "IN_FLIGHT", "Gate"]

IN_FLIGHT = 1024
CALL = timedelta(minutes=1)
"""The `call` timeout of a runtime whose module.yaml names none."""
_PATIENCE = 3 / 4  # of `call`: what is left is for the function, and for one more try


class Gate:
    """Lets so many in at once. Those above wait, in order, for up to 3/4 of the time that a runtime gives a call."""

    def __init__(self, limit: int = IN_FLIGHT, call: timedelta = CALL) -> None:
        if limit.__class__ is not int or limit < 1:
            msg = f"in_flight is a number of requests, at least 1, not {limit!r}"
            raise ConfigError(msg)
        if call.__class__ is not timedelta or call <= timedelta(0):
            msg = f"call is how long a runtime waits, a timedelta above 0, not {call!r}"
            raise ConfigError(msg)
        self.in_flight = 0
        self.closed = False
        self._limit = limit
        self._patience = call.total_seconds() * _PATIENCE
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._until_empty: list[asyncio.Future[None]] = []

    async def enter(self) -> bool:
        """Take a place; False if there was none in time, or there is none any more."""
        if self.closed:
            return False
        if self.in_flight < self._limit:
            self.in_flight += 1
            return True
        loop = asyncio.get_running_loop()
        place: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(place)
        timer = loop.call_later(self._patience, _settle, place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self.leave()  # it was given in the same step
            raise
        finally:
            timer.cancel()

    def leave(self) -> None:
        """Give the place back: to whoever waits, if somebody does."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(True)
                return
        self.in_flight -= 1
        if not self.in_flight:
            for waiter in self._until_empty:
                if not waiter.done():
                    waiter.set_result(None)
            self._until_empty.clear()

    def close(self) -> None:
        """Let nobody in any more; those who wait are turned away."""
        self.closed = True
        while self._waiting:
            _settle(self._waiting.popleft())

    async def until_empty(self) -> None:
        """Wait until everybody has left."""
        if self.in_flight:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._until_empty.append(waiter)
            await waiter


def _settle(place: asyncio.Future[bool]) -> None:
    if not place.done():
        place.set_result(False)

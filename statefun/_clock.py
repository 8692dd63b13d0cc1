"""The clocks: the wall's, one that stands still, and one that the input moves.

Here: `Clock` and its kinds, and its time as a datetime, which handlers ask for. Delays, expirations and retries ask a
clock; sockets and logs do not.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Protocol

__all__ = ["Clock", "RecordClock", "VirtualClock", "WallClock", "moment"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST = 253_402_300_799_999
"""The last millisecond that a datetime can say: a record's time may lie behind it."""


class Clock(Protocol):
    """Says what time it is."""

    def now(self) -> int:
        """Return milliseconds since 1970."""
        ...


class WallClock:
    """The time of the machine, plus what somebody advanced it by."""

    def __init__(self, offset_ms: int = 0) -> None:
        self.offset_ms = offset_ms

    def now(self) -> int:
        """Return milliseconds since 1970."""
        return time.time_ns() // 1_000_000 + self.offset_ms


class VirtualClock:
    """A time that goes on only when it is told to, and never back."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now = now_ms

    def now(self) -> int:
        """Return milliseconds since 1970."""
        return self._now

    def move_to(self, at: int) -> None:
        """Go on to a time; an earlier one changes nothing."""
        self._now = max(self._now, at)


class RecordClock(VirtualClock):
    """The time of the latest record that was read."""


def moment(clock: Clock) -> datetime:
    """Return the time of a clock, in UTC; the nearest that a datetime can say."""
    return _EPOCH + timedelta(milliseconds=min(max(clock.now(), 0), _LAST))

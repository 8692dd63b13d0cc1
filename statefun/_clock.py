"""The clocks: the wall's, one that stands still, and one that the input moves.

Here: `Clock` and its kinds. Delays, expirations and retries ask a clock; sockets and logs do not.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Protocol

__all__ = ["Clock", "RecordClock", "VirtualClock", "WallClock", "moment", "wall_time"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999, in milliseconds since 1970."""


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


def wall_time() -> datetime:
    """Return the time of the wall, in UTC."""
    return datetime.now(timezone.utc)


def moment(clock: Clock) -> datetime:
    """Return the time of a clock, in UTC; the nearest that a datetime can say, since a record's may be any."""
    return _EPOCH + timedelta(milliseconds=min(max(clock.now(), _FIRST), _LAST))

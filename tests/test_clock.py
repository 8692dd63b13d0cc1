"""The clocks: what each says, and that none goes back by itself."""

from __future__ import annotations

import time
from datetime import datetime, timezone

from statefun._clock import RecordClock, VirtualClock, WallClock, moment


def test_the_walls() -> None:
    """The wall's clock is the machine's, plus its offset."""
    assert abs(WallClock().now() - time.time() * 1_000) < 1_000
    assert abs(WallClock(offset_ms=3_600_000).now() - WallClock().now() - 3_600_000) < 1_000


def test_a_virtual_one() -> None:
    """A virtual clock stands still, goes on when it is told to, and never back."""
    for clock in (VirtualClock(5), RecordClock(5)):
        assert clock.now() == 5
        clock.move_to(9)
        clock.move_to(7)
        assert clock.now() == 9


def test_a_moment() -> None:
    """A clock's time as a datetime is in UTC, and the nearest that there is."""
    assert moment(VirtualClock(1_500)) == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=timezone.utc)
    assert moment(VirtualClock(-1)) == datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert moment(VirtualClock(10**18)) == datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=timezone.utc)

"""The clocks: what each says, and that none goes back by itself."""

from __future__ import annotations

import time

from statefun._clock import RecordClock, VirtualClock, WallClock


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

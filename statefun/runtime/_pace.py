"""How much is done between two commits.

Here: `Pace`, the bounds, and `Window`, how many messages a group takes in at once. What is taken in and not handled
when its group ends costs two more rows, one to keep it and one to forget it; so a group takes in what it will be done
with, as the last groups tell.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FLOOD", "Pace", "Window"]

_LEAST = 8
"""Less than this is not taken in for the rest of a group."""
_FIRST = 32
"""What is taken in when nothing is known."""
_WEIGHT = 0.25
"""Of the latest look in what is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much is done between two commits, and at once."""

    group: int = 256
    group_s: float = 0.005
    """While somebody waits for the commit."""
    alone_s: float = 0.020
    """While nobody does, which is where files alone are read."""
    calls: int = 1_000
    """Requests out at once."""
    failing: int = 50_000
    """Failing addresses, from which on no ingress is read."""


FLOOD = Pace(group=2_048, alone_s=0.05)
"""Where records come from Kafka: many are there at once, and each commit is a transaction there, too."""


class Window:
    """How many messages a group takes in."""

    def __init__(self) -> None:
        self._seconds: float = 0.0  # that an invocation takes, all in all; 0: not known
        self._spread: float = 1.0  # invocations that a message leads to

    def size(self, invocations: int, seconds: float, *, fresh: bool) -> int:
        """Return how many messages fit into what is left of a group; at least one if it is `fresh`."""
        if not self._seconds:
            return min(invocations, _FIRST)
        fit = int(min(invocations, seconds / self._seconds) / self._spread)
        if fresh:
            return max(1, fit)
        return fit if fit >= _LEAST else 0

    def learn(self, fed: int, invocations: int, seconds: float) -> None:
        """Take in what a group took until all that it had fed was handled, with what came of it."""
        if not invocations or not fed:
            return
        weight = _WEIGHT if self._seconds else 1.0
        self._seconds += weight * (seconds / invocations - self._seconds)
        self._spread += weight * (max(1.0, invocations / fed) - self._spread)

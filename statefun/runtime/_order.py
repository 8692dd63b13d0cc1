"""What a runtime is free to choose, and what it is not.

Here: `Order`, which a driver may give to the engine: which address is next, how many of its messages go at once, and
where a new message queues. Without one the engine takes the addresses in turn, as many messages as there are, and
queues at the end. None of it may change the order between two addresses: that is kept by all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from statefun.runtime._boxes import Box

__all__ = ["Order"]


class Order(Protocol):
    """Chooses."""

    def next(self, ready: deque[Box], /) -> Box:
        """Take one of the addresses that can be called out of the line."""
        ...

    def cut(self, most: int, /) -> int:
        """Return how many messages the next request holds at most: from one to `most`."""
        ...

    def place(self, queue: Sequence[bytes], message: bytes, /) -> int:
        """Return where a message goes in a mailbox: behind every message of its own sender."""
        ...

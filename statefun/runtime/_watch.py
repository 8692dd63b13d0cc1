"""Who holds the event loop: a function that does names itself in the log, also one that never ends.

Here: `Watch`. A call says when it begins and ends; a thread looks at what has begun, since the loop itself cannot.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["HELD_S", "Watch"]

HELD_S = 1.0
"""What takes longer holds up everything, and is named."""
_POLL_S = 0.2


class Watch:
    """What the loop's thread is at."""

    __slots__ = ("_ended", "_named", "_tell", "_thread", "since", "typename")

    def __init__(self, tell: Callable[[str, float], None] | None = None) -> None:
        self.typename: str = ""
        self.since: float = 0.0
        """When the call that runs has begun, by `time.perf_counter`; 0: none runs."""
        self._tell = tell
        self._named = 0.0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        if tell is not None:
            self._thread = threading.Thread(target=self._look, daemon=True, name="statefun-watch")
            self._thread.start()

    def end(self) -> None:
        """Note that the call has ended."""
        began, self.since = self.since, 0.0
        took = time.perf_counter() - began
        if took > HELD_S and self._tell is not None and began != self._named:
            self._tell(self.typename, took)

    def _look(self) -> None:
        while not self._ended.wait(_POLL_S):
            typename, began = self.typename, self.since
            held = time.perf_counter() - began
            if began and held > HELD_S and began == self.since and began != self._named and self._tell is not None:
                self._named = began
                self._tell(typename, held)

    def close(self) -> None:
        """Look no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

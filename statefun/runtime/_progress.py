"""How far a run has come: a bar on a terminal, a few plain lines elsewhere.

Here: `Progress`, which only prints; what it prints is said by its owner.
"""

from __future__ import annotations

import shutil
import time
from typing import TextIO

__all__ = ["Progress"]

_EVERY_S = 0.1
_WIDTH = 28


class Progress:
    """Prints how far something has come."""

    def __init__(self, stream: TextIO, noun: str) -> None:
        self._stream = stream
        self._noun = noun
        self._terminal = stream.isatty()
        encoding = (stream.encoding or "ascii").lower().replace("-", "")
        self._marks = ("━", "─") if encoding.startswith("utf") else ("#", ".")
        self._last = 0.0
        self._quarter = -1
        self._drawn = False

    def show(self, done: int, share: float, note: str = "", *, final: bool = False) -> None:
        """Show a count, a share of the whole, and a note; not more often than somebody can read."""
        if not self._terminal:
            quarter = int(share * 4)
            if quarter > self._quarter or (final and share < 1):
                self._quarter = quarter
                line = f"{done:>7,} {self._noun}  {share:4.0%}  {note}"
                print(line.rstrip(), file=self._stream, flush=True)
            return
        now = time.monotonic()
        if not final and now - self._last < _EVERY_S:
            return
        self._last = now
        full, rest = self._marks
        filled = int(share * _WIDTH)
        bar = full * filled + rest * (_WIDTH - filled)
        line = f"  {bar}  {done:,} {self._noun}  {note}"
        columns = shutil.get_terminal_size().columns
        self._stream.write(f"\r{line[: columns - 1]}\x1b[K")
        self._drawn = True
        if final:
            self.end()
        self._stream.flush()

    def end(self) -> None:
        """Leave the bar where it is and go to the next line."""
        if self._drawn:
            self._stream.write("\n")
            self._stream.flush()
            self._drawn = False

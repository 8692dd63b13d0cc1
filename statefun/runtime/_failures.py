"""Addresses whose first message cannot be handled, for now.

Here: how often and when it is tried again. A failure harms its address alone: what else arrives there waits, and every
other address goes on. How the culprit of a batch is found is in `_engine`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace

from statefun.runtime._boxes import Box
from statefun.runtime._delta import FailureRow

__all__ = ["FIRST_RETRY_MS", "LONGEST_RETRY_MS", "Failures"]

FIRST_RETRY_MS = 1_000
LONGEST_RETRY_MS = 60_000
_JITTER = 0.2
"""Up to this part of a wait is taken off, so that what failed together is not tried again together."""
_TEXT = 100_000
"""How long a kept text may be."""


class Failures:
    """The failing addresses, and when each is tried again."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self.rows: dict[bytes, FailureRow] = {}
        """By address."""
        self._heap: list[tuple[int, bytes]] = []

    def restore(self, box: Box, row: FailureRow) -> None:
        """Take a failure that the store remembers."""
        self.rows[box.address] = row
        heapq.heappush(self._heap, (row.retry_at, box.address))

    def note(self, box: Box, seq: int, error: str, detail: str, now: int) -> FailureRow:
        """Count an attempt that failed, and set the time of the next."""
        last = self.rows.get(box.address)
        attempts = 1 if last is None or last.seq != seq else last.attempts + 1
        wait = min(FIRST_RETRY_MS * 2 ** min(attempts - 1, 20), LONGEST_RETRY_MS)
        row = FailureRow(
            function=box.plan.index,
            id=box.identity,
            seq=seq,
            attempts=attempts,
            first_at=now if attempts == 1 or last is None else last.first_at,
            last_at=now,
            retry_at=now + int(wait * (1 - _JITTER * self._jitter())),
            error=error[:_TEXT],
            detail=detail[:_TEXT],
        )
        self._set(box.address, row)
        return row

    def hurry(self, box: Box, now: int) -> FailureRow:
        """Try an address again now."""
        row = replace(self.rows[box.address], retry_at=now)
        self._set(box.address, row)
        return row

    def _set(self, address: bytes, row: FailureRow) -> None:
        self.rows[address] = row
        heapq.heappush(self._heap, (row.retry_at, address))

    def forget(self, box: Box) -> bool:
        """Forget the failure of an address; tell whether there was one."""
        return self.rows.pop(box.address, None) is not None

    def get(self, box: Box) -> FailureRow | None:
        """Return the failure of an address."""
        return self.rows.get(box.address)

    def due(self, now: int) -> list[bytes]:
        """Return the addresses that are to be tried again."""
        found: list[bytes] = []
        while self._heap and self._heap[0][0] <= now:
            at, address = heapq.heappop(self._heap)
            row = self.rows.get(address)
            if row is not None and row.retry_at == at:
                found.append(address)
        return found

    def next_due(self) -> int | None:
        """Return when the next attempt is."""
        while self._heap:
            at, address = self._heap[0]
            row = self.rows.get(address)
            if row is not None and row.retry_at == at:
                return at
            heapq.heappop(self._heap)
        return None

    def __len__(self) -> int:
        return len(self.rows)

"""Messages that are due later, and their cancellation tokens.

Here: what is due soon, in a heap; what is due later than the memory reaches waits in the store. Tokens are all in
memory. As in the real runtime a token belongs to the sender's id, whatever its type of function.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from statefun.runtime._delta import Delta

__all__ = ["Delayed", "Timers"]

_BEGINNING: Final = (-1, -1)


@dataclass(frozen=True, slots=True)
class Delayed:
    """A message that is due later."""

    due: int
    seq: int
    function: int
    id: str
    message: bytes
    sender: str
    """The id of the address that sent it."""
    token: str

    def row(self) -> tuple[int, int, int, str, bytes, str, str]:
        """Return it as the store writes it."""
        return self.due, self.seq, self.function, self.id, self.message, self.sender, self.token


class Timers:
    """All delayed messages."""

    def __init__(self, tokens: dict[tuple[str, str], int], limit: int) -> None:
        self._limit = limit
        self._heap: list[tuple[int, int]] = []
        self._known: dict[int, Delayed] = {}
        self._new: dict[int, Delayed] = {}
        self.tokens = tokens
        """Sender's id and token -> the message."""
        self._names = {seq: key for key, seq in tokens.items()}
        self.horizon: tuple[int, int] | None = _BEGINNING
        """The last one in memory, if there are more in the store; None: all are in memory."""
        self._far_unsaved = False

    def add(self, delayed: Delayed, delta: Delta) -> None:
        """Add a message."""
        if delayed.token:
            key = delayed.sender, delayed.token
            self.tokens[key] = delayed.seq
            self._names[delayed.seq] = key
        if self.horizon is not None and (delayed.due, delayed.seq) > self.horizon:
            delta.delayed.append(delayed.row())
            self._far_unsaved = True
            return
        self._new[delayed.seq] = delayed
        self._hold(delayed)

    def _hold(self, delayed: Delayed) -> None:
        self._known[delayed.seq] = delayed
        heapq.heappush(self._heap, (delayed.due, delayed.seq))

    def cancel(self, sender: str, token: str, delta: Delta) -> None:
        """Take back a message; one that is not there is no error."""
        seq = self.tokens.get((sender, token))
        if seq is not None:
            self.remove(seq, delta)

    def remove(self, seq: int, delta: Delta) -> Delayed | None:
        """Take a message out; None if it is not in memory."""
        key = self._names.pop(seq, None)
        if key is not None:
            self.tokens.pop(key, None)
        if self._new.pop(seq, None) is None:
            delta.fired.append(seq)
        return self._known.pop(seq, None)

    def known(self, seq: int) -> Delayed | None:
        """Return a message that is in memory."""
        return self._known.get(seq)

    def due(self, now: int, delta: Delta) -> list[Delayed]:
        """Take out what is due, in the order of time and then of address."""
        found: list[Delayed] = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            seq = heapq.heappop(heap)[1]
            if seq in self._known:
                delayed = self.remove(seq, delta)
                assert delayed is not None
                found.append(delayed)
        if len(found) > 1:
            found.sort(key=lambda one: (one.due, one.function, one.id, one.seq))
        return found

    def next_due(self) -> int | None:
        """Return when the next message is due, as far as the memory reaches."""
        heap = self._heap
        while heap and heap[0][1] not in self._known:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def wants_page(self) -> bool:
        """Tell whether more should be read from the store."""
        return self.horizon is not None and not self._far_unsaved and len(self._known) <= self._limit // 2

    def paged(self, rows: Sequence[Delayed], *, last: bool) -> None:
        """Take messages that were read from the store."""
        for delayed in rows:
            self._hold(delayed)
        if last:
            self.horizon = None
        else:
            self.horizon = rows[-1].due, rows[-1].seq

    def save(self, delta: Delta) -> None:
        """Hand what is new to the delta, and let go of what is due last if there is too much in memory."""
        delta.delayed += [delayed.row() for delayed in self._new.values()]
        self._new = {}
        self._far_unsaved = False
        if len(self._known) > 2 * self._limit:
            kept = heapq.nsmallest(self._limit, ((one.due, one.seq) for one in self._known.values()))
            self._known = {seq: self._known[seq] for _, seq in kept}
            self._heap = kept
            self.horizon = kept[-1]

    def __len__(self) -> int:
        return len(self._known)

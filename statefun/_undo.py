"""The stored values of an address that can go back to where the last message left them.

Here: `GuardedCell` and `GuardedTokens`, which write down what they were, and `Undo`, which takes an invocation back.
Only functions that do not simply raise pay for this: the others have the plain `Cell` of `_cells`.
"""

from __future__ import annotations

from typing import Any

from statefun._cells import ASSIGNED, Cell, Change, Declared, encoded
from statefun.protocol import Stored

__all__ = ["GuardedCell", "GuardedTokens", "Undo"]


class Undo:
    """What the running invocation did to the stored values and the tokens, and how to take it back.

    What is assigned is written down when it is assigned. A value that can change in place is encoded after each
    invocation, if it was looked at, and decoded again where one is taken back.
    """

    __slots__ = ("cells", "mutable", "tokens")

    def __init__(self) -> None:
        self.cells: list[tuple[GuardedCell, Any, bool, Change]] = []
        """Each cell that was written, with what it was."""
        self.mutable: list[GuardedCell] = []
        """The cells whose values can change in place."""
        self.tokens: list[tuple[GuardedTokens, str, bool]] = []
        """Each token that was added (True) or removed."""

    def keep(self) -> None:
        """Encode what can change in place: that is where the next invocation is taken back to. Raises StateError."""
        mutable = self.mutable
        if len(mutable) == 1:
            cell = mutable[0]
            if cell.live:
                cell.point = encoded(cell.spec, cell.value)
            return
        # first all of them: if one has no bytes, it is this invocation that is taken back
        points = [(cell, encoded(cell.spec, cell.value)) for cell in mutable if cell.live]
        for cell, point in points:
            cell.point = point

    def go_on(self) -> None:
        """Forget what the invocation did: it stays."""
        self.cells.clear()
        self.tokens.clear()

    def roll_back(self) -> None:
        """Take back what the invocation did."""
        for cell, value, live, change in reversed(self.cells):
            cell.put_back(value, change, live=live)
        for tokens, token, added in reversed(self.tokens):
            (tokens.forget if added else tokens.remember)(token)
        self.go_on()
        for cell in self.mutable:
            if cell.live:
                cell.value = cell.spec.type.decode(cell.point)


class GuardedCell(Cell):
    """A stored value that writes down what it was, before it is looked at, assigned or deleted."""

    __slots__ = ("_note", "point")

    point: bytes
    """What a value that can change in place encoded to after the last invocation; there if it was looked at then."""

    def __init__(self, spec: Declared, received: Stored | None, undo: Undo) -> None:
        super().__init__(spec, received)
        self._note = undo.cells.append
        if not spec.type.immutable:
            undo.mutable.append(self)

    def put_back(self, value: Any, change: Change, *, live: bool) -> None:
        """Be what it was."""
        self.value, self.live, self._change = value, live, change

    def load(self) -> Any:
        """Decode the value, or take its default, and keep it."""
        self._note((self, self.value, self.live, self._change))
        return super().load()

    def write(self, value: Any) -> None:
        """Assign a value; None deletes where absent reads as None. Raises StateError."""
        self._note((self, self.value, self.live, self._change))
        if value is None:
            super().write(value)
        else:  # what Cell.write does, without the call
            self.value = self.spec.check(value)
            self.live, self._change = True, ASSIGNED

    def delete(self) -> None:
        """Delete the value."""
        self._note((self, self.value, self.live, self._change))
        super().delete()

    def write_any(self, value: object) -> None:
        """Set the packed value (an Any), or delete it (None). Raises StateError, also for an Any of another type."""
        before = self.value, self.live, self._change
        super().write_any(value)
        self._note((self, *before))


class GuardedTokens(set[str]):
    """The cancellation tokens of a batch."""

    def __init__(self, undo: Undo) -> None:
        super().__init__()
        self._note = undo.tokens.append

    def add(self, token: str, /) -> None:
        """Add a token."""
        self._note((self, token, True))
        super().add(token)

    def discard(self, token: object, /) -> None:
        """Remove a token, if it is there."""
        if isinstance(token, str) and token in self:
            self._note((self, token, False))
            super().discard(token)

    def remember(self, token: str) -> None:
        """Add a token again."""
        super().add(token)

    def forget(self, token: str) -> None:
        """Remove a token again."""
        super().discard(token)

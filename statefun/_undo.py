"""The stored values of an address that can go back to where the last message left them.

Here: `GuardedCell` and `GuardedTokens`, which write down what they were, and `Undo`, which takes an invocation back.
Only functions that do not simply raise pay for this: the others have the plain `Cell` of `_cells`.
"""

from __future__ import annotations

from typing import Any

from statefun._cells import ASSIGNED, Cell, Change, Declared, encoded
from statefun.errors import SendError
from statefun.protocol import Stored

__all__ = ["GuardedCell", "GuardedTokens", "Undo"]


class Undo:
    """What the running invocation did to the stored values and the tokens, and how to take it back.

    What is assigned is written down when it is assigned. A value that can change in place is encoded after each
    invocation, if it was looked at, and decoded again where one is taken back.
    """

    __slots__ = ("changes", "mutable")

    def __init__(self) -> None:
        self.changes: list[tuple[GuardedCell | GuardedTokens, Any, bool, Any]] = []
        """What was written, with what it was. The one who goes on to the next invocation clears it."""
        self.mutable: list[GuardedCell] = []
        """The cells whose values can change in place."""

    def keep(self) -> None:
        """Encode what can change in place: that is where the next invocation is taken back to. Raises StateError."""
        mutable = self.mutable
        if len(mutable) == 1:
            cell = mutable[0]
            if cell.live:
                value = cell.value
                try:
                    cell.point = None if value is None else cell.spec.type.encode(value)
                except SendError:
                    encoded(cell.spec, value)  # raises it with the name of the state
            return
        # first all of them: if one has no bytes, it is this invocation that is taken back
        points = [
            (cell, None if cell.value is None else encoded(cell.spec, cell.value)) for cell in mutable if cell.live
        ]
        for cell, point in points:
            cell.point = point

    def roll_back(self) -> None:
        """Take back what the invocation did."""
        for changed, value, flag, change in reversed(self.changes):
            changed.put_back(value, flag, change)
        self.changes.clear()
        for cell in self.mutable:
            if cell.live:
                point = cell.point
                cell.value = None if point is None else cell.spec.type.decode(point)


class GuardedCell(Cell):
    """A stored value that writes down what it was, before it is looked at, assigned or deleted."""

    __slots__ = ("_note", "point")

    point: bytes | None
    """What a value that can change in place encoded to after the last invocation, if it was looked at until then."""

    def __init__(self, spec: Declared, received: Stored | None, undo: Undo) -> None:
        super().__init__(spec, received)
        self._note = undo.changes.append
        if not spec.type.immutable:
            undo.mutable.append(self)

    def put_back(self, value: Any, live: bool, change: Change) -> None:  # noqa: FBT001 -- as it was written down
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
        self._note = undo.changes.append

    def add(self, token: str, /) -> None:
        """Add a token, if it is not there."""
        if token not in self:
            self._note((self, token, True, None))
            super().add(token)

    def discard(self, token: object, /) -> None:
        """Remove a token, if it is there."""
        if isinstance(token, str) and token in self:
            self._note((self, token, False, None))
            super().discard(token)

    def put_back(self, token: str, added: bool, _change: None) -> None:  # noqa: FBT001 -- as it was written down
        """Remove a token that was added, add one that was removed."""
        (super().discard if added else super().add)(token)

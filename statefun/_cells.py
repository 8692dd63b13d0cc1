"""The stored values of one address while a batch runs.

Here: `Cell`, one value; `Cells`, all of them, opened when they are first looked at; and what is written back. How a
value is declared is in `state`; nothing here knows a wire.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from google.protobuf.any_pb2 import Any as AnyPb

from statefun import _hints
from statefun._type import decoder, short
from statefun.errors import ContextError, SendError, StateError, UndecodableState, reason
from statefun.protocol import ANY, Stored
from statefun.types import Type

if TYPE_CHECKING:
    from statefun.protocol import Reply

__all__ = ["Cell", "Cells", "Declared", "Source"]


class Declared(Protocol):
    """What a cell has to know of the declaration of its value (a ValueSpec)."""

    name: str
    type: Type[Any]
    default: Callable[[], Any] | None
    expire_after_write: Any

    def check(self, value: Any) -> Any:
        """Return the value as it is kept; raise StateError where it is of another type."""


class Source(Protocol):
    """Where the stored values come from."""

    def load(self, name: str, spec: Declared | None, /) -> Stored | None:
        """Return what is stored under a name; None if nothing is."""


class Cell:
    """One stored value of one address during one batch.

    A typed value is live: it counts as changed when it was assigned, and when it no longer encodes to what was
    received.
    """

    __slots__ = ("_assigned", "_baseline", "_received", "_stored", "live", "name", "spec", "value")

    def __init__(self, name: str, spec: Declared | None, received: Stored | None) -> None:
        self.name = name
        self.spec = spec
        self.value: Any = None
        self.live = False
        """Whether `value` is what counts: the typed value was looked at or assigned."""
        self._received = received
        self._stored = received
        self._assigned = False
        self._baseline = b""

    # --- typed ---

    def load(self) -> Any:
        """Decode the value, or take its default, and keep it."""
        spec = self._declared()
        if self._stored is None:
            self.value = spec.default() if spec.default is not None else None
            # looking at a default writes nothing: what it encodes to is remembered, to see whether it was changed
            self._baseline = b"" if self.value is None or spec.type.immutable else _encoded(spec, self.value)
        else:
            self.value = _decoded(spec, *self._stored)
        self.live = True
        return self.value

    def write(self, value: Any) -> None:
        """Assign a value; None deletes where absent reads as None. Raises StateError."""
        spec = self._declared()
        if value is None:
            if spec.default is not None:
                msg = f"state {self.name!r} has a default and is never None; `del` resets it"
                raise StateError(msg)
            self.delete()
            return
        self.value = spec.check(value)
        self.live = self._assigned = True

    def delete(self) -> None:
        """Delete the value."""
        self._stored, self.value, self.live, self._assigned = None, None, False, False

    # --- packed ---

    def read_any(self) -> AnyPb | None:
        """Return a copy of the value, packed; None if there is none."""
        stored = self.stored()
        if stored is None:
            return None
        typename, data = stored
        if typename != ANY:
            return AnyPb(type_url=typename, value=data)
        try:
            return AnyPb.FromString(data)
        except Exception as error:
            raise _undecodable(self.name, ANY, error) from error

    def write_any(self, value: object) -> None:
        """Set the packed value (an Any), or delete it (None). Raises StateError, also for an Any of another type."""
        if value is None:
            self.delete()
            return
        if not isinstance(value, AnyPb):
            got = _hints.show(type(value))
            msg = f"state {self.name!r} is set to a google.protobuf.Any by name, not to {got}; pack it"
            raise StateError(msg)
        if self.spec is None or self.spec.type.typename == ANY:
            self._stored = self._any_to_store(value)
            self.live, self._assigned = False, True
            return
        if decoder(self.spec.type, value.type_url) is None:
            msg = f"state {self.name!r} holds {_hints.show(self.spec.type.cls)}, not {short(value.type_url)}"
            raise StateError(msg)
        self.value = _decoded(self.spec, value.type_url, value.value)
        self.live = self._assigned = True

    def _any_to_store(self, value: AnyPb) -> Stored:
        known = self._received[0] if self._received is not None else ANY
        if known == ANY:
            return ANY, value.SerializeToString(deterministic=True)
        if known != value.type_url:  # a v3 runtime fails the job when a state changes its type
            msg = f"state {self.name!r} holds {short(known)}, not {short(value.type_url)}"
            raise StateError(msg)
        return known, value.value

    # --- what is written back ---

    def stored(self) -> Stored | None:
        """Return the value as it would be stored now."""
        if not self.live:
            return self._stored
        if self.value is None:
            return None
        spec = self._declared()
        data = _encoded(spec, self.value)
        looked_at = self._stored is None and not self._assigned and (spec.type.immutable or data == self._baseline)
        return None if looked_at else (spec.type.typename, data)

    def settle(self, reply: Reply) -> None:
        """Write down what was changed."""
        untouched = self._stored is self._received and not self._assigned
        if untouched and (not self.live or self._declared().type.immutable):
            return  # it was at most looked at
        stored = self.stored()
        if stored is None:
            if self._received is not None:
                reply.delete_state(self.name)
        elif self._assigned or not self._same(stored):
            reply.write_state(self.name, *stored)

    def _same(self, stored: Stored) -> bool:
        """Tell whether the value is what was received, though another writer may have encoded it in another way."""
        received = self._received
        if received is None or stored[1] == received[1]:
            return received is not None
        spec = self.spec
        # encoding once more costs, so it is done where a needless write would be seen: it restarts the expiration
        if spec is None or spec.expire_after_write is None or not self.live:
            return False
        return _encoded(spec, _decoded(spec, *received)) == stored[1]

    def _declared(self) -> Declared:
        if self.spec is None:
            msg = f"state {self.name!r} is not declared: read it with unpack()"
            raise StateError(msg)
        return self.spec


class Cells(list["Cell | None"]):
    """The values of one address, in the order in which its function declares them; None: not looked at yet."""

    __slots__ = ("_by_name", "_free", "_open", "_source", "_specs")

    def __init__(
        self, specs: Sequence[Declared], by_name: Mapping[str, int], source: Source | None, *, free: bool
    ) -> None:
        super().__init__([None] * len(specs))
        self._free = free  # whether nothing is declared, and every name may be used
        self._specs = specs
        self._by_name = by_name
        self._source = source
        self._open: dict[str, Cell] = {}  # of a function that declares no state, by name

    def open(self, index: int) -> Cell:
        """Return the cell of a declared value, and keep it."""
        cell = self[index]
        if cell is None:
            spec = self._specs[index]
            stored = self._source.load(spec.name, spec) if self._source is not None else None
            cell = self[index] = Cell(spec.name, spec, stored)
        return cell

    def named(self, name: str) -> Cell | None:
        """Return the cell of a declared value by its name; None if there is none of this name."""
        index = self._by_name.get(name)
        return None if index is None else self.open(index)

    def names(self) -> list[str]:
        """List the declared values."""
        return list(self._by_name)

    def by_hand(self, name: str) -> Cell | None:
        """Return the cell of a value by its name, declared or not; None if it has to be declared and is not."""
        if not self._free:
            return self.named(name)
        cell = self._open.get(name)
        if cell is None:
            stored = self._source.load(name, None) if self._source is not None else None
            cell = self._open[name] = Cell(name, None, stored)
        return cell

    def settle(self, reply: Reply) -> None:
        """Write down what was changed."""
        for cell in self:
            if cell is not None:
                cell.settle(reply)
        for cell in self._open.values():
            cell.settle(reply)

    def end(self) -> None:
        """Let every later look raise ContextError: the batch is over, and what is written now would be lost."""
        self[:] = [None] * len(self)
        self._open.clear()
        self._source = _Ended()


class _Ended:
    """The source of the values when the batch is over."""

    def load(self, name: str, _spec: Declared | None, /) -> Stored | None:
        msg = f"state {name!r} belongs to an invocation that has ended"
        raise ContextError(msg)


def _encoded(spec: Declared, value: Any) -> bytes:
    try:
        return spec.type.encode(value)
    except SendError as error:
        msg = f"state {spec.name!r}: {error}"
        raise StateError(msg) from None


def _decoded(spec: Declared, typename: str, data: bytes) -> Any:
    decode = decoder(spec.type, typename)
    if decode is None:
        held = short(typename) or "a value without a type"
        msg = f"state {spec.name!r} holds {held}, which is no {_hints.show(spec.type.cls)}"
        raise UndecodableState(msg)
    try:
        return decode(data)
    except Exception as error:
        raise _undecodable(spec.name, typename, error) from error


def _undecodable(name: str, typename: str, error: Exception) -> UndecodableState:
    return UndecodableState(f"state {name!r} cannot be read as {short(typename)}: {reason(error)}")

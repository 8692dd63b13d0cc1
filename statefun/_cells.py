"""The stored values of one address while a batch runs.

Here: `Cell`, one value; `Cells`, all of them, opened when they are first looked at; and what is written back. How a
value is declared is in `state`; nothing here knows a wire.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from google.protobuf.any_pb2 import Any as AnyPb

from statefun import _hints
from statefun._type import Type, decoder, short
from statefun.errors import ContextError, SendError, StateError, UndecodableState, reason
from statefun.protocol import ANY, Stored
from statefun.types import ANY_TYPE

if TYPE_CHECKING:
    from statefun.protocol import Reply

__all__ = [
    "ASSIGNED",
    "Cell",
    "Cells",
    "Change",
    "Declared",
    "check_name",
    "decoded_cell",
    "encoded",
    "ended",
    "undecodable_state",
]


class Declared(Protocol):
    """What a cell has to know of the declaration of its value (a ValueSpec)."""

    name: str
    type: Type[Any]
    is_any: bool
    default: Callable[[], Any] | None
    expire_after_write: timedelta | None

    def check(self, value: Any, /) -> Any:
        """Return the value as it is kept; raise StateError where it is of another type."""
        ...


class Change(enum.Enum):
    """What was done to a value, besides looking at it and changing it in place."""

    NONE = enum.auto()
    ASSIGNED = enum.auto()
    DELETED = enum.auto()
    ENDED = enum.auto()
    """The batch is over: nothing can be done any more."""


_NONE, ASSIGNED, _DELETED, _ENDED = Change  # a global costs half of what an attribute of the class does


class Cell:
    """One stored value of one address during one batch.

    A typed value is live: it counts as changed when it was assigned, and when it no longer encodes to what was
    received.
    """

    __slots__ = ("_before", "_change", "_received", "live", "spec", "value")

    spec: Declared
    live: bool

    def __init__(self, spec: Declared, received: Stored | None) -> None:
        self.spec = spec
        self.live = False
        """Whether `value` is the typed value, because it was looked at or assigned."""
        self.value: Any = received
        """The typed value where it is live, otherwise what is stored; None if nothing is."""
        self._received = received
        self._change = _NONE
        self._before: bytes | None = None  # what a default encoded to when it was handed out

    # --- typed ---

    def load(self) -> Any:
        """Decode the value, or take its default, and keep it."""
        spec, stored = self.spec, self.value
        if stored is not None:
            self.value = _decoded(spec, *stored)
        elif spec.default is not None:
            self.value = spec.default()
            # looking at a default writes nothing: what it encodes to is remembered, to see whether it was changed
            self._before = None if spec.type.immutable else encoded(spec, self.value)
        self.live = True
        return self.value

    def write(self, value: Any) -> None:
        """Assign a value; None deletes where absent reads as None. Raises StateError."""
        spec = self.spec
        if value is None:
            if spec.default is not None:
                msg = f"state {spec.name!r} has a default and is never None; `del` resets it"
                raise StateError(msg)
            self.delete()
            return
        self.value = spec.check(value)
        self.live, self._change = True, ASSIGNED

    def delete(self) -> None:
        """Delete the value."""
        self._refuse_ended()
        self.value, self.live, self._change = None, False, _DELETED

    # --- packed ---

    def read_any(self) -> AnyPb | None:
        """Return a copy of the value, packed; None if there is none."""
        self._refuse_ended()
        stored = self.stored()
        if stored is None:
            return None
        typename, data = stored
        if typename != ANY:
            return AnyPb(type_url=typename, value=data)
        try:
            return AnyPb.FromString(data)
        except Exception as error:
            raise undecodable_state(self.spec.name, ANY, error) from error

    def write_any(self, value: object) -> None:
        """Set the packed value (an Any), or delete it (None). Raises StateError, also for an Any of another type."""
        spec = self.spec
        if value is None:
            self.delete()
            return
        self._refuse_ended()
        if not isinstance(value, AnyPb):
            got = _hints.show(type(value))
            msg = f"state {spec.name!r} is set to a google.protobuf.Any by name, not to {got}; pack it"
            raise StateError(msg)
        if spec.is_any:
            self.value, self.live, self._change = self._any_to_store(value), False, ASSIGNED
            return
        if decoder(spec.type, value.type_url) is None:
            msg = f"state {spec.name!r} holds {_hints.show(spec.type.cls)}, not {short(value.type_url)}"
            raise StateError(msg)
        self.value, self.live, self._change = _decoded(spec, value.type_url, value.value), True, ASSIGNED

    def _any_to_store(self, value: AnyPb) -> Stored:
        known = self._received[0] if self._received is not None else ANY
        if known == ANY:
            return ANY, value.SerializeToString(deterministic=True)
        if known != value.type_url:  # a v3 runtime fails the job when a state changes its type
            msg = f"state {self.spec.name!r} holds {short(known)}, not {short(value.type_url)}"
            raise StateError(msg)
        return known, value.value

    # --- what is written back ---

    def stored(self) -> Stored | None:
        """Return the value as it would be stored now."""
        if not self.live:
            stored: Stored | None = self.value
            return stored
        if self.value is None:
            return None
        data = encoded(self.spec, self.value)
        return None if self._is_untouched_default(data) else (self.spec.type.typename, data)

    def _is_untouched_default(self, data: bytes) -> bool:
        if self._change is ASSIGNED or (self._change is _NONE and self._received is not None):
            return False
        return self._before is None or data == self._before

    def settle(self, reply: Reply) -> None:
        """Write down what was changed."""
        spec, received, change = self.spec, self._received, self._change
        if change is ASSIGNED and self.live:  # and not None: that would have been a deletion
            reply.write_state(spec.name, spec.type.typename, encoded(spec, self.value))
            return
        if change is _NONE and (not self.live or spec.type.immutable):
            return  # it was at most looked at
        if change is _NONE and received is not None:  # looked at: it may have been changed in place
            try:
                data = spec.type.encode(self.value)
            except SendError:
                data = encoded(spec, self.value)  # raises it with the name of the state
            if data != received[1] and (spec.expire_after_write is None or not self._means(data, received)):
                reply.write_state(spec.name, spec.type.typename, data)
            return
        stored = self.stored()
        if stored is not None:
            reply.write_state(spec.name, *stored)
        elif received is not None:
            reply.delete_state(spec.name)

    def _means(self, data: bytes, received: Stored) -> bool:
        """Tell whether the value is what was received, though another writer encoded it in another way.

        To see that costs one more encoding. It is done where a needless write would show: it restarts the expiration.
        """
        spec = self.spec
        return encoded(spec, _decoded(spec, *received)) == data

    def end(self) -> None:
        """Let every later use raise ContextError."""
        self._change = _ENDED

    def _refuse_ended(self) -> None:
        if self._change is _ENDED:
            raise ended(self.spec.name)


_new_cell: Callable[[type[Cell]], Cell] = object.__new__


def decoded_cell(spec: Declared, received: Stored, value: Any) -> Cell:
    """Make the cell of a value that is decoded already."""
    cell = _new_cell(Cell)  # past Cell.__init__, which costs more than a call
    cell.spec, cell.live, cell.value = spec, True, value
    cell._received, cell._change, cell._before = received, _NONE, None
    return cell


class Cells:
    """The values of one address. This one has nothing behind it; what is in a request, `Turn` looks up."""

    __slots__ = ("_by_name", "_handed", "_specs", "ended", "opened")

    opened: list[Cell | None]
    ended: bool

    def __init__(self, specs: Sequence[Declared], by_name: Mapping[str, int]) -> None:
        self._specs = specs
        self._by_name = by_name
        self._handed: dict[str, Cell] | None = None  # those that were asked for by name: a handle may outlive the batch
        self.opened = [None] * len(specs)
        """The values in the order in which they are declared; None: not looked at yet."""
        self.ended = False
        """Whether the batch is over: what is written now would be lost."""

    def load(self, index: int, spec: Declared, /) -> Stored | None:  # noqa: ARG002 -- nothing is stored
        """Return what is stored of a declared value; None if nothing is."""
        return None

    def load_undeclared(self, name: str, /) -> Stored | None:  # noqa: ARG002 -- nothing is stored
        """Return what is stored under a name that nobody declared; None if nothing is."""
        return None

    def open(self, index: int) -> Cell:
        """Return the cell of a declared value, and keep it."""
        cell = self.opened[index]
        if cell is None:
            spec = self._specs[index]
            if self.ended:
                raise ended(spec.name)
            cell = self.opened[index] = self._new_cell(spec, self.load(index, spec))
        return cell

    def look(self, index: int) -> Any:
        """Return a declared value that was not looked at yet."""
        return self.open(index).load()

    def named(self, name: str) -> Cell | None:
        """Return the cell of a declared value by its name; None if there is none of this name."""
        index = self._by_name.get(name)
        return None if index is None else self.open(index)

    def names(self) -> list[str]:
        """List the declared values."""
        return list(self._by_name)

    def by_hand(self, name: str) -> Cell | None:
        """Return the cell of a value by its name, to be kept in a handle; None if others are declared, and it is not.

        Where nothing is declared, every name may be used, as in 2.x. Raises StateError for one that cannot be a name.
        """
        if self._handed is None:
            self._handed = {}
        cell = self._handed.get(name)
        if cell is None:
            cell = self.named(name) if self._specs else self._undeclared(name)
            if cell is not None:
                self._handed[name] = cell
        return cell

    def _undeclared(self, name: str) -> Cell:
        check_name(name)
        if self.ended:
            raise ended(name)
        return self._new_cell(_Undeclared(name), self.load_undeclared(name))

    def _new_cell(self, spec: Declared, stored: Stored | None) -> Cell:
        return Cell(spec, stored)

    def settle(self, reply: Reply) -> None:
        """Write down what was changed."""
        for cell in self.opened:
            if cell is not None:
                cell.settle(reply)
        if self._handed and not self._specs:
            for cell in self._handed.values():
                cell.settle(reply)

    def end(self) -> None:
        """Let every later look raise ContextError."""
        self.ended = True
        self.opened = [None] * len(self._specs)
        if self._handed:
            self.end_handles()

    def end_handles(self) -> None:
        """Let every later use of a handle raise ContextError."""
        for cell in (self._handed or {}).values():
            cell.end()
        self._handed = None


class _Undeclared:
    """The declaration of a value that nobody declared: an Any."""

    type: Type[Any] = ANY_TYPE
    is_any = True
    default: Callable[[], Any] | None = None
    expire_after_write: timedelta | None = None

    def __init__(self, name: str) -> None:
        self.name = name

    def check(self, value: Any, /) -> Any:
        return value


RESERVED = ("batch", "request-state")
"""What the runtime itself keeps for every function: a job with a state named "batch" crash-loops."""


def check_name(name: object) -> None:
    """Refuse what cannot be the name of a stored value. Raises StateError."""
    if not isinstance(name, str) or not name:
        msg = f"a stored value needs a name, not {name!r}"
        raise StateError(msg)
    if name in RESERVED:
        msg = (
            f"state {name!r}: the runtime keeps a value of its own under this name, and a job that uses it crash-loops"
        )
        raise StateError(msg)
    if not _hints.has_utf8(name):
        msg = f"state {name!r}: the name has no UTF-8 form"
        raise StateError(msg)


def ended(name: str) -> ContextError:
    """Say that a value was used after its batch."""
    return ContextError(f"state {name!r} belongs to an invocation that has ended")


def encoded(spec: Declared, value: Any) -> bytes:
    try:
        return spec.type.encode(value)
    except SendError as error:
        msg = f"state {spec.name!r}: {error}"
        raise StateError(msg) from None


def _decoded(spec: Declared, typename: str, data: bytes) -> Any:
    type = spec.type
    decode = type.decode if typename == type.typename else decoder(type, typename)
    if decode is None:
        held = short(typename) or "a value without a type"
        msg = f"state {spec.name!r} holds {held}, which is no {_hints.show(type.cls)}"
        raise UndecodableState(msg)
    try:
        return decode(data)
    except Exception as error:
        raise undecodable_state(spec.name, typename, error) from error


def undecodable_state(name: str, typename: str, error: Exception) -> UndecodableState:
    """Say that what is stored are no bytes of its type."""
    return UndecodableState(f"state {name!r} cannot be read as {short(typename)}: {reason(error)}")

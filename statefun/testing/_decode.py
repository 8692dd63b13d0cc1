"""Messages and states read back from the bytes that the engine keeps.

Here: `Decoder`, which knows the types of an app: those of its functions, and of what their code refers to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any as AnyPb

from statefun._wire import Version, wire_of
from statefun.address import Address
from statefun.catalog import Catalog
from statefun.functions import StatefulFunctions
from statefun.protocol import Stored
from statefun.references import FunctionRef, Target
from statefun.runtime._store import StateRow
from statefun.state import State, specs_of
from statefun.testing._context import E, M, Messages
from statefun.types import PRIMITIVES, _declared

__all__ = ["Decoder", "Found"]

_Decode = Callable[[bytes], Any]


class Found(Messages[E]):
    """Messages that the engine holds, in order; `to` reads them with the types of the receiver."""

    def to(self, receiver: FunctionRef[M] | Target[M]) -> list[M]:
        """Return the messages for this receiver, in order. Raises UnexpectedMessage for one that it does not accept."""
        function = receiver.function if isinstance(receiver, Target) else receiver
        accepts = function.accepts
        return [
            accepts.unpack(found.type_url, found.value, function.typename) if isinstance(found, AnyPb) else found
            for found in _untyped(super().to(receiver))
        ]


def _untyped(found: list[Any]) -> list[Any]:
    return found  # what is typed by the receiver may still be an Any


class _Entry(NamedTuple):
    """A stored value, as the entry of a request."""

    state_name: str
    state_value: bytes


class Decoder:
    """Reads what an app sends and stores."""

    def __init__(self, functions: StatefulFunctions, wire: Version) -> None:
        self._functions = functions
        self._wire: Version = wire
        self._others: dict[str, _Decode] | None = None

    def message(self, to: Address, typename: str, data: bytes) -> Any:
        """Read a message as its receiver does, or as its typename says; what nobody knows stays an Any."""
        decode = None
        if to.typename() in self._functions:
            decode = self._functions[to.typename()].accepts.decoder(typename)
        decode = decode or self._known().get(typename) or _protobuf(typename)
        return AnyPb(type_url=typename, value=data) if decode is None else decode(data)

    def _known(self) -> dict[str, _Decode]:
        """Return what decodes each typename that the app refers to somewhere."""
        if self._others is None:
            types = [*PRIMITIVES.values(), *_declared.values()]
            for reference in Catalog.of(self._functions).references:
                types += [known.type for known in reference.accepts if known.type is not None]
            self._others = {known.typename: known.decode for known in reversed(types)}
        return self._others

    def state(self, cls: type[State], rows: dict[str, StateRow]) -> dict[str, Any]:
        """Return the fields of a State that are stored, by name."""
        found: dict[str, Any] = {}
        for field, spec in zip(cls.__statefun_state__.names, specs_of(cls), strict=True):
            row = rows.get(spec.name)
            stored = None if row is None else self._stored(row, spec.type.typename)
            if stored is not None:
                found[field] = spec.type.reads.get(stored[0], spec.type.decode)(stored[1])
        return found

    def _stored(self, row: StateRow, declared: str) -> Stored | None:
        if self._wire == "v3":
            return row.typename, row.value
        return wire_of("v2").stored(cast("Any", _Entry(row.name, row.value)), declared)  # reads no more of an entry


def _protobuf(typename: str) -> _Decode | None:
    """Return what decodes a protobuf message whose module is imported."""
    try:
        found = descriptor_pool.Default().FindMessageTypeByName(typename.rpartition("/")[2])
    except KeyError:
        return None
    return message_factory.GetMessageClass(found).FromString

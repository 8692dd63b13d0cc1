"""What an app consists of, as a value: its functions with types and states, its egresses, and what it sends to.

Here: `Catalog`, made from a registry once, and compared with a module.yaml, a lock file or a runtime's database. No
function is called to make it.
"""

from __future__ import annotations

import dis
import itertools
import re
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeGuard, cast

from statefun._signature import describe
from statefun._type import Type, message_name
from statefun._walk import Walk, codes_of
from statefun.egress import KafkaEgress, KinesisEgress, MessageEgress, TypedEgress
from statefun.functions import StatefulFunction, StatefulFunctions
from statefun.references import FunctionRef

__all__ = [
    "Catalog",
    "CatalogEgress",
    "CatalogFunction",
    "CatalogReference",
    "CatalogState",
    "CatalogType",
    "Expiration",
]

Expiration = Literal["none", "after-write", "after-call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogType:
    """A type of messages or of stored values."""

    typename: str
    message: str | None = None
    """The full name of the protobuf message: read under any prefix."""
    type: Type[Any] | None = None
    """The live type; None where the catalog was read from a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogState:
    """A stored value that a function declares."""

    name: str
    type: CatalogType
    expiration: Expiration = "none"
    expire_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogFunction:
    """A bound function."""

    typename: str
    where: str
    """The callable and where it stands: `greeter (app.py:12)`."""
    accepts: tuple[CatalogType, ...]
    reads: tuple[str, ...]
    """Every typename that it takes from the wire: an int is read from two."""
    catch_all: bool
    """Whether it takes every other message, too."""
    states: tuple[CatalogState, ...]
    by_name: tuple[str, ...]
    """The calls in its code that send by name, as far as they can be seen: `send("shop/audit")`."""

    def takes(self, typename: str) -> bool:
        """Tell whether a message that arrives under this typename is accepted."""
        name = typename.rpartition("/")[2]
        return self.catch_all or typename in self.reads or any(known.message == name for known in self.accepts)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEgress:
    """An egress that the app uses."""

    typename: str
    kind: Literal["kafka", "kinesis", "message", "other"]
    destination: str = ""
    """The topic or the stream."""
    types: tuple[CatalogType, ...] = ()
    """What its records hold, as far as its hint says it."""
    users: tuple[str, ...] = ()
    """The functions whose code refers to it; empty where it was named with `uses` only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogReference:
    """A function that the app sends to, here or elsewhere."""

    typename: str
    accepts: tuple[CatalogType, ...]
    catch_all: bool
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """A whole app."""

    functions: tuple[CatalogFunction, ...]
    egresses: tuple[CatalogEgress, ...] = ()
    references: tuple[CatalogReference, ...] = ()

    @classmethod
    def of(cls, functions: StatefulFunctions) -> Catalog:
        """Look at every function that is bound, and at what its code refers to."""
        found, walk, calls = _Uses(), Walk(), _Calls()
        made: list[CatalogFunction] = []
        for function in functions:
            objects = list(walk.reachable(function.fn))
            found.look(objects, function.typename)
            found.look(_held_by(function), function.typename)
            made.append(_function(function, tuple(calls.by_name(objects))))
        found.look(_held_by(functions), None)
        found.look(_flat(functions.used), None)
        return cls(
            functions=tuple(made),
            egresses=tuple(_egress(egress, tuple(users)) for _, (egress, users) in sorted(found.egresses.items())),
            references=tuple(
                _reference(reference, tuple(users)) for _, (reference, users) in sorted(found.references.items())
            ),
        )

    def function(self, typename: str) -> CatalogFunction | None:
        """Return the function with this name."""
        return next((function for function in self.functions if function.typename == typename), None)


class _Uses:
    """The egresses and references that were found, each with the functions that use it."""

    def __init__(self) -> None:
        self.egresses: dict[tuple[str, str], tuple[Any, list[str]]] = {}
        self.references: dict[str, tuple[FunctionRef[Any], list[str]]] = {}

    def look(self, found: Iterable[Any], user: str | None) -> None:
        """Note what is an egress or a reference."""
        for one in found:
            if _is_reference(one):
                users = self.references.setdefault(one.typename, (one, []))[1]
            elif _is_egress(one):
                users = self.egresses.setdefault((one.typename, _kind(one)), (one, []))[1]
            else:
                continue
            if user is not None and user not in users:
                users.append(user)


def _held_by(owner: object) -> Iterator[Any]:
    """Yield the egresses that a registry or a function was given, itself or in a policy: for dead letters, say."""
    for value in vars(owner).values():
        cls: type[object] = value.__class__
        policy = cls.__module__.partition(".")[0] == "statefun" and not _is_egress(value)
        kept = ("__dict__", "__slots__", "_fields")  # _fields: of a NamedTuple
        names = [name for where in kept for name in getattr(value, where, ())] if policy else []
        yield from (one for one in (value, *(getattr(value, name, None) for name in names)) if _is_egress(one))


def _flat(used: Iterable[Any]) -> Iterator[object]:
    for one in used:
        if isinstance(one, (list, tuple, set, frozenset)):
            yield from _flat(cast("Iterable[Any]", one))
        else:
            yield one


def _is_reference(found: object) -> TypeGuard[FunctionRef[Any]]:
    return isinstance(found, FunctionRef)


def _is_egress(found: Any) -> bool:
    """Tell whether it is an instance with a typename that makes records; a bound function has none of them."""
    if isinstance(found, (type, types.ModuleType)):
        return False
    return isinstance(getattr(found, "typename", None), str) and callable(getattr(found, "record", None))


def _kind(egress: object) -> Literal["kafka", "kinesis", "message", "other"]:
    if isinstance(egress, KafkaEgress):
        return "kafka"
    if isinstance(egress, KinesisEgress):
        return "kinesis"
    return "message" if isinstance(egress, MessageEgress) else "other"


def _egress(egress: Any, users: tuple[str, ...]) -> CatalogEgress:
    destination = getattr(egress, "topic", None) or getattr(egress, "stream", None)
    kind = _kind(egress)
    types = () if kind == "other" else cast("TypedEgress[Any]", egress).types()
    return CatalogEgress(
        typename=egress.typename,
        kind=kind,
        destination=str(destination or ""),
        types=tuple(_type(found) for found in types),
        users=users,
    )


def _reference(reference: FunctionRef[Any], users: tuple[str, ...]) -> CatalogReference:
    accepts = reference.accepts
    return CatalogReference(
        typename=reference.typename,
        accepts=tuple(_type(found) for found in accepts.by_class.values()),
        catch_all=accepts.catch_all,
        users=users,
    )


def _type(found: Type[Any]) -> CatalogType:
    return CatalogType(typename=found.typename, message=message_name(found), type=found)


def _function(function: StatefulFunction[Any, Any, Any], by_name: tuple[str, ...]) -> CatalogFunction:
    accepts = function.accepts
    return CatalogFunction(
        typename=function.typename,
        where=describe(function.fn),
        accepts=tuple(_type(found) for found in accepts.by_class.values()),
        reads=tuple(accepts.decoders),
        catch_all=accepts.catch_all,
        states=tuple(_state(spec) for spec in function.specs.values()),
        by_name=by_name,
    )


def _state(spec: Any) -> CatalogState:
    after_write, after_call = spec.expire_after_write, spec.expire_after_call
    expiration: Expiration = "none"
    if after_write is not None:
        expiration = "after-write"
    elif after_call is not None:
        expiration = "after-call"
    return CatalogState(
        name=spec.name, type=_type(spec.type), expiration=expiration, expire_after=after_write or after_call
    )


_BY_NAME = frozenset(("pack_and_send", "pack_and_send_after", "pack_and_send_egress"))
_MAYBE = frozenset(("send", "send_after", "send_egress"))
_NAME = re.compile(r"[^\s/:]+/[^\s:]*[^\s/:]")
_NEAR = 12
"""How many instructions after the name of a method its first arguments stand."""
_ENDS = ("LOAD_METHOD", "STORE", "POP_TOP", "RETURN")


class _Calls:
    """Finds the calls whose receiver is a text; the code of a function that many call is looked at once."""

    def __init__(self) -> None:
        self._known: dict[types.FunctionType, tuple[str, ...]] = {}

    def by_name(self, objects: Iterable[object]) -> Iterator[str]:
        """Yield the calls in the code of these functions: the method, and the text where it stands there."""
        for found in objects:
            if isinstance(found, types.FunctionType):
                if found not in self._known:
                    calls = (call for code in codes_of(found) for call in _in_code(code, found.__globals__))
                    self._known[found] = tuple(calls)
                yield from self._known[found]


def _in_code(code: types.CodeType, names: dict[str, Any]) -> Iterator[str]:
    if not {*_BY_NAME, *_MAYBE} & set(code.co_names):
        return
    instructions = list(dis.get_instructions(code))
    for index, instruction in enumerate(instructions):
        method = instruction.argval
        if instruction.opname not in ("LOAD_METHOD", "LOAD_ATTR") or not isinstance(method, str):
            continue
        if method in _BY_NAME or method in _MAYBE:
            after = method.endswith("_after")  # whose first argument is the delay, often a call of its own
            text = _first_name(instructions[index + 1 : index + 1 + _NEAR * (1 + after)], names, past_calls=after)
            if text or method in _BY_NAME:
                yield f"{method}({text!r})" if text else f"{method}(...)"


def _first_name(instructions: Iterable[dis.Instruction], names: dict[str, Any], *, past_calls: bool) -> str:
    """Return the typename that is one of the first arguments, if it stands there as a constant or a global."""
    ends = _ENDS if past_calls else (*_ENDS, "CALL", "PRECALL", "LOAD_ATTR")
    arguments = itertools.takewhile(lambda one: not one.opname.startswith(ends), instructions)
    values = (names.get(str(one.argval)) if one.opname == "LOAD_GLOBAL" else one.argval for one in arguments)
    return next((value for value in values if isinstance(value, str) and _NAME.fullmatch(value)), "")

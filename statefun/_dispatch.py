"""The dispatch table: which messages a hint accepts, and the Type of each.

Here: from a hint to the table, and the two ways to use it, for what arrives and for what is sent. Where the hint comes
from (a parameter, `FunctionRef[...]`) is the caller's affair, and so is the error that a refused hint becomes.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.message import Message

from statefun import _hints, _json
from statefun._type import message_name, short
from statefun.errors import DeclarationError, SendError, UndecodableMessage, UnexpectedMessage, reason, with_help
from statefun.types import (  # fmt: skip
    PRIMITIVES,
    PROTOCOLS,
    Type,
    carries_codec,
    compile_json,
    for_value,
    is_enum,
    type_of,
)

__all__ = ["Accepts", "Refusal", "accepted", "undecodable"]

Decode = Callable[[bytes], Any]
Refusal = Callable[[str, str], Exception]
"""Makes the error of a refused hint from the problem and the help."""

CATCH_ALL_HELP = "hint google.protobuf.any_pb2.Any to receive every message packed"
_LIST_TYPES = f"list the message types (User | Admin), or {CATCH_ALL_HELP}"


class Accepts(Mapping[str, type]):
    """What a function accepts: typename -> class, the ones it is sent under first."""

    __slots__ = ("_classes", "by_class", "catch_all", "decoders", "message_decoders")

    by_class: dict[type, Type[Any]]
    catch_all: bool

    def __init__(self, types: Mapping[type, Type[Any]], *, catch_all: bool) -> None:
        self.by_class = dict(types)
        """The Type that each class is sent as."""
        self.catch_all = catch_all
        """Whether every other message arrives, too, packed in an Any."""
        self.decoders: dict[str, Decode] = {found.typename: found.decode for found in types.values()}
        self._classes: dict[str, type] = {found.typename: cls for cls, found in types.items()}
        self.message_decoders: dict[str, Decode] = {}
        """protobuf messages by their full name, whatever stands before the slash (the rule of the 2.x SDKs)."""
        for cls, found in types.items():
            for typename, decode in found.reads.items():
                self.decoders.setdefault(typename, decode)  # a type's own name goes before what another reads, too
                self._classes.setdefault(typename, cls)
            name = message_name(found)
            if name is not None:
                self.message_decoders[name] = found.decode

    def __getitem__(self, typename: str) -> type:
        return self._classes[typename]

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)

    def __str__(self) -> str:
        """Write it as the hint would be written."""
        names = [
            f"Annotated[{cls.__name__}, {found.hint_name}]"
            if found is not type_of(cls) and cls in PRIMITIVES
            else cls.__name__
            for cls, found in self.by_class.items()
        ]
        return " | ".join([*names, "Any"] if self.catch_all else names)

    def decoder(self, typename: str) -> Decode | None:
        """Return what decodes a message that arrived under this typename; None if no class stands for it."""
        return self.decoders.get(typename) or self.message_decoders.get(typename.rpartition("/")[2])

    def unpack(self, typename: str, data: bytes, function: str) -> Any:
        """Decode a message that arrived. Raises UnexpectedMessage, UndecodableMessage."""
        decode = self.decoder(typename)
        if decode is None:
            if self.catch_all:
                return AnyPb(type_url=typename, value=data)
            msg = with_help(
                f"{function} accepts {self}, but got a {short(typename) or 'message without a type'}",
                f"add its class to the type hint of the message, or {CATCH_ALL_HELP}",
            )
            raise UnexpectedMessage(msg)
        try:
            return decode(data)
        except Exception as error:
            raise undecodable(function, typename, data, error) from error

    def type_for(self, message: object, function: str) -> Type[Any] | None:
        """Return what a message is sent as; None for an Any, which is sent as it is.

        By exact class: a bool is no int here; an int stands for a float where no int is accepted. Raises SendError for
        what a type checker would refuse.
        """
        cls = message.__class__
        found = self.by_class.get(cls)
        if found is None and cls is int:
            found = self.by_class.get(float)
        if found is not None:
            return found
        if not self.catch_all:
            msg = f"{function} accepts {self}, not {_hints.show(cls)}"
            raise SendError(msg)
        return None if cls is AnyPb else for_value(message)


def undecodable(function: str, typename: str, data: bytes, error: Exception) -> UndecodableMessage:
    """Say that the bytes of a message are not of its type."""
    return UndecodableMessage(
        f"{function} cannot read a message of {len(data)} bytes as {short(typename)}: {reason(error)}"
    )


def accepted(hint: Any, scope: _hints.Scope, shown: str, namespace: str, refuse: Refusal) -> Accepts:
    """Make the dispatch table of a hint; None and typing.Any accept everything, packed.

    `shown` is the hint as its error quotes it, `namespace` the one to propose in a help. Raises what `refuse` makes;
    NameError where the hint names what is not defined.
    """
    if hint is None or hint is Any:
        return Accepts({}, catch_all=True)
    table = _Table(shown, namespace, refuse)
    for member in _hints.members(hint, scope, Type):
        table.add(member)
    return Accepts(table.types, catch_all=table.catch_all)


class _Table:
    """The alternatives of one hint, while they are collected."""

    def __init__(self, shown: str, namespace: str, refuse: Refusal) -> None:
        self.types: dict[type, Type[Any]] = {}
        self.catch_all = False
        self._sources: dict[type, Any] = {}
        self._shown = shown
        self._namespace = namespace
        self._refuse = refuse

    def add(self, member: _hints.Member) -> None:
        cls, named = member.cls, member.extra
        if cls is AnyPb and named is None:
            self.catch_all = True
            return
        problem = self._no_message(cls)
        if problem is not None:
            raise self._refuse(*problem)
        if named is not None and named.cls is not cls:
            contradiction = f"{named.hint_name} is a type of {_hints.show(named.cls)}, not of {_hints.show(cls)}"
            raise self._refuse(f"'{self._shown}' is contradictory: {contradiction}", "")
        found = named or type_of(cls)
        if found is None:
            why, help = _why_not(cls, self._namespace)
            raise self._refuse(f"'{self._shown}' includes {_hints.show(cls)}, {why}", help)
        self._check_json(found)
        self._check_ambiguous(cls, found, member.source)
        self.types[cls], self._sources[cls] = found, member.source

    def _no_message(self, cls: Any) -> tuple[str, str] | None:
        if cls is type(None):
            return f"'{self._shown}' includes None, but a message is never None", "drop the None"
        if _hints.is_never(cls):
            return f"'{self._shown}' accepts no message at all", ""
        if isinstance(cls, typing.TypeVar):
            return (
                f"'{self._shown}' uses the type variable {cls}, which has no value at run time",
                "list the message types",
            )
        if cls in (Message, object, Any) or cls in PROTOCOLS:
            return (
                f"'{self._shown}' includes {_hints.show(cls)}, which does not say how to unpack what arrives",
                _LIST_TYPES,
            )
        return None

    def _check_json(self, found: Type[Any]) -> None:
        try:
            compile_json(found)
        except DeclarationError as error:
            raise self._refuse(
                f"'{self._shown}' includes {_hints.show(found.cls)}, which has no JSON form: {error}", ""
            ) from None

    def _check_ambiguous(self, cls: type, found: Type[Any], source: Any) -> None:
        known = self.types.get(cls)
        if known is not None and (known.typename != found.typename or self._sources[cls] is not source):
            same = (
                f"arrive as {short(found.typename)!r}"
                if known.typename == found.typename
                else f"are {_hints.show(cls)} in Python"
            )
            both = f"{_hints.show(self._sources[cls])} and {_hints.show(source)} both {same}"
            raise self._refuse(f"'{self._shown}' is ambiguous: {both}", "keep one of them")
        for other, type in self.types.items():
            if type.typename == found.typename and other is not cls:
                both = f"{_hints.show(other)} and {_hints.show(cls)} both arrive as {short(found.typename)!r}"
                raise self._refuse(f"'{self._shown}' is ambiguous: {both}", "keep one of them")


def _why_not(cls: Any, namespace: str) -> tuple[str, str]:
    """Say why a class cannot be a message, and what to do."""
    if _json.kind_of(cls):
        return "which has no typename", f"declare it: @json_type('{namespace}/{cls.__name__}')"
    if _hints.is_list_or_dict(cls) or cls in (list, dict, tuple, set):
        return (
            "which cannot be a message by itself",
            "make it a field of one: 'repeated' or 'map' in protobuf, or a dataclass with json_type",
        )
    if is_enum(cls):
        return "which is an Enum and cannot be a message by itself", "make it a field of one"
    if _hints.is_class(cls):
        for primitive in PRIMITIVES:
            if issubclass(cls, primitive):
                name = primitive.__name__
                return f"which would arrive as a plain {name}", f"hint {name}, or NewType({cls.__name__!r}, {name})"
        if carries_codec(cls):
            return (
                "which has no codec",
                f"give it one: custom_type('{namespace}/{cls.__name__}', {cls.__name__}, encode=..., decode=...)",
            )
        if hasattr(cls, "__statefun_state__"):
            return "which is a State", "a State is stored, not sent; send a message"
    return (
        "which cannot be a message",
        (
            "a message is a protobuf message, bool, int, float, str, bytes, a dataclass, msgspec Struct or pydantic "
            f"model with json_type, or a class with custom_type; or {CATCH_ALL_HELP}"
        ),
    )

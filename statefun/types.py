"""What a message, a stored value or an egress record may be, and how each kind is written.

Here: `Type`, a class with its typename and its codec; which Type a class has; and the unions that say to a type checker
what may be sent or stored. The table of typenames and bytes is in docs/reference/types.md: it cannot be changed after
the first deployment of an app. Where a value is sent to is not known here.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar, cast, overload

from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.message import EncodeError, Message

from statefun import _hints, _json, _primitives
from statefun._kinds import (
    PROTOCOLS,
    CodedLike,
    DataclassLike,
    JsonLike,
    ModelLike,
    Record,
    Sendable,
    Storable,
    StructLike,
)
from statefun._type import GOOGLE, Type, is_type
from statefun.address import split_typename
from statefun.errors import DeclarationError, SendError, StateError, UnsendableError, with_help

if TYPE_CHECKING:
    from google.protobuf.wrappers_pb2 import Int64Value as _Wrapper

__all__ = [
    "BOOL",
    "BYTES",
    "FLOAT32",
    "FLOAT64",
    "INT32",
    "INT64",
    "PROTOCOLS",
    "STRING",
    "CodedLike",
    "DataclassLike",
    "ModelLike",
    "Record",
    "Sendable",
    "Storable",
    "StructLike",
    "Type",
    "custom_type",
    "json_type",
    "protobuf",
]

JSON = "statefun.python/json"
"""The typename of lists, dicts and Enums: stored only."""


T = TypeVar("T")  # invariant: written and read
J = TypeVar("J", bound=JsonLike)
C = TypeVar("C", bound=JsonLike | CodedLike)
PB = TypeVar("PB", bound=Message)

NUMBERS = (bool, int, float)


# --- the primitives ---


def _primitive(
    constant: str, typename: str, cls: type[T], encode: Callable[[T], bytes], decode: Callable[[bytes], Any]
) -> Type[T]:
    made = Type(typename, cls, encode=encode, decode=decode)
    made.immutable, made.constant = True, constant
    return made


def _as_is(value: bytes) -> bytes:
    return value


def _nothing_to_check(_value: object) -> None:
    """Every value of the class has bytes."""


def _wrapper(name: str) -> Callable[[bytes], Any]:
    """Make the decoder of a google.protobuf wrapper; its module is imported when the first one arrives."""

    def decode(data: bytes) -> object:
        from google.protobuf import wrappers_pb2  # noqa: PLC0415 -- 1 ms that most processes never need

        cls: type[_Wrapper] = getattr(wrappers_pb2, name)
        return cls.FromString(data).value

    return decode


BOOL = _primitive("BOOL", "io.statefun.types/bool", bool, _primitives.encode_bool, _primitives.decode_bool)
INT32 = _primitive(
    "INT32", "io.statefun.types/int", int, _primitives.encode_fixed("i", 0x0D), _primitives.decode_fixed("i", 0x0D)
)
INT64 = _primitive(
    "INT64", "io.statefun.types/long", int, _primitives.encode_fixed("q", 0x09), _primitives.decode_fixed("q", 0x09)
)
FLOAT32 = _primitive(
    "FLOAT32",
    "io.statefun.types/float",
    float,
    _primitives.encode_fixed("f", 0x0D),
    _primitives.decode_fixed("f", 0x0D),
)
FLOAT64 = _primitive(
    "FLOAT64",
    "io.statefun.types/double",
    float,
    _primitives.encode_fixed("d", 0x09),
    _primitives.decode_fixed("d", 0x09),
)
STRING = _primitive("STRING", "io.statefun.types/string", str, _primitives.encode_str, _primitives.decode_str)
BYTES = _primitive("BYTES", "statefun.python/bytes", bytes, _as_is, _as_is)

BOOL.validate = BYTES.validate = FLOAT64.validate = _nothing_to_check
INT32.validate, INT64.validate = _primitives.fits(32), _primitives.fits(64)

PRIMITIVES: dict[type, Type[Any]] = {bool: BOOL, int: INT64, float: FLOAT64, str: STRING, bytes: BYTES}


def _read_also(wide: Type[Any], *names: str) -> None:
    wide.reads |= {f"{GOOGLE}google.protobuf.{name}": _wrapper(name) for name in names}


INT64.reads |= INT32.reads  # what a function in Java or Go wrote narrower
FLOAT64.reads |= FLOAT32.reads
_read_also(BOOL, "BoolValue")
_read_also(INT64, "Int64Value", "Int32Value", "UInt64Value", "UInt32Value")
_read_also(FLOAT64, "DoubleValue", "FloatValue")
_read_also(STRING, "StringValue")
_read_also(BYTES, "BytesValue")


# --- protobuf ---


def protobuf(cls: type[PB], typename: str | None = None) -> Type[PB]:
    """Make the Type of a protobuf message, under another typename than type.googleapis.com/<its full name>."""
    name = _protobuf_name(cls, typename)
    decode = cast("Callable[[bytes], PB]", cls.FromString)  # types-protobuf leaves its result a Message
    # only maps have no order of their own
    encode = _serialize_sorted if _holds(cls.DESCRIPTOR, _is_map, set()) else cls.SerializeToString
    if not _holds(cls.DESCRIPTOR, _has_required, set()):
        made = Type(name, cls, encode=encode, decode=decode)
        made.validate = _nothing_to_check
        return made

    def encode_whole(message: PB) -> bytes:
        try:
            return encode(message)
        except EncodeError as error:
            msg = f"{cls.DESCRIPTOR.full_name} is not whole: {error}"
            raise SendError(msg) from None

    return Type(name, cls, encode=encode_whole, decode=decode)


def _protobuf_name(cls: type[Message], typename: str | None) -> str:
    if not (_hints.is_class(cls) and issubclass(cls, Message) and cls is not Message):
        msg = f"{_hints.show(cls)} is no protobuf message class"
        raise DeclarationError(msg)
    return typename or GOOGLE + cls.DESCRIPTOR.full_name


def _serialize_sorted(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def _holds(descriptor: Any, wanted: Callable[[Any], bool], seen: set[str]) -> bool:
    """Tell whether a message, or one that it may hold, is of the wanted kind. What is in an Any cannot be told."""
    if descriptor.full_name in seen:
        return False
    seen.add(descriptor.full_name)
    if wanted(descriptor):
        return True
    return any(f.message_type is not None and _holds(f.message_type, wanted, seen) for f in descriptor.fields)


def _is_map(descriptor: Any) -> bool:
    return bool(descriptor.GetOptions().map_entry) or descriptor.full_name == "google.protobuf.Any"


def _has_required(descriptor: Any) -> bool:
    """Tell whether there is a required field (proto2)."""
    if not descriptor.fields:
        return False
    if hasattr(descriptor.fields[0], "is_required"):  # since protobuf 6; from 7 on, the label warns
        return any(field.is_required for field in descriptor.fields)
    return any(field.label == field.LABEL_REQUIRED for field in descriptor.fields)


ANY_TYPE = protobuf(AnyPb)
"""An Any that is stored as it is: what a function keeps that declares no state."""


# --- JSON, and codecs of one's own ---

_declared: dict[type[Any], Type[Any]] = {}
_protobufs: dict[type[Any], Type[Any]] = {}


def _declare(declared: Type[T]) -> Type[T]:
    for cls, other in _declared.items():
        # a notebook cell or a reload makes the class anew
        reloaded = (cls.__module__, cls.__qualname__) == (declared.cls.__module__, declared.cls.__qualname__)
        if other.typename == declared.typename and cls is not declared.cls and not reloaded:
            msg = f"{declared.typename!r} is already the typename of {cls.__qualname__}"
            raise DeclarationError(msg)
        if cls is declared.cls and other.typename != declared.typename:
            msg = f"{cls.__qualname__} already has the typename {other.typename!r}"
            raise DeclarationError(msg)
    _declared[declared.cls] = declared
    return declared


@overload
def json_type(
    typename: str, /
) -> Callable[[type[T]], type[T]]: ...  # unbound: pyright knows a dataclass only when all is decorated
@overload
def json_type(typename: str, cls: type[J], /) -> Type[J]: ...
def json_type(typename: str, cls: type[Any] | None = None, /) -> Any:
    """Declare how a dataclass, msgspec Struct or pydantic model is named on the wire; it is written as JSON.

    @json_type("shop/Order") above the class, or json_type("shop/Order", Order). Raises DeclarationError.
    """
    split_typename(typename)

    def decorate(cls: type[T]) -> type[T]:
        _declare(_json_type(typename, cls))
        return cls

    return decorate if cls is None else _declare(_json_type(typename, cls))


def _json_type(typename: str, cls: type[T]) -> Type[T]:
    if not _json.kind_of(cls):
        msg = with_help(
            f"{_hints.show(cls)} is no dataclass, msgspec Struct or pydantic model",
            "put @json_type above @dataclass, not below",
        )
        raise DeclarationError(msg)
    return _lazily_compiled(typename, cls)


def _lazily_compiled(typename: str, cls: type[T]) -> Type[T]:
    """Make a JSON type whose codec is compiled when it is first used: its fields may name classes that come later."""

    def encode(value: T) -> bytes:
        compile_json(made)
        return made.encode(value)

    def decode(data: bytes) -> T:
        compile_json(made)
        return made.decode(data)

    made = Type(typename, cls, encode=encode, decode=decode)
    made.exact = True
    _uncompiled.add(made)
    return made


_uncompiled: set[Type[Any]] = set()


def compile_json(found: Type[Any]) -> None:
    """Compile the codec of a JSON type, if it has one that is not compiled yet. Raises DeclarationError, NameError."""
    if found in _uncompiled:
        found.encode, found.decode = _json.codec(found.cls)
        found.reads[found.typename], found.validate = found.decode, found.encode
        _uncompiled.discard(found)


def custom_type(
    typename: str, cls: type[C], /, *, encode: Callable[[C], bytes], decode: Callable[[bytes], C]
) -> Type[C]:
    """Give a class of one's own its typename and codec (a betterproto message, one that declares __statefun_type__).

    Raises DeclarationError.
    """
    if not (_json.kind_of(cls) or carries_codec(cls)):
        msg = with_help(
            f"{cls.__qualname__} can get no codec for itself: it is no dataclass and declares no __statefun_type__",
            "if it is yours, write '__statefun_type__: ClassVar[Type[Any]]' in its body; if it is not, make a Type and "
            "name it where it is used: value(type=WHEN), ValueSpec('at', WHEN)",
        )
        raise DeclarationError(msg)
    declared = _declare(Type(typename, cls, encode=encode, decode=decode))
    if carries_codec(cls):
        setattr(cls, "__statefun_type__", declared)  # noqa: B010 -- to a checker, C need not have it
    return declared


def carries_codec(cls: object) -> bool:
    """Tell whether the class itself (no base of it) declares, or has, __statefun_type__."""
    if not _hints.is_class(cls):
        return False
    return "__statefun_type__" in vars(cls) or "__statefun_type__" in _hints.own_annotations(cls)


# --- which Type a class has ---


def type_of(cls: Any) -> Type[Any] | None:
    """Return the Type of a class that can be sent; None if it has none."""
    found = _protobufs.get(cls) or PRIMITIVES.get(cls) or _declared.get(cls)
    if found is not None or not _hints.is_class(cls):
        return found
    if issubclass(cls, Message) and cls is not Message:
        _protobufs[cls] = protobuf(cls)
        return _protobufs[cls]
    own = vars(cls).get("__statefun_type__")
    return own if is_type(own) and own.cls is cls else None  # written by hand


def storable(hint: Any, where: str) -> Type[Any]:
    """Return the Type of what can be stored. Raises StateError; `where` opens its text."""
    if is_type(hint):
        return hint
    found = type_of(hint)
    try:
        if found is not None:
            compile_json(found)
            return found
        if _hints.is_list_or_dict(hint) or is_enum(hint):
            encode, decode = _json.codec(hint)
            return Type(JSON, hint, encode=encode, decode=decode)
    except DeclarationError as error:
        msg = f"{where}: {error}"
        raise StateError(msg) from None
    raise StateError(_why_not_storable(hint, where))


def is_enum(hint: object) -> TypeGuard[type[enum.Enum]]:
    """Tell whether it is an Enum class."""
    return _hints.is_class(hint) and issubclass(hint, enum.Enum)


def _why_not_storable(hint: Any, where: str) -> str:
    if _json.kind_of(hint):
        return with_help(
            f"{where}: {hint.__qualname__} has no typename", f"declare it: @json_type('<namespace>/{hint.__name__}')"
        )
    if _hints.is_union(hint):
        return f"{where}: {_hints.show(hint)} is ambiguous when it is read back; use a protobuf oneof or two values"
    return (
        f"{where}: values of type {_hints.show(hint)} cannot be stored; use a protobuf message, bool, int, float, str, "
        "bytes, an Enum, a class declared with json_type, a list or dict of these, "
        "or write a Type and name it: value(type=...)"
    )


# --- packing by hand ---


def for_value(value: object, type: Type[Any] | None = None) -> Type[Any]:
    """Return the Type that a value is sent with. Raises UnsendableError if its class has none."""
    cls = value.__class__
    if type is None:
        found = type_of(cls)
        if found is None:
            raise UnsendableError(unsendable(cls))
        return found
    if cls is int and type.cls is float:
        return type  # an int may stand for a float
    if not isinstance(value, type.cls) or (cls is bool and type.cls is not bool):
        msg = f"{type.typename} is a type of {_hints.show(type.cls)}, not of {_hints.show(cls)}"
        raise UnsendableError(msg)
    return type


def pack(value: object, type: Type[Any] | None = None) -> AnyPb:
    """Pack a value into an Any; an Any stays as it is."""
    if isinstance(value, AnyPb) and type is None:
        return value
    found = for_value(value, type)
    return AnyPb(type_url=found.typename, value=found.encode(value))


def unsendable(cls: type[Any]) -> str:
    """Say why an object of this class cannot be sent."""
    if _json.kind_of(cls):
        return with_help(f"{cls.__qualname__} has no typename", f"declare it: @json_type('<namespace>/{cls.__name__}')")
    return with_help(
        f"{_hints.show(cls)} cannot be sent",
        "send a protobuf message, bool, int, float, str, bytes, or a class declared with json_type or custom_type",
    )

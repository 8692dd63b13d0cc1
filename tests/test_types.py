"""Which Type a class has, and how one is declared."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from shop_pb2 import Cancel, Ship, User

from statefun import Type, ValueSpec, custom_type, json_type, types
from statefun.errors import DeclarationError, SendError, StateError, UnsendableError
from statefun.types import compile_json, storable, type_of
from tests.kinds import LEGACY, WHEN, Bigger, Item, Kinds, Level, Money, Parcel, Refund, Tier, Undeclared
from tests.refusals import refusal

NOON = dt.datetime(2024, 1, 1, 12)  # noqa: DTZ001 -- one without a zone is a value, too
untyped_custom_type: Any = custom_type

# --- the table ---

TABLE: list[tuple[Any, str, bytes]] = [
    (True, "io.statefun.types/bool", b"\x08\x01"),
    (5, "io.statefun.types/long", b"\x09\x05" + bytes(7)),
    (1.5, "io.statefun.types/double", b"\x09\0\0\0\0\0\0\xf8\x3f"),
    ("Bob", "io.statefun.types/string", b"\x0a\x03Bob"),
    (b"\x00raw", "statefun.python/bytes", b"\x00raw"),
    (User(name="b"), "type.googleapis.com/shop.User", b"\x12\x01b"),
    (Item("s", Tier.GOLD, ["a"]), "kinds/Item", b'{"sku":"s","tier":"GOLD","tags":["a"]}'),
    (Parcel("s"), "kinds/Parcel", b'{"sku":"s","count":1}'),
    (Refund(sku="s", at=NOON), "kinds/Refund", b'{"sku":"s","at":"2024-01-01T12:00:00"}'),
    (Money(5), "kinds/money", b"5"),
]


@pytest.mark.parametrize(("value", "typename", "data"), TABLE, ids=[row[1] for row in TABLE])
def test_what_is_sent(value: Any, typename: str, data: bytes) -> None:
    """A value of each kind has this typename and these bytes, for ever."""
    assert types.pack(value) == AnyPb(type_url=typename, value=data)


@pytest.mark.parametrize(
    ("hint", "value", "typename", "data"),
    [
        (types.INT32, 5, "io.statefun.types/int", b"\x0d\x05\0\0\0"),
        (types.FLOAT32, 1.5, "io.statefun.types/float", b"\x0d\0\0\xc0\x3f"),
        (Tier, Tier.GOLD, "statefun.python/json", b'"GOLD"'),
        (list[int], [1, 2], "statefun.python/json", b"[1,2]"),
        (dict[str, Item], {"a": Item("s")}, "statefun.python/json", b'{"a":{"sku":"s","tier":"BASIC","tags":[]}}'),
        (WHEN, NOON, "kinds/when", b"2024-01-01T12:00:00"),
        (LEGACY, User(name="b"), "legacy/user", b"\x12\x01b"),
        (AnyPb, AnyPb(type_url="a/b"), "type.googleapis.com/google.protobuf.Any", b"\x0a\x03a/b"),
    ],
    ids=str,
)
def test_what_is_stored(hint: Any, value: Any, typename: str, data: bytes) -> None:
    """What can only be stored, or only under a Type, has this typename and these bytes, for ever."""
    found = storable(hint, "here")
    assert (found.typename, found.encode(value)) == (typename, data)


def test_nothing_is_imported_for_json() -> None:
    """Neither pydantic nor msgspec is needed by nobody who does not use them."""
    code = "import sys, statefun; sys.exit(bool({'pydantic', 'msgspec'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_read_besides() -> None:
    """A Type reads its own typename first, and those of narrower types and of protobuf's wrappers."""
    google = "type.googleapis.com/google.protobuf."
    assert list(types.BOOL.reads) == ["io.statefun.types/bool", f"{google}BoolValue"]
    assert list(types.INT32.reads) == ["io.statefun.types/int"]
    assert list(types.INT64.reads) == [
        "io.statefun.types/long",
        "io.statefun.types/int",
        *(f"{google}{name}" for name in ("Int64Value", "Int32Value", "UInt64Value", "UInt32Value")),
    ]
    assert list(types.FLOAT32.reads) == ["io.statefun.types/float"]
    assert list(types.FLOAT64.reads) == [
        "io.statefun.types/double",
        "io.statefun.types/float",
        f"{google}DoubleValue",
        f"{google}FloatValue",
    ]
    assert list(types.STRING.reads) == ["io.statefun.types/string", f"{google}StringValue"]
    assert list(types.BYTES.reads) == ["statefun.python/bytes", f"{google}BytesValue"]


# --- protobuf ---


def test_protobuf_messages() -> None:
    """A message goes under its full name, or under a name that is asked for; its class has one Type."""
    assert types.protobuf(User).typename == "type.googleapis.com/shop.User"
    assert LEGACY.typename == "legacy/user"
    assert type_of(User) is type_of(User)
    for cls in (User, Ship, Cancel, Empty, Struct, AnyPb):
        made = types.protobuf(cls)
        assert made.decode(made.encode(cls())) == cls()


@pytest.mark.parametrize(("wrong", "shown"), [(int, "int"), (Message, "Message"), ("User", "User"), (None, "None")])
def test_no_protobuf(wrong: Any, shown: str) -> None:
    """Only the class of a message has a protobuf Type."""
    assert refusal(DeclarationError, lambda: types.protobuf(wrong)) == f"{shown} is no protobuf message class"


def required() -> type[Message]:
    """Make a message of proto2 with a required field."""
    file = descriptor_pb2.FileDescriptorProto(name="required.proto", package="test", syntax="proto2")
    kind = FieldDescriptorProto
    file.message_type.add(name="Required").field.add(
        name="id", number=1, type=kind.TYPE_STRING, label=kind.LABEL_REQUIRED, json_name="id"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.Required"))


def test_required_fields() -> None:
    """A message of proto2 that lacks a required field is refused where it is sent."""
    cls = required()
    with pytest.raises(SendError, match="id"):
        types.pack(cls())
    with pytest.raises(StateError, match=r"^state 'a': .*id"):
        ValueSpec("a", cls).check(cls())
    whole = cls.FromString(b"\x0a\x01x")
    assert types.pack(whole).value == b"\x0a\x01x"


# --- declaring ---


def test_json_type() -> None:
    """json_type names a class, above it or by a call, which gives its Type; to say the same twice is harmless."""

    @json_type("test/Above")
    @dataclasses.dataclass
    class Above:
        id: str

    class Called(msgspec.Struct):
        id: str

    made = json_type("test/Called", Called)
    assert (made.typename, made.cls) == ("test/Called", Called)
    assert json_type("test/Called", Called) == type_of(Called)
    assert types.pack(Above("a")) == AnyPb(type_url="test/Above", value=b'{"id":"a"}')
    assert made.decode(made.encode(Called("b"))) == Called("b")


def test_custom_type() -> None:
    """custom_type gives a class its codec, also a dataclass, and writes it where the class declared it."""

    @dataclasses.dataclass
    class Hello:
        name: str

    made = custom_type(
        "test/Hello", Hello, encode=lambda hello: hello.name.encode(), decode=lambda data: Hello(data.decode())
    )
    assert types.pack(Hello("a")) == AnyPb(type_url="test/Hello", value=b"a")
    assert made.decode(b"a") == Hello("a")
    assert not hasattr(Hello, "__statefun_type__")
    assert Money.__statefun_type__.typename == "kinds/money"


def test_a_codec_written_by_hand() -> None:
    """A class may hold its Type itself; what is derived from it has none: it would lose what the class adds."""

    class ByHand:
        __statefun_type__: ClassVar[Any]

    class Derived(ByHand):
        pass

    ByHand.__statefun_type__ = Type("test/by_hand", ByHand, encode=lambda _: b"", decode=lambda _: ByHand())
    assert types.pack(ByHand()).type_url == "test/by_hand"
    assert type_of(Derived) is None


class Plain:
    """A class like any other."""


@dataclasses.dataclass
class Other:
    """A dataclass that nobody names."""


DECLARATIONS: list[tuple[Callable[[], object], str]] = [
    (
        lambda: json_type("test/Plain")(Plain),
        "Plain is no dataclass, msgspec Struct or pydantic model\n  help: put @json_type above @dataclass, not below",
    ),
    (lambda: json_type("kinds/Item", Other), "'kinds/Item' is already the typename of Item"),
    (lambda: json_type("test/Other", Item), "Item already has the typename 'kinds/Item'"),
    (
        lambda: json_type("Other", Other),
        "'Other' is not a typename: it must be '<namespace>/<name>', e.g. 'example/greeter'",
    ),
    (
        lambda: json_type("Other"),
        "'Other' is not a typename: it must be '<namespace>/<name>', e.g. 'example/greeter'",
    ),
    (
        lambda: untyped_custom_type("test/list", list[int], encode=WHEN.encode, decode=WHEN.decode),
        (
            "list can get no codec for itself: it is no dataclass and declares no __statefun_type__\n"
            "  help: if it is yours, write '__statefun_type__: ClassVar[Type[Any]]' in its body; if it is not, make a "
            "Type and name it where it is used: value(type=WHEN), ValueSpec('at', WHEN)"
        ),
    ),
    (
        lambda: untyped_custom_type("test/when", dt.datetime, encode=WHEN.encode, decode=WHEN.decode),
        (
            "datetime can get no codec for itself: it is no dataclass and declares no __statefun_type__\n"
            "  help: if it is yours, write '__statefun_type__: ClassVar[Type[Any]]' in its body; if it is not, make a "
            "Type and name it where it is used: value(type=WHEN), ValueSpec('at', WHEN)"
        ),
    ),
]


@pytest.mark.parametrize(("declare", "text"), DECLARATIONS, ids=[text[:20] for _, text in DECLARATIONS])
def test_wrong_declarations(declare: Callable[[], object], text: str) -> None:
    """A class that cannot be JSON, and a name that is taken, are refused where they are declared."""
    assert refusal(DeclarationError, declare) == text
    assert type_of(Other) is None


def test_a_cell_that_is_run_again() -> None:
    """A class that is made anew under the same name, as a notebook makes it, takes its typename over."""

    def cell() -> type[Any]:
        @json_type("test/Again")
        @dataclasses.dataclass
        class Again:
            id: str

        return Again

    first, second = cell(), cell()
    assert first is not second
    assert types.pack(second("a")).type_url == "test/Again"


@json_type("test/Early")
@dataclasses.dataclass
class Early:
    """A dataclass that names one that comes later."""

    late: Late | None = None
    other: int = 0


@json_type("test/Late")
@dataclasses.dataclass
class Late:
    """That one."""

    id: str = ""


def test_forward_references() -> None:
    """A class may be declared before those that its fields name: its codec is made when it is first used."""
    made = type_of(Early)
    assert made is not None
    assert made.decode(made.encode(Early(Late("a")))) == Early(Late("a"))
    compile_json(made)
    assert types.pack(Early()).value == b'{"late":null,"other":0}'


# --- sending and storing ---

SENDABLE = "send a protobuf message, bool, int, float, str, bytes, or a class declared with json_type or custom_type"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (NOON, f"datetime cannot be sent\n  help: {SENDABLE}"),
        (None, f"None cannot be sent\n  help: {SENDABLE}"),
        (Item, f"type cannot be sent\n  help: {SENDABLE}"),
        ([], f"list cannot be sent\n  help: {SENDABLE}"),
        (Level.LOW, f"Level cannot be sent\n  help: {SENDABLE}"),
        (Kinds(), f"Kinds cannot be sent\n  help: {SENDABLE}"),
        (Bigger("s"), "Bigger has no typename\n  help: declare it: @json_type('<namespace>/Bigger')"),
        (Undeclared(), "Undeclared has no typename\n  help: declare it: @json_type('<namespace>/Undeclared')"),
    ],
    ids=repr,
)
def test_what_cannot_be_sent(value: Any, text: str) -> None:
    """What has no Type is refused, in words that say what has one."""
    assert refusal(UnsendableError, lambda: types.pack(value)) == text


def test_pack_with_a_type() -> None:
    """A Type may be named for a value of its class; an int may stand for a float, a bool never for a number."""
    assert types.pack(5, types.INT32).type_url == "io.statefun.types/int"
    assert types.pack(3, types.FLOAT32) == types.pack(3.0, types.FLOAT32)
    assert types.pack(Level.LOW, types.INT32) == types.pack(1, types.INT32)
    assert types.pack(NOON, WHEN).value == b"2024-01-01T12:00:00"
    some = AnyPb(type_url="a/b")
    assert types.pack(some) is some
    wrong: list[tuple[object, Type[Any], str]] = [
        (True, types.INT32, "io.statefun.types/int is a type of int, not of bool"),
        (True, types.FLOAT64, "io.statefun.types/double is a type of float, not of bool"),
        (1, types.BOOL, "io.statefun.types/bool is a type of bool, not of int"),
        ("a", WHEN, "kinds/when is a type of datetime, not of str"),
    ]
    for value, made, text in wrong:
        assert refusal(UnsendableError, functools.partial(types.pack, value, made)) == text


STORABLE = (
    "cannot be stored; use a protobuf message, bool, int, float, str, bytes, an Enum, a class declared with json_type, "
    "a list or dict of these, or write a Type and name it: value(type=...)"
)


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (threading.Thread, f"here: values of type Thread {STORABLE}"),
        (object, f"here: values of type object {STORABLE}"),
        (list, f"here: values of type list {STORABLE}"),
        (Kinds, f"here: values of type Kinds {STORABLE}"),
        (Undeclared, "here: Undeclared has no typename\n  help: declare it: @json_type('<namespace>/Undeclared')"),
        (User | Ship, "here: User | Ship is ambiguous when it is read back; use a protobuf oneof or two values"),
        (list[object], "here: list[object]: values of type object have no JSON form"),
        (dict[int, str], "here: dict[int, str]: the keys of dict[int, str] must be str"),
    ],
    ids=str,
)
def test_what_cannot_be_stored(hint: Any, text: str) -> None:
    """What cannot be stored is refused, in words that say where, and what can."""
    assert refusal(StateError, lambda: storable(hint, "here")) == text

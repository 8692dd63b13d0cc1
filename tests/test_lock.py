# ruff: noqa: ISC004, E501 -- signatures of bound functions are given; whole texts, as they are printed
from __future__ import annotations

import dataclasses
import enum
from datetime import timedelta
from typing import Any

import msgspec
import pydantic
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.any_pb2 import Any as AnyPb

from statefun import ConfigError, Context, StatefulFunctions, Type, ValueSpec, types
from statefun.catalog import Catalog
from statefun.lock import Lock, LockError, compare, decide
from statefun.lock._shapes import shape_of


def message(fields: str, enum_values: str = "NEW = 0; PAID = 1;", name: str = "Order") -> Type[Any]:
    """Return the type of a message shop.Order with these fields, which no other test knows."""
    pool = descriptor_pool.DescriptorPool()
    proto = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop", syntax="proto3")
    text_format.Parse(fields, proto.message_type.add(name=name))
    values = [value.split("=") for value in enum_values.rstrip("; ").split(";")]
    status = proto.enum_type.add(name="Status")
    for value, number in values:
        status.value.add(name=value.strip(), number=int(number))
    proto.message_type.add(name="Item").field.add(name="sku", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL")
    pool.Add(proto)
    return types.protobuf(message_factory.GetMessageClass(pool.FindMessageTypeByName(f"shop.{name}")))


def field(name: str, number: int, kind: str, more: str = "") -> str:
    """Return a field as text."""
    label = "LABEL_REPEATED" if "repeated" in more else "LABEL_OPTIONAL"
    more = more.replace("repeated", "")
    return f'field {{ name: "{name}" number: {number} type: TYPE_{kind.upper()} label: {label} {more} }}\n'


def locked(*specs: ValueSpec[Any, Any], name: str = "shop/cart", hint: Any = int) -> Lock:
    """Return the lock of an app with one function."""
    functions = StatefulFunctions()

    def cart(context: Context, message: Any) -> None: ...

    cart.__annotations__["message"] = hint
    functions.register(name, cart, states=specs)
    return Lock.of(Catalog.of(functions))


def spec(name: str, kind: Any, **more: Any) -> ValueSpec[Any, Any]:
    """Return the declaration of a state."""
    return ValueSpec(name, kind, **more)


def said(old: Lock, new: Lock) -> str:
    """Return what is said of a change, each in one line."""
    return "\n".join(f"{one.code} {one.path}: {one.problem}" for one in compare(old, new))


def stored(was: Any, now: Any) -> str:
    """Return what is said where the type of a state changed."""
    return said(locked(spec("order", was)), locked(spec("order", now)))


ORDER = field("id", 1, "string") + field("count", 2, "int32")


def test_text() -> None:
    """The file is sorted, and holds each function with its states, and each type with its shape."""
    order = message(
        ORDER + field("status", 3, "enum", 'type_name: ".shop.Status"') + "reserved_range {start: 9 end: 12}"
    )
    lock = locked(spec("order", order, expire_after_write=timedelta(hours=1)), spec("n", int))

    assert lock.text() == TEXT
    assert Lock.read(lock.text()) == lock
    assert said(lock, lock) == ""


TEXT = """\
{
  "functions": {
    "shop/cart": {
      "accepts": [
        "io.statefun.types/long"
      ],
      "catch_all": false,
      "states": {
        "n": {
          "type": "io.statefun.types/long"
        },
        "order": {
          "expires": {
            "after-write": "3600 s"
          },
          "type": "type.googleapis.com/shop.Order"
        }
      }
    }
  },
  "types": {
    "io.statefun.types/long": {
      "primitive": "INT64"
    },
    "type.googleapis.com/shop.Order": {
      "protobuf": {
        "enums": {
          "shop.Status": {
            "NEW": 0,
            "PAID": 1
          }
        },
        "message": "shop.Order",
        "messages": {
          "shop.Order": {
            "fields": {
              "1": {
                "name": "id",
                "type": "string"
              },
              "2": {
                "name": "count",
                "type": "int32"
              },
              "3": {
                "name": "status",
                "type": "enum shop.Status"
              }
            },
            "reserved": [
              "9-11"
            ]
          }
        }
      }
    }
  },
  "version": 1
}
"""


def test_functions() -> None:
    """A function that is gone loses its state; a new one is safe."""
    assert said(locked(name="shop/cart"), locked(name="shop/basket")) == (
        "SF201 shop/cart: the function is gone: its state is lost, and messages to it fail\n"
        "SF216 shop/basket: a new function"
    )


@pytest.mark.parametrize(
    ("was", "now", "text"),
    [
        (int | str, int, "SF206 shop/cart: it no longer accepts io.statefun.types/string: those that are on their way,"
         " and their senders, will fail"),
        (int, int | str, "SF216 shop/cart: it accepts io.statefun.types/string now"),
        (AnyPb, int, "SF206 shop/cart: it no longer accepts every message: those of other types, on their way now,"
         " will fail\nSF216 shop/cart: it accepts io.statefun.types/long now"),
        (int, AnyPb, ""),
    ],
)  # fmt: skip
def test_accepts(was: Any, now: Any, text: str) -> None:
    """A type that is no longer accepted fails what is under way."""
    assert said(locked(hint=was), locked(hint=now)) == text


def test_states() -> None:
    """A state that is gone, renamed or of another type is refused; a new one is safe."""
    old = locked(spec("a", int), spec("b", str), spec("c", int))

    assert said(old, locked(spec("a", int), spec("b", int), spec("d", int))) == (
        "SF202 shop/cart c: the state is gone: what it holds is lost, and not found under another name\n"
        "SF203 shop/cart b: the state was of type io.statefun.types/string, and is of type io.statefun.types/long now\n"
        "SF216 shop/cart d: a new state"
    )
    assert [str(one) for one in compare(old, locked(spec("a", int), spec("b", str), spec("d", int)))] == [
        "statefun.lock: error SF202: shop/cart c: the state is gone: what it holds is lost, and not found under another"
        " name\n  expected: a rename to 'd'? then keep the old name: value(name='c')",
        "statefun.lock: note SF216: shop/cart d: a new state",
    ]
    assert compare(old, locked(spec("a", int), spec("b", str)))[0].expected == "declare it again"


def test_expirations() -> None:
    """An expiration may be changed, and not be added or removed."""
    hour, day = timedelta(hours=1), timedelta(days=1)
    old = locked(spec("a", int), spec("b", int, expire_after_write=hour), spec("c", int, expire_after_write=hour))
    new = locked(spec("a", int, expire_after_call=day), spec("b", int), spec("c", int, expire_after_call=day))

    assert said(old, new) == (
        "SF204 shop/cart a: the state expired never, and expires 86400 s after the last call now: no runtime restores a"
        " state with that change\n"
        "SF204 shop/cart b: the state expired 3600 s after the last write, and expires never now: no runtime restores a"
        " state with that change\n"
        "SF205 shop/cart c: the state expired 3600 s after the last write, and expires 86400 s after the last call now:"
        " it holds from the next write or call on"
    )


SUBJECT = "type.googleapis.com/shop.Order shop.Order: "
STATUS = field("status", 3, "enum", 'type_name: ".shop.Status"')
ITEM = field("item", 4, "message", 'type_name: ".shop.Item"')
TOTAL = field("total", 2, "string")


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (ORDER + field("note", 3, "string"), "SF216 {}a new field 3 (note)"),
        (field("id", 1, "string"), "SF208 {}field 2 (count) is gone, and its number is free to be used again"),
        (field("id", 1, "string") + "reserved_range {start: 2 end: 3}", ""),
        (field("id", 1, "string") + "reserved_range {start: 3 end: 9}",
         "SF208 {}field 2 (count) is gone, and its number is free to be used again"),
        (field("id", 1, "string") + TOTAL,
         "SF207 {}field 2 (count) was int32, and is string (total) now: the old bytes are read wrongly"),
        (field("id", 1, "string") + field("count", 2, "int32", "repeated"),
         "SF207 {}field 2 (count) was int32, and is repeated int32 (count) now: the old bytes are read wrongly"),
        (field("id", 1, "string") + field("count", 2, "int64"),
         "SF214 {}field 2 (count) was int32, and is int64 now: the old bytes are read as before"),
        (field("id", 1, "string") + field("count", 2, "bool"),
         "SF218 {}field 2 (count) was int32, and is bool now: values that do not fit are read wrongly"),
        (field("id", 1, "string") + field("number", 2, "int32"),
         "SF214 {}field 2 was count, and is number now: a rename, or a number used again?"),
        (field("id", 1, "string") + field("count", 2, "int32", "oneof_index: 0") + 'oneof_decl {name: "how"}',
         "SF218 {}field 2 (count) moved from no oneof to the oneof how: messages that set several fields lose some"),
    ],
)  # fmt: skip
def test_fields(now: str, text: str) -> None:
    """A field number keeps its meaning."""
    assert stored(message(ORDER), message(now)) == text.format(SUBJECT)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ("NEW = 0; PAID = 2;", "SF209 {}the value PAID was 1, and is 2 now: the old bytes mean something else"),
        ("NEW = 0;", "SF210 {}the value PAID = 1 is gone"),
        ("NEW = 0; SETTLED = 1;", "SF214 {}the value PAID = 1 is SETTLED now"),
        ("NEW = 0; PAID = 1; SENT = 2;", "SF216 {}a new value SENT = 2"),
    ],
)
def test_enums(values: str, text: str) -> None:
    """The value of an enum keeps its number."""
    assert stored(message(STATUS), message(STATUS, values)) == text.format(
        "type.googleapis.com/shop.Order shop.Status: "
    )


def test_messages_inside() -> None:
    """Messages inside a message are compared, those of protobuf itself are not."""
    shape = shape_of(message(ITEM))

    assert list(shape["protobuf"]["messages"]) == ["shop.Order", "shop.Item"]  # type: ignore[index,call-overload,arg-type]
    assert stored(message(ITEM), message(ORDER)).splitlines()[0].startswith("SF208")


def test_messages_that_go() -> None:
    """A message that holds itself has an end; one that is no longer used inside is not missed, nor is an enum."""
    own = field("next", 5, "message", 'type_name: ".shop.Order"')
    shape: Any = shape_of(message(own + ITEM))

    assert list(shape["protobuf"]["messages"]) == ["shop.Order", "shop.Item"]
    was, now = message(ORDER + ITEM + STATUS), message(ORDER + "reserved_range {start: 3 end: 5}")
    assert stored(was, now) == ""


def test_another_message() -> None:
    """A typename that stands for another message is refused."""
    old, new = message(ORDER), message(ORDER, name="Cart")
    new = types.protobuf(new.cls, typename=old.typename)

    assert stored(old, new) == (
        "SF215 type.googleapis.com/shop.Order: the message was shop.Order, and is shop.Cart now"
    )


def json_of(cls: Any) -> Type[Any]:
    """Return a type of JSON for a class, as if it were called Order."""
    cls.__qualname__ = "Order"
    return Type("shop/Order", cls, encode=bytes, decode=bytes)


def dataclass_of(*fields: Any) -> Type[Any]:
    """Return a type for a dataclass with these fields."""
    return json_of(dataclasses.make_dataclass("Order", fields))


SMALL = (("id", str), ("count", int, dataclasses.field(default=0)))


@pytest.mark.parametrize(
    ("now", "text"),
    [
        ((("id", str), ("count", int, 0)), ""),
        ((*SMALL, ("note", str, "")), "SF216 {}a new key 'note'"),
        (
            (("id", str), ("note", str), ("count", int, 0)),
            "SF211 {}the new key 'note' must be there: what was written before has none",
        ),
        (
            (("id", str), ("count", int)),
            "SF211 {}the key 'count' must be there now: what was written without it cannot be read",
        ),
        ((("id", str),), "SF212 {}the key 'count' is gone: what it holds is dropped when it is read"),
        ((("id", int), ("count", int, 0)), "SF213 {}the key 'id' was str, and is int now"),
    ],
)
def test_dataclasses(now: tuple[Any, ...], text: str) -> None:
    """A JSON class must read what was written before."""
    assert stored(dataclass_of(*SMALL), dataclass_of(*now)) == text.format("shop/Order Order: ")


class Struct(msgspec.Struct, rename="camel"):
    """A struct whose keys are written otherwise."""

    order_id: str
    line_count: int = 0


class Model(pydantic.BaseModel):
    """A model with an alias."""

    order_id: str = pydantic.Field(alias="orderId")
    lineCount: int = 0  # noqa: N815 -- as the alias is written


def test_kinds() -> None:
    """A dataclass, a struct and a model of the same keys have the same shape."""
    plain = dataclasses.make_dataclass("Order", [("orderId", str), ("lineCount", int, 0)])

    assert {str(shape_of(json_of(cls))) for cls in (plain, Struct, Model)} == {
        "{'json': {'type': 'Order', 'classes': {'Order': {'keys': {'orderId': {'type': 'str', 'required': True},"
        " 'lineCount': {'type': 'int'}}}}}}"
    }


class Item:
    """Not JSON."""


@dataclasses.dataclass
class Line:
    """A class inside another."""

    sku: str


def colors(*names: str) -> Any:
    """Return an Enum Color with these names."""
    return enum.Enum("Color", list(names))


def test_inside() -> None:
    """Classes and Enums inside a type are compared, wherever they stand."""
    old = locked(spec("lines", list[Line]), spec("color", colors("RED", "BLUE")))
    new = locked(spec("lines", list[Line]), spec("color", colors("RED", "GREEN")))

    assert "statefun.python/json list[Line]" in old.types
    assert said(old, new) == (
        "SF216 statefun.python/json Color Color: a new name GREEN\n"
        "SF217 statefun.python/json Color Color: the name BLUE is gone: what was stored under it cannot be read"
    )


def opaque(cls: Any) -> Type[Any]:
    """Return a type with a codec of its own."""
    return Type("shop/Order", cls, encode=bytes, decode=bytes)


@dataclasses.dataclass
class Basket:
    """A class with a field that is no key, and one of another class."""

    lines: list[Line]
    color: Any = None
    total: int = dataclasses.field(default=0, init=False)


@dataclasses.dataclass
class Other:
    """A class that takes the place of another."""

    lines: list[str]


def test_classes_that_go() -> None:
    """A class that is no longer used inside is not missed; what is not written is no key."""
    Other.__qualname__ = Other.__name__ = "Basket"
    keys: Any = shape_of(opaque(Basket))["json"]

    assert list(keys["classes"]["Basket"]["keys"]) == ["lines", "color"]
    assert stored(opaque(Basket), opaque(Other)) == (
        "SF212 shop/Order Basket: the key 'color' is gone: what it holds is dropped when it is read\n"
        "SF213 shop/Order Basket: the key 'lines' was list[Line], and is list[str] now"
    )
    basket: Any = enum.Enum("Basket", ["A"])  # type: ignore[misc]
    assert stored(opaque(basket), opaque(Other)) == ("SF213 shop/Order Basket: Basket was an Enum, and is a class now")


def test_other_kinds() -> None:
    """A type that becomes one of another kind is refused, one with another codec of its own is looked at."""
    own, other = opaque(Item), opaque(timedelta)

    assert stored(dataclass_of(*SMALL), own) == (
        "SF215 shop/Order: the type was json before, and is opaque now: the old bytes cannot be read"
    )
    assert stored(own, other) == ("SF218 shop/Order: the type was Item, and is timedelta now: its bytes are not known")
    renamed = dataclasses.make_dataclass("Basket", SMALL)
    assert stored(dataclass_of(*SMALL), opaque(renamed)) == ("SF213 shop/Order: the type was Order, and is Basket now")


def test_decide() -> None:
    """A change that is refused is accepted with a reason, which the new lock keeps beside those before."""
    old, new = locked(spec("a", int)), locked(spec("a", str))
    decided = decide(old, new, {"SF203": "nothing is deployed yet"})

    assert decided.decisions == (
        {
            "code": "SF203",
            "subject": "shop/cart a",
            "problem": "the state was of type io.statefun.types/long, and is of type io.statefun.types/string now",
            "why": "nothing is deployed yet",
        },
    )
    assert Lock.read(decided.text()) == decided
    assert decide(decided, decided, {}).decisions == decided.decisions


def test_refuse() -> None:
    """What is not accepted is refused, and what is accepted for nothing."""
    old, new = locked(spec("a", int)), locked(spec("a", str))
    with pytest.raises(LockError) as caught:
        decide(old, new, {"SF202": "why"}, file="app.lock")

    assert str(caught.value) == (
        "app.lock: error SF203: shop/cart a: the state was of type io.statefun.types/long, and is of type"
        " io.statefun.types/string now\n"
        "  expected: give the state of the new type a new name\n"
        "SF202 was accepted, but no change has it"
    )
    assert ([one.code for one in caught.value.findings], caught.value.unused) == (["SF203"], ("SF202",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{",
            "statefun.lock is no lock file: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n"
            "  help: write it anew with `statefun lock`",
        ),
        ("[]", "statefun.lock is no lock file: list indices must be integers or slices, not str\n"
         "  help: write it anew with `statefun lock`"),
        ('{"version": 2}', "statefun.lock has version 2, of another release of statefun"),
    ],
)  # fmt: skip
def test_damaged(text: str, message: str) -> None:
    """A file that is no lock is refused, and says how to get one."""
    with pytest.raises(ConfigError) as caught:
        Lock.read(text)

    assert str(caught.value) == message


def test_without_types() -> None:
    """A catalog that was read from a file has no live types: their names are what is kept."""
    catalog = Catalog.of(StatefulFunctions())

    assert Lock.of(catalog).functions == {}

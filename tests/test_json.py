"""Dataclasses, lists, dicts and Enums as JSON."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import threading
import uuid
from typing import Any, NewType

import pytest
from shop_pb2 import User

from statefun import _json
from statefun.errors import DeclarationError, SendError
from tests.kinds import Item, Kinds, Leaf, Parcel, Refund, Tier, Undeclared, Wide
from tests.refusals import refusal

NOON = dt.datetime(2024, 1, 1, 12, tzinfo=dt.timezone.utc)
Sku = NewType("Sku", str)
untyped_item: Any = Item
untyped_wide: Any = Wide
untyped_leaf: Any = Leaf


def test_literal_bytes() -> None:
    """Every field has this form, in the order of the class, without blanks and with its letters as they are."""
    encode, decode = _json.codec(Wide)
    made = Wide(
        flag=True,
        whole=-1,
        real=1,
        text='ä"',
        raw=b"\x00\xff",
        tier=Tier.GOLD,
        at=NOON,
        on=dt.date(2024, 5, 1),
        price=decimal.Decimal("1.10"),
        number=uuid.UUID(int=1),
        user=User(name="b"),
        item=Item("s", tags=["a"]),
        parcel=Parcel("p"),
        refund=Refund(sku="r", at=NOON),
        root=Leaf("top", [Leaf("low")]),
        by_name={"b": [1, None], "a": []},
    )
    assert encode(made).decode() == (
        '{"flag":true,"whole":-1,"real":1.0,"text":"ä\\"","raw":"AP8=","tier":"GOLD","at":"2024-01-01T12:00:00+00:00",'
        '"on":"2024-05-01","price":"1.10","number":"00000000-0000-0000-0000-000000000001","user":"EgFi",'
        '"item":{"sku":"s","tier":"BASIC","tags":["a"]},"parcel":{"sku":"p","count":1},'
        '"refund":{"sku":"r","at":"2024-01-01T12:00:00Z"},"root":{"name":"top","children":[{"name":"low","children":[]}]},'
        '"by_name":{"b":[1,null],"a":[]}}'
    )
    assert decode(encode(made)) == made
    assert type(decode(encode(made)).real) is float


def test_the_other_kinds_write_themselves() -> None:
    """A Struct and a model are written by the library that they come from."""
    assert _json.codec(Parcel)[0](Parcel("s")) == b'{"sku":"s","count":1}'
    assert _json.codec(Refund)[0](Refund(sku="s", at=NOON)) == b'{"sku":"s","at":"2024-01-01T12:00:00Z"}'
    assert _json.codec(Parcel)[1](b'{"sku":"s"}') == Parcel("s")
    assert _json.codec(Refund)[1](b'{"sku":"s","at":"2024-01-01T12:00:00Z"}') == Refund(sku="s", at=NOON)


def test_lists_dicts_and_enums() -> None:
    """What can only be stored has the same form by itself."""
    assert _json.codec(list[Item])[0]([Item("s")]) == b'[{"sku":"s","tier":"BASIC","tags":[]}]'
    assert _json.codec(dict[str, int])[0]({"b": 1, "a": 2}) == b'{"b":1,"a":2}'
    assert _json.codec(Tier)[0](Tier.GOLD) == b'"GOLD"'
    assert _json.codec(list[Sku])[1](b'["a"]') == ["a"]


def test_other_versions_of_a_class() -> None:
    """A key that is unknown is ignored, and one that is missing takes its default, so that a class may change."""
    decode = _json.codec(Item)[1]
    assert decode(b'{"sku":"s","colour":"red"}') == Item("s", Tier.BASIC, [])
    assert decode(b' {"tags" : ["a"], "sku": "s"} ') == Item("s", Tier.BASIC, ["a"])


@pytest.mark.parametrize(
    ("hint", "data", "text"),
    [
        (Item, b"[]", "$: expected an object, not []"),
        (Item, b"{}", "$: the key 'sku' of Item is missing"),
        (Item, b'{"sku":1}', "$.sku: expected a string, not 1"),
        (Item, b'{"sku":"s","tier":"SILVER"}', "$.tier: expected one of BASIC, GOLD, not 'SILVER'"),
        (Item, b'{"sku":"s","tier":1}', "$.tier: expected one of BASIC, GOLD, not 1"),
        (Item, b'{"sku":"s","tags":"a"}', "$.tags: expected a list, not 'a'"),
        (Item, b'{"sku":"s","tags":["a",1]}', "$.tags[1]: expected a string, not 1"),
        (Wide, b'{"flag":1}', "$.flag: expected true or false, not 1"),
        (Wide, b'{"whole":true}', "$.whole: expected a whole number, not True"),
        (Wide, b'{"whole":1.0}', "$.whole: expected a whole number, not 1.0"),
        (Wide, b'{"real":true}', "$.real: expected a finite number, not True"),
        (Wide, b'{"real":NaN}', "$.real: expected a finite number, not nan"),
        (Wide, b'{"real":1e999}', "$.real: expected a finite number, not inf"),
        (Wide, b'{"raw":"!"}', "$.raw: expected bytes in base64, not '!'"),
        (Wide, b'{"user":"/w=="}', "$.user: expected a User in base64, not '/w=='"),
        (Wide, b'{"text":null}', "$.text: expected a string, not None"),
        (Wide, b'{"by_name":[]}', "$.by_name: expected an object, not []"),
        (Wide, b'{"by_name":{"a":[1,"b"]}}', "$.by_name.a[1]: expected a whole number, not 'b'"),
        (Wide, b'{"root":{"name":"a","children":[{"name":1}]}}', "$.root.children[0].name: expected a string, not 1"),
        (dict[str, int], b"5", "$: expected an object, not 5"),
    ],
)
def test_what_is_read_is_checked(hint: Any, data: bytes, text: str) -> None:
    """JSON that is not of the class is a ValueError with the path of what is wrong."""
    assert refusal(ValueError, lambda: _json.codec(hint)[1](data)) == text


def test_a_json_that_is_none() -> None:
    """What is no JSON at all is a ValueError, too."""
    with pytest.raises(ValueError, match="Expecting property name"):
        _json.codec(Item)[1](b"{")


@pytest.mark.parametrize(
    ("hint", "value", "text"),
    [
        (Item, Undeclared(), "Undeclared has no JSON form: $: expected a Item, not Undeclared()"),
        (Item, untyped_item(5), "Item has no JSON form: $.sku: expected a string, not 5"),
        (Item, untyped_item("s", tags="ab"), "Item has no JSON form: $.tags: expected a list, not 'ab'"),
        (Item, untyped_item("s", tags=["a", 1]), "Item has no JSON form: $.tags[1]: expected a string, not 1"),
        (Wide, untyped_wide(flag=1), "Wide has no JSON form: $.flag: expected true or false, not 1"),
        (Wide, Wide(whole=True), "Wide has no JSON form: $.whole: expected a whole number, not True"),
        (Wide, Wide(real=True), "Wide has no JSON form: $.real: expected a finite number, not True"),
        (Wide, Wide(real=float("nan")), "Wide has no JSON form: $.real: expected a finite number, not nan"),
        (Wide, Wide(real=float("inf")), "Wide has no JSON form: $.real: expected a finite number, not inf"),
        (Wide, untyped_wide(raw="a"), "Wide has no JSON form: $.raw: expected bytes in base64, not 'a'"),
        (Wide, untyped_wide(at="x"), "Wide has no JSON form: $.at: expected a datetime in ISO 8601, not 'x'"),
        (Wide, untyped_wide(price=1), "Wide has no JSON form: $.price: expected a Decimal, not 1"),
        (Wide, untyped_wide(user=1), "Wide has no JSON form: $.user: expected a User in base64, not 1"),
        (Wide, untyped_wide(tier=1), "Wide has no JSON form: $.tier: expected a Tier, not 1"),
        (Wide, untyped_wide(by_name=[]), "Wide has no JSON form: $.by_name: expected a dict, not []"),
        (Wide, untyped_wide(by_name={1: []}), "Wide has no JSON form: $.by_name: expected keys of str, not 1"),
        (
            Wide,
            Wide(root=Leaf("a", [untyped_leaf(1)])),
            "Wide has no JSON form: $.root.children[0].name: expected a string, not 1",
        ),
    ],
    ids=str,
)
def test_what_is_written_is_checked(hint: Any, value: Any, text: str) -> None:
    """A value that is not of its class is refused with the path of what is wrong, before it leaves."""
    assert refusal(SendError, lambda: _json.codec(hint)[0](value)) == text


def test_what_json_cannot_hold() -> None:
    """A text with a lone surrogate, a number too large and a value that holds itself are refused as well."""
    encode = _json.codec(Wide)[0]
    assert refusal(SendError, lambda: encode(Wide(text="\ud800"))).endswith("surrogates not allowed")
    assert refusal(SendError, lambda: encode(Wide(real=10**400))) == (
        "Wide has no JSON form: int too large to convert to float"
    )
    endless = Leaf("a")
    endless.children.append(endless)
    assert refusal(SendError, lambda: encode(Wide(root=endless))).startswith("Wide has no JSON form: maximum recursion")


class Flag(enum.Flag):
    """Flags, whose combinations have no name."""

    A = 1
    B = 2


class Alias(enum.Enum):
    """An Enum with two names for one member."""

    ONE = 1
    EINS = 1  # noqa: PIE796 -- that is the point


def test_members_of_an_enum() -> None:
    """A member goes by its first name, and is read by any; what has no name is refused."""
    encode, decode = _json.codec(Alias)
    assert encode(Alias.EINS) == b'"ONE"'
    assert decode(b'"EINS"') is Alias.ONE
    encode = _json.codec(Flag)[0]
    assert encode(Flag.A) == b'"A"'
    with pytest.raises(SendError, match="expected a Flag, not "):
        encode(Flag.A | Flag.B)


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (dict[int, str], "dict[int, str]: the keys of dict[int, str] must be str"),
        (list[dict[int, str]], "list[dict[int, str]]: the keys of dict[int, str] must be str"),
        (
            list[int | str],
            "list[int | str]: int | str is ambiguous when it is read back; use a protobuf oneof or two values",
        ),
        (list[object], "list[object]: values of type object have no JSON form"),
        (list[tuple[int, ...]], "list[tuple[int, ...]]: values of type tuple[int, ...] have no JSON form"),
        (list[threading.Thread], "list[Thread]: values of type Thread have no JSON form"),
        (list[Kinds], "list[Kinds]: values of type Kinds have no JSON form"),
    ],
    ids=str,
)
def test_no_json(hint: Any, text: str) -> None:
    """What has no JSON form is refused where it is declared."""
    assert refusal(DeclarationError, lambda: _json.codec(hint)) == text


def test_the_field_that_has_none() -> None:
    """The text names the field, also one of a class within."""

    @dataclasses.dataclass
    class Inner:
        lock: object

    @dataclasses.dataclass
    class Outer:
        inner: Any

    Outer.__annotations__["inner"] = list[Inner]
    Inner.__annotations__["lock"] = threading.Thread
    assert refusal(DeclarationError, lambda: _json.codec(Outer)) == (
        "test_the_field_that_has_none.<locals>.Outer.inner.lock: values of type Thread have no JSON form"
    )


def test_kinds() -> None:
    """The three kinds of class are told apart; a State is none of them, nor is what is no class."""
    assert [_json.kind_of(cls) for cls in (Item, Parcel, Refund)] == ["dataclass", "struct", "model"]
    assert [_json.kind_of(other) for other in (Kinds, int, User, list[int], "Item", None)] == [""] * 6

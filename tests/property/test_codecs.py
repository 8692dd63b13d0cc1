"""What a codec writes it reads again, and the bytes of the primitives are those of StateFun's own wrappers."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2
from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from shop_pb2 import Cancel, SeenCount, Ship, User

from statefun import State, StatefunError, Type, ValueSpec, types, value
from statefun.types import storable, type_of
from tests.kinds import LEGACY, WHEN, Item, Leaf, Money, Parcel, Refund, Tier, Wide


def _upstream() -> dict[str, type[Message]]:
    """Build StateFun's types.proto (io.statefun.sdk.types), as the Java SDK has it."""
    kind = FieldDescriptorProto
    layout = {
        "BooleanWrapper": kind.TYPE_BOOL,
        "IntWrapper": kind.TYPE_SFIXED32,
        "LongWrapper": kind.TYPE_SFIXED64,
        "FloatWrapper": kind.TYPE_FLOAT,
        "DoubleWrapper": kind.TYPE_DOUBLE,
        "StringWrapper": kind.TYPE_STRING,
    }
    file = descriptor_pb2.FileDescriptorProto(name="types.proto", package="io.statefun.sdk.types", syntax="proto3")
    for name, field_type in layout.items():
        file.message_type.add(name=name).field.add(
            name="value", number=1, type=field_type, label=kind.LABEL_OPTIONAL, json_name="value"
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"io.statefun.sdk.types.{name}"))
        for name in layout
    }


UPSTREAM = _upstream()

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
int32 = st.integers(-(2**31), 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
real = st.floats(allow_nan=False)
finite = st.floats(allow_nan=False, allow_infinity=False)

primitives: list[tuple[Type[Any], str, st.SearchStrategy[Any]]] = [
    (types.BOOL, "BooleanWrapper", st.booleans()),
    (types.INT32, "IntWrapper", int32),
    (types.INT64, "LongWrapper", int64),
    (types.FLOAT32, "FloatWrapper", st.floats(width=32, allow_nan=False)),
    (types.FLOAT64, "DoubleWrapper", real),
    (types.STRING, "StringWrapper", text | st.text("z", min_size=120, max_size=130) | st.just("z" * 20_000)),
]
drawn = st.one_of([st.tuples(st.just(made), st.just(name), strategy) for made, name, strategy in primitives])


@given(drawn)
def test_primitives_as_upstream_writes_them(case: tuple[Type[Any], str, Any]) -> None:
    """A primitive is written as protobuf writes StateFun's wrapper of it: minimal, its default as no bytes."""
    made, name, content = case
    data = made.encode(content)
    if content == 0 and math.copysign(1, content or 0.0) < 0:
        content = 0.0  # the sign of zero is the one thing that writers differ in
        data = made.encode(content)
    assert data == UPSTREAM[name](value=content).SerializeToString()
    assert made.decode(data) == content
    assert type(made.decode(data)) is made.cls


@given(drawn, st.binary(max_size=6), st.booleans())
def test_primitives_as_protobuf_reads_them(case: tuple[Type[Any], str, Any], more: bytes, first: bool) -> None:
    """Whatever protobuf reads in bytes, a decoder reads in them: unknown fields, repeated and explicit values."""
    made, name, content = case
    data = more + made.encode(content) if first else made.encode(content) + more
    try:
        expected: Any = UPSTREAM[name].FromString(data)
    except Exception:  # noqa: BLE001 -- what protobuf refuses, we may refuse
        return
    if _has_group(data):
        return
    read = made.decode(data)
    assert read == expected.value or (read != read and expected.value != expected.value)  # noqa: PLR0124 -- not a number


def _has_group(data: bytes) -> bool:
    """Tell whether a field of a wire type is in there that nobody writes any more."""
    try:
        types.INT64.decode(data)
    except ValueError as error:
        return "wire type" in str(error)
    return False


NAN = float("nan")


@pytest.mark.parametrize("made", [types.FLOAT32, types.FLOAT64], ids=str)
def test_numbers_that_are_none(made: Type[float]) -> None:
    """NaN and the infinities are values of the floats."""
    assert math.isnan(made.decode(made.encode(NAN)))
    assert made.decode(made.encode(math.inf)) == math.inf
    assert made.decode(made.encode(-math.inf)) == -math.inf


@given(int64, st.sampled_from(["Int64Value", "Int32Value", "UInt64Value", "UInt32Value"]))
def test_protobuf_wrappers(number: int, name: str) -> None:
    """An int is read from every wrapper of protobuf that holds one, under any prefix."""
    bits, unsigned = (64 if "64" in name else 32), name.startswith("U")
    number %= 1 << bits
    if not unsigned and number >= 1 << (bits - 1):
        number -= 1 << bits
    wrapper = getattr(wrappers_pb2, name)(value=number)
    read = types.INT64.reads[f"type.googleapis.com/google.protobuf.{name}"]
    assert read(wrapper.SerializeToString()) == number


# --- protobuf and JSON ---

users = st.builds(User, user_id=text, name=text, tier=st.integers(0, 1), nickname=text)
ships = st.builds(
    Ship, order_id=text, items=st.dictionaries(text, int32, max_size=4), recipients=st.lists(users, max_size=2)
)
zones = st.sampled_from([dt.timezone.utc, dt.timezone(dt.timedelta(hours=-5, minutes=-30))])
moments = st.datetimes() | st.datetimes(timezones=zones)
items = st.builds(Item, sku=text, tier=st.sampled_from(Tier), tags=st.lists(text, max_size=3))
parcels = st.builds(Parcel, sku=text, count=int64)
refunds = st.builds(Refund, sku=text, at=moments)
trees = st.recursive(
    st.builds(Leaf, name=text),
    lambda inner: st.builds(Leaf, name=text, children=st.lists(inner, max_size=3)),
    max_leaves=5,
)
wides = st.builds(
    Wide,
    flag=st.booleans(),
    whole=st.integers(),
    real=finite,
    text=text,
    raw=st.binary(max_size=20),
    tier=st.sampled_from(Tier),
    at=moments,
    on=st.dates(),
    price=st.decimals(allow_nan=False),
    number=st.uuids(),
    user=users,
    item=st.none() | items,
    parcel=st.none() | parcels,
    refund=st.none() | refunds,
    root=st.none() | trees,
    by_name=st.dictionaries(text, st.lists(st.none() | st.integers(), max_size=3), max_size=3),
)
sendable = st.one_of(
    users, ships, items, wides, parcels, refunds, st.builds(Money, int64), st.booleans(), int64, real, text, st.binary()
)
stored: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (LEGACY, users),
    (WHEN, moments),
    (types.INT32, int32),
    (types.FLOAT32, st.floats(width=32, allow_nan=False)),
    (Tier, st.sampled_from(Tier)),
    (list[int], st.lists(st.integers(), max_size=5)),
    (list[Tier], st.lists(st.sampled_from(Tier), max_size=5)),
    (list[Item], st.lists(items, max_size=3)),
    (list[bytes], st.lists(st.binary(max_size=9), max_size=3)),
    (dict[str, Item], st.dictionaries(text, items, max_size=3)),
    (dict[str, list[float]], st.dictionaries(text, st.lists(finite, max_size=3), max_size=3)),
    (list[dict[str, User]], st.lists(st.dictionaries(text, users, max_size=2), max_size=2)),
    (AnyPb, st.builds(AnyPb, type_url=text, value=st.binary(max_size=9))),
]


@given(sendable)
def test_what_can_be_sent(message: Any) -> None:
    """What can be sent is read again as the same value of the same class, and the same value has the same bytes."""
    packed = types.pack(message)
    found = type_of(message.__class__)
    assert found is not None
    again = found.decode(packed.value)
    assert again == message
    assert again.__class__ is message.__class__
    assert types.pack(again) == packed


@given(st.one_of([st.tuples(st.just(made), strategy) for made, strategy in stored]))
def test_what_can_be_stored(case: tuple[Any, Any]) -> None:
    """What can be stored is read again as the same value of the same class, and the same value has the same bytes."""
    made, content = case
    found = storable(made, "here")
    data = found.encode(content)
    again = found.decode(data)
    assert again == content
    assert again.__class__ is content.__class__
    assert found.encode(again) == data


@given(st.permutations(list("abcdefgh")))
def test_maps_have_one_form(order: list[str]) -> None:
    """A message with a map has the same bytes in whatever order the map was filled."""
    ship = Ship(items={name: index for index, name in enumerate(sorted(order))})
    other = Ship()
    for name in order:
        other.items[name] = ship.items[name]
    assert types.pack(ship).value == types.pack(other).value
    inside = [storable(list[Ship], "here").encode([made]) for made in (ship, other)]
    assert inside[0] == inside[1]


def test_decimals_and_uuids_keep_their_text() -> None:
    """A Decimal keeps its digits, and what is no Decimal, UUID or date is refused with its place."""
    found = storable(Wide, "here")
    assert str(found.decode(b'{"price":"1.10"}').price) == "1.10"
    assert found.decode(b"{}") == Wide()
    for wrong, text_of in [
        (b'{"price":"x"}', "$.price: expected a Decimal, not 'x'"),
        (b'{"number":5}', "$.number: expected a UUID, not 5"),
        (b'{"at":5}', "$.at: expected a datetime in ISO 8601, not 5"),
        (b'{"on":"x"}', "$.on: expected a date in ISO 8601, not 'x'"),
        (b'{"user":"x"}', "$.user: expected a User in base64, not 'x'"),
        (b'{"raw":"\xc3\xa4"}', "$.raw: expected bytes in base64, not 'ä'"),
    ]:
        with pytest.raises(ValueError, match=r"^\$") as caught:
            found.decode(wrong)
        assert str(caught.value) == text_of
    assert found.decode(b'{"at":"2024-05-01T10:00:00Z"}').at == dt.datetime(2024, 5, 1, 10, tzinfo=dt.timezone.utc)


# --- the default of every type can be told from what is written ---


class Defaults(State):
    """Values whose default is not what no bytes decode to."""

    n: int = 7
    ratio: float = 1.5
    name: str = "nobody"
    raw: bytes = b"x"
    flag: bool = True
    seen: SeenCount = value(default_factory=lambda: SeenCount(value=3))


def test_the_zero_of_a_type_is_a_value() -> None:
    """A zero that is written is stored as no bytes with a typename, which is not the same as absent."""
    zeros = {"n": 0, "ratio": 0.0, "name": "", "raw": b"", "flag": False, "seen": SeenCount()}
    specs: tuple[ValueSpec[Any, Any], ...] = tuple(ValueSpec(name, type(zero)) for name, zero in zeros.items())
    for spec in specs:
        zero = zeros[spec.name]
        assert spec.type.encode(zero) == b""
        assert spec.type.decode(b"") == zero


codecs: list[tuple[str, Callable[[], Type[Any]]]] = [
    ("Item", lambda: storable(Item, "here")),
    ("Parcel", lambda: storable(Parcel, "here")),
    ("Refund", lambda: storable(Refund, "here")),
    ("list", lambda: storable(list[Wide], "here")),
    ("Cancel", lambda: storable(Cancel, "here")),
]


@given(st.sampled_from(codecs), st.binary(max_size=20) | text.map(str.encode))
def test_decoding_anything(codec: tuple[str, Callable[[], Type[Any]]], data: bytes) -> None:
    """Bytes that are not of a type make its decoder raise, but no error that says it was the user's code."""
    try:
        codec[1]().decode(data)
    except Exception as error:  # noqa: BLE001 -- any of them
        refused = isinstance(error, StatefunError)
    else:
        refused = False
    assert not refused


def test_more_than_a_number_can_hold() -> None:
    """A Decimal of any size and a UUID of all ones come back."""
    huge = Wide(price=decimal.Decimal("1E+400"), number=uuid.UUID(int=2**128 - 1), whole=10**400)
    found = storable(Wide, "here")
    assert found.decode(found.encode(huge)) == huge

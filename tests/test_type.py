"""Type: a class, its typename, its codec."""

from __future__ import annotations

import datetime as dt

from google.protobuf import wrappers_pb2
from shop_pb2 import User

from statefun import Type, types
from statefun._type import decoder, is_type, message_name, short
from statefun.errors import DeclarationError
from tests.kinds import LEGACY, WHEN
from tests.refusals import refusal


def test_a_type_of_ones_own() -> None:
    """A Type holds its class, its typename and its codec, and says so."""
    assert (WHEN.typename, WHEN.cls) == ("kinds/when", dt.datetime)
    assert repr(WHEN) == "<Type kinds/when of datetime>"
    assert WHEN.hint_name == "kinds/when"
    assert list(WHEN.reads) == ["kinds/when"]
    assert is_type(WHEN)
    assert not is_type(dt.datetime)


def test_the_constants() -> None:
    """A Type of the module is shown in a hint under the name that it has there."""
    assert types.INT32.hint_name == "types.INT32"
    assert repr(types.INT32) == "<Type io.statefun.types/int of int>"


def test_no_typename() -> None:
    """A Type has a typename of two parts."""
    text = "'when' is not a typename: it must be '<namespace>/<name>', e.g. 'example/greeter'"
    assert refusal(DeclarationError, lambda: Type("when", dt.datetime, encode=WHEN.encode, decode=WHEN.decode)) == text


def test_decoder() -> None:
    """A value is decoded under a typename that its Type reads; a protobuf message also under any prefix of its name."""
    assert decoder(LEGACY, "legacy/user") is LEGACY.decode
    for typename in ("type.googleapis.com/shop.User", "shop.User", "x/y/shop.User"):
        assert decoder(LEGACY, typename) is LEGACY.decode
    assert decoder(LEGACY, "type.googleapis.com/shop.Admin") is None
    assert decoder(WHEN, "other/when") is None
    five = wrappers_pb2.Int32Value(value=5).SerializeToString()
    found = decoder(types.INT64, "type.googleapis.com/google.protobuf.Int32Value")
    assert found is not None
    assert found(five) == 5


def test_names() -> None:
    """A protobuf message has a full name, which a text shows without the prefix that all of them have."""
    assert message_name(LEGACY) == User.DESCRIPTOR.full_name == "shop.User"
    assert message_name(WHEN) is None
    assert short("type.googleapis.com/shop.User") == "shop.User"
    assert short("io.statefun.types/int") == "io.statefun.types/int"

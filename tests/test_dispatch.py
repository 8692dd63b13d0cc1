"""The dispatch table of a hint."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from google.protobuf import wrappers_pb2
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import Admin, User

from statefun import UnexpectedMessage, types
from statefun._dispatch import Accepts, accepted
from statefun._hints import Scope
from statefun.errors import SendError, UndecodableMessage, UnsendableError
from tests.kinds import LEGACY, Bigger, Cents, Item, Level, Money, Parcel
from tests.peer import packed
from tests.refusals import refusal


def table(hint: Any) -> Accepts:
    """Make the table of a hint that is right."""
    return accepted(hint, Scope(globals(), {}), "hint", "example", AssertionError)


EVERYTHING = bool | int | float | str | bytes | User | Item | Parcel | Money


def test_typename_to_class() -> None:
    """The table can be looked into: typename to class, the ones that a class is sent under first."""
    accepts = table(User | int | Item)
    assert list(accepts)[:3] == ["type.googleapis.com/shop.User", "io.statefun.types/long", "kinds/Item"]
    assert accepts["io.statefun.types/long"] is accepts["io.statefun.types/int"] is int
    assert accepts["kinds/Item"] is Item
    assert "io.statefun.types/bool" not in accepts
    assert len(accepts) == 8
    assert str(accepts) == "User | int | Item"


def test_everything_at_once() -> None:
    """Members of every kind stand in one table, and are told apart by their typenames."""
    accepts = table(EVERYTHING)
    values: list[Any] = [True, 1, 1.5, "a", b"a", User(name="b"), Item("s"), Parcel("s"), Money(5)]
    for value in values:
        made = types.pack(value)
        read = accepts.unpack(made.type_url, made.value, "f")
        assert read == value
        assert type(read) is type(value)


@pytest.mark.parametrize("hint", [None, Any, AnyPb])
def test_catch_all(hint: Any) -> None:
    """Without a hint, and for Any, everything is accepted, packed."""
    accepts = table(hint)
    assert accepts.catch_all
    assert (len(accepts), str(accepts)) == (0, "Any")
    assert accepts.unpack("a/b", b"c", "f") == AnyPb(type_url="a/b", value=b"c")


def test_some_and_all() -> None:
    """Beside Any, what is named is unpacked, and the rest is not."""
    accepts = table(User | AnyPb)
    assert str(accepts) == "User | Any"
    assert accepts.unpack("type.googleapis.com/shop.User", b"\x12\x01b", "f") == User(name="b")
    assert accepts.unpack("type.googleapis.com/shop.Admin", b"", "f") == packed(Admin())


def test_any_prefix_of_a_message() -> None:
    """A protobuf message is known by its full name, whatever stands before the slash, and under its own typename."""
    accepts = table(Annotated[User, LEGACY] | Admin)
    for typename in ("legacy/user", "type.googleapis.com/shop.User", "shop.User", "a/b/shop.User"):
        assert accepts.unpack(typename, b"\x12\x01b", "f") == User(name="b")
    assert str(accepts) == "User | Admin"


def test_what_reads_the_same() -> None:
    """A wrapper of protobuf is an int to a function that takes ints, and itself to one that takes wrappers, too."""
    five = packed(wrappers_pb2.Int64Value(value=5))
    assert table(int).unpack(five.type_url, five.value, "f") == 5
    assert table(int | wrappers_pb2.Int64Value).unpack(five.type_url, five.value, "f") == wrappers_pb2.Int64Value(
        value=5
    )
    assert table(wrappers_pb2.Int64Value | int).unpack(five.type_url, five.value, "f") == wrappers_pb2.Int64Value(
        value=5
    )


def test_narrow_types() -> None:
    """A narrow type reads its own typename only, and is shown with its name."""
    accepts = table(Annotated[int, types.INT32] | Annotated[float, types.FLOAT32])
    assert str(accepts) == "Annotated[int, types.INT32] | Annotated[float, types.FLOAT32]"
    assert list(accepts) == ["io.statefun.types/int", "io.statefun.types/float"]
    text = refusal(UnexpectedMessage, lambda: accepts.unpack("io.statefun.types/long", b"", "a/f"))
    assert text.startswith("a/f accepts Annotated[int, types.INT32] | Annotated[float, types.FLOAT32], but got a ")


HELP = (
    "\n  help: add its class to the type hint of the message, "
    "or hint google.protobuf.any_pb2.Any to receive every message packed"
)


def test_what_is_not_accepted() -> None:
    """A message of another type is refused, in words that say what is accepted and what came."""
    accepts = table(User | int)
    assert refusal(UnexpectedMessage, lambda: accepts.unpack("type.googleapis.com/shop.Admin", b"", "a/f")) == (
        f"a/f accepts User | int, but got a shop.Admin{HELP}"
    )
    assert refusal(UnexpectedMessage, lambda: accepts.unpack("", b"x", "a/f")) == (
        f"a/f accepts User | int, but got a message without a type{HELP}"
    )
    assert refusal(UnexpectedMessage, lambda: accepts.unpack("io.statefun.types/bool", b"", "a/f")) == (
        f"a/f accepts User | int, but got a io.statefun.types/bool{HELP}"
    )


def test_what_cannot_be_read() -> None:
    """Bytes that are not of their type are refused, in words that say how many there are, of what, and why."""
    accepts = table(Item | User | str)
    assert refusal(UndecodableMessage, lambda: accepts.unpack("kinds/Item", b"[]", "a/f")) == (
        "a/f cannot read a message of 2 bytes as kinds/Item: $: expected an object, not []"
    )
    assert refusal(UndecodableMessage, lambda: accepts.unpack("io.statefun.types/string", b"\x0a\x05", "a/f")) == (
        "a/f cannot read a message of 2 bytes as io.statefun.types/string: it ends in the middle of a field"
    )
    with pytest.raises(UndecodableMessage, match=r"^a/f cannot read a message of 1 bytes as shop.User: ") as caught:
        accepts.unpack("type.googleapis.com/shop.User", b"\xff", "a/f")
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("hint", "message", "typename"),
    [
        (int | bool, True, "io.statefun.types/bool"),
        (int | bool, 1, "io.statefun.types/long"),
        (float, 1, "io.statefun.types/double"),
        (bool | float, 1, "io.statefun.types/double"),
        (int | float, 1, "io.statefun.types/long"),
        (int | float, 1.0, "io.statefun.types/double"),
        (Cents, Cents(5), "io.statefun.types/long"),
        (Annotated[int, types.INT32], 5, "io.statefun.types/int"),
        (Annotated[User, LEGACY], User(), "legacy/user"),
        (AnyPb, 5, "io.statefun.types/long"),
        (None, Item("s"), "kinds/Item"),
        (User | AnyPb, Admin(), "type.googleapis.com/shop.Admin"),
    ],
    ids=str,
)
def test_what_is_sent(hint: Any, message: Any, typename: str) -> None:
    """What is sent goes by its exact class; an int stands for a float where no int is accepted."""
    found = table(hint).type_for(message, "a/b")
    assert found is not None
    assert found.typename == typename


def test_an_any_is_sent_as_it_is() -> None:
    """An Any has its type in itself."""
    assert table(AnyPb).type_for(AnyPb(type_url="a/b"), "a/b") is None


@pytest.mark.parametrize(
    ("hint", "message", "text"),
    [
        (int, True, "a/b accepts int, not bool"),
        (float, True, "a/b accepts float, not bool"),
        (int, 1.0, "a/b accepts int, not float"),
        (bool, 1, "a/b accepts bool, not int"),
        (int, Level.LOW, "a/b accepts int, not Level"),
        (str, b"", "a/b accepts str, not bytes"),
        (Item, Bigger("s"), "a/b accepts Item, not Bigger"),
        (User | int, None, "a/b accepts User | int, not None"),
        (User | int, packed(User()), "a/b accepts User | int, not Any"),
    ],
    ids=str,
)
def test_what_is_not_sent(hint: Any, message: Any, text: str) -> None:
    """What a type checker would refuse is refused, and so is a bool where an int is accepted."""
    assert refusal(SendError, lambda: table(hint).type_for(message, "a/b")) == text


def test_what_cannot_be_sent_at_all() -> None:
    """A function that takes everything takes what has a Type."""
    assert refusal(UnsendableError, lambda: table(AnyPb).type_for(object(), "a/b")).startswith(
        "object cannot be sent\n"
    )

"""Functions by name, and their instances."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any, Optional, TypeVar, Union

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import Admin, Cancel, Login, Ship, User

from statefun import FunctionRef, Target, types
from statefun.errors import DeclarationError, SendError, UnsendableError
from statefun.references import Envelope
from tests.kinds import Item, Undeclared
from tests.refusals import refusal

SHIPPING = FunctionRef[Ship | Cancel]("shop/shipping")
T = TypeVar("T")
untyped_ref: Any = FunctionRef


def test_a_reference() -> None:
    """A reference knows the name of its function and what may be sent to it."""
    assert (SHIPPING.typename, SHIPPING.namespace, SHIPPING.type) == ("shop/shipping", "shop", "shipping")
    assert str(SHIPPING.accepts) == "Ship | Cancel"
    assert repr(SHIPPING) == "FunctionRef('shop/shipping')"
    assert repr(SHIPPING.at("1")) == "FunctionRef('shop/shipping').at('1')"
    assert FunctionRef[AnyPb]("a/b").accepts.catch_all
    assert untyped_ref("a/b").accepts.catch_all
    assert untyped_ref[T]("a/b").accepts.catch_all


def test_names_that_are_defined_later() -> None:
    """A hint in quotes is read when something is sent, with the names of the place where the reference was made."""
    from shop_pb2 import Logout  # noqa: PLC0415 -- local to this function

    early = untyped_ref["Ship | Logout"]("shop/early")
    assert str(early.accepts) == "Ship | Logout"
    assert early.at("1").envelope(Logout()).typename == "type.googleapis.com/shop.Logout"


def test_names_that_are_never_defined() -> None:
    """A name that is not there then is refused, with the hint."""
    never = untyped_ref["Ship | Missing"]("shop/never")
    assert refusal(DeclarationError, lambda: never.accepts) == (
        "FunctionRef[ForwardRef('Ship | Missing')] cannot be evaluated: name 'Missing' is not defined"
    )


def test_envelopes() -> None:
    """A target says how a message is sent: encoded, under its typename."""
    assert SHIPPING.at("1").envelope(Ship(order_id="o")) == Envelope(
        "shop/shipping", "1", "type.googleapis.com/shop.Ship", b"\x0a\x01o", types.type_of(Ship)
    )
    later = SHIPPING.at("1").delayed_envelope(Cancel(), token="t")
    assert (later.token, later.data) == ("t", b"")
    some = AnyPb(type_url="a/b", value=b"c")
    assert FunctionRef[AnyPb]("a/b").at("1").envelope(some) == Envelope("a/b", "1", "a/b", b"c", None)
    narrow = FunctionRef[Annotated[int, types.INT32]]("a/b").at("1").envelope(5)
    assert (narrow.typename, narrow.data) == ("io.statefun.types/int", b"\x0d\x05\0\0\0")


def test_what_is_known_is_remembered() -> None:
    """The Type of what was sent is found at once the next time."""
    ref = FunctionRef[float]("a/b")
    assert ref.known_types == {}
    ref.at("1").envelope(3)
    assert ref.known_types == {int: types.FLOAT64}


def test_wrong_messages() -> None:
    """A message that the function does not accept is refused where it is sent."""
    untyped: Any = SHIPPING.at("1")
    assert refusal(SendError, lambda: untyped.envelope(Login())) == "shop/shipping accepts Ship | Cancel, not Login"
    assert refusal(SendError, lambda: untyped.delayed_envelope(5)) == "shop/shipping accepts Ship | Cancel, not int"
    anything: Any = FunctionRef[AnyPb]("a/b").at("1")
    assert refusal(UnsendableError, lambda: anything.envelope(Undeclared())) == (
        "Undeclared has no typename\n  help: declare it: @json_type('<namespace>/Undeclared')"
    )


@pytest.mark.parametrize("id", ["", None, 5, b"1"])
@pytest.mark.parametrize("make", [SHIPPING.at, functools.partial(Target[Any], SHIPPING)], ids=["at", "Target"])
def test_no_identity(id: Any, make: Callable[[Any], object]) -> None:
    """What is sent has a receiver with an id."""
    assert refusal(SendError, lambda: make(id)) == (
        f"shop/shipping: the id of the receiver is a str that is not empty, not {id!r}"
    )


def test_a_target_by_itself() -> None:
    """A target that is made by hand is one that `at` makes."""
    by_hand: Target[Ship | Cancel] = Target(SHIPPING, "1")
    assert by_hand.envelope(Ship()) == SHIPPING.at("1").envelope(Ship())


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (Optional[User], "FunctionRef[User | None] includes None, but a message is never None\n  help: drop the None"),  # noqa: UP045 -- both spellings
        (
            Union[User, list[User]],  # noqa: UP007 -- both spellings
            (
                "FunctionRef[User | list[User]] includes list[User], which cannot be a message by itself\n"
                "  help: make it a field of one: 'repeated' or 'map' in protobuf, or a dataclass with json_type"
            ),
        ),
        (
            object,
            (
                "FunctionRef[object] includes object, which does not say how to unpack what arrives\n"
                "  help: list the message types (User | Admin), or "
                "hint google.protobuf.any_pb2.Any to receive every message packed"
            ),
        ),
        (
            Undeclared,
            (
                "FunctionRef[Undeclared] includes Undeclared, which has no typename\n"
                "  help: declare it: @json_type('<namespace>/Undeclared')"
            ),
        ),
        (
            Union[Admin, Annotated[User, types.protobuf(User, "type.googleapis.com/shop.Admin")]],  # noqa: UP007 -- both spellings
            (
                "FunctionRef[Admin | Annotated[User, type.googleapis.com/shop.Admin]] is ambiguous: "
                "Admin and User both arrive as 'shop.Admin'\n  help: keep one of them"
            ),
        ),
    ],
    ids=str,
)
def test_wrong_hints(hint: Any, text: str) -> None:
    """What can be no message is refused on the line where the subscript stands."""
    assert refusal(DeclarationError, lambda: untyped_ref[hint]) == text


def test_wrong_names() -> None:
    """A reference has a typename."""
    assert refusal(DeclarationError, lambda: FunctionRef[Item]("shipping")) == (
        "'shipping' is not a typename: it must be '<namespace>/<name>', e.g. 'example/greeter'"
    )

"""What a person reads of messages, states and records."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import Cancel, Greeting, Login, Ship, User

from statefun import Address, State, value
from statefun.testing import Delayed, Record, Sent, compare, show
from statefun.testing._show import concerns


class Cart(State):
    """A State with values that can be looked into."""

    items: dict[str, int] = value(default_factory=dict[str, int])
    last: Login | None = None


@dataclass
class Plain:
    """A dataclass as users write them."""

    text: str
    message: Login | None = None
    hidden: int = field(default=0, repr=False)


@dataclass(repr=False)
class Own:
    """A dataclass with a repr of its own."""

    text: str

    def __repr__(self) -> str:
        return f"<{self.text}>"


class Pair(NamedTuple):
    """A named tuple."""

    left: int
    right: int


BOB = Address("a", "b", "bob")


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (Login(user_id="bob"), "Login(user_id='bob')"),
        (Login(), "Login()"),
        (
            Ship(order_id="1", items={"a": 2}, recipients=[User(name="ann")]),
            "Ship(order_id='1', items={'a': 2}, recipients=[User(name='ann')])",
        ),
        (Cancel(by=User(user_id="u")), "Cancel(by=User(user_id='u'))"),
        (Cancel.Note(), "Cancel.Note()"),
        (AnyPb(type_url="a/b", value=b"c"), "Any(type_url='a/b', value=b'c')"),
        (Cart(items={"a": 1}, last=Login()), "Cart(items={'a': 1}, last=Login())"),
        (Plain("x", Login()), "Plain(text='x', message=Login())"),
        ([Own("x"), Pair(1, 2), {3}], "[<x>, Pair(left=1, right=2), {3}]"),
        (((), (1,), (1, "a")), "((), (1,), (1, 'a'))"),
        (Sent(BOB, Login()), f"Sent(to={BOB!r}, message=Login())"),
        (
            Delayed(BOB, 5, timedelta(days=1), "t"),
            f"Delayed(to={BOB!r}, message=5, delay=datetime.timedelta(days=1), token='t')",
        ),
        (Record(Greeting(text="x")), "Record(value=Greeting(text='x'), key='', topic='', headers=())"),
    ],
)
def test_show(shown: object, text: str) -> None:
    """Each value is written as the code that makes it."""
    assert show(shown) == text


def test_repr() -> None:
    """What the kit gives is written so wherever it appears."""
    assert repr([Record(Greeting(text="x"))]) == "[Record(value=Greeting(text='x'), key='', topic='', headers=())]"


def test_compare() -> None:
    """Two values are compared line by line; what differs is marked."""
    left = [Record(Greeting(text="Hello"), key="bob", topic="t"), Record(Greeting(text="again"))]
    right = [Record(Greeting(text="Hello"), key="ann", topic="t"), Record(Greeting(text="again"))]
    assert compare(left, right) == [
        "  [",
        "      Record(",
        "          value=Greeting(text='Hello'),",
        "-         key='bob',",
        "+         key='ann',",
        "          topic='t',",
        "          headers=(),",
        "      ),",
        "      Record(",
        "          value=Greeting(text='again'),",
        "          key='',",
        "          topic='',",
        "          headers=(),",
        "      ),",
        "  ]",
    ]


def test_compare_long_values() -> None:
    """A value that does not fit a line is written in lines; one that does is not."""
    long = Cart(items={f"article {number}": number for number in range(9)})
    lines = compare(Cart(), long)
    assert lines[:3] == ["- Cart(items={}, last=None)", "+ Cart(", "+     items={"]
    assert lines[3] == "+         'article 0': 0,"


@pytest.mark.parametrize("ours", [Login(), Cart(), Sent(BOB, 1), [Login()], (1, [Cart()]), {"a": Record(1)}])
def test_concerns(ours: object) -> None:
    """Messages, states and what the kit gives are shown by it, also deep inside."""
    assert concerns(ours)


@pytest.mark.parametrize("other", [1, "x", [1], {"a": 1}, Plain("x"), None])
def test_does_not_concern(other: object) -> None:
    """What else is compared is left to pytest."""
    assert not concerns(other)

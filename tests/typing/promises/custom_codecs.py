"""Narrow and custom typenames, and codecs of one's own, keep the Python type."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, ClassVar

from shop_pb2 import GreetRequest, User
from typing_extensions import Never, assert_type

from statefun import (
    Context,
    FunctionRef,
    State,
    StatefulFunction,
    StatefulFunctions,
    Type,
    ValueSpec,
    custom_type,
    testing,
    types,
    value,
)

functions = StatefulFunctions()

# --- the constants ---

assert_type(types.BOOL, Type[bool])
assert_type(types.INT32, Type[int])
assert_type(types.INT64, Type[int])
assert_type(types.FLOAT32, Type[float])
assert_type(types.FLOAT64, Type[float])
assert_type(types.STRING, Type[str])
assert_type(types.BYTES, Type[bytes])
USER = types.protobuf(User, typename="legacy/user")
assert_type(USER, Type[User])
types.protobuf(int, typename="legacy/int")  # E

# --- a Type: the codec of a class that is not yours, named where it is used ---

WHEN = Type(
    "shop/when",
    datetime,
    encode=lambda at: at.isoformat().encode(),
    decode=lambda data: datetime.fromisoformat(data.decode()),
)
assert_type(WHEN, Type[datetime])
Type("shop/when", datetime, encode=lambda at: at.isoformat(), decode=lambda data: datetime.now())  # E
Type("shop/when", datetime, encode=lambda at: b"", decode=lambda data: data)  # E


# --- a class that is yours gets one for itself, and may then be hinted ---


class Money:
    __statefun_type__: ClassVar[Type[Money]]

    def __init__(self, cents: int) -> None:
        self.cents = cents


def encode_money(money: Money) -> bytes:
    return str(money.cents).encode()


assert_type(
    custom_type("shop/money", Money, encode=encode_money, decode=lambda data: Money(int(data))),
    Type[Money],
)


@dataclass
class Hello:
    """As a betterproto message is: a dataclass that brings its own bytes."""

    name: str = ""

    def __bytes__(self) -> bytes:
        return self.name.encode()

    @classmethod
    def parse(cls, data: bytes) -> Hello:
        return cls(data.decode())


custom_type("shop/hello", Hello, encode=bytes, decode=Hello.parse)
custom_type("shop/when", datetime, encode=lambda at: b"", decode=lambda data: datetime.now())  # E
custom_type("shop/money", Money, encode=lambda money: b"", decode=lambda data: data)  # E


# --- in a hint: Annotated ---


@functions.bind("example/narrow")
def narrow(context: Context, message: Annotated[int, types.INT32] | Annotated[User, USER] | Money | Hello) -> None: ...


assert_type(narrow, StatefulFunction[int | User | Money | Hello, State, None])
SMALL = FunctionRef[Annotated[int, types.INT32]]("example/small")
assert_type(SMALL, FunctionRef[int])


@functions.bind("example/when")  # E: mypy pyright basedpyright
def when(context: Context, message: Annotated[datetime, WHEN]) -> None: ...  # not yours: wrap it in a dataclass


def sends(context: Context, at: datetime) -> None:
    context.send(SMALL.at("x"), 5)
    context.send(narrow.at("x"), User())
    context.send(narrow.at("x"), Money(5))
    context.send(narrow.at("x"), Hello())
    context.pack_and_send("example/small", "x", 5, type=types.INT32)
    context.pack_and_send("example/when", "x", at, type=WHEN)
    context.reply(at, type=WHEN)

    context.send(SMALL.at("x"), "5")  # E
    context.send(narrow.at("x"), at)  # E
    context.pack_and_send("example/small", "x", "5", type=types.INT32)  # E
    context.pack_and_send("example/when", "x", at)  # E
    context.pack_and_send("example/when", "x", at, type=datetime)  # E
    context.reply(at)  # E
    context.reply("5", type=types.INT32)  # E
    context.pack_and_send_after(timedelta(hours=1), "example/small", "x", "5", type=types.INT32)  # E


# --- in a State: an option, or Annotated ---


class Narrow(State):
    n: int = value(default=0, type=types.INT32)
    maybe: int | None = value(default=None, type=types.INT32)
    also: Annotated[int, types.INT32] = 0
    ratio: float = value(default=1.0, type=types.FLOAT32)
    user: User | None = value(default=None, type=USER)
    owner: User = value(default_factory=User, type=USER)
    at: datetime | None = value(default=None, type=WHEN)
    since: Annotated[datetime, WHEN] | None = None
    price: Money | None = None


class Wrong(State):
    a: str = value(default="", type=types.INT32)  # E
    b: int = value(default="", type=types.INT32)  # E
    c: int = value(default=None, type=types.INT32)  # E
    d: int | None = value(default=None, type=USER)  # E
    e: int = value(default=0, type=int)  # E
    f: int = value(default_factory=str, type=types.INT32)  # E


# --- in a ValueSpec: in place of the class ---

N = ValueSpec("n", types.INT32)
N_0 = ValueSpec("n0", type=types.INT32, default=int)
AT = ValueSpec("at", WHEN)
assert_type(N, ValueSpec[int])
assert_type(N_0, ValueSpec[int, Never])
assert_type(AT, ValueSpec[datetime])
assert_type(ValueSpec("user", USER), ValueSpec[User])
ValueSpec("price", Decimal)  # E


def reads(context: Context[Narrow], message: GreetRequest) -> None:
    assert_type(context.state.n, int)
    assert_type(context.state.maybe, int | None)
    assert_type(context.state.also, int)
    assert_type(context.state.ratio, float)
    assert_type(context.state.owner, User)
    assert_type(context.state.at, datetime | None)
    assert_type(context.state.since, datetime | None)
    assert_type(context[N], int | None)
    assert_type(context[N_0], int)
    assert_type(context[AT], datetime | None)
    context.state.n += 1
    context.state.ratio = 1  # an int may stand for a float
    context.state.at = datetime.now()
    context[AT] = datetime.now()
    context.state.n = "1"  # E
    context.state.at = "today"  # E
    context[AT] = "today"  # E
    context[N] = "1"  # E


Narrow(n=3, at=datetime(2024, 1, 1))
testing.context(Narrow(n=3))
Narrow(n="3")  # E

"""A message or the value of an egress is a member of one closed union; None, object and plain classes are not."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, NamedTuple, NewType, TypedDict

import msgspec
import pydantic
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import Greeting, GreetRequest, Login
from typing_extensions import TypeVar, assert_type

from statefun import (
    Context,
    FunctionRef,
    KafkaEgress,
    MessageEgress,
    State,
    StatefulFunction,
    StatefulFunctions,
    json_type,
    types,
)


@json_type("shop/Order")
@dataclass
class Order:
    id: str


@json_type("shop/Frozen")
@dataclass(frozen=True, slots=True)
class Frozen:
    id: str


@json_type("shop/Parcel")
class Parcel(msgspec.Struct):
    id: str


@json_type("shop/Refund")
class Refund(pydantic.BaseModel):
    id: str


class Money:
    """A plain class of one's own, with a codec (custom_codecs.py)."""

    __statefun_type__: ClassVar[types.Type[Money]]

    def __init__(self, cents: int) -> None:
        self.cents = cents


class Plain: ...


class Pair(NamedTuple):
    a: int


class Table(TypedDict):
    a: int


class Tier(enum.Enum):
    GOLD = 1


class Counts(State):
    visits: int = 0


Cents = NewType("Cents", int)
OrderId = NewType("OrderId", Order)
M = TypeVar("M", bound=types.Sendable)
functions = StatefulFunctions()

assert_type(Order("1"), Order)  # the decorator keeps the class
assert_type(Parcel(id="1"), Parcel)
assert_type(Refund(id="1"), Refund)
assert_type(json_type("shop/Order", Order), types.Type[Order])
json_type("shop/Plain", Plain)  # E
json_type("shop/Greeting", Greeting)  # E


@json_type("shop/NoJson")  # refused at run time: for pyright, a class is a dataclass only after all its decorators
class NoJson: ...


# --- accepted ---

COUNTER = FunctionRef[int]("example/counter")
MIXED = FunctionRef[GreetRequest | int | Order]("example/mixed")
FIVE = FunctionRef[bool | int | float | str | bytes]("example/five")
ALL = FunctionRef[Greeting | Order | Frozen | Parcel | Refund | Money | str]("example/all")
NEW = FunctionRef[Cents | OrderId]("example/new")

# --- refused ---

FunctionRef[GreetRequest | None]("x/y")  # E
FunctionRef[object]("x/y")  # E
FunctionRef[list[GreetRequest]]("x/y")  # E
FunctionRef[dict[str, int]]("x/y")  # E
FunctionRef[tuple[int, str]]("x/y")  # E
FunctionRef[Plain]("x/y")  # E
FunctionRef[int | Plain]("x/y")  # E
FunctionRef[Pair]("x/y")  # E
FunctionRef[Table]("x/y")  # E
FunctionRef[Tier]("x/y")  # E
FunctionRef[datetime]("x/y")  # E
FunctionRef[bytearray]("x/y")  # E
FunctionRef[type[Order]]("x/y")  # E
FunctionRef[Callable[[], int]]("x/y")  # E
FunctionRef[Counts]("x/y")  # a State is a dataclass, too: refused at run time


# --- bind: the handle takes what the hint says ---


@functions.bind("example/counter")
def counter(context: Context[Counts], message: int) -> None: ...


@functions.bind("example/mixed")
def mixed(context: Context, message: GreetRequest | int | Order) -> None: ...


@functions.bind("example/kinds")
async def kinds(context: Context, message: Parcel | Refund | Money | Frozen | bool | str | bytes | float) -> None: ...


@functions.bind("example/annotated")
def annotated(context: Context, message: Annotated[int, types.INT32] | Order) -> None: ...


assert_type(counter, StatefulFunction[int, Counts, None])
assert_type(mixed, StatefulFunction[GreetRequest | int | Order, State, None])
assert_type(annotated, StatefulFunction[int | Order, State, None])


@functions.bind("example/b1")  # E: mypy pyright basedpyright
def b1(context: Context, message: Plain) -> None: ...


@functions.bind("example/b2")  # E: mypy pyright basedpyright
def b2(context: Context, message: list[GreetRequest]) -> None: ...


@functions.bind("example/b3")  # E: mypy pyright basedpyright
def b3(context: Context, message: dict[str, int]) -> None: ...


@functions.bind("example/b4")  # E: mypy pyright basedpyright
def b4(context: Context, message: datetime) -> None: ...


@functions.bind("example/b5")  # E: mypy pyright basedpyright
def b5(context: Context, message: Tier) -> None: ...


# pyright solves M to the part of the hint that may be sent (b6 is a StatefulFunction[int, ...]): refused when bound
@functions.bind("example/b6")  # E: mypy
def b6(context: Context, message: int | None) -> None: ...


@functions.bind("example/b7")  # E: mypy
def b7(context: Context, message: int | Plain) -> None: ...


@functions.bind("example/b8")  # E: mypy
def b8(context: Context, message: object) -> None: ...


@functions.bind("example/b9")  # E: mypy
def b9(context: Context, message: Order | list[Order]) -> None: ...


# --- sending ---


def sends(context: Context, any: AnyPb, order: Order, either: GreetRequest | int) -> None:
    context.send(COUNTER.at("x"), 5)
    context.send(counter.at("x"), 5)
    context.send(COUNTER.at("x"), True)  # a bool is an int to every checker: refused at run time
    context.send(MIXED.at("x"), either)
    context.send(mixed.at("x"), order)
    context.send(FIVE.at("x"), 1.5)
    context.send(FIVE.at("x"), b"raw")
    context.send(ALL.at("x"), Parcel(id="1"))
    context.send(ALL.at("x"), Refund(id="1"))
    context.send(ALL.at("x"), Money(5))
    context.send(NEW.at("x"), Cents(5))
    context.send(kinds.at("x"), Frozen("1"))
    context.pack_and_send("example/counter", "x", 5)
    context.pack_and_send("example/counter", "x", order)
    context.reply(5)
    context.reply(order)
    context.reply(any)
    context.pack_and_reply("text")


def refused(context: Context, order: Order) -> None:
    context.send(COUNTER.at("x"), "5")  # E
    context.send(COUNTER.at("x"), 5.0)  # E
    context.send(COUNTER.at("x"), None)  # E
    context.send(COUNTER.at("x"), order)  # E
    context.send(counter.at("x"), Greeting())  # E
    context.send(mixed.at("x"), "5")  # E
    context.send(mixed.at("x"), Parcel(id="1"))  # E
    context.send(mixed.at("x"), Login())  # E
    context.send(ALL.at("x"), 5)  # E
    context.send(ALL.at("x"), Plain())  # E
    context.send(NEW.at("x"), 5)  # E
    context.send("example/counter", "x", 5)  # E
    context.pack_and_send("example/counter", "x", None)  # E
    context.pack_and_send("example/counter", "x", [5])  # E
    context.pack_and_send("example/counter", "x", Plain())  # E
    context.reply(None)  # E
    context.reply([5])  # E
    context.reply(Plain())  # E
    context.reply(datetime.now())  # E
    context.pack_and_reply(None)  # E


def broadcast(context: Context, to: FunctionRef[M], message: M) -> None:
    context.send(to.at("1"), message)
    context.send(to.at("1"), 5)  # E


def use(context: Context, order: Order) -> None:
    broadcast(context, mixed, 5)
    broadcast(context, mixed, order)
    broadcast(context, mixed, "5")  # E


less: FunctionRef[int] = mixed
wider: FunctionRef[bool] = counter
more: FunctionRef[int | str] = counter  # E

# --- egress values ---

ORDERS = KafkaEgress[Order | Parcel | Refund | Money]("example/orders", topic="orders")
MessageEgress[int | Order]("example/totals")
KafkaEgress[Greeting | None]("x/y", topic="t")  # E
KafkaEgress[object]("x/y", topic="t")  # E
KafkaEgress[list[str]]("x/y", topic="t")  # E
KafkaEgress[Plain]("x/y", topic="t")  # E
KafkaEgress[int]("x/y", topic="t")  # E
KafkaEgress[str | int]("x/y", topic="t")  # E
MessageEgress[None]("x/y")  # E


def leaves(context: Context, order: Order) -> None:
    context.send_egress(ORDERS, order, key=order.id)
    context.send_egress(ORDERS, Frozen("1"))  # E
    context.send_egress(ORDERS, "1")  # E


def opted_out(context: Context, message: Any) -> None:
    context.reply(message)
    context.send(COUNTER.at("x"), message)

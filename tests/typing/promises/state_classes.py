"""A State is a dataclass of stored values; what it does not declare is an error, in the function and in its tests."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from google.protobuf.any_pb2 import Any
from shop_pb2 import GreetRequest, Login, SeenCount
from typing_extensions import assert_type

from statefun import Context, State, StatefulFunctions, testing, value


class Tier(Enum):
    BASIC = 0
    GOLD = 1


@dataclass
class Cart:
    items: list[str]


class GreeterState(State):
    seen: SeenCount | None = None
    total: SeenCount = value(default_factory=SeenCount)
    visits: int = 0
    ratio: float = 1.0
    vip: bool = False
    name: str | None = value(default=None, name="user_name", expire_after_write=timedelta(days=1))
    tier: Tier = Tier.BASIC
    cart: Cart | None = None
    tags: list[str] = value(default_factory=list[str])
    scores: dict[str, int] = value(default_factory=dict[str, int], expire_after_call=timedelta(hours=1))


class MoreState(GreeterState):
    extra: int = 0


class OtherState(State):
    count: int = 0


class BadState(State):
    a: int = "x"  # E
    b: int = value(default="x")  # E
    c: list[int] = value(default_factory=lambda: ["x"])  # E
    d: int = value(default=1, expire_after_write=3600)  # E
    e: int = value()  # E
    f: int = value(default=1, expire_after_invoke=timedelta(days=1))  # E


functions = StatefulFunctions()


@functions.bind("example/greeter")
def greeter(context: Context[GreeterState], message: GreetRequest | Login) -> None:
    state = context.state
    assert_type(state, GreeterState)
    assert_type(state.seen, SeenCount | None)
    assert_type(state.total, SeenCount)
    assert_type(state.visits, int)
    assert_type(state.name, str | None)
    assert_type(state.tier, Tier)
    assert_type(state.cart, Cart | None)
    assert_type(state.tags, list[str])
    assert_type(context["seen"], Any | None)

    state.visits += 1
    state.total.value += 1
    state.seen = SeenCount(value=1)
    state.seen = None
    state.tags.append("new")
    state.scores["a"] = 1
    del state.seen
    del state.visits

    state.visits = None  # E
    state.visits = "1"  # E
    state.seen = Login()  # E
    state.tags.append(1)  # E
    state.scores[1] = 1  # E
    state.tier = 1  # E
    state.count  # E
    state.count = 3  # E
    context.state = GreeterState()  # E


@functions.bind("example/narrowing")
def narrowing(context: Context[GreeterState], message: GreetRequest) -> None:
    context.state.seen.value  # E
    if context.state.seen is not None:
        context.state.seen.value += 1
    if context.state.seen is None:
        context.state.seen = SeenCount()
    context.state.seen.value += 1


# --- helpers, inheritance, variance ---


def any_context(context: Context) -> None:
    context.state.visits  # E


def greeter_context(context: Context[GreeterState]) -> None:
    any_context(context)
    other_context(context)  # E


def other_context(context: Context[OtherState]) -> None: ...


def just_the_state(state: GreeterState) -> None: ...


def more_context(context: Context[MoreState]) -> None:
    greeter_context(context)
    just_the_state(context.state)
    assert_type(context.state.extra, int)
    assert_type(context.state.visits, int)


def bad_context(context: Context[int]) -> None: ...  # E


# --- in a test it is a dataclass, with keywords only ---

GreeterState()
GreeterState(visits=2, seen=SeenCount(value=3))
greeter(testing.context(GreeterState(visits=2)), GreetRequest())
GreeterState(2)  # E
GreeterState(visits="2")  # E
GreeterState(count=2)  # E
greeter(testing.context(OtherState()), GreetRequest())  # E

"""bind gives back a typed handle, and refuses what no stateful function may look like."""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import GreetRequest, Login, Logout, Ship, User
from typing_extensions import assert_type

from statefun import Context, State, StatefulFunction, StatefulFunctions, Target, testing, types

Awaited: TypeAlias = Coroutine[Any, Any, None]
functions = StatefulFunctions()


class Counts(State):
    visits: int = 0


@functions.bind("example/greeter")
def greeter(context: Context[Counts], message: GreetRequest | Login) -> None: ...


@functions.bind("example/agreeter")
async def agreeter(context: Context[Counts], message: GreetRequest | Login) -> None: ...


@functions.bind("example/everything")
def everything(context: Context, message: AnyPb) -> None: ...


@functions.bind("example/user_or_any")
def user_or_any(context: Context, message: User | AnyPb) -> None: ...


@functions.bind("example/blocks", blocking=True)
def blocks(context: Context[Counts], message: GreetRequest) -> None: ...


assert_type(blocks, StatefulFunction[GreetRequest, Counts, None])
functions.register("example/blocks2", blocks.fn, blocking="yes")  # E
assert_type(greeter, StatefulFunction[GreetRequest | Login, Counts, None])
# an `async def` is a CoroutineType to some checkers and a Coroutine to the others
assert_type(agreeter, StatefulFunction[GreetRequest | Login, Counts, Awaited])  # E: pyright basedpyright ty
assert_type(everything, StatefulFunction[AnyPb, State, None])
assert_type(greeter.at("bob"), Target[GreetRequest | Login])
assert_type(everything.at("bob"), Target[types.Sendable])
assert_type(user_or_any.at("bob"), Target[types.Sendable])
assert_type(greeter.typename, str)


# --- refused ---


@functions.bind("example/bad1")  # E
def one_parameter(context: Context) -> None: ...


@functions.bind("example/bad2")  # E
def not_a_message(context: Context, message: list[int]) -> None: ...


@functions.bind("example/bad3")  # E: mypy
def never_none(context: Context, message: GreetRequest | None) -> None: ...


@functions.bind("example/bad4")  # E
def returns(context: Context, message: GreetRequest) -> int:
    return 1


@functions.bind("example/bad5")  # E
async def returns_async(context: Context, message: GreetRequest) -> int:
    return 1


@functions.bind("example/bad6")  # E
def swapped(message: GreetRequest, context: Context) -> None: ...


@functions.bind("example/bad7")  # E
def keyword(context: Context, message: GreetRequest, *, clock: Callable[[], float]) -> None: ...


@functions.bind(greeter)  # E
def by_handle(context: Context, message: GreetRequest) -> None: ...


# --- what else can be bound ---


class Greeter:
    def __call__(self, context: Context[Counts], message: GreetRequest) -> None: ...
    def method(self, context: Context, message: Login) -> None: ...


def with_clock(context: Context, message: Ship, clock: Callable[[], float]) -> None: ...


assert_type(functions.register("example/object", Greeter()), StatefulFunction[GreetRequest, Counts, None])
assert_type(functions.register("example/method", Greeter().method), StatefulFunction[Login, State, None])
partial = functions.register("example/partial", functools.partial(with_clock, clock=lambda: 0.0))
assert_type(partial, StatefulFunction[Ship, State, None])  # E: mypy pyrefly
functions.register("example/unbound", Greeter.method)  # E
functions.register("example/class", Greeter)  # E


@functions.bind("example/two")
@functions.bind("example/one")
def twice(context: Context, message: Login) -> None: ...


assert_type(twice, StatefulFunction[Login, State, None])


# --- a unit test calls the handle ---


async def test_greeter() -> None:
    context = testing.context(Counts(visits=2))
    just_a_context: Context[Counts] = context
    assert_type(greeter(context, Login()), None)
    await agreeter(just_a_context, GreetRequest())
    assert_type(await agreeter(context, GreetRequest()), None)
    everything(testing.context(), AnyPb())
    everything(context, AnyPb())

    greeter(context, Logout())  # E
    greeter(testing.context(), Login())  # E
    greeter(context)  # E
    greeter(context, None)  # E

"""A function that takes more may stand where less is sent, never the other way round; helpers may be generic."""

from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.message import Message
from shop_pb2 import GreetRequest, Login, Logout
from typing_extensions import TypeVar

from statefun import Context, FunctionRef, StatefulFunction, StatefulFunctions, Target, types

M = TypeVar("M", bound=types.Sendable)
functions = StatefulFunctions()


@functions.bind("example/greeter")
def greeter(context: Context, message: GreetRequest | Login) -> None: ...


@functions.bind("example/agreeter")
async def agreeter(context: Context, message: GreetRequest | Login) -> None: ...


@functions.bind("example/everything")
def everything(context: Context, message: AnyPb) -> None: ...


less: FunctionRef[GreetRequest] = greeter
less_target: Target[GreetRequest] = greeter.at("bob")
same: StatefulFunction[GreetRequest | Login] = agreeter
by_at: Target[Message] = everything.at("1")
more: FunctionRef[GreetRequest | Login | Logout] = greeter  # E
more_target: Target[GreetRequest | Login | Logout] = greeter.at("bob")  # E
anything_at_all: FunctionRef[Message] = everything  # E


def broadcast(context: Context, to: FunctionRef[M], ids: list[str], message: M) -> None:
    for id in ids:
        context.send(to.at(id), message)
        context.send(to.at(id), Login())  # E


def use(context: Context, some: Target[GreetRequest] | Target[Login]) -> None:
    broadcast(context, greeter, ["a"], Login())
    broadcast(context, greeter, ["a"], Logout())  # E
    context.send(some, GreetRequest())  # E

"""A send is checked against what the receiver accepts."""

from datetime import timedelta
from typing import Any

from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.message import Message
from shop_pb2 import Cancel, GreetRequest, Login, Logout, Ship, User
from typing_extensions import assert_type

from statefun import Context, FunctionRef, StatefulFunctions, Target, types

functions = StatefulFunctions()


@functions.bind("example/greeter")
def greeter(context: Context, message: GreetRequest | Login) -> None: ...


@functions.bind("example/agreeter")
async def agreeter(context: Context, message: GreetRequest | Login) -> None: ...


@functions.bind("example/everything")
def everything(context: Context, message: AnyPb) -> None: ...


@functions.bind("example/user_or_any")
def user_or_any(context: Context, message: User | AnyPb) -> None: ...


@functions.bind("example/opted_out")
def opted_out(context: Context, message: Any) -> None: ...


# functions that live elsewhere
SHIPPING = FunctionRef[Ship | Cancel]("shop/shipping")
ANYTHING = FunctionRef[AnyPb]("shop/anything")
forgot = FunctionRef("shop/shipping")  # E
nonsense = FunctionRef[list[int]]("shop/shipping")  # E

assert_type(SHIPPING.at("1"), Target[Ship | Cancel])
assert_type(ANYTHING.at("1"), Target[types.Sendable])


def sends(context: Context, any: AnyPb, either: GreetRequest | Login) -> None:
    context.send(greeter.at("bob"), GreetRequest())
    context.send(greeter.at("bob"), Login())
    context.send(greeter.at("bob"), either)
    context.send(agreeter.at("bob"), Login())
    context.send(SHIPPING.at("1"), Ship())
    context.send("example/greeter", "bob", any)
    # what takes Any can be sent everything
    context.send(everything.at("bob"), Logout())
    context.send(everything.at("bob"), any)
    context.send(user_or_any.at("bob"), Logout())
    context.send(opted_out.at("bob"), Logout())
    context.send(ANYTHING.at("bob"), Logout())


def refused(context: Context, any: AnyPb, message: Message, wide: Login | Logout) -> None:
    context.send(greeter.at("bob"), Logout())  # E
    context.send(greeter.at("bob"), wide)  # E
    context.send(greeter.at("bob"), message)  # E
    context.send(greeter.at("bob"), any)  # E
    context.send(greeter.at("bob"), None)  # E
    context.send(greeter.at("bob"))  # E
    context.send(greeter.at("bob"), Login(), Login())  # E
    context.send(greeter, Login())  # E
    context.send(greeter.at(1), Login())  # E
    context.send(greeter.at(), Login())  # E
    context.send(SHIPPING.at("1"), Login())  # E
    context.send("example/greeter", "bob", Login())  # E
    context.send(timedelta(hours=1), greeter.at("bob"), Login())  # E

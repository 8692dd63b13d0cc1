"""A delay is a timedelta and comes first; a token is a str, and only what is sent later takes one."""

from datetime import timedelta

from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import GreetRequest, Login, Logout

from statefun import Context, FunctionRef, types

GREETER = FunctionRef[GreetRequest | Login]("example/greeter")
HOUR = timedelta(hours=1)


def sends(context: Context, any: AnyPb) -> None:
    context.send_after(HOUR, GREETER.at("bob"), Login())
    context.send_after(HOUR, GREETER.at("bob"), Login(), token="t")
    context.send_after(HOUR, "example/greeter", "bob", any)
    context.send_after(HOUR, "example/greeter", "bob", any, token="t")
    context.pack_and_send_after(HOUR, "example/greeter", "bob", Login())
    context.pack_and_send_after(HOUR, "example/greeter", "bob", Login(), token="t")
    context.pack_and_send_after(HOUR, "example/greeter", "bob", 5, type=types.INT32, token="t")
    context.cancel("t")


def refused(context: Context, any: AnyPb) -> None:
    context.send_after(HOUR, GREETER.at("bob"), Logout())  # E
    context.send_after(GREETER.at("bob"), HOUR, Login())  # E
    context.send_after(3600, GREETER.at("bob"), Login())  # E
    context.send_after(GREETER.at("bob"), Login())  # E
    context.send_after(HOUR, GREETER.at("bob"), Login(), tokn="t")  # E
    context.send_after(HOUR, GREETER.at("bob"), Login(), token=3)  # E
    context.send_after(HOUR, "example/greeter", "bob", Login())  # E
    context.send_after(HOUR, "example/greeter", "bob", any, token=3)  # E
    context.send(GREETER.at("bob"), Login(), token="t")  # E
    context.pack_and_send_after(3600, "example/greeter", "bob", Login())  # E
    context.pack_and_send_after(HOUR, "example/greeter", "bob", Login(), token=3)  # E
    context.cancel()  # E
    context.cancel(3)  # E
    context.cancel(None)  # E

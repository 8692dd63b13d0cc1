"""The base API of the 2.x documentation is typed, line by line."""

import typing
from datetime import timedelta

from google.protobuf.any_pb2 import Any
from shop_pb2 import Admin, SeenCount, User
from typing_extensions import assert_type

from statefun import (
    Address,
    AsyncRequestReplyHandler,
    Context,
    RequestReplyHandler,
    StatefulFunctions,
    StateHandle,
    kafka_egress_record,
    kinesis_egress_record,
)

functions = StatefulFunctions()


@functions.bind("example/hello")
def hello(context: Context, message: User) -> None:
    print("Hello " + message.name)


@functions.bind("example/goodbye")
def goodbye(context: Context, message: typing.Union[User, Admin]) -> None:
    if isinstance(message, User):
        print("Goodbye user")
    else:
        assert_type(message, Admin)


@functions.bind("example/packed")
def packed(context: Context, message: Any) -> None:
    user = User()
    message.Unpack(user)
    context.send("example/hello", user.user_id, message)
    context.pack_and_send("example/hello", user.user_id, user)
    context.pack_and_send("example/hello", user.user_id, "user")
    context.reply(message)
    context.pack_and_reply(user)
    context.send_after(timedelta(minutes=30), "example/hello", "bob", message)
    context.pack_and_send_after(timedelta(minutes=30), "example/hello", "bob", user)
    context.send_egress("example/greets", message)
    context.pack_and_send_egress("example/greets", user)

    context.send("example/hello", user.user_id, user)  # E
    context.send("example/hello", message)  # E
    context.pack_and_send("example/hello", user.user_id, ["user"])  # E
    context.pack_and_send("example/hello", user.user_id, None)  # E
    context.send_after("example/hello", "bob", timedelta(minutes=30), message)  # E
    # the example of the 2.x documentation puts the delay third; its reference and its code put it first
    context.pack_and_send_after("example/hello", "bob", timedelta(minutes=30), user)  # E
    context.send_egress("example/greets", user)  # E


@functions.bind("example/keywords")
def keywords(context: Context, message: Any) -> None:
    """Every argument has the name that it has in 2.x."""
    user = User()
    hour = timedelta(hours=1)
    context.send(typename="example/hello", id="bob", message=message)
    context.send("example/hello", "bob", message=message)
    context.pack_and_send(typename="example/hello", id="bob", message=user)
    context.send_after(delay=hour, typename="example/hello", id="bob", message=message)
    context.pack_and_send_after(delay=hour, typename="example/hello", id="bob", message=user)
    context.send_egress(typename="example/greets", message=message)
    context.pack_and_send_egress(typename="example/greets", message=user)
    context.reply(message=message)
    context.pack_and_reply(message=user)
    context.state(name="count").pack(message=user)
    context.state(name="count").unpack(into_class=User)
    context.send(typename="example/hello", id="bob", message=user)  # E
    context.send(typename="example/hello", identity="bob", message=message)  # E
    context.send_after(typename="example/hello", id="bob", message=message)  # E


@functions.bind("example/addresses")
def addresses(context: Context, message: User) -> None:
    assert_type(context.address, Address)
    assert_type(context.caller, Address | None)
    context.caller.identity  # E
    if context.caller is not None:
        assert_type(context.caller.namespace, str)
        assert_type(context.caller.type, str)
        assert_type(context.caller.identity, str)
        assert_type(context.caller.typename(), str)


@functions.bind("example/items")
def items(context: Context, message: User) -> None:
    assert_type(context["count"], Any | None)
    state = context["count"]
    if state is None:
        state = Any()
        state.Pack(SeenCount(value=1))
    context["count"] = state
    context["count"] = None
    del context["count"]
    context["count"] = SeenCount()  # E
    context["count"] = 1  # E
    context["count"].type_url  # E


@functions.bind("example/state")
def state(context: Context, message: User) -> None:
    handle = context.state("count")
    assert_type(handle, StateHandle)
    assert_type(handle.unpack(SeenCount), SeenCount | None)
    handle.pack(SeenCount(value=1))
    assert_type(handle.value, Any | None)
    handle.value = Any()
    del handle.value


@functions.bind("example/records")
def records(context: Context, message: User) -> None:
    context.pack_and_send_egress("example/kafka", kafka_egress_record("topic", message))
    context.pack_and_send_egress("example/kafka", kafka_egress_record(topic="topic", value=message, key="bob"))
    context.pack_and_send_egress("example/kinesis", kinesis_egress_record("stream", message, "bob"))
    context.pack_and_send_egress(
        "example/kinesis",
        kinesis_egress_record(stream="stream", value=message, partition_key="bob", explicit_hash_key="7"),
    )
    kafka_egress_record(value=message)  # E
    kafka_egress_record("topic", 3)  # E
    kinesis_egress_record("stream", message)  # E


def registered(context: Context, message: User) -> None: ...


functions.register("example/registered", registered)
functions.register(typename="example/registered_too", fun=registered)
functions.for_type("example", "registered")
functions.for_type("example/registered")  # E

assert_type(RequestReplyHandler(functions)(b""), bytes)
RequestReplyHandler(functions)("")  # E
RequestReplyHandler({"example/hello": hello})  # E


async def serve() -> None:
    handler = AsyncRequestReplyHandler(functions)
    assert_type(await handler(b""), bytes)
    text: str = await handler(b"")  # E

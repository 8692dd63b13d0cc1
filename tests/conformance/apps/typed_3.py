"""The functions of `sdk_3.py` as users of our SDK write them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar

from google.protobuf.any_pb2 import Any
from google.protobuf.wrappers_pb2 import StringValue

from statefun import (
    Context,
    FunctionRef,
    KafkaEgress,
    KinesisEgress,
    MessageEgress,
    State,
    StatefulFunctions,
    Type,
    custom_type,
    json_type,
    types,
    value,
)

functions = StatefulFunctions()

SINK = FunctionRef[Any]("cases/sink")
NESTED = FunctionRef[StringValue]("cases.nested/other")
OUT = KafkaEgress[str]("demo.io/out", topic="out")


class Text:
    """Text under a typename of one's own."""

    __statefun_type__: ClassVar[Type[Text]]

    def __init__(self, text: str) -> None:
        self.text = text


TEXT = custom_type("demo/text", Text, encode=lambda made: made.text.encode(), decode=lambda data: Text(data.decode()))


@json_type("cases/order")
@dataclass
class Order:
    """A JSON object."""

    id: str
    items: list[str]
    total: float


# --- the two functions behind the captured exchanges ---


class Seen(State):
    """How often one was greeted."""

    seen: Annotated[int, types.INT32] = 0


@functions.bind("demo/greeter")
def greeter(context: Context[Seen], message: Text | str) -> None:
    """Count, and do what the message says."""
    text = message if isinstance(message, str) else message.text
    command, _, rest = text.partition(":")
    identity = context.address.identity
    context.state.seen += 1
    seen = context.state.seen
    if command == "delay":
        context.send_after(timedelta(milliseconds=50), greeter.at(identity), "delayed", token=rest)
    elif command == "cancel":
        context.cancel(rest)
    elif command == "ask":
        context.send(echo.at(rest), "question")
    elif command == "clear":
        del context.state.seen
    context.send_egress(OUT, f"{identity} {seen} {text}", key=identity)


class Asked(State):
    """The last question."""

    asked: str | None = value(default=None, expire_after_write=timedelta(hours=1))


@functions.bind("demo/echo")
def echo(context: Context[Asked], message: str) -> None:
    """Keep the question and answer the caller."""
    context.state.asked = message
    context.reply("answer")


# --- the primitive types: each keeps the last message and sends on the one before ---


class LastBool(State):
    """The last bool."""

    last: bool | None = None


@functions.bind("cases/bool")
def keep_bool(context: Context[LastBool], message: bool) -> None:
    """Keep the last bool."""
    if context.state.last is not None:
        context.send(SINK.at("before"), context.state.last)
    context.state.last = message


class LastInt(State):
    """The last int of 32 bits."""

    last: Annotated[int, types.INT32] | None = None


@functions.bind("cases/int")
def keep_int(context: Context[LastInt], message: Annotated[int, types.INT32]) -> None:
    """Keep the last int of 32 bits."""
    if context.state.last is not None:
        context.pack_and_send("cases/sink", "before", context.state.last, type=types.INT32)
    context.state.last = message


class LastLong(State):
    """The last int of 64 bits."""

    last: int | None = None


@functions.bind("cases/long")
def keep_long(context: Context[LastLong], message: int) -> None:
    """Keep the last int of 64 bits."""
    if context.state.last is not None:
        context.send(SINK.at("before"), context.state.last)
    context.state.last = message


class LastFloat(State):
    """The last float of 32 bits."""

    last: Annotated[float, types.FLOAT32] | None = None


@functions.bind("cases/float")
def keep_float(context: Context[LastFloat], message: Annotated[float, types.FLOAT32]) -> None:
    """Keep the last float of 32 bits."""
    if context.state.last is not None:
        context.pack_and_send("cases/sink", "before", context.state.last, type=types.FLOAT32)
    context.state.last = message


class LastDouble(State):
    """The last float of 64 bits."""

    last: float | None = None


@functions.bind("cases/double")
def keep_double(context: Context[LastDouble], message: float) -> None:
    """Keep the last float of 64 bits."""
    if context.state.last is not None:
        context.send(SINK.at("before"), context.state.last)
    context.state.last = message


class LastString(State):
    """The last text."""

    last: str | None = None


@functions.bind("cases/string")
def keep_string(context: Context[LastString], message: str) -> None:
    """Keep the last text."""
    if context.state.last is not None:
        context.send(SINK.at("before"), context.state.last)
    context.state.last = message


# --- other types ---


class LastOrder(State):
    """The last order."""

    last: Order | None = None


@functions.bind("cases/json")
def keep_json(context: Context[LastOrder], message: Order) -> None:
    """Keep the last order, a JSON object."""
    context.state.last = message
    context.send(SINK.at("order"), message)


class LastMessage(State):
    """The last protobuf message."""

    last: StringValue | None = None


@functions.bind("cases/protobuf")
def keep_protobuf(context: Context[LastMessage], message: StringValue) -> None:
    """Keep the last protobuf message."""
    context.state.last = message
    context.send(SINK.at("value"), message)


class LastText(State):
    """The last text of a type of one's own."""

    last: Text | None = None


@functions.bind("cases/custom")
def keep_custom(context: Context[LastText], message: Text) -> None:
    """Keep the last text, of a type of one's own."""
    context.state.last = message
    context.send(SINK.at("text"), message)


# --- state ---


class Handshake(State):
    """Four values, three of which expire."""

    kept: Annotated[int, types.INT32] = 0
    written: int | None = value(default=None, expire_after_write=timedelta(days=1))
    called: StringValue | None = value(default=None, expire_after_call=timedelta(minutes=30))
    brief: Text | None = value(default=None, expire_after_write=timedelta(milliseconds=1))


@functions.bind("cases/handshake")
def handshake(context: Context[Handshake], _message: str) -> None:
    """Have four states, three of which expire, and write the first."""
    context.state.kept = 1


class N(State):
    """One number."""

    n: Annotated[int, types.INT32] | None = None


@functions.bind("cases/look")
def look(context: Context[N], _message: str) -> None:
    """Read a state and leave it as it is."""
    seen = context.state.n
    context.send(SINK.at("look"), "absent" if seen is None else str(seen))


@functions.bind("cases/delete")
def delete(context: Context[N], _message: str) -> None:
    """Delete a state."""
    del context.state.n


@functions.bind("cases/replace")
def replace(context: Context[N], _message: str) -> None:
    """Delete a state, then write it."""
    del context.state.n
    context.state.n = 7


@functions.bind("cases/undo")
def undo(context: Context[N], _message: str) -> None:
    """Write a state, then delete it."""
    context.state.n = 7
    del context.state.n


class AB(State):
    """Two texts."""

    a: str = ""
    b: str = ""


@functions.bind("cases/two-states")
def two_states(context: Context[AB], _message: str) -> None:
    """Write two states, the last one first."""
    context.state.b = "second"
    context.state.a = "first"


# --- messages ---


@functions.bind("cases/send")
def send(context: Context, _message: str) -> None:
    """Send one message of each type to other functions."""
    context.send(SINK.at("bool"), True)  # noqa: FBT003 -- a message
    context.pack_and_send("cases/sink", "int", -1, type=types.INT32)
    context.send(SINK.at("long"), 1 << 40)
    context.pack_and_send("cases/sink", "float", 0.5, type=types.FLOAT32)
    context.send(SINK.at("double"), 0.1)
    context.send(SINK.at("string"), "текст")
    context.send(SINK.at("none"), "")
    context.send(NESTED.at("pb"), StringValue())


@functions.bind("cases/identities")
def identities(context: Context, message: str) -> None:
    """Send to the identity that the message names, and tell one's own."""
    context.send(SINK.at(message), context.address.identity)


@functions.bind("cases/reply")
def reply(context: Context, _message: str) -> None:
    """Reply to the caller."""
    assert context.caller is not None
    context.reply("to " + context.caller.identity)


@functions.bind("cases/caller")
def caller(context: Context, _message: str) -> None:
    """Tell who called."""
    who = context.caller
    context.send(SINK.at("who"), "nobody" if who is None else f"{who.typename()}/{who.identity}")


@functions.bind("cases/forward")
def forward(context: Context, message: Any) -> None:
    """Pass every message on as it is."""
    context.send("cases/sink", message.type_url, message)


@functions.bind("cases/delay")
def delay(context: Context, _message: str) -> None:
    """Send later: in a day, in 1.5 ms, at once; with and without a token; and cancel."""
    context.send_after(timedelta(days=1), SINK.at("tomorrow"), "1", token="t-1")
    context.send_after(timedelta(milliseconds=1.5), SINK.at("soon"), "2")
    context.cancel("t-0")
    context.send_after(timedelta(0), SINK.at("now"), "3", token="токен")
    context.cancel("t-1")


@functions.bind("cases/nothing")
def nothing(_context: Context, _message: str) -> None:
    """Do nothing."""


# --- egress ---


@functions.bind("cases/kafka")
def kafka(context: Context, message: str) -> None:
    """Send records to Kafka: text and bytes; with a key, without one, with an empty one; typed."""
    context.send_egress(KafkaEgress[str]("cases.io/out", topic="topic-1"), message, key="k-ключ")
    context.send_egress(KafkaEgress[bytes]("cases.io/out", topic="topic-2"), message.encode())
    context.send_egress(KafkaEgress[str]("cases.io/out", topic="topic-3"), "", key="")
    typed = KafkaEgress[StringValue]("cases.io/out", topic="topic-4")
    context.send_egress(typed, StringValue(value=message), key="k")


@functions.bind("cases/kinesis")
def kinesis(context: Context, message: str) -> None:
    """Send records to Kinesis: with an explicit hash key, without one; typed."""
    first = KinesisEgress[str]("cases.io/out", stream="s-1")
    context.send_egress(first, message, partition_key="p-1", explicit_hash_key="127")
    second = KinesisEgress[bytes]("cases.io/out", stream="s-2")
    context.send_egress(second, message.encode(), partition_key="p-2")
    third = KinesisEgress[StringValue]("cases.io/out", stream="s-3")
    context.send_egress(third, StringValue(value=message), partition_key="p-3")


@functions.bind("cases/egress")
def egress(context: Context, message: str) -> None:
    """Send values to an egress of one's own."""
    own = MessageEgress[str | Annotated[int, types.INT32] | StringValue]("cases.io/own")
    context.send_egress(own, message)
    context.send_egress(own, 0)
    context.send_egress(own, StringValue(value="pb"))


# --- all of it, in one reply ---


@functions.bind("cases/everything")
def everything(context: Context[AB], message: str) -> None:
    """Mix all kinds of effects."""
    context.send_egress(MessageEgress[str]("cases.io/own"), "e1")
    context.send_after(timedelta(minutes=5), SINK.at("d1"), "d1", token="t")
    context.state.a = "first"
    context.send(SINK.at("m1"), "m1")
    del context.state.b
    context.send_egress(KafkaEgress[str]("cases.io/out", topic="t"), message, key="k")
    context.cancel("t")
    context.send(SINK.at("m2"), "m2")
    context.send_after(timedelta(minutes=1), SINK.at("d2"), "d2")
    context.reply("m3")


@functions.bind("cases/async")
async def asynchronous(context: Context[N], _message: str) -> None:
    """Count, and reply, in a coroutine."""
    seen = (context.state.n or 0) + 1
    context.state.n = seen
    context.reply(seen, type=types.INT32)

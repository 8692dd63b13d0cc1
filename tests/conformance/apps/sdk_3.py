"""Stateful functions as apps of 3.x write them, for apache-flink-statefun 3.3.0 and flink-statefun 3.5.0.

One for each thing that shows in a reply. `typed_3.py` beside this file has the same functions for our SDK.
"""
# mypy: ignore-errors
# pyright: basic, reportAttributeAccessIssue=false, reportCallIssue=false, reportOptionalMemberAccess=false

from datetime import timedelta

from google.protobuf.wrappers_pb2 import StringValue

from statefun import (
    BoolType,
    DoubleType,
    FloatType,
    IntType,
    LongType,
    Message,
    StatefulFunctions,
    StringType,
    ValueSpec,
    egress_message_builder,
    kafka_egress_message,
    kinesis_egress_message,
    make_json_type,
    make_protobuf_type,
    message_builder,
    simple_type,
)

functions = StatefulFunctions()

SINK = "cases/sink"
TEXT = simple_type("demo/text", str.encode, bytes.decode)
ORDER = make_json_type("cases/order")
STRING_VALUE = make_protobuf_type(StringValue)


# --- the two functions behind the captured exchanges ---


@functions.bind("demo/greeter", specs=[ValueSpec(name="seen", type=IntType)])
def greeter(context, message):
    """Count, and do what the message says."""
    text = message.as_type(TEXT) if message.is_type(TEXT) else message.as_string()
    command, _, rest = text.partition(":")
    seen = (context.storage.seen or 0) + 1
    context.storage.seen = seen
    if command == "delay":
        again = message_builder("demo/greeter", context.address.id, str_value="delayed")
        context.send_after(timedelta(milliseconds=50), again, cancellation_token=rest)
    elif command == "cancel":
        context.cancel_delayed_message(rest)
    elif command == "ask":
        context.send(message_builder("demo/echo", rest, str_value="question"))
    elif command == "clear":
        del context.storage.seen
    out = f"{context.address.id} {seen} {text}"
    context.send_egress(kafka_egress_message(typename="demo.io/out", topic="out", key=context.address.id, value=out))


@functions.bind("demo/echo", specs=[ValueSpec(name="asked", type=StringType, expire_after_write=timedelta(hours=1))])
def echo(context, message):
    """Keep the question and answer the caller."""
    context.storage.asked = message.as_string()
    context.send(message_builder(context.caller.typename, context.caller.id, str_value="answer"))


# --- the primitive types: each keeps the last message and sends on the one before ---


@functions.bind("cases/bool", specs=[ValueSpec(name="last", type=BoolType)])
def keep_bool(context, message):
    """Keep the last bool."""
    if context.storage.last is not None:
        context.send(message_builder(SINK, "before", bool_value=context.storage.last))
    context.storage.last = message.as_bool()


@functions.bind("cases/int", specs=[ValueSpec(name="last", type=IntType)])
def keep_int(context, message):
    """Keep the last int of 32 bits."""
    if context.storage.last is not None:
        context.send(message_builder(SINK, "before", int_value=context.storage.last))
    context.storage.last = message.as_int()


@functions.bind("cases/long", specs=[ValueSpec(name="last", type=LongType)])
def keep_long(context, message):
    """Keep the last int of 64 bits."""
    if context.storage.last is not None:
        context.send(message_builder(SINK, "before", long_value=context.storage.last))
    context.storage.last = message.as_long()


@functions.bind("cases/float", specs=[ValueSpec(name="last", type=FloatType)])
def keep_float(context, message):
    """Keep the last float of 32 bits."""
    if context.storage.last is not None:
        context.send(message_builder(SINK, "before", float_value=context.storage.last))
    context.storage.last = message.as_float()


@functions.bind("cases/double", specs=[ValueSpec(name="last", type=DoubleType)])
def keep_double(context, message):
    """Keep the last float of 64 bits."""
    if context.storage.last is not None:
        context.send(message_builder(SINK, "before", double_value=context.storage.last))
    context.storage.last = message.as_double()


@functions.bind("cases/string", specs=[ValueSpec(name="last", type=StringType)])
def keep_string(context, message):
    """Keep the last text."""
    if context.storage.last is not None:
        context.send(message_builder(SINK, "before", str_value=context.storage.last))
    context.storage.last = message.as_string()


# --- other types ---


@functions.bind("cases/json", specs=[ValueSpec(name="last", type=ORDER)])
def keep_json(context, message):
    """Keep the last order, a JSON object."""
    order = message.as_type(ORDER)
    context.storage.last = order
    context.send(message_builder(SINK, "order", value=order, value_type=ORDER))


@functions.bind("cases/protobuf", specs=[ValueSpec(name="last", type=STRING_VALUE)])
def keep_protobuf(context, message):
    """Keep the last protobuf message."""
    value = message.as_type(STRING_VALUE)
    context.storage.last = value
    context.send(message_builder(SINK, "value", value=value, value_type=STRING_VALUE))


@functions.bind("cases/custom", specs=[ValueSpec(name="last", type=TEXT)])
def keep_custom(context, message):
    """Keep the last text, of a type of one's own."""
    text = message.as_type(TEXT)
    context.storage.last = text
    context.send(message_builder(SINK, "text", value=text, value_type=TEXT))


# --- state ---


@functions.bind(
    "cases/handshake",
    specs=[
        ValueSpec(name="kept", type=IntType),
        ValueSpec(name="written", type=LongType, expire_after_write=timedelta(days=1)),
        ValueSpec(name="called", type=STRING_VALUE, expire_after_call=timedelta(minutes=30)),
        ValueSpec(name="brief", type=TEXT, expire_after_write=timedelta(milliseconds=1)),
    ],
)
def handshake(context, message):
    """Have four states, three of which expire, and write the first."""
    context.storage.kept = 1


N = ValueSpec(name="n", type=IntType)


@functions.bind("cases/look", specs=[N])
def look(context, message):
    """Read a state and leave it as it is."""
    seen = context.storage.n
    context.send(message_builder(SINK, "look", str_value="absent" if seen is None else str(seen)))


@functions.bind("cases/delete", specs=[N])
def delete(context, message):
    """Delete a state."""
    del context.storage.n


@functions.bind("cases/replace", specs=[N])
def replace(context, message):
    """Delete a state, then write it."""
    del context.storage.n
    context.storage.n = 7


@functions.bind("cases/undo", specs=[N])
def undo(context, message):
    """Write a state, then delete it."""
    context.storage.n = 7
    del context.storage.n


@functions.bind("cases/two-states", specs=[ValueSpec(name="a", type=StringType), ValueSpec(name="b", type=StringType)])
def two_states(context, message):
    """Write two states, the last one first."""
    context.storage.b = "second"
    context.storage.a = "first"


# --- messages ---


@functions.bind("cases/send")
def send(context, message):
    """Send one message of each type to other functions."""
    context.send(message_builder("cases/sink", "bool", bool_value=True))
    context.send(message_builder("cases/sink", "int", int_value=-1))
    context.send(message_builder("cases/sink", "long", long_value=1 << 40))
    context.send(message_builder("cases/sink", "float", float_value=0.5))
    context.send(message_builder("cases/sink", "double", double_value=0.1))
    context.send(message_builder("cases/sink", "string", str_value="текст"))
    context.send(message_builder("cases/sink", "none", str_value=""))
    context.send(message_builder("cases.nested/other", "pb", value=StringValue(), value_type=STRING_VALUE))


@functions.bind("cases/identities")
def identities(context, message):
    """Send to the identity that the message names, and tell one's own."""
    context.send(message_builder(SINK, message.as_string(), str_value=context.address.id))


@functions.bind("cases/reply")
def reply(context, message):
    """Reply to the caller."""
    caller = context.caller
    context.send(message_builder(caller.typename, caller.id, str_value="to " + caller.id))


@functions.bind("cases/caller")
def caller(context, message):
    """Tell who called."""
    who = context.caller
    context.send(message_builder(SINK, "who", str_value="nobody" if who is None else who.typename + "/" + who.id))


@functions.bind("cases/forward")
def forward(context, message):
    """Pass every message on as it is."""
    context.send(Message(SINK, message.value_typename(), message.typed_value))


@functions.bind("cases/delay")
def delay(context, message):
    """Send later: in a day, in 1.5 ms, at once; with and without a token; and cancel."""
    context.send_after(timedelta(days=1), message_builder(SINK, "tomorrow", str_value="1"), cancellation_token="t-1")
    context.send_after(timedelta(milliseconds=1.5), message_builder(SINK, "soon", str_value="2"))
    context.cancel_delayed_message("t-0")
    context.send_after(timedelta(0), message_builder(SINK, "now", str_value="3"), cancellation_token="токен")
    context.cancel_delayed_message("t-1")


@functions.bind("cases/nothing")
def nothing(context, message):
    """Do nothing."""


# --- egress ---


@functions.bind("cases/kafka")
def kafka(context, message):
    """Send records to Kafka: text and bytes; with a key, without one, with an empty one; typed."""
    text = message.as_string()
    context.send_egress(kafka_egress_message("cases.io/out", "topic-1", text, key="k-ключ"))
    context.send_egress(kafka_egress_message("cases.io/out", "topic-2", text.encode()))
    context.send_egress(kafka_egress_message("cases.io/out", "topic-3", "", key=""))
    value = StringValue(value=text)
    context.send_egress(kafka_egress_message("cases.io/out", "topic-4", value, value_type=STRING_VALUE, key="k"))


@functions.bind("cases/kinesis")
def kinesis(context, message):
    """Send records to Kinesis: with an explicit hash key, without one; typed."""
    text = message.as_string()
    context.send_egress(kinesis_egress_message("cases.io/out", "s-1", text, "p-1", explicit_hash_key="127"))
    context.send_egress(kinesis_egress_message("cases.io/out", "s-2", text.encode(), "p-2"))
    value = StringValue(value=text)
    context.send_egress(kinesis_egress_message("cases.io/out", "s-3", value, "p-3", value_type=STRING_VALUE))


@functions.bind("cases/egress")
def egress(context, message):
    """Send values to an egress of one's own."""
    context.send_egress(egress_message_builder("cases.io/own", message.as_string(), StringType))
    context.send_egress(egress_message_builder("cases.io/own", 0, IntType))
    context.send_egress(egress_message_builder("cases.io/own", StringValue(value="pb"), STRING_VALUE))


# --- all of it, in one reply ---


@functions.bind("cases/everything", specs=[ValueSpec(name="a", type=StringType), ValueSpec(name="b", type=StringType)])
def everything(context, message):
    """Mix all kinds of effects."""
    context.send_egress(egress_message_builder("cases.io/own", "e1", StringType))
    context.send_after(timedelta(minutes=5), message_builder(SINK, "d1", str_value="d1"), cancellation_token="t")
    context.storage.a = "first"
    context.send(message_builder(SINK, "m1", str_value="m1"))
    del context.storage.b
    context.send_egress(kafka_egress_message("cases.io/out", "t", message.as_string(), key="k"))
    context.cancel_delayed_message("t")
    context.send(message_builder(SINK, "m2", str_value="m2"))
    context.send_after(timedelta(minutes=1), message_builder(SINK, "d2", str_value="d2"))
    context.send(message_builder(context.caller.typename, context.caller.id, str_value="m3"))


@functions.bind("cases/async", specs=[N])
async def asynchronous(context, message):
    """Count, and reply, in a coroutine."""
    seen = (context.storage.n or 0) + 1
    context.storage.n = seen
    context.send(message_builder(context.caller.typename, context.caller.id, int_value=seen))

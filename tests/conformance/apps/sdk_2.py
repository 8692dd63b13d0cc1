"""Stateful functions as an app of 2.x writes them, one for each thing that shows in a reply.

This one file runs on two SDKs: on apache-flink-statefun 2.2.2, whose replies the golden files hold, and on ours, which
has to take it without a change. It must therefore use nothing but what 2.2.2 has.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs
# pyright: basic

from datetime import timedelta
from typing import Union

from google.protobuf.any_pb2 import Any
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import BytesValue, Int32Value, StringValue

from statefun import StatefulFunctions, kafka_egress_record, kinesis_egress_record

functions = StatefulFunctions()
async_functions = StatefulFunctions()  # 2.x awaits all functions of a handler, or none

SINK = "cases/sink"


def packed(message):
    """Pack a message as 2.x apps do it by hand."""
    result = Any()
    result.Pack(message)
    return result


# --- the two functions behind the captured exchanges ---


@functions.bind("demo/greeter")
def greeter(context, message: StringValue):
    """Do what the words of the message say."""
    identity = context.address.identity
    for command in message.value.split():
        word, _, number = command.partition(":")
        if word == "hi":
            seen = context.state("seen").unpack(Int32Value) or Int32Value()
            seen.value += 1
            context.state("seen").pack(seen)
            greeting = StringValue(value=f"{identity} {seen.value}")
            record = kafka_egress_record(topic="greetings", key=identity, value=greeting)
            context.pack_and_send_egress("demo/greetings", record)
        elif word == "later":
            delay = timedelta(milliseconds=int(number))
            context.pack_and_send_after(delay, "demo/greeter", identity, StringValue(value="hi"))
        elif word == "ask":
            context.pack_and_send("demo/echo", identity, StringValue(value="ping"))
        elif word == "session":
            context.state("session").pack(StringValue(value="open"))
        elif word == "end":
            del context["session"]


@functions.bind("demo/echo")
def echo(context, message: StringValue):
    """Answer the caller."""
    context.pack_and_reply(StringValue(value="hi"))


@functions.bind("demo/fault")
def fault(context, message: StringValue):
    """Tell whether the state `mark` holds a value."""
    mark = context["mark"]
    context.pack_and_send(SINK, "fault", StringValue(value="absent" if mark is None else mark.type_url))


# --- state ---


@functions.bind("cases/count")
def count(context, message: StringValue):
    """Read a state and write it."""
    seen = context.state("n").unpack(Int32Value) or Int32Value()
    seen.value += 1
    context.state("n").pack(seen)


@functions.bind("cases/look")
def look(context, message: StringValue):
    """Read a state and leave it as it is."""
    seen = context.state("n").unpack(Int32Value)
    context.pack_and_send(SINK, "look", StringValue(value="absent" if seen is None else str(seen.value)))


@functions.bind("cases/write-default")
def write_default(context, message: StringValue):
    """Write a value that has no bytes of its own."""
    context.state("n").pack(Int32Value())


@functions.bind("cases/write-any")
def write_any(context, message: StringValue):
    """Write a state, packed by hand, and send what is read of it."""
    context["n"] = packed(Int32Value(value=-1))
    context.send(SINK, "read", context["n"])


@functions.bind("cases/delete")
def delete(context, message: StringValue):
    """Delete a state."""
    del context["n"]


@functions.bind("cases/replace")
def replace(context, message: StringValue):
    """Delete a state, then write it."""
    del context["n"]
    context.state("n").pack(Int32Value(value=7))


@functions.bind("cases/undo")
def undo(context, message: StringValue):
    """Write a state, then delete it by its handle."""
    context.state("n").pack(Int32Value(value=7))
    del context.state("n").value


@functions.bind("cases/two-states")
def two_states(context, message: StringValue):
    """Write two states, the last one first."""
    context.state("b").pack(StringValue(value="second"))
    context.state("a").pack(StringValue(value="first"))


# --- messages ---


@functions.bind("cases/send")
def send(context, message: StringValue):
    """Send to other functions: packed here, packed by hand, and a message without bytes."""
    context.pack_and_send("cases/sink", "one", Int32Value(value=1))
    context.send("cases.nested/other", "two", packed(StringValue(value="two")))
    context.pack_and_send("cases/sink", "nothing", Empty())


@functions.bind("cases/identities")
def identities(context, message: StringValue):
    """Send to the identity that the message names, and tell one's own."""
    context.pack_and_send(SINK, message.value, StringValue(value=context.address.identity))


@functions.bind("cases/reply")
def reply(context, message: StringValue):
    """Reply twice: packed here, and by hand."""
    context.pack_and_reply(StringValue(value="to " + context.caller.identity))
    context.reply(packed(Int32Value(value=2)))


@functions.bind("cases/delay")
def delay(context, message: StringValue):
    """Send later: in a day, in 1.5 ms, packed by hand."""
    context.pack_and_send_after(timedelta(days=1), SINK, "tomorrow", StringValue(value="tomorrow"))
    context.pack_and_send_after(timedelta(milliseconds=1.5), SINK, "soon", StringValue(value="soon"))
    context.send_after(timedelta(seconds=1), SINK, "packed", packed(Int32Value(value=1)))


@functions.bind("cases/delay-zero")
def delay_zero(context, message: StringValue):
    """Send later, in no time."""
    context.pack_and_send_after(timedelta(0), SINK, "now", StringValue(value="now"))


@functions.bind("cases/union")
def union(context, message: Union[StringValue, Int32Value]):
    """Take two kinds of messages."""
    context.pack_and_send(SINK, type(message).__name__, message)


@functions.bind("cases/any")
def anything(context, message):
    """Take every message, packed, and pass it on."""
    context.send(SINK, message.type_url, message)


@functions.bind("cases/nothing")
def nothing(context, message: StringValue):
    """Do nothing."""


# --- egress ---


@functions.bind("cases/kafka")
def kafka(context, message: StringValue):
    """Send records to Kafka: with a key, without one, with an empty one."""
    value = BytesValue(value=message.value.encode())
    context.pack_and_send_egress("cases.io/out", kafka_egress_record("topic-1", value, "k-ключ"))
    context.pack_and_send_egress("cases.io/out", kafka_egress_record("topic-2", value))
    context.send_egress("cases.io/out", packed(kafka_egress_record(topic="topic-3", value=value, key="")))


@functions.bind("cases/kinesis")
def kinesis(context, message: StringValue):
    """Send records to Kinesis: with an explicit hash key, without one."""
    context.pack_and_send_egress("cases.io/out", kinesis_egress_record("s-1", message, "p-1", "127"))
    context.pack_and_send_egress(
        "cases.io/out", kinesis_egress_record(stream="s-2", value=message, partition_key="p-2")
    )


@functions.bind("cases/egress")
def egress(context, message: StringValue):
    """Send a message of one's own to an egress of one's own."""
    context.pack_and_send_egress("cases.io/own", message)
    context.send_egress("cases.io/own", packed(Int32Value()))


# --- all of it, in one reply ---


@functions.bind("cases/everything")
def everything(context, message: StringValue):
    """Mix all kinds of effects."""
    context.pack_and_send_egress("cases.io/own", StringValue(value="e1"))
    context.pack_and_send_after(timedelta(minutes=5), SINK, "d1", StringValue(value="d1"))
    context.state("a").pack(StringValue(value="first"))
    context.pack_and_send(SINK, "m1", StringValue(value="m1"))
    del context["b"]
    context.pack_and_send_egress("cases.io/out", kafka_egress_record(topic="t", key="k", value=message))
    context.pack_and_send(SINK, "m2", StringValue(value="m2"))
    context.pack_and_send_after(timedelta(minutes=1), SINK, "d2", StringValue(value="d2"))
    context.pack_and_reply(StringValue(value="m3"))


@async_functions.bind("cases/async")
async def asynchronous(context, message: Union[StringValue, Int32Value]):
    """Count, and reply, in a coroutine."""
    seen = context.state("n").unpack(Int32Value) or Int32Value()
    seen.value += 1
    context.state("n").pack(seen)
    context.pack_and_reply(seen)

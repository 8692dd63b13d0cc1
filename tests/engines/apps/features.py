"""One app that does all that a runtime can be asked for; each message from Kafka names what is to be done."""

# One function is written as apps of 2.x are, without types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from google.protobuf.any_pb2 import Any
from google.protobuf.wrappers_pb2 import Int64Value, StringValue

from statefun import Context, FunctionRef, KafkaEgress, State, StatefulFunctions, json_type, types, value

functions = StatefulFunctions()

OUT = KafkaEgress[str]("features/out", topic="features-out")
OLD = FunctionRef[StringValue]("features/old")
EXPIRES = timedelta(seconds=2)


@json_type("features/Order")
@dataclass
class Order:
    """A message and a stored value as JSON."""

    name: str
    cents: int | None = None


@json_type("features/Answer")
@dataclass
class Answer:
    """What a function answers."""

    text: str


@json_type("features/Step")
@dataclass
class Step:
    """A message of a function to itself."""

    name: str
    left: int = 0


class Kept(State):
    """Stored values of every kind."""

    count: int = 0
    text: str | None = None
    order: Order | None = None
    message: StringValue | None = None
    ratio: float = 0.0
    flag: bool = False
    names: list[str] = value(default_factory=list[str])


class Expiring(State):
    """Stored values that expire."""

    written: str | None = value(default=None, expire_after_write=EXPIRES)
    called: str | None = value(default=None, expire_after_call=EXPIRES)


def tell(context: Context, text: str) -> None:
    """Send a record out under the id of the function."""
    context.send_egress(OUT, text, key=context.address.identity)


@functions.bind("features/states")
def states(context: Context[Kept], message: StringValue) -> None:
    """Count, set, get and delete."""
    verb, _, argument = message.value.partition(" ")
    state = context.state
    if verb == "count":
        state.count += 1
        tell(context, str(state.count))
    elif verb == "set":
        state.text, state.order, state.message = argument, Order(argument, 5), StringValue(value=argument)
        state.ratio, state.flag = 0.5, True
        state.names.append(argument)
    elif verb == "delete":
        del state.text, state.order, state.message, state.ratio, state.flag, state.names
    else:
        message_text = None if state.message is None else state.message.value
        tell(context, repr((state.text, state.order, message_text, state.ratio, state.flag, state.names)))


@functions.bind("features/expiring")
def expiring(context: Context[Expiring], message: StringValue) -> None:
    """Write values that expire, or tell which are there."""
    if message.value == "write":
        context.state.written = context.state.called = "here"
    tell(context, f"{context.state.written} {context.state.called}")


@functions.bind("features/kinds")
def kinds(
    context: Context, message: Int64Value | bool | Annotated[int, types.INT32] | float | str | bytes | Order
) -> None:
    """Tell what has come, of a union of every kind."""
    tell(context, f"{type(message).__name__} {getattr(message, 'value', message)!r}")


@functions.bind("features/anything")
def anything(context: Context, message: Any) -> None:
    """Tell the typename of what has come."""
    tell(context, message.type_url)


@functions.bind("features/old")
def old(context, message):  # type: ignore[no-untyped-def]  # noqa: ANN001  # as apps of 2.x are written
    """Count in a state that is not declared."""
    seen = context.state("seen").unpack(Int64Value) or Int64Value()
    seen.value += 1
    context.state("seen").pack(seen)
    tell(context, f"{message.type_url} {context['seen'].type_url} {seen.value}")


@functions.bind("features/echo")
def echo(context: Context, message: str) -> None:
    """Answer whoever asks."""
    context.reply(Answer(f"{context.address.identity} heard {message}"))


@functions.bind("features/sink")
def sink(context: Context, message: bytes) -> None:
    """Tell the size of what has come, and its hash."""
    tell(context, f"{len(message)} {hashlib.sha256(message).hexdigest()}")


@functions.bind("features/gate")
def gate(context: Context, message: StringValue | Answer | Step) -> None:
    """Do what a message says."""
    match message:
        case Answer():
            tell(context, f"{context.caller}: {message.text}")
        case Step(left=0):
            tell(context, f"{message.name} from {context.caller}")
        case Step():
            context.send(gate.at(context.address.identity), Step(message.name, message.left - 1))
        case _:
            verb, _, argument = message.value.partition(" ")
            do(context, verb, argument)


def do(context: Context, verb: str, argument: str) -> None:
    """Send."""
    me = context.address.identity
    match verb:
        case "loop":
            context.send(gate.at(me), Step("looped", int(argument)))
        case "ask":
            context.send(echo.at("echo"), argument)
        case "fan":
            for number in range(int(argument)):
                context.send(echo.at(f"e{number}"), "all")
        case "big":
            context.send(sink.at(me), b"0123456789abcdef" * (int(argument) * 65_536))
        case "no-key":
            context.send_egress(OUT, f"{me} without a key")
        case "kinds" | "anything" | "old":
            send_kinds(context, verb)
        case "later" | "with-token" | "cancel":
            send_later(context, verb, argument)
        case _:
            tell(context, f"{verb}?")


def send_kinds(context: Context, verb: str) -> None:
    """Send messages of several types."""
    me = context.address.identity
    if verb == "kinds":
        for one in (Int64Value(value=7), True, -5, 0.25, "é", b"\x00\xff", Order("o", 1)):
            context.send(kinds.at(me), one)
    elif verb == "anything":
        for other in (StringValue(value="x"), Order("o"), "text"):
            context.send(anything.at(me), other)
    else:
        context.send(OLD.at(me), StringValue(value="x"))


def send_later(context: Context, verb: str, argument: str) -> None:
    """Send what comes after a delay, or take it back."""
    me = context.address.identity
    if verb == "later":
        context.send_after(timedelta(milliseconds=int(argument)), gate.at(me), Step("later"))
    elif verb == "with-token":
        context.send_after(timedelta(milliseconds=int(argument)), gate.at(me), Step("with token"), token=f"token-{me}")
    else:
        context.cancel(f"token-{me}")
        tell(context, "cancelled")

"""The two functions behind the exchanges captured from a 2.2.2, as users of our SDK write them."""

from __future__ import annotations

from datetime import timedelta

from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from statefun import Context, KafkaEgress, State, StatefulFunctions, value

functions = StatefulFunctions()

GREETINGS = KafkaEgress[StringValue]("demo/greetings", topic="greetings")


class GreeterState(State):
    """What module.yaml lists: both values, one of which expires."""

    seen: Int32Value = value(default_factory=Int32Value)
    session: StringValue | None = value(default=None, expire_after_write=timedelta(seconds=3))


@functions.bind("demo/greeter")
def greeter(context: Context[GreeterState], message: StringValue) -> None:
    """Do what the words of the message say."""
    identity = context.address.identity
    for command in message.value.split():
        word, _, number = command.partition(":")
        if word == "hi":
            context.state.seen.value += 1
            text = f"{identity} {context.state.seen.value}"
            context.send_egress(GREETINGS, StringValue(value=text), key=identity)
        elif word == "later":
            delay = timedelta(milliseconds=int(number))
            context.send_after(delay, greeter.at(identity), StringValue(value="hi"))
        elif word == "ask":
            context.send(echo.at(identity), StringValue(value="ping"))
        elif word == "session":
            context.state.session = StringValue(value="open")
        elif word == "end":
            del context.state.session


@functions.bind("demo/echo")
def echo(context: Context, _message: StringValue) -> None:
    """Answer the caller."""
    context.reply(StringValue(value="hi"))

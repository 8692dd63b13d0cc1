"""The first screen of the README: clean, but for the lines that it says are refused."""

from datetime import timedelta

from greeter_pb2 import Greeting, GreetRequest, Login
from typing_extensions import assert_never

from statefun import Context, KafkaEgress, RequestReplyHandler, State, StatefulFunctions, value

functions = StatefulFunctions()

GREETINGS = KafkaEgress[Greeting]("example/greets", topic="greetings")


class GreeterState(State):
    """What is stored for each name."""

    visits: int = 0
    device: str | None = value(default=None, expire_after_write=timedelta(days=1))


@functions.bind("example/greeter")
def greeter(context: Context[GreeterState], message: GreetRequest | Login) -> None:
    """Greet, or remember where somebody logged in."""
    state = context.state
    match message:
        case GreetRequest():
            state.visits += 1
            greeting = Greeting(text=f"Hello {message.name}, visit {state.visits}")
            context.send_egress(GREETINGS, greeting, key=message.name)
            if context.caller not in (None, context.address):  # not an ingress, nor its own reminder
                context.reply(greeting)
        case Login():
            state.device = message.device
            me = context.address.identity
            context.send_after(timedelta(minutes=30), greeter.at(me), GreetRequest(name=me))
        case _:
            assert_never(message)


handler = RequestReplyHandler(functions)


def wrong(context: Context[GreeterState]) -> None:
    context.state.vists  # no such value  # E
    context.state.visits = None  # int, not None  # E
    context.send(greeter.at("bob"), Greeting())  # greeter takes GreetRequest | Login  # E
    context.send_egress(GREETINGS, Login(), key="bob")  # takes Greeting  # E
    context.send_egress(GREETINGS, Greeting(), kee="bob")  # no such option  # E

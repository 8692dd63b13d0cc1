"""A typed greeter: it counts visits, greets through Kafka, and comes back half an hour after a login.

python examples/greeter/greeter.py answers the requests under requests/, which real runtimes have sent.
"""

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


if __name__ == "__main__":
    from show import main

    main(handler)

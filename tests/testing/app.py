"""An app for the tests of the kit: every kind of effect, plain and async, and two that must not be lost or doubled."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from shop_pb2 import Greeting, GreetRequest, Login, Ship
from typing_extensions import assert_never

from statefun import (
    Context,
    FunctionRef,
    KafkaEgress,
    KinesisEgress,
    MessageEgress,
    State,
    StatefulFunctions,
    json_type,
    value,
)

functions = StatefulFunctions()

GREETINGS = KafkaEgress[Greeting]("example/greets", topic="greetings")
CLICKS = KinesisEgress[str]("example/clicks", stream="clicks")
TOTALS = MessageEgress[int]("example/totals")
LINES = KafkaEgress[Greeting | Login | str]("example/lines", topic="lines")
SHIPPING = FunctionRef[Ship | int]("elsewhere/shipping")
HALF_AN_HOUR = timedelta(minutes=30)


@json_type("example/Note")
@dataclass(frozen=True)
class Note:
    """What an aside is about."""

    text: str


class GreeterState(State):
    """What is stored for each name."""

    visits: int = 0
    last: Login | None = None
    device: str | None = value(default=None, expire_after_write=timedelta(days=1))


@functions.bind("example/greeter")
def greeter(context: Context[GreeterState], message: GreetRequest | Login | Note) -> None:
    """Greet; remember a login, and greet half an hour later."""
    state = context.state
    me = context.address.identity
    match message:
        case GreetRequest():
            state.visits += 1
            greeting = Greeting(text=f"Hello {message.name}, visit {state.visits}")
            context.send_egress(GREETINGS, greeting, key=message.name, headers=[("visit", b"1"), ("none", None)])
            if context.caller not in (None, context.address):
                context.reply(greeting)
        case Login():
            state.last = message
            state.device = message.user_id
            context.send_after(HALF_AN_HOUR, greeter.at(me), GreetRequest(name=me))
        case Note():
            context.send_egress(CLICKS, message.text, partition_key=me)
            context.send_egress(TOTALS, len(message.text))
            context.send(SHIPPING.at(me), Ship(order_id=message.text))
            context.send(SHIPPING.at(me), 5)
        case _:
            assert_never(message)


@functions.bind("example/liner")
async def liner(context: Context, message: str) -> None:
    """Send the same bytes as what they may all be."""
    await asyncio.sleep(0)
    context.send_egress(LINES, message if message == "Hello" else Greeting(text=message))

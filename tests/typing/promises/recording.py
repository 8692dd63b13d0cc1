"""testing.context tells what a function did, with the types of its state and of its receivers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shop_pb2 import Cancel, Greeting, GreetRequest, Login, Ship
from typing_extensions import TypeVar, assert_type

from statefun import (
    Address,
    Context,
    FunctionRef,
    KafkaEgress,
    MessageEgress,
    State,
    StatefulFunction,
    StatefulFunctions,
    json_type,
    testing,
)

S = TypeVar("S", bound=State)


@json_type("shop/Order")
@dataclass
class Order:
    id: str


class Visits(State):
    visits: int = 0


functions = StatefulFunctions()
SHIPPING = FunctionRef[Ship | Cancel | int]("shop/shipping")
GREETINGS = KafkaEgress[Greeting | Order]("example/greets", topic="greetings")
TOTALS = MessageEgress[int]("example/totals")


@functions.bind("example/greeter")
def greeter(context: Context[Visits], message: GreetRequest | Login) -> None: ...


def test_greeter() -> None:
    context = testing.context(Visits(visits=2), address="example/greeter/bob", caller="example/caller/c1")
    assert_type(context, testing.RecordingContext[Visits])
    assert_type(testing.context(), testing.RecordingContext[State])
    testing.context(caller=None, address=Address("example", "greeter", "bob"))
    greeter(context, GreetRequest(name="bob"))

    assert_type(context.state, Visits)
    assert_type(context.state.visits, int)
    # everything, in order
    assert context.sent == [testing.Sent(Address("shop", "shipping", "1"), Ship())]
    assert_type(context.sent[0], testing.Sent)
    assert_type(context.sent[0].to, Address)
    assert_type(context.delayed[0], testing.Delayed)
    assert_type(context.delayed[0].delay, timedelta)
    assert_type(context.delayed[0].token, str | None)
    assert_type(context.egress[0], testing.Egressed)
    assert_type(context.cancelled, list[str])
    # for one receiver, with its types
    assert_type(context.sent.to(greeter), list[GreetRequest | Login])
    assert_type(context.sent.to(greeter.at("bob")), list[GreetRequest | Login])
    assert_type(context.sent.to(SHIPPING), list[Ship | Cancel | int])
    assert_type(context.delayed.to(SHIPPING), list[Ship | Cancel | int])
    assert_type(context.egress.to(GREETINGS), list[Greeting | Order])
    assert_type(context.egress.to(TOTALS), list[int])


def refused() -> None:
    context = testing.context(Visits(visits=2))
    context.snt  # E
    context.sent[0].too  # E
    context.sent.to("shop/shipping")  # E
    context.egress.to(greeter)  # E
    context.delayed[0].delay.name  # E
    context.state.vists  # E
    context.cancelled = []  # E
    context.sent.append(Ship())  # E
    context.egress.to(TOTALS)[0].name  # E
    testing.context(Visits(visits="2"))  # E
    testing.context(3)  # E
    testing.context(adress="example/greeter/bob")  # E
    testing.context(caller=3)  # E


# --- what runs many functions knows the state by the handle (a Target has lost it) ---


class Harness:
    def state(self, function: StatefulFunction[Any, S, Any], id: str) -> S:
        raise NotImplementedError


def test_harness(harness: Harness) -> None:
    assert_type(harness.state(greeter, "bob"), Visits)
    harness.state(greeter, "bob").vists  # E
    harness.state(greeter.at("bob"), "bob")  # E
    harness.state(SHIPPING, "bob")  # E

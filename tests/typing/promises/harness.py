"""testing.Harness is sent typed messages, and gives typed states, records and messages back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from shop_pb2 import Cancel, Greeting, GreetRequest, Login, Ship
from typing_extensions import assert_type

from statefun import (
    Address,
    Context,
    FunctionRef,
    KafkaEgress,
    KinesisEgress,
    MessageEgress,
    State,
    StatefulFunctions,
    json_type,
)
from statefun.testing import Delayed, Faults, Found, Harness, MakeContext, MakeHarness, Record, RecordingContext, Sent


@json_type("shop/Order")
@dataclass
class Order:
    id: str


class Visits(State):
    visits: int = 0


functions = StatefulFunctions()
SHIPPING = FunctionRef[Ship | Cancel | int]("shop/shipping")
GREETINGS = KafkaEgress[Greeting | Order]("example/greets", topic="greetings")
CLICKS = KinesisEgress[str]("example/clicks", stream="clicks")
TOTALS = MessageEgress[int]("example/totals")


@functions.bind("example/greeter")
def greeter(context: Context[Visits], message: GreetRequest | Login) -> None: ...


@functions.bind("example/async")
async def asynchronous(context: Context[Visits], message: Order) -> None: ...


@functions.bind("example/stateless")
def stateless(context: Context, message: int) -> None: ...


def test_in(harness: Harness) -> None:
    harness.send(greeter.at("bob"), GreetRequest(name="bob"))
    harness.send(asynchronous.at("bob"), Order("1"))
    harness.send_as("example/front/f1", greeter.at("bob"), Login())
    harness.send_as(Address("example", "front", "f1"), greeter.at("bob"), Login())
    harness.run()
    harness.advance(timedelta(days=30))
    harness.send(greeter.at("bob"), Order("1"))  # E
    harness.send(greeter.at("bob"))  # E
    harness.send(greeter, GreetRequest())  # E
    harness.send("example/greeter/bob", GreetRequest())  # E
    harness.send_as(greeter.at("bob"), GreetRequest())  # E
    harness.send_as("example/front/f1", greeter.at("bob"), 5)  # E
    harness.advance(30)  # E


def test_state(harness: Harness) -> None:
    assert_type(harness.state(greeter, "bob"), Visits)
    assert_type(harness.state(asynchronous, "bob"), Visits)
    assert_type(harness.state(stateless, "bob"), State)
    assert_type(harness.state(greeter, "bob").visits, int)
    harness.state(greeter, "bob").vists  # E
    harness.state(greeter.at("bob"), "bob")  # E
    harness.state(SHIPPING, "bob")  # E
    harness.state(greeter)  # E


def test_records(harness: Harness) -> None:
    assert_type(harness.egress(GREETINGS), list[Record[Greeting | Order]])
    assert_type(harness.egress(GREETINGS, Greeting), list[Record[Greeting]])
    assert_type(harness.egress(CLICKS)[0].value, str)
    assert_type(harness.egress(TOTALS)[0].value, int)
    assert_type(harness.egress("example/greets"), list[Record[bytes]])
    record = harness.egress(GREETINGS)[0]
    assert_type(record.key, str)
    assert_type(record.topic, str)
    assert_type(record.headers, tuple[tuple[str, bytes | None], ...])
    harness.egress(TOTALS)[0].value.text  # E
    harness.egress(greeter)  # E
    record.key = "ann"  # E
    record.partition  # E


def test_messages(harness: Harness) -> None:
    assert_type(harness.sent, Found[Sent])
    assert_type(harness.sent.to(SHIPPING), list[Ship | Cancel | int])
    assert_type(harness.pending.to(greeter.at("bob")), list[GreetRequest | Login])
    assert_type(harness.delayed, Found[Delayed])
    assert_type(harness.delayed[0].delay, timedelta)
    assert_type(harness.delayed.to(greeter), list[GreetRequest | Login])
    assert_type(harness.failures, dict[Address, str])
    harness.sent.to("shop/shipping")  # E
    harness.pending = []  # E


def test_options() -> None:
    assert_type(Harness(functions, faults=Faults(seed=7, crash=False), wire="v2", retry=True), Harness)
    Harness()  # E
    Harness(functions, faults=7)  # E
    Harness(functions, wire="v1")  # E
    Faults()  # E
    Faults(7)  # E
    Faults(seed=7, crsh=False)  # E


async def test_on_a_loop(harness: Harness) -> None:
    await harness.run_async()
    await harness.advance_async(timedelta(days=1))
    await harness.run()  # E


def test_fixtures(statefun_harness: MakeHarness, statefun_context: MakeContext) -> None:
    assert_type(statefun_harness(functions), Harness)
    assert_type(statefun_harness(functions, faults=Faults(seed=7)), Harness)
    assert_type(statefun_context(Visits()), RecordingContext[Visits])
    assert_type(statefun_context(address="a/b/c"), RecordingContext[State])
    statefun_harness()  # E
    statefun_context(3)  # E

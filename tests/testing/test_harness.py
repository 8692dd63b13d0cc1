"""An app inside a test, on both wires."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import Greeting, GreetRequest, Login, SeenCount, Ship

from statefun import (
    Address,
    Context,
    FunctionRef,
    KafkaEgress,
    MessageEgress,
    State,
    StatefulFunctions,
    ValueSpec,
    kafka_egress_record,
    module,
    testing,
    value,
)
from statefun.errors import SendError, UnexpectedMessage, UnknownFunction
from statefun.testing import Delayed, Harness, HarnessError, MakeHarness, Record, Sent, _machine
from tests.testing.app import (
    CLICKS,
    GREETINGS,
    HALF_AN_HOUR,
    LINES,
    SHIPPING,
    TOTALS,
    GreeterState,
    Note,
    functions,
    greeter,
    liner,
)

both_wires = pytest.mark.statefun_wire("v2", "v3")
BOB = Address("example", "greeter", "bob")
HEADERS = (("visit", b"1"), ("none", None))


def greeted(visit: int) -> Record[Greeting]:
    """Return the record of a visit of bob."""
    return Record(Greeting(text=f"Hello bob, visit {visit}"), key="bob", topic="greetings", headers=HEADERS)


@both_wires
def test_a_message(statefun_harness: MakeHarness) -> None:
    """A message waits until the app runs; then its state and its record can be looked at."""
    harness = statefun_harness(functions)
    harness.send(greeter.at("bob"), GreetRequest(name="bob"))
    assert harness.pending == [Sent(BOB, GreetRequest(name="bob"))]
    assert harness.pending.to(greeter) == [GreetRequest(name="bob")]
    assert (harness.state(greeter, "bob"), harness.egress(GREETINGS)) == (GreeterState(), [])
    harness.run()
    assert harness.pending == []
    assert harness.state(greeter, "bob") == GreeterState(visits=1)
    assert harness.state(greeter, "ann") == GreeterState()
    assert harness.egress(GREETINGS) == [greeted(1)]


@both_wires
def test_time(statefun_harness: MakeHarness) -> None:
    """A delayed message comes when it is due and not before, and a state expires."""
    harness = statefun_harness(functions)
    harness.send(greeter.at("bob"), Login(user_id="phone"))
    harness.run()
    assert harness.delayed == [Delayed(BOB, GreetRequest(name="bob"), HALF_AN_HOUR)]
    harness.advance(timedelta(minutes=20))
    assert harness.delayed == [Delayed(BOB, GreetRequest(name="bob"), timedelta(minutes=10))]
    assert harness.egress(GREETINGS) == []
    harness.advance(timedelta(minutes=10))
    assert (harness.delayed, harness.egress(GREETINGS)) == ([], [greeted(1)])
    assert harness.state(greeter, "bob") == GreeterState(visits=1, last=Login(user_id="phone"), device="phone")
    harness.advance(timedelta(days=30))
    assert harness.state(greeter, "bob") == GreeterState(visits=1, last=Login(user_id="phone"))


@both_wires
def test_elsewhere(statefun_harness: MakeHarness) -> None:
    """What is sent to functions that are not bound here, or to a caller, is kept, in order and typed."""
    harness = statefun_harness(functions)
    harness.send(greeter.at("bob"), Note("tea"))
    harness.run()
    harness.send_as("example/front/f1", greeter.at("bob"), GreetRequest(name="bob"))
    harness.run()
    shipping = Address("elsewhere", "shipping", "bob")
    assert harness.sent == [
        Sent(shipping, Ship(order_id="tea")),
        Sent(shipping, 5),
        Sent(Address("example", "front", "f1"), Greeting(text="Hello bob, visit 1")),
    ]
    assert harness.sent.to(SHIPPING) == harness.sent.to(SHIPPING.at("bob")) == [Ship(order_id="tea"), 5]
    assert harness.sent.to(SHIPPING.at("ann")) == []
    assert (harness.egress(CLICKS), harness.egress(TOTALS)) == ([Record("tea", "bob", "clicks")], [Record(3)])


def test_what_nobody_knows() -> None:
    """A message of a type that nobody here knows stays an Any, and is refused to who asks for it as something else."""
    app = StatefulFunctions()

    @app.bind("example/forward")
    def forward(context: Context, message: str) -> None:
        context.pack_and_send(message, "1", GreetRequest(name="ann"))

        context.send(message, "1", AnyPb(type_url="nobody/knows", value=b"x"))

    harness = Harness(app)
    harness.send(forward.at("f"), "a/b")
    harness.run()
    packed = harness.sent[1].message  # in pure Python an Any of an unknown type cannot be compared
    assert (packed.type_url, packed.value) == ("nobody/knows", b"x")
    with pytest.raises(UnexpectedMessage) as raised:
        harness.sent.to(FunctionRef[GreetRequest]("a/b"))
    assert str(raised.value).startswith("a/b accepts GreetRequest, but got a nobody/knows\n")
    assert harness.sent.to(FunctionRef[str]("a/c")) == []


# --- records ---


def test_one_of_many_types() -> None:
    """A record whose bytes fit one type of its egress only is read as that; where many fit, one has to be named."""
    harness = Harness(functions)
    for text in ("Hello", "Bonjour"):
        harness.send(liner.at("l"), text)
    harness.run()
    with pytest.raises(HarnessError) as raised:
        harness.egress(LINES)
    assert str(raised.value) == (
        "a record of KafkaEgress('example/lines', topic='lines') can be Greeting or Login or str: "
        "a record does not say what it holds\n"
        "  help: say it, egress(EGRESS, TheClass)"
    )
    assert harness.egress("example/lines")[0].value.endswith(b"\x05Hello\x1a\x05lines")


def test_as_one_type() -> None:
    """A class of the hint can be named, and no other."""
    harness = Harness(functions)
    harness.send(liner.at("l"), "Bonjour")
    harness.run()
    assert harness.egress(LINES, Greeting) == [Record(Greeting(text="Bonjour"), topic="lines")]
    with pytest.raises(HarnessError) as raised:
        harness.egress(LINES, Ship)
    assert str(raised.value) == "KafkaEgress('example/lines', topic='lines') sends no Ship"


def test_a_record_of_another_type() -> None:
    """A record that is not what the hint says is refused, and so is one whose type the hint does not name."""
    app = StatefulFunctions()

    @app.bind("example/rude")
    def rude(context: Context, message: int) -> None:
        context.pack_and_send_egress("example/totals", "text")

    harness = Harness(app)
    harness.send(rude.at("r"), 1)
    harness.run()
    with pytest.raises(HarnessError) as raised:
        harness.egress(TOTALS)
    assert str(raised.value) == (
        "MessageEgress('example/totals') has a record of the type 'io.statefun.types/string', "
        "which its hint does not name"
    )
    assert harness.egress(MessageEgress[str]("example/totals")) == [Record("text")]


def test_a_record_that_cannot_be_read() -> None:
    """A record whose bytes are not what the hint says is refused; an egress that says nothing gives the bytes."""
    app = StatefulFunctions()

    @app.bind("example/rude")
    def rude(context: Context, message: int) -> None:
        context.pack_and_send_egress("example/greets", kafka_egress_record("t", b"\xff"))

    harness = Harness(app)
    harness.send(rude.at("r"), 1)
    harness.run()
    with pytest.raises(HarnessError) as raised:
        harness.egress(GREETINGS)
    assert str(raised.value).startswith("a record of KafkaEgress('example/greets', topic='greetings') is no Greeting: ")
    with pytest.raises(HarnessError) as none:
        harness.egress(KafkaEgress[Greeting | str]("example/greets", topic="t"))
    assert str(none.value).startswith(
        "a record of KafkaEgress('example/greets', topic='t') can be none of its types: a record does not say"
    )
    assert harness.egress(KafkaEgress[Any]("example/greets", topic="t")) == [Record(b"\xff", topic="t")]


# --- async ---


def test_inside_a_running_loop() -> None:
    """It runs inside a running event loop: beside it, or on it."""

    async def test() -> list[int]:
        found: list[int] = []
        harness = Harness(functions)
        harness.send(liner.at("l"), "a")
        harness.run()
        found.append(len(harness.egress(LINES, Greeting)))
        harness.send(liner.at("l"), "b")
        await harness.run_async()
        found.append(len(harness.egress(LINES, Greeting)))
        harness.send(liner.at("l"), "c")
        await harness.advance_async(timedelta(days=1))
        found.append(len(harness.egress(LINES, Greeting)))
        return found

    assert asyncio.run(test()) == [1, 2, 3]


def test_on_the_loop_of_the_test() -> None:
    """run_async calls async functions on the loop of the test, so that they can use what lives on it."""
    app, seen = StatefulFunctions(), list[object]()

    @app.bind("example/async")
    async def function(context: Context, message: int) -> None:
        seen.append(asyncio.get_running_loop())

    async def test() -> bool:
        harness = Harness(app)
        harness.send(function.at("a"), 1)
        await harness.run_async()
        harness.send(function.at("a"), 1)
        harness.run()
        return [loop is asyncio.get_running_loop() for loop in seen] == [True, False]

    assert asyncio.run(test())


# --- failures ---


def failing(times: int) -> tuple[StatefulFunctions, Any]:
    """Return an app whose function fails so many times."""
    app, left = StatefulFunctions(), [times]

    @app.bind("example/failing")
    def fail(context: Context[GreeterState], message: str) -> None:
        context.state.visits += 1
        if left[0] and context.address.identity == "f":
            left[0] -= 1
            raise LookupError("no luck")

    return app, fail


def test_what_a_function_raises() -> None:
    """What a function raises ends the run, as it is."""
    app, function = failing(1)
    harness = Harness(app)
    harness.send(function.at("f"), "x")
    with pytest.raises(LookupError) as raised:
        harness.run()
    assert raised.value.args == ("no luck",)
    assert (harness.state(function, "f"), harness.failures) == (GreeterState(), {})


def test_retry() -> None:
    """With retry, its address waits, says why, and tries again as time passes; others go on."""
    app, function = failing(3)
    harness = Harness(app, retry=True)
    for id in ("f", "f", "g"):
        harness.send(function.at(id), "x")
    harness.run()
    address = Address("example", "failing", "f")
    assert harness.failures == {address: "LookupError: no luck"}
    assert harness.pending.to(function.at("f")) == ["x", "x"]
    assert harness.state(function, "g").visits == 1
    harness.advance(timedelta(minutes=1))
    assert (harness.failures, harness.pending, harness.state(function, "f").visits) == ({}, [], 2)
    assert repr(harness) == "Harness(functions, retry=True)"


def test_what_would_fail_a_job() -> None:
    """An effect that would fail a job ends the run, and says where."""
    app = StatefulFunctions()

    @app.bind("example/twice")
    def twice(context: Context, message: int) -> None:
        context.send_after(HALF_AN_HOUR, twice.at("t"), message, token="t")

    harness = Harness(app)
    for _ in range(2):
        harness.send(twice.at("t"), 1)
        if not harness.delayed:
            harness.run()
    with pytest.raises(HarnessError) as raised:
        harness.run()
    assert str(raised.value) == (
        "the reply of example/twice/t would fail a job: "
        "the token 't' belongs to a delayed message that is still to come"
    )


def test_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that never comes to rest is stopped."""
    monkeypatch.setattr(_machine, "_ENOUGH", 1_000)
    app = StatefulFunctions()

    @app.bind("example/loop")
    def loop(context: Context, message: int) -> None:
        context.send(loop.at("l"), message)

    harness = Harness(app)
    harness.send(loop.at("l"), 1)
    with pytest.raises(HarnessError) as raised:
        harness.run()
    assert str(raised.value) == (
        "the app does not come to rest: 1,000 messages were handled in one run; example/loop/l has a message still"
    )


def test_what_is_refused() -> None:
    """What a cluster could never receive is refused where it is sent, and time does not go back."""
    harness = Harness(functions)
    with pytest.raises(UnknownFunction) as unknown:
        harness.send(SHIPPING.at("1"), 5)
    assert str(unknown.value) == (
        "no function is bound to 'elsewhere/shipping' (bound: example/greeter, example/liner)"
    )
    untyped: Any = harness
    with pytest.raises(SendError) as wrong:
        untyped.send(greeter.at("bob"), 5)
    assert str(wrong.value) == "example/greeter accepts GreetRequest | Login | Note, not int"
    with pytest.raises(HarnessError) as back:
        harness.advance(timedelta(seconds=-1))
    assert str(back.value) == "time does not go back, by datetime.timedelta(days=-1, seconds=86399)"


# --- a module.yaml ---

OLD = """
version: "2.0"
module:
  meta: {type: remote}
  spec:
    functions:
      - function:
          meta: {kind: http, type: example/counter}
          spec:
            endpoint: http://app:8000/statefun
            maxNumBatchRequests: 2
            states:
              - {name: seen, expireAfter: 1h, expireMode: after-write}
    ingresses: []
    egresses:
      - egress:
          meta: {type: statefun.kafka.io/generic-egress, id: example/out}
          spec: {address: "kafka:9092"}
"""


class Counted(State):
    """How much was seen."""

    seen: SeenCount | None = value(default=None, expire_after_write=timedelta(hours=1))


def test_a_module(tmp_path: Path) -> None:
    """A module.yaml gives the wire, the states with their expiration, and the egresses that there are."""
    app = StatefulFunctions()

    @app.bind("example/counter")
    def counter(context: Context[Counted], message: int) -> None:
        context.state.seen = SeenCount(value=message)
        if message > 1:
            context.pack_and_send_egress("example/nowhere", "x")

    path = tmp_path / "module.yaml"
    path.write_text(OLD)
    harness = Harness(app, module.read(path))
    assert harness.wire == "v2"
    harness.send(counter.at("c"), 1)
    harness.advance(timedelta(minutes=59))
    assert harness.state(counter, "c") == Counted(seen=SeenCount(value=1))
    harness.advance(timedelta(minutes=1))
    assert harness.state(counter, "c") == Counted()
    harness.send(counter.at("c"), 2)
    with pytest.raises(HarnessError) as raised:
        harness.run()
    assert str(raised.value) == (
        "the reply of example/counter/c would fail a job: there is no egress 'example/nowhere'"
    )


def test_values_outside_of_the_state() -> None:
    """A function without a State can be looked at, too: there is nothing in it."""
    spec = ValueSpec("n", int)
    app = StatefulFunctions()

    @app.bind("example/spec", states=[spec])
    def function(context: Context, message: int) -> None:
        context[spec] = (context[spec] or 0) + message
        context.send_egress(TOTALS, context[spec] or 0)

    harness = Harness(app)
    for _ in range(2):
        harness.send(function.at("f"), 2)
        harness.run()
    assert harness.egress(TOTALS) == [Record(2), Record(4)]
    assert testing.show(harness.state(function, "f")) == "State()"

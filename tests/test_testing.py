"""The context of a unit test."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import Cancel, Greeting, GreetRequest, Login, SeenCount, Ship

from statefun import (
    Address,
    Context,
    FunctionRef,
    KafkaEgress,
    KinesisEgress,
    MessageEgress,
    State,
    StatefulFunctions,
    ValueSpec,
    kafka_egress_record,
    testing,
    types,
    value,
)
from statefun._proto.egress_pb2 import KafkaProducerRecord
from statefun.errors import DeclarationError, SendError, StateError, UndeclaredState
from tests.kinds import Item, Kinds, Money
from tests.peer import packed, typed
from tests.refusals import refusal

HOUR = timedelta(hours=1)
SHIPPING = FunctionRef[Ship | Cancel | Annotated[int, types.INT32]]("shop/shipping")
GREETINGS = KafkaEgress[Greeting]("example/greets", topic="greetings")
SEEN = ValueSpec("seen", Login)


class Greeted(State):
    """The State of the greeter."""

    seen: SeenCount | None = None
    visits: int = 0
    tags: list[str] = value(default_factory=list[str])


functions = StatefulFunctions()


@functions.bind("example/greeter")
def greeter(context: Context[Greeted], message: GreetRequest | Login) -> None:
    """Greet, as the README does."""
    state = context.state
    match message:
        case GreetRequest():
            state.visits += 1
            text = f"Hello {message.name}, visit {state.visits}"
            context.send_egress(GREETINGS, Greeting(text=text), key=message.name)
            if context.caller is not None:
                context.reply(Greeting(text=text))
        case Login():
            context.send_after(HOUR, greeter.at(context.address.identity), GreetRequest(name="again"))


@functions.bind("example/caller")
async def caller(context: Context, message: Login) -> None:
    """Call the greeter."""
    await asyncio.sleep(0)
    context.send(greeter.at(message.user_id), GreetRequest(name=message.user_id))
    context.send(SHIPPING.at("order-1"), Ship(order_id="order-1"))


def test_a_unit_test() -> None:
    """A function is called as it is, and the context tells what it did."""
    context = testing.context(Greeted(visits=2), address="example/greeter/bob", caller="example/caller/c1")
    greeter(context, GreetRequest(name="bob"))
    assert context.state.visits == 3
    assert context.egress.to(GREETINGS) == [Greeting(text="Hello bob, visit 3")]
    assert context.sent == [testing.Sent(Address("example", "caller", "c1"), Greeting(text="Hello bob, visit 3"))]
    greeter(context, Login(user_id="bob"))
    again = testing.Delayed(Address("example", "greeter", "bob"), GreetRequest(name="again"), HOUR)
    assert context.delayed == [again]
    assert context.delayed.to(greeter) == context.delayed.to(greeter.at("bob")) == [GreetRequest(name="again")]
    assert context.delayed.to(greeter.at("alice")) == context.sent.to(greeter) == []


def test_an_async_function() -> None:
    """An async function is awaited, in whatever loop the test has."""
    context = testing.context()
    asyncio.run(caller(context, Login(user_id="bob")))
    assert context.sent.to(greeter) == [GreetRequest(name="bob")]
    assert context.sent.to(SHIPPING.at("order-1")) == [Ship(order_id="order-1")]


def test_what_left() -> None:
    """What left an egress is remembered with its options and with the record that a runtime would get."""
    context = testing.context(Greeted())
    greeter(context, GreetRequest(name="bob"))
    (left,) = context.egress
    assert (left.egress, left.value, left.options) == (
        "example/greets",
        Greeting(text="Hello bob, visit 1"),
        {"key": "bob"},
    )
    record = KafkaProducerRecord.FromString(left.record.value)
    assert record == GREETINGS.record(Greeting(text="Hello bob, visit 1"), key="bob")
    assert left.record.type_url.rpartition(".")[2] == "KafkaProducerRecord"


def test_every_egress() -> None:
    """Each way to send out is remembered in order."""
    clicks = KinesisEgress[str]("example/clicks", stream="s")
    totals = MessageEgress[int]("example/totals")
    context = testing.context()
    context.send_egress(clicks, "a", partition_key="p")
    context.send_egress(totals, 5)
    context.send_egress("example/any", typed("a/b", b"c"))
    context.pack_and_send_egress("example/lines", kafka_egress_record("t", "v"))
    assert [(left.egress, left.value, dict(left.options)) for left in context.egress] == [
        ("example/clicks", "a", {"partition_key": "p"}),
        ("example/totals", 5, {}),
        ("example/any", typed("a/b", b"c"), {}),
        ("example/lines", kafka_egress_record("t", "v"), {}),
    ]
    assert context.egress.to(clicks) == ["a"]
    assert context.egress[1].record == types.pack(5)
    assert context.egress[2].record == typed("a/b", b"c")


def test_later_changes_do_not_show() -> None:
    """What is remembered is what left: a message that is changed afterwards is not."""
    context = testing.context(caller="a/b/c")
    ship, item = Ship(order_id="1"), Item("s")
    context.send(SHIPPING.at("1"), ship)
    context.send_after(HOUR, SHIPPING.at("1"), ship)
    context.pack_and_send_egress("a/out", item)
    context.send_egress(MessageEgress[Item]("a/out"), item)
    ship.order_id, item.sku = "changed", "changed"
    assert context.sent[0].message == context.delayed[0].message == Ship(order_id="1")
    assert [left.value for left in context.egress] == [Item("s"), Item("s")]


def test_what_was_sent() -> None:
    """Messages of every kind are remembered as what the receiver would see; an Any as it is."""
    context = testing.context(caller="a/b/c")
    context.send(SHIPPING.at("1"), 5)
    context.send("a/b", "1", typed("x/y", b"z"))
    context.pack_and_send("a/b", "1", Item("s"))
    context.pack_and_send("a/b", "2", Money(5))
    context.reply(1.5)
    assert [sent.message for sent in context.sent] == [5, typed("x/y", b"z"), Item("s"), Money(5), 1.5]
    assert [str(sent.to) for sent in context.sent] == ["shop/shipping/1", "a/b/1", "a/b/1", "a/b/2", "a/b/c"]
    assert context.sent.to(SHIPPING) == [5]


def test_tokens() -> None:
    """Delayed messages keep their token, also those that were cancelled."""
    context = testing.context()
    context.send_after(HOUR, SHIPPING.at("1"), Ship(), token="t1")
    context.send_after(HOUR, "shop/shipping", "1", packed(Ship()), token="t2")
    context.send_after(timedelta(microseconds=1_999), SHIPPING.at("1"), Ship())
    context.cancel("t1")
    assert [(delayed.token, delayed.delay) for delayed in context.delayed] == [
        ("t1", HOUR),
        ("t2", HOUR),
        (None, timedelta(milliseconds=1)),
    ]
    assert context.cancelled == ["t1"]
    assert refusal(SendError, lambda: context.send_after(HOUR, SHIPPING.at("1"), Ship(), token="t2"))


def test_what_is_refused() -> None:
    """What is refused at the call is refused in a test, and nothing of it is remembered."""
    context = testing.context()
    untyped: Any = context
    text = "there is nobody to reply to: the message came from an ingress"
    assert refusal(SendError, lambda: context.reply(Greeting())) == text
    assert refusal(SendError, lambda: untyped.send(SHIPPING.at("1"), Login())) == (
        "shop/shipping accepts Ship | Cancel | Annotated[int, types.INT32], not Login"
    )
    assert refusal(SendError, lambda: untyped.send_egress(GREETINGS, Login())) == (
        "egress 'example/greets' takes Greeting, not Login"
    )
    assert refusal(DeclarationError, lambda: context.send_egress("nowhere", AnyPb())).startswith("'nowhere' is not a ")
    assert refusal(DeclarationError, lambda: context.pack_and_send("nowhere", "1", 5)).startswith("'nowhere' is not a ")
    assert (context.sent, context.egress) == ([], [])


# --- what is around ---


def test_address_caller_and_headers() -> None:
    """What a runtime would say can be given, as text or as an Address."""
    context = testing.context(address="a/b/c", caller=Address("d/e", "f", ""), headers=[("k", b"v"), ("k", None)])
    assert context.address == Address("a", "b", "c")
    assert context.caller == Address("d/e", "f", "")
    assert list(context.headers) == [("k", b"v"), ("k", None)]
    plain = testing.context()
    assert (str(plain.address), plain.caller, list(plain.headers)) == ("test/function/id", None, [])


@pytest.mark.parametrize("text", ["bob", "greeter/bob", ""])
def test_no_address(text: str) -> None:
    """A text that is no address is refused."""
    expected = f"{text!r} is not an address: it must be '<namespace>/<type>/<identity>', e.g. 'example/greeter/bob'"
    assert refusal(DeclarationError, lambda: testing.context(address=text)) == expected
    assert refusal(DeclarationError, lambda: testing.context(caller=text)) == expected


# --- state ---


def test_the_given_state_stays() -> None:
    """The State that a test gives is what is stored before the call: it stays as it is."""
    given = Greeted(visits=2, tags=["a"], seen=SeenCount(value=1))
    context = testing.context(given)
    context.state.visits += 1
    context.state.tags.append("b")
    assert context.state.seen is not None
    context.state.seen.value = 5
    assert given == Greeted(visits=2, tags=["a"], seen=SeenCount(value=1))
    assert context.state == Greeted(visits=3, tags=["a", "b"], seen=SeenCount(value=5))


def test_every_way_to_look() -> None:
    """The state can be looked at in each way, before, during and after the call."""
    context = testing.context(Kinds(specs=2, item=Item("s")))
    assert context.state == Kinds(specs=2, item=Item("s"))
    assert context.state("item").unpack(Item) == Item("s")
    assert context["specs"] == types.pack(2)
    assert (context["flag"], context["keys"]) == (None, None)
    context.state("specs").pack(3)
    context["keys"] = types.pack(7)
    del context.state.item
    assert (context.state.specs, context.state.keys, context.state.item) == (3, 7, None)


def test_a_default_is_not_stored() -> None:
    """A value that is its default was never written, as in production."""
    context = testing.context(Greeted(visits=0, tags=[]))
    assert (context["visits"], context["tags"]) == (None, None)


def test_values_that_are_listed() -> None:
    """A ValueSpec that is listed where the function is bound can be used; a test need not know where that is."""
    context = testing.context(Greeted(seen=SeenCount(value=1)))
    listed = ValueSpec("listed", Item, default=lambda: Item("s"))
    assert context[listed] == Item("s")
    context[listed] = Item("t")
    assert context["listed"] == types.pack(Item("t"))
    assert refusal(UndeclaredState, lambda: context[SEEN]) == (
        "test/function declares the state 'seen' by another ValueSpec"
    )


def test_undeclared_values() -> None:
    """Without a State every name may be used, as in 2.x; with one, those that it declares."""
    plain = testing.context()
    plain.state("anything").pack(5)
    assert plain["anything"] == types.pack(5)
    plain["other"] = typed("a/b", b"c")
    del plain["anything"]
    assert plain.state("anything").value is None
    assert refusal(UndeclaredState, lambda: testing.context(Greeted())["other"]) == (
        "test/function declares no state 'other' (it declares seen, visits, tags)"
    )
    assert refusal(StateError, lambda: plain["batch"])


def test_wrong_states() -> None:
    """A value that a type checker would refuse is refused where the State is made."""
    untyped: Any = Greeted
    assert refusal(StateError, lambda: untyped(visits="2")) == "state 'visits' holds int, not str: '2'"

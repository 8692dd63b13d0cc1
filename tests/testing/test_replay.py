"""Recorded requests, run again."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.wrappers_pb2 import Int32Value
from shop_pb2 import Greeting, GreetRequest

from statefun import (
    Context,
    DeadLetter,
    FunctionRef,
    KafkaEgress,
    KinesisEgress,
    MessageEgress,
    RequestReplyHandler,
    State,
    StatefulFunctions,
    dead_letter,
    testing,
    value,
)
from statefun._wire.effects import read_effects
from statefun.errors import PeerError
from statefun.recording import Exchange, record
from tests.peer import BOTH, Wire, packed, request, typed

KAFKA = KafkaEgress[Greeting]("example/kafka", topic="greetings")
KINESIS = KinesisEgress[bytes]("example/kinesis", stream="s")
OTHER = MessageEgress[Greeting]("example/other")
FRIEND = FunctionRef[int]("example/friend")


class Everything(State):
    """What is stored."""

    visits: int = 0
    gone: str | None = value(default=None, expire_after_call=timedelta(seconds=1))


def old() -> StatefulFunctions:
    """Make the app of yesterday, which does everything that a reply can do."""
    functions = StatefulFunctions()

    @functions.bind("example/all")
    def everything(context: Context[Everything], message: GreetRequest) -> None:
        context.state.visits += 1
        context.state.gone = None
        context.send(FRIEND.at("f"), 7)
        context.send("example/raw", "r", AnyPb(type_url="unknown/type", value=b"\x01\x02"))
        context.send_after(timedelta(seconds=1), FRIEND.at("f"), 8)
        context.send_egress(KAFKA, Greeting(text="hello"), key="k")
        context.send_egress(KINESIS, b"bytes", partition_key="p")
        context.send_egress(OTHER, Greeting(text="hello"))
        context.pack_and_send("example/boxed", "b", Int32Value(value=3))

    return functions


def new() -> StatefulFunctions:
    """Make the app of today, which does nothing of it."""
    functions = StatefulFunctions()

    @functions.bind("example/all")
    def nothing(context: Context[Everything], message: GreetRequest) -> None: ...

    return functions


def body(wire: Wire, states: dict[str, AnyPb | None] | None = None) -> bytes:
    """Return a request."""
    gone = typed("io.statefun.types/string", b"\x0a\x01x")
    known = {"visits": None, "gone": gone} if states is None else states
    return request(wire, packed(GreetRequest(name="bob")), function="example/all", states=known)


@pytest.mark.parametrize("wire", BOTH)
def test_replay(wire: Wire, tmp_path: Path) -> None:
    """What is done otherwise today is shown, decoded, from both sides; what is the same is not."""
    handler = record(RequestReplyHandler(old()), tmp_path)
    handler(body(wire))
    assert testing.replay(tmp_path, old()) == []
    (found,) = testing.replay(str(tmp_path), new())
    assert str(found).splitlines() == [
        'request 1 to example/all/x: GreetRequest(name: "bob")',
        "  - store visits: 1",
        "  - delete gone",
        "  - send in 1000 ms to example/friend/f: 8",
        "  - send to example/friend/f: 7",
        "  - send to example/raw/r: unknown/type 0102",
        "  - send to example/boxed/b: 3",
        "  - egress example/kafka: greetings <- 'k': b'\\n\\x05hello'",
        "  - egress example/kinesis: s <- 'p': b'bytes'",
        '  - egress example/other: Greeting(text: "hello")',
    ]


def test_registration(tmp_path: Path) -> None:
    """States that are asked for are part of a reply of v3."""
    record(RequestReplyHandler(old()), tmp_path)(body("v3", {}))
    functions = StatefulFunctions()

    @functions.bind("example/all")
    def stateless(context: Context, message: GreetRequest) -> None:
        context.send_after(timedelta(seconds=1), FRIEND.at("f"), 8, token="t")
        context.cancel("u")

    (found,) = testing.replay(tmp_path, functions)
    assert found.was == (
        "register visits: io.statefun.types/long",
        "register gone: io.statefun.types/string, AFTER_INVOKE 1000 ms",
    )
    assert found.now == ("send in 1000 ms to example/friend/f as t: 8", "cancel u")


def test_errors(tmp_path: Path) -> None:
    """An error that is gone, or new, is a difference; the same error is none."""
    functions = StatefulFunctions()

    @functions.bind("example/all")
    async def fails(context: Context, message: GreetRequest) -> None:
        await asyncio.sleep(0)
        text = "not today"
        raise RuntimeError(text)

    record(RequestReplyHandler(new()), tmp_path)(body("v3"))
    (found,) = testing.replay(tmp_path, functions)
    assert str(found) == ('request 1 to example/all/x: GreetRequest(name: "bob")\n  + raised RuntimeError: not today')


def test_order(tmp_path: Path) -> None:
    """The same effects in another order are a difference, and both orders are shown."""

    def app(*order: int) -> StatefulFunctions:
        functions = StatefulFunctions()

        @functions.bind("example/all")
        def sends(context: Context, message: GreetRequest) -> None:
            for number in order:
                context.send(FRIEND.at("f"), number)

        return functions

    record(RequestReplyHandler(app(1, 2)), tmp_path)(body("v3"))
    (found,) = testing.replay(tmp_path, app(2, 1))
    assert str(found).splitlines()[1:] == [
        "  the same, in another order or number:",
        "  - send to example/friend/f: 1",
        "  - send to example/friend/f: 2",
        "  + send to example/friend/f: 2",
        "  + send to example/friend/f: 1",
    ]


def test_inside_a_loop(tmp_path: Path) -> None:
    """It works inside a running event loop."""

    async def run() -> list[testing.Difference]:
        return testing.replay(tmp_path, new())

    assert asyncio.run(run()) == []


@pytest.mark.parametrize("wire", BOTH)
@pytest.mark.parametrize("egress", [MessageEgress[DeadLetter]("t/dead"), KafkaEgress[DeadLetter]("t/dead", topic="d")])
def test_dead_letters(egress: MessageEgress[DeadLetter] | KafkaEgress[DeadLetter], wire: Wire, tmp_path: Path) -> None:
    """A dead letter of another time and from another line is the same; one of another error is not."""

    def app(error: Exception) -> StatefulFunctions:
        functions = StatefulFunctions(on_failure=dead_letter(egress))

        @functions.bind("example/all")
        def fail(_context: Context, message: GreetRequest) -> None:
            raise error

        return functions

    clock = (datetime(2026, 1, day, tzinfo=timezone.utc) for day in (1, 2, 3))
    handler = record(RequestReplyHandler(app(ValueError("bad")), clock=lambda: next(clock)), tmp_path)
    handler(body(wire))
    assert testing.replay(tmp_path, app(ValueError("bad"))) == []
    (found,) = testing.replay(tmp_path, app(ValueError("worse")))
    where = "egress t/dead: d <- 'x'" if isinstance(egress, KafkaEgress) else "egress t/dead"
    letter = (
        "DeadLetter(address=Address(namespace='example', type='all', identity='x'), caller=None, "
        "typename='type.googleapis.com/shop.GreetRequest', payload=b'\\n\\x03bob', error='ValueError', "
        "text='{}', attempts=1, headers=())"
    )
    assert (found.was, found.now) == tuple((f"{where}: {letter.format(text)}",) for text in ("bad", "worse"))


def test_bytes_that_differ_only(tmp_path: Path) -> None:
    """A reply whose bytes are others, and whose effects are not, is the same."""

    def change(exchange: Exchange) -> Exchange:
        # an unknown field, which every reader skips
        return Exchange(request=exchange.request, reply=(exchange.reply or b"") + b"\xf8\x7f\x01")

    record(RequestReplyHandler(old()), tmp_path, redact=change)(body("v3"))
    assert testing.replay(tmp_path, old()) == []


@pytest.mark.parametrize("wire", BOTH)
def test_no_reply(wire: Wire) -> None:
    """Bytes that are no reply are refused."""
    with pytest.raises(PeerError, match=r"^the 1 bytes of the reply are no FromFunction message of StateFun: "):
        read_effects(wire, b"\xff")

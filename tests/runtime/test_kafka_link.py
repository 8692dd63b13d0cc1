"""Records into librdkafka's mock cluster, at least once; and a whole runtime between two topics of it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from statefun import Context, KafkaEgress, State, StatefulFunctions
from statefun._clock import WallClock
from statefun.errors import ConfigError
from statefun.module import read_text
from statefun.module._model import KafkaEgress as EgressOfFile
from statefun.runtime._driver import Driver
from statefun.runtime._kafka_link import Away, PlainLink, RefusedRecord, _Limited, link_of
from statefun.runtime._kafka_records import Outgoing
from statefun.runtime._sinks import SinkError
from statefun.runtime._surroundings import surroundings
from tests.runtime.kafka_rig import EARLIEST, Mock, module, opened


def egress(address: str, properties: str = "[]", delivery: str = "at-least-once") -> EgressOfFile:
    """Return an egress as module.yaml says it."""
    text = module(address, delivery=delivery) + f"  properties: {properties}\n"
    made = read_text(text, runtime="embedded").egresses[0]
    assert isinstance(made, EgressOfFile)
    return made


def test_records() -> None:
    """Records arrive as they are: key, value, headers; without a key it is null."""
    mock = Mock()
    link = PlainLink(egress(mock.address))
    assert link.recover("") is None
    link.send(
        [Outgoing(1, "x", b"k", b"v", [("h", b"1"), ("h", None)]), Outgoing(2, "x", None, b"", None)], "", ""
    )  # fmt: skip
    assert sorted(mock.read("x", 2), key=str) == [(None, b"", None), (b"k", b"v", [("h", b"1"), ("h", None)])]
    link.close()
    with pytest.raises(Away, match=r"^there is no producer$"):
        link.send([Outgoing(1, "x", None, b"", None)], "", "")


def test_none() -> None:
    """The delivery `none` is served as at-least-once."""
    made = link_of(egress(Mock().address, delivery="none"), "name")()
    assert type(made) is PlainLink
    made.close()


def test_a_call_that_hangs() -> None:
    """A call of the client that does not come back is left behind: the link begins anew."""
    limited, over = _Limited(), threading.Event()

    def lost() -> None:
        raise KeyError("x")

    def hang() -> None:
        over.wait(20)

    limited.call(lambda: None, 5)
    with pytest.raises(KeyError, match=r"^'x'$"):
        limited.call(lost, 5)
    with pytest.raises(Away, match=r"^the client does not come back$"):
        limited.call(hang, 0.1)
    over.set()
    limited.end()


def test_too_large() -> None:
    """A record that is larger than message.max.bytes is refused, by its number."""
    link = PlainLink(egress(Mock().address))
    with pytest.raises(RefusedRecord) as caught:
        link.send([Outgoing(1, "x", None, b"1", None), Outgoing(2, "x", None, b"x" * 1_100_000, None)], "", "")
    link.close()
    assert caught.value.seq == 2
    assert caught.value.sure
    assert str(caught.value) == (
        "1100000 bytes: Unable to produce message: Broker: Message size too large (MSG_SIZE_TOO_LARGE)"
    )


def test_properties() -> None:
    """A property that the client does not know is refused at the start."""
    with pytest.raises(SinkError) as caught:
        PlainLink(egress("x", "[{no.such: 1}]"))
    assert str(caught.value) == "egress 't/out': No such configuration property: \"no.such\" (_INVALID_ARG)"


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Kafka's client the error names the extra."""
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(ConfigError) as caught:
        link_of(egress("x"), "name")
    assert str(caught.value) == (
        "egress 't/out' is Kafka, and its client cannot be imported: import of confluent_kafka halted; None in "
        "sys.modules\n  help: pip install 'statefun[kafka]'"
    )


OUT = KafkaEgress[str]("t/out", topic="out")


class Count(State):
    """How many came."""

    n: int = 0


def app() -> StatefulFunctions:
    """Count, and pass on with the headers."""
    functions = StatefulFunctions()

    @functions.bind("t/f")
    def f(context: Context[Count], message: bytes) -> None:
        context.state.n += 1
        text = f"{message.decode()} {context.state.n}"
        context.send_egress(OUT, text, key=context.address.identity, headers=context.headers)

    return functions


def wake(loop: asyncio.AbstractEventLoop, driver: Driver) -> None:
    """Wake a driver from a thread of Kafka's."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(driver.wake)


def run(mock: Mock, data: Path, enough: Callable[[Driver], bool]) -> None:
    """Run the app between the topics `in` and `out` until it is enough."""

    async def until_enough() -> None:
        text = module(mock.address, spec=f"{EARLIEST}  forwardHeaders: true\n")
        with opened(app(), text, data) as runtime:
            driver, loop = Driver(runtime.pump, WallClock()), asyncio.get_running_loop()
            around = surroundings(
                read_text(text, runtime="embedded"), runtime.values, "v3", stub=None, moved=driver.moved,
                name=runtime.name, wake=lambda: wake(loop, driver),
            )  # fmt: skip
            driver.sources += around.sources
            driver.senders.all += around.senders
            driver.on_commit.append(lambda _delta: driver.stop() if enough(driver) else None)
            await asyncio.wait_for(driver.run(), 30)

    asyncio.run(until_enough())


def test_from_topic_to_topic(tmp_path: Path) -> None:
    """Records go in, through functions with state, and out with their headers; a second run goes on."""
    mock = Mock()
    mock.make("in")
    mock.put("in", (b"a", b"1"), (b"b", b"2"), (b"a", b"3"), headers=[("h", b"x")])
    run(mock, tmp_path, lambda driver: driver.fed == 3 and driver.senders.idle())
    mock.put("in", (b"a", b"4"))
    run(mock, tmp_path, lambda driver: driver.fed == 1 and driver.senders.idle())
    assert sorted(mock.read("out", 4), key=str) == [
        (b"a", b"1 1", [("h", b"x")]),
        (b"a", b"3 2", [("h", b"x")]),
        (b"a", b"4 3", None),
        (b"b", b"2 1", [("h", b"x")]),
    ]

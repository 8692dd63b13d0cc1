"""Senders, on a Kafka in memory that they may die at any point of."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Sequence

import pytest

from statefun.runtime._delta import Delta
from statefun.runtime._kafka_link import Away, Unusable
from statefun.runtime._kafka_records import Outgoing
from statefun.runtime._memory import MemoryStore
from statefun.runtime._outbox import Mark
from statefun.runtime._plans import Names
from statefun.runtime._senders import Sender
from statefun.runtime._sinks import SinkError
from tests.runtime.outbox_rig import DEATH, FakeKafka, FakeLink, OutboxContract, World, to


@pytest.fixture
def kafka() -> FakeKafka:
    """Return a Kafka in memory."""
    return FakeKafka()


def world_of(kafka: FakeKafka, *, exact: bool = True) -> World:
    """Return a process and its store."""
    return World(lambda crash: FakeLink(kafka, "x", crash, exact=exact), lambda: kafka.records, kafka.marks.clear)


@pytest.fixture
def world(kafka: FakeKafka) -> Generator[World]:
    """Return a process that sends exactly once."""
    world = world_of(kafka)
    yield world
    world.senders.close()


class TestExactly(OutboxContract):
    def test_away(self, world: World, kafka: FakeKafka, caplog: pytest.LogCaptureFixture) -> None:
        """While the brokers are away it waits, says so once, and goes on when they answer."""
        world.run()
        world.put()
        kafka.away = 4
        with caplog.at_level(logging.WARNING, "statefun.kafka"):
            assert world.run() is None
        assert world.numbers() == to(3)
        assert [record.getMessage() for record in caplog.records] == [
            "egress 't/out': the brokers are away; its records are kept, and sent when it is mended",
            "egress 't/out': Kafka answers again",
        ]

    def test_held_is_written_down(self, world: World, kafka: FakeKafka) -> None:
        """What is held stands in the store, for the command line; so does a decision, for the next start."""
        world.put(b"0" * 100_001)
        held = world.run()
        assert held is not None
        assert '"held": ["refused", "Kafka takes no record 1:' in world.store.positions()["out kafka:t/out"]
        kafka.largest *= 2
        world.die()
        assert world.run() is None
        assert len(kafka.records) == 1

    def test_a_decision_of_another_process(self, world: World) -> None:
        """A decision that the command line wrote while nothing ran is done at the start."""
        from statefun.runtime._delta import Delta  # noqa: PLC0415
        from statefun.runtime._outbox import decided  # noqa: PLC0415

        world.put(b"0" * 100_001, b"2")
        world.run()
        progress = decided(world.sender.progress, "confirm")
        world.store.commit(Delta(positions={"out kafka:t/out": progress.to_json()}))
        world.die()
        assert world.run() is None
        assert world.numbers() == [2]

    def test_nothing_to_decide(self, world: World) -> None:
        """There is nothing to decide where nothing is held."""
        world.run()
        with pytest.raises(ValueError, match=r"^$"):
            world.sender.decide("resend")

    def test_what_may_be_forgotten(self, world: World, kafka: FakeKafka) -> None:
        """Records are kept until they are sent; and too many of them stop the ingresses."""
        world.run()
        kafka.away = 1_000
        world.put()
        assert world.senders.settled(100) == 0
        assert not world.senders.full()
        world.sender.newest = 200_000
        assert world.senders.full()
        world.sender.newest = 3
        kafka.away = 0
        world.run()
        assert world.senders.settled(100) == 100

    def test_a_fault_in_the_thread(self, world: World, kafka: FakeKafka) -> None:
        """What goes wrong in the thread ends the run, with its text."""
        world.run()
        kafka.epochs = None  # type: ignore[assignment]  # breaks it
        world.put()
        with pytest.raises(SinkError) as caught:
            world.run()
        assert str(caught.value) == "egress 't/out': AttributeError: 'NoneType' object has no attribute 'get'"


@DEATH
@pytest.mark.parametrize("point", ["begun", "committed"])
def test_at_least_once(kafka: FakeKafka, point: str) -> None:
    """At least once: nothing is lost, and what was under way at a death may be there twice."""
    world = world_of(kafka, exact=False)
    world.put()
    world.run()
    world.put()
    world.die(point)
    assert world.run() is None
    world.senders.close()
    assert world.numbers() == (to(6) if point == "begun" else [*to(6), 4, 5, 6])


class Scripted:
    """A link of which each call raises what comes next, or works."""

    exact = True

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.closed = False

    def recover(self, topic: str) -> Mark | None:
        """Do what comes next."""
        del topic
        if self._errors:
            raise self._errors.pop(0)
        return None

    def send(self, rows: Sequence[Outgoing], tag: str, topic: str) -> None:
        """Send nothing."""

    def close(self) -> None:
        """Note it."""
        self.closed = True


def opened(link: Scripted) -> tuple[Sender, MemoryStore]:
    """Open a sender on a link, and wait for what becomes of its beginning."""
    store = MemoryStore()
    woken = threading.Event()
    sender = Sender("t/out", lambda: link, woken.set)
    sender.open(None, store, Names(dict(store.start().names)), 0)
    woken.wait(1)
    return sender, store


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (SinkError("egress 't/out': no"), "egress 't/out': no"),
        (KeyError("x"), "egress 't/out': KeyError: 'x'"),
    ],
)
def test_an_error_of_the_thread(error: Exception, says: str) -> None:
    """What ends the thread is raised to the driver with its next commit, and the link is closed."""
    link = Scripted(error)
    sender, _ = opened(link)
    assert not sender.works
    with pytest.raises(SinkError) as caught:
        sender.intend(Delta())
    sender.close()
    assert str(caught.value) == says
    assert link.closed


def test_unusable(caplog: pytest.LogCaptureFixture) -> None:
    """While somebody has to act, that is said once, and the end is not waited for."""
    link = Scripted(Unusable("so it says (GROUP_AUTHORIZATION_FAILED)"))
    sender, _ = opened(link)
    assert sender.works
    sender.close()
    assert link.closed
    assert sender.intend(Delta()) is None
    assert caplog.messages == [
        "egress 't/out': so it says (GROUP_AUTHORIZATION_FAILED); its records are kept, and sent when it is mended"
    ]


def test_answers_again(caplog: pytest.LogCaptureFixture) -> None:
    """That Kafka answers again is said."""
    sender, _ = opened(Scripted(Away("away"), Away("still")))
    sender.close()
    assert caplog.messages == [
        "egress 't/out': away; its records are kept, and sent when it is mended",
        "egress 't/out': Kafka answers again",
    ]


def test_of(world: World) -> None:
    """A sender is found by its egress."""
    assert world.senders.of("t/out") is world.sender
    assert world.senders.of("t/other") is None
    assert not world.senders.full()

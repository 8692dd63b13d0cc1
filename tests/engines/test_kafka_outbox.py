"""The tagged outbox on a real broker: the same contract as on the Kafka in memory, and what only a real one does."""

# What Confluent's client gives back is typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false

from __future__ import annotations

import time
import uuid
from collections.abc import Generator
from datetime import timedelta

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from engines import Broker
from statefun.module import read_text
from statefun.module._model import ExactlyOnce, KafkaEgress
from statefun.runtime import _kafka_link
from statefun.runtime._kafka_link import Away, TransactionalLink
from statefun.runtime._kafka_records import Outgoing
from statefun.runtime._outbox import Mark
from tests.engines.kafka import Kafka, Record
from tests.runtime.outbox_rig import LARGEST, OutboxContract, World, to


@pytest.fixture(scope="module")
def expiring(tmp_path_factory: pytest.TempPathFactory) -> Generator[Broker]:
    """Start a broker that forgets transactional ids after seconds, not a week."""
    settings = {
        "auto.create.topics.enable": "false",
        "transactional.id.expiration.ms": "4000",
        "transaction.remove.expired.transaction.cleanup.interval.ms": "500",
    }
    broker = Broker.start(tmp_path_factory.mktemp("expiring") / "kafka", settings=settings)
    yield broker
    broker.stop()


def egress(address: str, **properties: str) -> KafkaEgress:
    """Return an egress as module.yaml says it."""
    listed = "".join(f"    - {name.replace('_', '.')}: {value}\n" for name, value in properties.items())
    text = f"""\
kind: io.statefun.kafka.v1/egress
spec:
  id: t/out
  address: {address}
  deliverySemantic: {{type: exactly-once, transactionTimeout: 1min}}
""" + (f"  properties:\n{listed}" if listed else "")
    made = read_text(text, runtime="embedded").egresses[0]
    assert isinstance(made, KafkaEgress)
    return made


class Place:
    """A topic and a name of its own on a broker."""

    def __init__(self, address: str, timeout_s: float = 60) -> None:
        self.address = address
        self.name = "t" + uuid.uuid4().hex[:8]
        self.delivery = ExactlyOnce(timeout=timedelta(seconds=timeout_s))
        self.admin = AdminClient({"bootstrap.servers": address})
        limits = {"max.message.bytes": str(LARGEST)}
        topic = NewTopic(self.name, num_partitions=1, replication_factor=1, config=limits)
        self.admin.create_topics([topic])[self.name].result()

    def world(self) -> World:
        """Return a process and its store."""
        return World(
            lambda crash: TransactionalLink(egress(self.address), self.delivery, self.name, crash),
            self.read, self.forget, self.name,
        )  # fmt: skip

    def read(self) -> list[bytes]:
        """Return what is committed."""
        with Kafka(self.address).consumer([self.name]) as reader:
            found = [*reader.some(seconds=2)]
            while more := reader.some(seconds=0.5):
                found += more
        return [record.value or b"" for record in found]

    def forget(self) -> None:
        """Delete the mark, as offsets.retention.minutes would."""
        self.admin.delete_consumer_groups([self.name])[self.name].result()


@pytest.fixture
def world(expiring: Broker) -> Generator[World]:
    """Return a process that sends to a real broker."""
    world = Place(expiring.address).world()
    yield world
    world.senders.close()


class TestReal(OutboxContract):
    def test_idle_past_the_expiry_of_the_id(self, world: World) -> None:
        """An application that was idle for so long that the broker has forgotten it goes on."""
        world.put()
        world.run()
        time.sleep(8)
        world.put()
        assert world.run() is None
        assert world.numbers() == to(6)


def test_a_stall_past_the_transaction_timeout(expiring: Broker) -> None:
    """One that stands still for longer than transactionTimeout is fenced, begins anew, and sends once."""
    place, stalled = Place(expiring.address, timeout_s=2), list[str]()

    def stall(point: str) -> None:
        if point == "marked" and not stalled:
            stalled.append(point)
            time.sleep(15)

    link = TransactionalLink(egress(place.address), place.delivery, place.name, stall)
    world = World(lambda _crash: link, place.read, place.forget, place.name)
    world.put()
    assert world.run() is None
    world.senders.close()
    assert stalled == ["marked"]
    assert world.numbers() == to(3)


def test_a_successor_fences(expiring: Broker) -> None:
    """Of two links of one name the older one can't commit."""
    place = Place(expiring.address)
    links = [TransactionalLink(egress(place.address), place.delivery, place.name) for _ in range(2)]
    for link in links:
        assert link.recover(place.name) is None
    with pytest.raises(Away):
        links[0].send([Outgoing(1, place.name, None, b"1", None)], "a", place.name)
    links[1].send([Outgoing(1, place.name, None, b"1", [("h", None), ("h", b"x")])], "b", place.name)
    mark = links[1].recover(place.name)
    assert mark is not None
    assert (mark.seq, mark.tag) == (1, "b")
    for link in links:
        link.close()
    assert place.read() == [b"1"]


class Unsaid:
    """The reader of a mark, which a broker does not say at first, as after it was killed in a commit."""

    def __init__(self, marker: Consumer) -> None:
        self._marker = marker
        self.asked = 0

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        """Say nothing, once."""
        self.asked += 1
        if self.asked == 1:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return self._marker.committed(partitions, timeout)

    def __getattr__(self, name: str) -> object:
        return getattr(self._marker, name)


def test_a_mark_that_is_not_said(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the broker does not say the mark, a transaction is ended, and the mark is as it was."""
    place = Place(kafka.address)
    link = TransactionalLink(egress(place.address), place.delivery, place.name)
    assert link.recover("") is None
    link.send([Outgoing(7, place.name, None, b"one", None)], "tag", place.name)
    monkeypatch.setattr(_kafka_link, "_UNSAID_S", 0.0)
    unsaid = Unsaid(link._marker)
    monkeypatch.setattr(link, "_marker", unsaid)
    assert link.recover(place.name) == Mark(7, "tag")
    assert unsaid.asked > 1
    assert "the transaction that may be in the way is ended" in caplog.text
    link.send([Outgoing(8, place.name, None, b"two", None)], "next", place.name)
    assert link.recover(place.name) == Mark(8, "next")
    assert place.read() == [b"one", b"two"]
    link.close()


def test_a_topic_that_is_not_there(expiring: Broker) -> None:
    """A record for a topic that does not exist is held; when it was made, resend sends it."""
    place = Place(expiring.address)
    world = World(
        lambda crash: TransactionalLink(egress(place.address), place.delivery, place.name, crash),
        place.read, place.forget, f"{place.name}-later",
    )  # fmt: skip
    world.put(b"1")
    held = world.run(90)
    assert held is not None
    assert held.text == (
        f"Kafka takes no record 1: topic '{place.name}-later', key none, 1 bytes: "
        "Broker: Unknown topic or partition (UNKNOWN_TOPIC_OR_PART)"
    )
    Kafka(place.address).make(f"{place.name}-later")
    assert world.decide("resend") is None
    world.senders.close()
    assert Kafka(place.address).read([f"{place.name}-later"], 1) == [Record(f"{place.name}-later", None, b"1")]

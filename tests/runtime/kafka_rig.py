"""librdkafka's mock cluster, which needs no Java: topics with four partitions, no transactions."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from statefun import StatefulFunctions
from statefun._proto.wire_v3_pb2 import Value
from statefun.module import read_text
from statefun.module._model import KafkaIngress
from statefun.runtime._assembly import Runtime
from statefun.runtime._kafka_source import KafkaReader, KafkaSource

Content = tuple[bytes | None, bytes | None]


class Mock:
    """A mock cluster, with its topics."""

    def __init__(self) -> None:
        self._home = Producer({"bootstrap.servers": "x", "test.mock.num.brokers": 1})
        brokers = self._home.list_topics(timeout=10).brokers.values()
        self.address = ",".join(f"{one.host}:{one.port}" for one in brokers)
        self._producer = Producer({"bootstrap.servers": self.address})

    def make(self, topic: str) -> None:
        """Let a topic come into being."""
        self._home.list_topics(topic, timeout=10)

    def put(
        self, topic: str, *records: Content, headers: list[tuple[str, bytes | None]] | None = None, partition: int = 0
    ) -> None:
        """Send records to one partition."""
        for key, value in records:
            self._producer.produce(topic, value, key, partition, headers=list(headers or ()))
        assert self._producer.flush(10) == 0

    def read(self, topic: str, count: int) -> list[tuple[bytes | None, bytes | None, object]]:
        """Return so many records of a topic with key, value and headers; fail if there are fewer."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "look"})
        consumer.assign([TopicPartition(topic, number, 0) for number in range(4)])
        found: list[tuple[bytes | None, bytes | None, object]] = []
        end = time.monotonic() + 60
        while len(found) < count:
            assert time.monotonic() < end, found
            found += [(one.key(), one.value(), one.headers()) for one in consumer.consume(100, 0.2)]
        consumer.close()
        return found


def module(address: str, *, spec: str = "", topic: str = "", delivery: str = "at-least-once") -> str:
    """Write a module.yaml with the topic `in` and an egress; `spec` and `topic` are further lines."""
    return f"""\
kind: io.statefun.kafka.v1/ingress
spec:
  id: t/in
  address: {address}
  consumerGroupId: g
{spec}\
  topics:
    - topic: in
      valueType: statefun.python/bytes
      targets: [t/f]
{topic}\
---
kind: io.statefun.kafka.v1/egress
spec:
  id: t/out
  address: {address}
  deliverySemantic: {{type: {delivery}, transactionTimeout: 1min}}
"""


EARLIEST = "  startupPosition: {type: earliest}\n"


@contextmanager
def opened(functions: StatefulFunctions, text: str, data: Path) -> Generator[Runtime]:
    """Open a runtime for a module.yaml."""
    with Runtime.in_process(functions, data, module=read_text(text, runtime="embedded")) as runtime:
        yield runtime


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


@contextmanager
def reading(
    mock: Mock | str,
    position: str | None = None,
    *,
    spec: str = EARLIEST,
    topic: str = "",
    moved: list[str] | None = None,
    discover_s: float = 30,
) -> Generator[KafkaSource]:
    """Read the topic `in` as a module.yaml says."""
    address = mock if isinstance(mock, str) else mock.address
    ingress = read_text(module(address, spec=spec, topic=topic), runtime="embedded").ingresses[0]
    assert isinstance(ingress, KafkaIngress)
    noted: list[str] = [] if moved is None else moved
    (source,) = KafkaReader(ingress, "v3", lambda: None, noted.append, discover_s=discover_s).sources
    source.open(position)
    try:
        yield source
    finally:
        source.close()


def take(source: KafkaSource, count: int) -> list[tuple[str, bytes]]:
    """Take so many records: id and value."""
    found: list[tuple[str, bytes]] = []

    def more() -> bool:
        while len(found) < count and (record := source.peek()) is not None:
            source.take()
            found.append((record[0], Value.FromString(record[1]).value))
        return len(found) == count

    until(more)
    return found


def placed(source: KafkaSource) -> None:
    """Wait until it is known where each partition begins."""
    until(lambda: source.peek() is None and source.position() is not None)

"""Records into Kafka and out of it again, for the tests on real runtimes."""

# What Confluent's client gives back is typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from typing_extensions import Self

__all__ = ["Kafka", "Reader", "Record"]

Headers = list[tuple[str, bytes | str | None]]


@dataclass(frozen=True, slots=True, order=True)
class Record:
    """A record of a topic; `key` is what was sent with it, and None where there was none."""

    topic: str
    key: str | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Kafka:
    """A broker, as its clients see it."""

    address: str

    def make(self, *topics: str, partitions: int = 1) -> None:
        """Make topics."""
        admin = AdminClient({"bootstrap.servers": self.address})  # must outlive its futures
        made = admin.create_topics(
            [NewTopic(topic, num_partitions=partitions, replication_factor=1) for topic in topics]
        )
        for future in made.values():
            future.result()

    def renew(self, *topics: str, partitions: int = 1) -> None:
        """Make topics, without anything in them or any group's position: what was there is deleted."""
        admin = AdminClient({"bootstrap.servers": self.address})
        known = set(admin.list_topics(timeout=30).topics)
        if gone := [topic for topic in topics if topic in known]:
            for future in admin.delete_topics(gone).values():
                future.result()
        groups = [group.group_id for group in admin.list_consumer_groups().result().valid]
        for future in admin.delete_consumer_groups(groups).values() if groups else ():
            with contextlib.suppress(KafkaException):  # of a reader that has just left
                future.result()
        self.make(*topics, partitions=partitions)

    def send(self, records: Iterable[Record]) -> None:
        """Send records; return when the broker has all of them."""
        producer = self.producer()
        for record in records:
            while True:
                try:
                    producer.produce(record.topic, record.value, record.key)
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(60) == 0

    def producer(self, settings: Mapping[str, str | int | bool] | None = None) -> Producer:
        """Make a producer of this broker."""
        known = {
            "bootstrap.servers": self.address, "linger.ms": 1, "message.max.bytes": 20_000_000, "log_level": 2,
            "enable.idempotence": True,  # or what is tried again, as on a topic just made, comes after what was not
        }  # fmt: skip
        return Producer({**known, **(settings or {})})

    def read(
        self, topics: Iterable[str], count: int, *, seconds: float = 120, quiet: float = 0.7, committed: bool = True
    ) -> list[Record]:
        """Return all that topics hold, in the order of each partition.

        It is waited until there are `count` records, and `quiet` seconds more for what should not come. Fails when
        there are fewer after so many `seconds`.
        """
        found: list[Record] = []
        end = time.monotonic() + seconds
        with self.consumer(topics, committed=committed) as reader:
            while len(found) < count:
                found += reader.some()
                assert time.monotonic() < end, f"{len(found)} records of {count}, e.g. {found[-3:]}"
            end = time.monotonic() + quiet
            while time.monotonic() < end:
                found += reader.some()
        return found

    def consumer(self, topics: Iterable[str], *, committed: bool = True) -> Reader:
        """Make a reader of topics from their beginning."""
        settings: dict[str, str | int | float | bool | Callable[..., object] | None] = {
            "bootstrap.servers": self.address,
            "group.id": f"test-{uuid.uuid4()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "fetch.message.max.bytes": 20_000_000,
            "fetch.wait.max.ms": 10,
        }
        consumer = Consumer(settings)
        metadata = consumer.list_topics(timeout=30)
        consumer.assign(
            [TopicPartition(topic, number, 0) for topic in topics for number in metadata.topics[topic].partitions]
        )
        return Reader(consumer)


class Reader:
    """A consumer that gives records."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def some(self, *, most: int = 500, seconds: float = 0.1) -> list[Record]:
        """Return the records that come within so many seconds."""
        return list(records(self._consumer.consume(most, seconds)))


def records(messages: Iterable[Message]) -> Iterator[Record]:
    """Make records of what the client gives. Raises AssertionError for what is none."""
    for message in messages:
        error = message.error()
        assert error is None or error.code() == KafkaError._PARTITION_EOF, error
        if error is None:
            key = message.key()
            name = message.topic()
            assert name is not None
            yield Record(name, key.decode() if isinstance(key, bytes) else key, _bytes(message.value()))


def _bytes(value: bytes | str | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value

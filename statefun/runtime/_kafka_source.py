"""Kafka as an ingress: its partitions read in a thread, its positions kept with the state.

Here: `KafkaReader`, one an ingress, with the consumer and the thread; `KafkaSource`, one a topic, which the driver
reads. What waits between them is bounded. Positions are written with the state that they belong to, in one commit: what
Kafka knows of the consumer group decides nothing but a first start at `group-offsets`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from statefun.errors import ConfigError, with_help
from statefun.module._model import InvalidRecords, KafkaIngress, Topic
from statefun.runtime._kafka_client import client, describe, error_of, never, settings, wrong
from statefun.runtime._kafka_records import Decoder
from statefun.runtime._kafka_start import PATIENCE_S, check, first_offsets, lowest
from statefun.runtime._plans import Wire
from statefun.runtime._sources import Record, SourceError, read_by_one

if TYPE_CHECKING:
    import confluent_kafka

__all__ = ["KafkaReader", "KafkaSource"]

log = logging.getLogger("statefun.kafka")

_MOST = 10_000
"""Records that wait for the driver."""
_MOST_BYTES = 32 << 20
_AT_ONCE = 500
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_IDLE_S = 0.1
_TELL_S = 5.0
_PREFETCH = {
    "queued.min.messages": 20_000,
    "queued.max.messages.kbytes": 16_384,
    "fetch.error.backoff.ms": 50,
}
"""What the client holds ahead: its own defaults are 100,000 records and 64 MiB a partition's queue."""

Item = tuple["Record | SourceError | dict[int, int] | None", int, int, int]
"""A record, or why there is none, or where partitions are begun; its partition, the offset after it, its size."""


class _Partition(Protocol):
    id: int


class _TopicMetadata(Protocol):
    partitions: dict[int, _Partition]
    error: confluent_kafka.KafkaError | None


class _Metadata(Protocol):
    topics: dict[str, _TopicMetadata]


class KafkaSource:
    """One topic of an ingress."""

    def __init__(self, reader: KafkaReader, ingress: KafkaIngress, topic: Topic, wire: Wire) -> None:
        self.name: str = f"kafka:{ingress.id}/{topic.name}"
        self.topic: str = topic.name
        self.targets: tuple[str, ...] = topic.targets
        self.forwards: bool = ingress.forward_headers if topic.forward_headers is None else topic.forward_headers
        self.invalid: InvalidRecords = topic.invalid_records or ingress.invalid_records
        self.decoder: Decoder = Decoder(topic.type, wire)
        self.offsets: dict[int, int] | None = None
        """The next record of each partition; None until that is known."""
        self.noted: dict[int, int] = {}
        """The same, as it was last written down."""
        self.queue: deque[Item] = deque()
        self.taken: int = 0
        self.taken_bytes: int = 0
        self.skipped: int = 0
        """Records without a key or a value that were passed over."""
        self._reader = reader

    def open(self, position: str | None) -> None:
        """Begin where the last run ended, when every topic of the ingress is opened."""
        if position is not None:
            known = cast("dict[str, dict[str, int] | int]", json.loads(position))
            self.offsets = {int(part): at for part, at in cast("dict[str, int]", known["offsets"]).items()}
            self.skipped = cast("int", known["skipped"])
        self._reader.opened(self)

    def peek(self) -> Record | None:
        """Return the next record without taking it. Raises SourceError."""
        queue = self.queue
        while queue:
            record = queue[0][0]
            if isinstance(record, tuple):
                return record
            if isinstance(record, SourceError):
                raise record
            if isinstance(record, dict):
                self.offsets = {**record, **(self.offsets or {})}
                queue.popleft()
            else:
                self.take()
                self.skipped += 1
            self._reader.moved(self.name)
        if self._reader.error is not None:
            raise self._reader.error
        return None

    def take(self) -> None:
        """Take the record that `peek` returned."""
        _, partition, after, size = self.queue.popleft()
        assert self.offsets is not None
        self.offsets[partition] = after
        self.taken += 1
        self.taken_bytes += size

    def read(self, most: int) -> list[Record]:
        """Take up to so many records. Raises SourceError."""
        return read_by_one(self, most)

    def position(self) -> str | None:
        """Return the next record of each partition."""
        if self.offsets is None:
            return None
        self.noted = dict(self.offsets)
        return json.dumps({"offsets": self.offsets, "skipped": self.skipped})

    @property
    def ended(self) -> bool:
        """There is always more to come."""
        return False

    def progress(self) -> tuple[int, int]:
        """Return how many records were taken."""
        return self.taken, 0

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()


class KafkaReader:
    """Reads the topics of one ingress."""

    def __init__(
        self, ingress: KafkaIngress, wire: Wire, wake: Callable[[], None], moved: Callable[[str], None], *,
        discover_s: float = 30.0,
    ) -> None:  # fmt: skip
        self.error: SourceError | None = None
        """Why reading has ended."""
        self.moved = moved
        """Tells the driver, on the driver's thread, that a position has changed."""
        self.sources: tuple[KafkaSource, ...] = tuple(
            KafkaSource(self, ingress, topic, wire) for topic in ingress.topics
        )
        self._ingress = ingress
        self._who = f"ingress {ingress.id!r}"
        self._kafka = client(self._who)
        self._wake = wake
        self._discover_s = discover_s
        self._by_topic = {source.topic: source for source in self.sources}
        self._unopened = {source.name for source in self.sources}
        self._reached: dict[tuple[str, int], int] = {}
        self._told: dict[tuple[str, int], int] = {}
        self._put = 0
        self._put_bytes = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._away = False

    def opened(self, source: KafkaSource) -> None:
        """Begin when the positions of all topics are known. Raises SourceError for settings that cannot be."""
        self._unopened.discard(source.name)
        if self._unopened:
            return
        given = settings(self._who, self._ingress.address, self._ingress.properties)
        fixed = {
            "group.id": self._ingress.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "error_cb": self._complain,
        }
        try:
            consumer = self._kafka.Consumer({**_PREFETCH, **given, **fixed})
        except self._kafka.KafkaException as error:
            raise SourceError(f"{self._who}: {describe(error_of(error))}") from error
        self._thread = threading.Thread(target=self._run, args=(consumer,), daemon=True, name="statefun-kafka-in")
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
            self._thread = None

    # --- in the thread ---

    def _run(self, consumer: confluent_kafka.Consumer) -> None:
        try:
            self._find(consumer, first=True)
            self._read(consumer)
        except SourceError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 -- the driver's thread raises it
            self.error = SourceError(f"{self._who}: {type(error).__name__}: {error}")
        finally:
            self._wake()
            self._tell(consumer)
            with contextlib.suppress(RuntimeError):
                consumer.close()

    def _read(self, consumer: confluent_kafka.Consumer) -> None:
        look, tell = time.monotonic() + self._discover_s, time.monotonic() + _TELL_S
        while not self._stopping.is_set():
            now = time.monotonic()
            if now > look:
                self._find(consumer, first=False)
                look = time.monotonic() + self._discover_s
            if now > tell:
                self._tell(consumer)
                tell = now + _TELL_S
            if not self._room():
                self._stopping.wait(0.002)
                continue
            first = consumer.poll(_IDLE_S)
            if first is None:
                continue
            self._sort((first, *consumer.consume(_AT_ONCE - 1, 0)))
            self._wake()

    def _tell(self, consumer: confluent_kafka.Consumer) -> None:
        """Let Kafka know how far the group is, for those who watch it; nothing here depends on it."""
        offsets = [
            self._kafka.TopicPartition(source.topic, partition, at)
            for source in self.sources
            for partition, at in dict(source.noted).items()
            if self._told.get((source.topic, partition)) != at
        ]
        if offsets:
            with contextlib.suppress(self._kafka.KafkaException):
                consumer.commit(offsets=offsets, asynchronous=True)
            self._told.update({(one.topic, one.partition): one.offset for one in offsets})

    def _room(self) -> bool:
        taken = sum(source.taken for source in self.sources)
        taken_bytes = sum(source.taken_bytes for source in self.sources)
        return self._put - taken < _MOST and self._put_bytes - taken_bytes < _MOST_BYTES

    def _sort(self, messages: Sequence[confluent_kafka.Message]) -> None:
        """Give each record to its topic's source."""
        reached = self._reached
        for message in messages:
            error = message.error()
            if error is not None:
                self._refuse(message, error)
                continue
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None and partition is not None and offset is not None  # noqa: PT018 -- records have them
            source = self._by_topic[topic]
            value = message.value()
            size = len(value or b"") + 200  # about what the objects themselves take
            item = self._record(source, message, value)
            source.queue.append((item, partition, offset + 1, size))
            reached[topic, partition] = offset + 1
            self._put += 1
            self._put_bytes += size
        self._away = False

    def _record(
        self, source: KafkaSource, message: confluent_kafka.Message, value: bytes | None
    ) -> Record | SourceError | None:
        key = message.key()
        if not key or value is None:
            return self._invalid(source, message, "no key" if not key else "no value")
        headers = message.headers() if source.forwards else None
        at = message.timestamp()
        argument = source.decoder.argument(value, cast("list[tuple[str, bytes | None]] | None", headers))
        return key.decode("utf-8", "replace"), argument, at[1] if at[0] else None

    def _invalid(self, source: KafkaSource, message: confluent_kafka.Message, lacks: str) -> SourceError | None:
        where = f"{self._who}: record {message.offset()} of partition {message.partition()} of topic {source.topic!r}"
        if source.invalid.type == "skip":
            log.log(_LEVELS[source.invalid.log_level], "%s has %s: skipped", where, lacks)
            return None
        help = "invalidRecordHandling: {type: skip} passes such records over"
        return SourceError(with_help(f"{where} has {lacks}, and a message needs both", help))

    def _refuse(self, message: confluent_kafka.Message, error: confluent_kafka.KafkaError) -> None:
        where = f"{self._who}: partition {message.partition()} of topic {message.topic()!r}"
        if error.name() in ("_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE"):
            problem = "the record that is next is not there any more: it was deleted unread, or the topic was made anew"
            help = "give the ingress another id, which begins at its startupPosition"
            raise SourceError(with_help(f"{where}: {problem}", help))
        if error.fatal() or error.name() in ("UNKNOWN_TOPIC_OR_PART", "TOPIC_AUTHORIZATION_FAILED", "_UNKNOWN_TOPIC"):
            raise SourceError(f"{where} cannot be read: {describe(error)}")
        self._complain(error)

    def _complain(self, error: confluent_kafka.KafkaError) -> None:
        """Say once that the brokers are away."""
        if not self._away:
            self._away = True
            log.warning("%s: %s; it goes on when the brokers answer again", self._who, describe(error))

    # --- partitions ---

    def _find(self, consumer: confluent_kafka.Consumer, *, first: bool) -> None:
        """Find the partitions of all topics, and where each is begun; read what is new."""
        while not self._stopping.is_set():
            try:
                found = {source: self._offsets(consumer, source, first=first) for source in self.sources}
            except (TimeoutError, self._kafka.KafkaException) as error:
                if isinstance(error, self._kafka.KafkaException):
                    problem = error_of(error)
                    if problem.fatal() or never(problem) or wrong(problem):
                        raise SourceError(f"{self._who}: {describe(problem)}") from error
                    self._complain(problem)
                if not first:
                    return  # there is time to ask again
                self._stopping.wait(0.2)
                continue
            self._assign(consumer, found)
            return

    def _offsets(self, consumer: confluent_kafka.Consumer, source: KafkaSource, *, first: bool) -> dict[int, int]:
        """Return where the partitions of a topic are begun that are not read yet."""
        kafka, topic = self._kafka, source.topic
        metadata = cast("_Metadata", consumer.list_topics(topic, PATIENCE_S)).topics[topic]
        if metadata.error is not None:
            if metadata.error.name() in ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC"):
                help = "make it, or correct its name in module.yaml"
                raise SourceError(with_help(f"{self._who}: there is no topic {topic!r}", help))
            raise kafka.KafkaException(metadata.error)
        partitions = sorted(metadata.partitions)
        if not first:
            return lowest(kafka, consumer, topic, [one for one in partitions if (topic, one) not in self._reached])
        if source.offsets is None:
            return first_offsets(kafka, consumer, self._ingress, topic, partitions)
        known = {one: source.offsets[one] for one in partitions if one in source.offsets}
        check(kafka, consumer, self._who, topic, known)
        return {**known, **lowest(kafka, consumer, topic, [one for one in partitions if one not in known])}

    def _assign(self, consumer: confluent_kafka.Consumer, found: dict[KafkaSource, dict[int, int]]) -> None:
        fresh = {
            (source.topic, partition): offset
            for source, offsets in found.items()
            for partition, offset in offsets.items()
        }
        if not fresh:
            return
        self._reached.update(fresh)
        consumer.assign([self._kafka.TopicPartition(*where, at) for where, at in self._reached.items()])
        for source, offsets in found.items():
            if offsets:
                source.queue.append((offsets, 0, 0, 0))
        self._away = False
        self._wake()


def kafka_sources(
    ingress: KafkaIngress, wire: Wire, wake: Callable[[], None], moved: Callable[[str], None]
) -> tuple[KafkaSource, ...]:
    """Make the sources of an ingress. Raises ConfigError without the client."""
    if ingress.address is None and "bootstrap.servers" not in ingress.properties:
        raise ConfigError(f"ingress {ingress.id!r} names no brokers")
    return KafkaReader(ingress, wire, wake, moved).sources

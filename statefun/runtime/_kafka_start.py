"""Where an ingress begins to read the partitions of a topic.

Here: `first_offsets`, which asks the brokers, and the check that what comes next is still there. Where reading went on
to is a matter of `_kafka_source`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, cast

from statefun.errors import with_help
from statefun.module._model import KafkaIngress, StartAt
from statefun.runtime._kafka_client import Clients
from statefun.runtime._sources import SourceError

if TYPE_CHECKING:
    from confluent_kafka import Consumer

__all__ = ["PATIENCE_S", "check", "first_offsets", "lowest"]

PATIENCE_S = 10.0
"""How long one question to the brokers may take."""
_DATE = "%Y-%m-%d %H:%M:%S.%f %z"


def first_offsets(
    kafka: Clients, consumer: Consumer, ingress: KafkaIngress, topic: str, partitions: Sequence[int]
) -> dict[int, int]:
    """Return where each partition of a topic is begun that was never read. Raises KafkaException."""
    start = ingress.start or StartAt(type="latest")
    match start.type:
        case "earliest":
            return lowest(kafka, consumer, topic, partitions)
        case "latest":
            return _highest(kafka, consumer, topic, partitions)
        case "date":
            return _at(kafka, consumer, topic, partitions, start.date)
        case "group-offsets":
            return _of_group(kafka, consumer, ingress, topic, partitions)
        case "specific-offsets":
            named = {partition: offset for name, partition, offset in start.offsets if name == topic}
            others = [partition for partition in partitions if partition not in named]
            return {
                **_of_group(kafka, consumer, ingress, topic, others),
                **{partition: named[partition] for partition in partitions if partition in named},
            }


def lowest(kafka: Clients, consumer: Consumer, topic: str, partitions: Sequence[int]) -> dict[int, int]:
    """Return the first offset of each partition that is still there."""
    return {partition: _watermarks(kafka, consumer, topic, partition)[0] for partition in partitions}


def _highest(kafka: Clients, consumer: Consumer, topic: str, partitions: Sequence[int]) -> dict[int, int]:
    return {partition: _watermarks(kafka, consumer, topic, partition)[1] for partition in partitions}


def _watermarks(kafka: Clients, consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    where = kafka.TopicPartition(topic, partition)
    # What its stub does not say: nothing when the time is over.
    found = cast("tuple[int, int] | None", consumer.get_watermark_offsets(where, timeout=PATIENCE_S))
    if found is None:
        raise TimeoutError
    return found


def _at(kafka: Clients, consumer: Consumer, topic: str, partitions: Sequence[int], date: str) -> dict[int, int]:
    ms = int(datetime.strptime(date, _DATE).astimezone(timezone.utc).timestamp() * 1_000)
    asked = [kafka.TopicPartition(topic, partition, ms) for partition in partitions]
    found: dict[int, int] = {}
    for one in consumer.offsets_for_times(asked, timeout=PATIENCE_S):
        if one.error is not None:
            raise kafka.KafkaException(one.error)
        found[one.partition] = one.offset
    late = [partition for partition, offset in found.items() if offset < 0]  # nothing is as young as that
    return {**found, **_highest(kafka, consumer, topic, late)}


def _of_group(
    kafka: Clients, consumer: Consumer, ingress: KafkaIngress, topic: str, partitions: Sequence[int]
) -> dict[int, int]:
    if not partitions:
        return {}
    asked = [kafka.TopicPartition(topic, partition) for partition in partitions]
    found: dict[int, int] = {}
    for one in consumer.committed(asked, timeout=PATIENCE_S):
        if one.error is not None:
            raise kafka.KafkaException(one.error)
        found[one.partition] = one.offset
    missing = [partition for partition, offset in found.items() if offset < 0]
    by_default = lowest if ingress.auto_offset_reset == "earliest" else _highest
    return {**found, **by_default(kafka, consumer, topic, missing)}


def check(kafka: Clients, consumer: Consumer, who: str, topic: str, offsets: dict[int, int]) -> None:
    """See that what is read next is still there. Raises SourceError, KafkaException."""
    for partition, offset in offsets.items():
        low, high = _watermarks(kafka, consumer, topic, partition)
        if low <= offset <= high:
            continue
        problem = (
            f"record {offset} is next, and the first that is still there is {low}: records were deleted unread"
            if offset < low
            else f"record {offset} is next, and the last one is {high - 1}: the topic was made anew"
        )
        help = "give the ingress another id, which begins at its startupPosition"
        raise SourceError(with_help(f"{who}: partition {partition} of topic {topic!r}: {problem}", help))

"""Kafka records and what the engine knows: a record into a message, an egress record into what is produced.

Here: `Decoder` (in) and `outgoing` (out). Bytes in, bytes out: no client.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from google.protobuf.message import DecodeError

from statefun._primitives import varint
from statefun._proto.egress_pb2 import KafkaProducerRecord
from statefun.runtime._plans import Wire, value_prefix
from statefun.runtime._requests import headers_field
from statefun.runtime._store import RecordRow
from statefun.runtime._values import brief

__all__ = ["Decoder", "NoRecord", "Outgoing", "outgoing", "topic_of"]

Headers = Sequence[tuple[str, "bytes | None"]]
_NAMES = {
    "v2": "org.apache.flink.statefun.flink.io.KafkaProducerRecord",
    "v3": "io.statefun.sdk.egress.KafkaProducerRecord",
}


class NoRecord(ValueError):
    """What was sent to a Kafka egress is nothing that Kafka could be given."""


class Outgoing(NamedTuple):
    """What is produced."""

    seq: int
    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes | None]] | None


class Decoder:
    """Makes the message of a record: the typename that module.yaml gives the topic, and the record's bytes unread."""

    def __init__(self, typename: str, wire: Wire) -> None:
        self._prefix = value_prefix(typename, wire)
        self._wire: Wire = wire

    def argument(self, value: bytes, headers: Headers | None) -> bytes:
        """Encode a message. Headers are those of `TypedValue.metadata`; v2 has no place for them."""
        prefix = self._prefix
        made = prefix + varint(len(value)) + value if value else prefix[:-1]
        if not headers or self._wire == "v2":
            return made
        return made + headers_field(headers)


def outgoing(row: RecordRow) -> Outgoing:
    """Read a record that a function sent to a Kafka egress. Raises NoRecord."""
    if row.typename.rpartition("/")[2] not in _NAMES.values():
        raise NoRecord(f"it is {brief(row.typename)!r}, and a Kafka egress takes records that KafkaEgress makes")
    try:
        record = KafkaProducerRecord.FromString(row.value)
    except (DecodeError, UnicodeDecodeError) as error:  # the latter in pure Python
        raise NoRecord(f"its {len(row.value)} bytes are no Kafka record: {error}") from error
    if not record.topic:
        raise NoRecord("it names no topic")
    headers = [(one.key, one.value if one.has_value else None) for one in record.headers] if record.headers else None
    return Outgoing(row.seq, record.topic, record.key.encode() if record.key else None, record.value_bytes, headers)


def topic_of(value: bytes) -> str:
    """Return the topic of a record; nothing where it is no record."""
    try:
        return KafkaProducerRecord.FromString(value).topic
    except (DecodeError, UnicodeDecodeError):  # the latter in pure Python
        return ""

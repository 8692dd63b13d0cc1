"""Egress records as they are produced."""

from __future__ import annotations

import pytest

from statefun import KafkaEgress
from statefun._proto.egress_pb2 import KafkaProducerRecord
from statefun.runtime._kafka_records import NoRecord, Outgoing, outgoing, topic_of
from statefun.runtime._store import RecordRow

V3 = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"


def row(record: KafkaProducerRecord | bytes, typename: str = V3) -> RecordRow:
    """Return a record as the store has it."""
    data = record if isinstance(record, bytes) else record.SerializeToString()
    return RecordRow(seq=7, egress="t/out", typename=typename, value=data)


@pytest.mark.parametrize("typename", [V3, "type.googleapis.com/org.apache.flink.statefun.flink.io.KafkaProducerRecord"])
def test_a_record(typename: str) -> None:
    """Of either version: topic, key, value and headers; an empty key is none, an empty value is no tombstone."""
    egress = KafkaEgress[str]("t/out", topic="x")
    record = egress.record("ü", key="k", headers=[("a", None), ("a", b"1")])
    assert outgoing(row(record, typename)) == Outgoing(7, "x", b"k", "ü".encode(), [("a", None), ("a", b"1")])
    assert outgoing(row(egress.record(""), typename)) == Outgoing(7, "x", None, b"", None)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (row(b"x", "t/other"), "it is 't/other', and a Kafka egress takes records that KafkaEgress makes"),
        (row(KafkaProducerRecord(key="k")), "it names no topic"),
        (row(b"\xff"), "its 1 bytes are no Kafka record: "),
    ],
)
def test_no_record(given: RecordRow, says: str) -> None:
    """What is no Kafka record is refused, with what it is."""
    with pytest.raises(NoRecord) as caught:
        outgoing(given)
    assert str(caught.value).startswith(says)


def test_topic_of() -> None:
    """The topic of a record; nothing of what is none."""
    assert topic_of(KafkaProducerRecord(topic="x").SerializeToString()) == "x"
    assert topic_of(b"\xff") == ""

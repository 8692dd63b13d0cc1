"""A Kafka record that is encoded by hand is what protobuf makes of it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from shop_pb2 import User

from statefun import KafkaEgress, KinesisEgress, kafka_egress_record, kinesis_egress_record, testing
from statefun._proto.egress_pb2 import KafkaProducerRecord, KinesisEgressRecord
from tests.kinds import Item, Money, Parcel

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
topics = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.just("t" * 200)
values = st.one_of(
    st.binary(max_size=12),
    st.just(b"v" * 20_000),
    text,
    st.builds(User, name=text),
    st.builds(Item, sku=text),
    st.builds(Parcel, sku=text),
    st.builds(Money, st.integers()),
)
headers = st.lists(st.tuples(text, st.none() | st.binary(max_size=5)), max_size=3)
Value = bytes | str | User | Item | Parcel | Money


def content(value: Value) -> bytes:
    """Return what is in a record of this value."""
    match value:
        case bytes():
            return value
        case str():
            return value.encode()
        case User():
            return value.SerializeToString()
        case Money():
            return str(value.cents).encode()
        case Item():
            return f'{{"sku":{quoted(value.sku)},"tier":"BASIC","tags":[]}}'.encode()
        case Parcel():
            return msgspec.json.encode(value)  # it escapes less than the standard library


def quoted(value: str) -> str:
    """Write a string as JSON, in no other way than the standard library."""
    return json.dumps(value, ensure_ascii=False)


@given(topics, values, text, headers)
def test_kafka(topic: str, value: Value, key: str, sent: list[tuple[str, bytes | None]]) -> None:
    """The bytes of a Kafka record are those of protobuf, in the order of its fields."""
    egress = KafkaEgress[Any]("example/out", topic=topic)
    expected = KafkaProducerRecord(
        key=key,
        value_bytes=content(value),
        topic=topic,
        headers=[KafkaProducerRecord.Header(key=k, value=v or b"", has_value=v is not None) for k, v in sent],
    )
    assert egress.encoded(value, key=key, headers=sent) == expected.SerializeToString()
    assert egress.record(value, key=key, headers=sent) == expected
    if not sent:
        assert kafka_egress_record(topic, value, key) == expected
    context = testing.context()
    context.send_egress(egress, value, key=key, headers=sent)
    assert context.egress[0].record.value == expected.SerializeToString()


@given(topics, values, topics, text)
def test_kinesis(stream: str, value: Value, partition_key: str, explicit_hash_key: str) -> None:
    """A Kinesis record holds what it was given."""
    egress = KinesisEgress[Any]("example/out", stream=stream)
    expected = KinesisEgressRecord(
        partition_key=partition_key,
        value_bytes=content(value),
        stream=stream,
        explicit_hash_key=explicit_hash_key,
    )
    assert egress.record(value, partition_key=partition_key, explicit_hash_key=explicit_hash_key) == expected
    assert kinesis_egress_record(stream, value, partition_key, explicit_hash_key) == expected

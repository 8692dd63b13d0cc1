"""The Kafka kinds: `statefun.kafka.io/...` (2.x), `io.statefun.kafka/...` (3.0), `io.statefun.kafka.v1/...` (3.1+).

Here: their keys, and the faults that concern more than one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Literal, cast

from statefun.findings import Path
from statefun.module._dialect import Dialect
from statefun.module._fields import Field, Fields, Pairs, Record, Tagged
from statefun.module._grammar import LONG_MAX, Choice, Flag, Items, Schema, Span, Whole, wrong_type
from statefun.module._model import (
    Delivery,
    ExactlyOnce,
    InvalidRecords,
    KafkaEgress,
    KafkaIngress,
    ProtobufKafkaIngress,
    StartAt,
)
from statefun.module._nodes import Kind, Node, Scalar, shorten, whole_number
from statefun.module._reading import Reading
from statefun.module._runtimes import Runtime
from statefun.module._topics import start_date, topics_of, topics_shape

__all__ = ["kafka_egress", "kafka_ingress", "protobuf_ingress"]

HEADERS = frozenset[Runtime](("kzm", "embedded"))
"""Who knows record headers and the handling of invalid records."""
OFFSETS_SAYS = (
    "Invalid startup position type: <s>; valid values are [group-offsets, earliest, latest, specific-offsets, date]"
)
TIMEOUT_SAYS = "Transaction timeout durations must be larger than 0 when using exactly-once producer semantics."
_PARTITION = re.compile(r".+/[0-9]{1,10}")


def kafka_ingress(how: Dialect) -> Fields[KafkaIngress]:
    """Return the shape of an ingress's spec; the id is put in by the reader where it stands elsewhere."""
    headers = (
        Field(name="forwardHeaders", of=Flag(what="true or false"), runtimes=HEADERS),
        Field(name="invalidRecordHandling", of=_invalid_records(), runtimes=HEADERS),
    )
    return Fields(
        what="a Kafka ingress",
        fields=(
            *how.own_id("the name of the ingress", "shop.io/orders"),
            Field(name="address", of=how.text('the brokers: "host:port,host:port"'), needed=how.strict),
            Field(name="consumerGroupId", of=how.text("the name of the consumer group")),
            Field(name="topics", of=topics_shape(how, "topic", "Kafka", headers), needed=True, says=_NO_TOPICS),
            Field(name="autoOffsetResetPosition", of=_reset(strict=how.strict)),
            Field(name="startupPosition", of=_startup(how)),
            Field(name="properties", of=Pairs(strict=how.strict)),
            *headers,
        ),
        make=_make_ingress,
    )


_NO_TOPICS = "Must define at least one Kafka topic to consume from."


def _make_ingress(record: Record) -> KafkaIngress:
    topics, reset = topics_of(record, "topics", "topic"), record.find("autoOffsetResetPosition", str)
    properties = record.pairs("properties")
    address, group = record.find("address", str), record.find("consumerGroupId", str)
    if not address and not properties.get("bootstrap.servers"):
        says = "Missing setting for Kafka address."
        record.report("SF119", "", "no 'address', nor 'bootstrap.servers' among the properties", text="", says=says)
    if not group and not properties.get("group.id"):
        says = "Missing setting for consumer group id."
        record.report("SF118", "", "no 'consumerGroupId', nor 'group.id' among the properties", text="", says=says)
    return KafkaIngress(
        id=record.find("id", str) or "",
        address=address or properties.get("bootstrap.servers"),
        group=group or properties.get("group.id"),
        topics=topics,
        start=record.find("startupPosition", StartAt),
        auto_offset_reset=cast("Literal['earliest', 'latest']", reset or "latest"),
        properties=properties,
        forward_headers=record.find("forwardHeaders", bool) or False,
        invalid_records=record.find("invalidRecordHandling", InvalidRecords) or InvalidRecords(),
        source=record.source(),
    )


def _reset(*, strict: bool) -> Choice:
    says = "Invalid autoOffsetResetPosition: <s>; valid values are [EARLIEST, LATEST]"
    return Choice(words=("earliest", "latest"), fold=True, strict=strict, says=says)


def _invalid_records() -> Fields[InvalidRecords]:
    return Fields(
        what="the handling of invalid records",
        fields=(
            Field(name="type", of=Choice(words=("skip", "fail"), strict=False)),
            Field(name="logLevel", of=Choice(words=("debug", "info", "warn", "error"), strict=False)),
        ),
        make=lambda record: InvalidRecords(
            type=cast("Literal['skip', 'fail']", record.find("type", str) or "skip"),
            log_level=cast("Literal['debug', 'info', 'warn', 'error']", record.find("logLevel", str) or "warn"),
        ),
    )


def _startup(how: Dialect) -> Tagged[StartAt]:
    offsets = Pairs(what='a list of one offset each: "- orders/0: 120"', whole=True, strict=how.strict)
    says = "Provided specific offsets must not be empty."
    plain = {
        word: Fields(what=f"a start at {word}", fields=(), make=_make_start(word), tag="type")
        for word in ("group-offsets", "earliest", "latest")
    }
    return Tagged(
        what="the startup position",
        cases={
            **plain,
            "specific-offsets": Fields(
                what="a start at specific-offsets",
                fields=(Field(name="offsets", of=offsets, needed=True, says=says),),
                make=_make_offsets(strict=how.strict),
                tag="type",
            ),
            "date": Fields(
                what="a start at a date",
                fields=(Field(name="date", of=start_date(strict=how.strict), needed=True),),
                make=lambda record: StartAt(type="date", date=record.get("date", str)),
                tag="type",
            ),
        },
        fold=how.fold,
        strict=how.strict,
        says=OFFSETS_SAYS,
    )


def _make_start(word: str) -> Callable[[Record], StartAt]:
    kind = cast("Literal['group-offsets', 'earliest', 'latest']", word)
    return lambda _record: StartAt(type=kind)


def _make_offsets(*, strict: bool) -> Callable[[Record], StartAt]:
    def make(record: Record) -> StartAt:
        pairs = record.pairs("offsets")
        offsets: list[tuple[str, int, int]] = []
        if not pairs:
            record.report("SF124", "offsets", "the list is empty", says="Provided specific offsets must not be empty.")
        for key, value in pairs.items():
            topic, _, partition = key.rpartition("/")
            if not _PARTITION.fullmatch(key):
                record.report("SF105", "offsets", f"{key!r} is not '<topic>/<partition>'", text=key)
                continue
            if strict and int(value) < 0:
                says = f"Invalid offset value: {value}; must be a numeric integer with value between 0 and {LONG_MAX}"
                record.report("SF107", "offsets", f"the offset of {key!r} is negative", text=value, says=says)
            offsets.append((topic, int(partition), int(value)))
        return StartAt(type="specific-offsets", offsets=tuple(offsets))

    return make


def protobuf_ingress(how: Dialect) -> Fields[ProtobufKafkaIngress]:
    """Return the shape of a 2.x ingress whose records are parsed, and routed by a router."""
    topics = Items(of=how.text("a topic"), what="a list of topics", least=1, says=_NO_TOPICS)
    return Fields(
        what="a Kafka ingress",
        fields=(
            Field(name="address", of=how.text('the brokers: "host:port,host:port"'), needed=True),
            Field(name="consumerGroupId", of=how.text("the name of the consumer group")),
            Field(name="topics", of=topics, needed=True),
            Field(name="messageType", of=how.text("the full name of a protobuf message"), needed=True),
            Field(name="descriptorSet", of=how.text("a file with a FileDescriptorSet"), needed=True),
            Field(name="autoOffsetResetPosition", of=_reset(strict=how.strict)),
            Field(name="startupPosition", of=_startup(how)),
            Field(name="properties", of=Pairs(strict=how.strict)),
        ),
        make=lambda record: ProtobufKafkaIngress(
            id="",
            address=record.get("address", str),
            group=record.find("consumerGroupId", str),
            topics=record.every("topics", str),
            message_type=record.get("messageType", str),
            descriptor_set=record.get("descriptorSet", str),
            source=record.source(),
        ),
    )


def kafka_egress(how: Dialect) -> Fields[KafkaEgress]:
    """Return the shape of an egress's spec."""
    address = how.text('the brokers: "host:port,host:port"')
    return Fields(
        what="a Kafka egress",
        fields=(
            *how.own_id("the name of the egress", "shop.io/receipts"),
            Field(name="address", of=address, needed=True, says=None if how.strict else "NullPointerException"),
            Field(name="deliverySemantic", of=_delivery(how)),
            Field(name="properties", of=Pairs(strict=how.strict)),
        ),
        make=_make_egress,
    )


def _make_egress(record: Record) -> KafkaEgress:
    delivery = record.values.get("deliverySemantic") or "at-least-once"
    return KafkaEgress(
        id=record.find("id", str) or "",
        address=record.get("address", str),
        delivery=cast("Delivery", delivery),  # the shape _delivery makes nothing else
        properties=record.pairs("properties"),
        source=record.source(),
    )


def _delivery(how: Dialect) -> Tagged[Delivery]:
    says = "Invalid delivery semantic type: <s>; valid types are [at-least-once, exactly-once, none]"
    millis = Whole(what="milliseconds, more than zero", most=LONG_MAX)
    if how.strict:
        timeouts: tuple[Field, ...] = (Field(name="transactionTimeoutMillis", of=millis, needed=True),)
    else:
        timeouts = (
            Field(name="transactionTimeoutMillis", of=_Millis()),
            Field(name="transactionTimeout", of=Span(strict=False)),
        )
    return Tagged(
        what="the delivery guarantee",
        cases={
            "at-least-once": Fields(what="at-least-once", fields=(), make=lambda _record: "at-least-once", tag="type"),
            "exactly-once": Fields(what="exactly-once", fields=timeouts, make=_make_exactly_once, tag="type"),
            "none": Fields(what="none", fields=(), make=lambda _record: "none", tag="type"),
        },
        fold=how.fold,
        strict=how.strict,
        says=says,
    )


class _Millis:
    """A number as Jackson's asLong reads it: a text that is none is zero, and what stands after a point is cut off."""

    what = "milliseconds, more than zero"

    def read(self, node: Node, path: Path, reading: Reading) -> int | None:
        """Return the number."""
        if not isinstance(node, Scalar) or node.kind in (Kind.NULL, Kind.BINARY):
            wrong_type(self.what, "", node, path, reading)
            return None
        if node.kind is Kind.WHOLE:
            return whole_number(node.text)
        try:
            return int(float(node.text))
        except (ValueError, OverflowError):
            return 0

    def schema(self) -> Schema:
        """Return it as JSON Schema."""
        return {"type": ["integer", "number", "string"], "description": self.what}


def _make_exactly_once(record: Record) -> Delivery:
    number = record.find("transactionTimeoutMillis", int)
    span = record.find("transactionTimeout", timedelta)
    if number is not None:
        if number <= 0:
            text = record.source().text("transactionTimeoutMillis")
            problem = f"{shorten(text)!r} is read as {shorten(str(number))} milliseconds"
            record.report("SF107", "transactionTimeoutMillis", problem, expected="more than zero", says=TIMEOUT_SAYS)
        return ExactlyOnce(timeout=timedelta(milliseconds=min(number, 10**15)))
    if span is None:
        record.report(
            "SF117", "", "exactly-once without 'transactionTimeout'", text="", says="NullPointerException",
            expected='a duration below the broker\'s transaction.max.timeout.ms, e.g. transactionTimeout: "10min"',
        )  # fmt: skip
    elif not span:
        problem = "'transactionTimeout' is zero"
        record.report("SF107", "transactionTimeout", problem, expected="more than zero", says=TIMEOUT_SAYS)
    return ExactlyOnce(timeout=span or timedelta())

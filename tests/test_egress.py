"""Egresses, and the records that leave."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, Union

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.message import Message
from shop_pb2 import Greeting, User

from statefun import (
    Context,
    KafkaEgress,
    KinesisEgress,
    MessageEgress,
    kafka_egress_record,
    kinesis_egress_record,
    types,
)
from statefun._proto.egress_pb2 import KafkaProducerRecord, KinesisEgressRecord
from statefun.errors import DeclarationError, SendError, UnsendableError
from tests.kinds import Bigger, Cents, Item, Money
from tests.peer import BOTH, Wire, packed, run, typed
from tests.refusals import refusal

LINES = KafkaEgress[str | bytes | Greeting | Item | Money]("example/lines", topic="lines")
CLICKS = KinesisEgress[Greeting]("example/clicks", stream="clicks")
TOTALS = MessageEgress[float | Annotated[int, types.INT32]]("example/totals")
GO = packed(Greeting())
T = TypeVar("T")
untyped_kafka: Any = KafkaEgress
untyped_kinesis: Any = KinesisEgress
untyped_message: Any = MessageEgress

NUMBER = (
    "a record is bytes, and a number has no one way to become them\n"
    "  help: send str or bytes (str(value)), a protobuf message, or a class with json_type"
)
SENDABLE = "send a protobuf message, bool, int, float, str, bytes, or a class declared with json_type or custom_type"


def test_kafka_records() -> None:
    """A record holds bytes as they are, text as UTF-8, a message serialized, and JSON as JSON."""
    values: list[Any] = ["ä", b"raw", Greeting(text="t"), Item("s"), Money(5)]
    assert [LINES.record(value).value_bytes for value in values] == [
        "ä".encode(),
        b"raw",
        Greeting(text="t").SerializeToString(),
        b'{"sku":"s","tier":"BASIC","tags":[]}',
        b"5",
    ]
    record = LINES.record("v", key="k", headers=[("a", b"1"), ("a", None)])
    assert (record.topic, record.key) == ("lines", "k")
    assert [(h.key, h.value, h.has_value) for h in record.headers] == [("a", b"1", True), ("a", b"", False)]
    assert repr(LINES) == "KafkaEgress('example/lines', topic='lines')"
    assert LINES.typename == "example/lines"


def test_kinesis_records() -> None:
    """A Kinesis record names its stream and its partition key."""
    record = CLICKS.record(Greeting(text="t"), partition_key="p", explicit_hash_key="h")
    assert record == KinesisEgressRecord(
        partition_key="p", value_bytes=Greeting(text="t").SerializeToString(), stream="clicks", explicit_hash_key="h"
    )
    assert repr(CLICKS) == "KinesisEgress('example/clicks', stream='clicks')"


def test_messages() -> None:
    """An egress of one's own takes the value with its typename: an int for a float, and a type that is named."""
    assert TOTALS.type_for(3) is types.INT32
    assert TOTALS.type_for(3.5) is types.FLOAT64
    assert MessageEgress[float]("example/totals").type_for(3) is types.FLOAT64
    assert TOTALS.record(3) == 3
    assert repr(TOTALS) == "MessageEgress('example/totals')"
    assert untyped_message("example/totals").type_for(5) is types.INT64


def test_the_helpers_of_2x() -> None:
    """The record helpers of the 2.x SDK make the same records."""
    assert kafka_egress_record("t", User(name="b")) == KafkaProducerRecord(topic="t", value_bytes=b"\x12\x01b")
    assert kafka_egress_record(topic="t", value="v", key="k") == KafkaProducerRecord(
        topic="t", value_bytes=b"v", key="k"
    )
    assert kinesis_egress_record("s", b"v", "p") == KinesisEgressRecord(stream="s", value_bytes=b"v", partition_key="p")
    made = kinesis_egress_record(stream="s", value="v", partition_key="p", explicit_hash_key="h")
    assert made.explicit_hash_key == "h"


@pytest.mark.parametrize("wire", BOTH)
@pytest.mark.parametrize("prefix", ["statefun.egress", "org.apache.flink.statefun.flink.io", "io.statefun.sdk.egress"])
@pytest.mark.parametrize("record", ["KafkaProducerRecord", "KinesisEgressRecord"])
def test_names_of_records(wire: Wire, prefix: str, record: str) -> None:
    """A record leaves under the name that the runtime knows, whoever packed it and under which name."""

    def f(context: Context, message: AnyPb) -> None:
        context.send_egress("example/lines", typed(f"type.googleapis.com/{prefix}.{record}", b""))

    namespace = {"v2": "org.apache.flink.statefun.flink.io", "v3": "io.statefun.sdk.egress"}[wire]
    assert run(wire, f, GO).egress == [("example/lines", typed(f"type.googleapis.com/{namespace}.{record}"))]


@pytest.mark.parametrize("wire", BOTH)
def test_every_way_to_send_out(wire: Wire) -> None:
    """A typed egress, a record of one's own, a packed record and any value leave by their egress."""

    class Own:
        typename = "example/own"

        def record(self, text: str, *, loud: bool = False) -> str:
            return text.upper() if loud else text

    class Louder(KafkaEgress[str]):
        """A Kafka egress of one's own."""

    louder = Louder("example/loud", topic="loud")

    def f(context: Context, message: AnyPb) -> None:
        context.send_egress(LINES, "v", key="k")
        context.send_egress(louder, "v")
        context.send_egress(CLICKS, Greeting(), partition_key="p")
        context.send_egress(TOTALS, 3)
        context.send_egress(Own(), "own", loud=True)
        context.send_egress("example/any", typed("a/b", b"c"))
        context.pack_and_send_egress("example/lines", kafka_egress_record("t", "v"))
        context.pack_and_send_egress("example/any", 5)
        context.pack_and_send_egress("example/any", typed("a/b", b"c"))

    namespace = {"v2": "org.apache.flink.statefun.flink.io", "v3": "io.statefun.sdk.egress"}[wire]
    kafka = f"type.googleapis.com/{namespace}.KafkaProducerRecord"
    kinesis = f"type.googleapis.com/{namespace}.KinesisEgressRecord"
    assert run(wire, f, GO).egress == [
        ("example/lines", typed(kafka, LINES.encoded("v", key="k"))),
        ("example/loud", typed(kafka, louder.encoded("v"))),
        ("example/clicks", typed(kinesis, CLICKS.record(Greeting(), partition_key="p").SerializeToString())),
        ("example/totals", types.pack(3, types.INT32)),
        ("example/own", types.pack("OWN")),
        ("example/any", typed("a/b", b"c")),
        ("example/lines", typed(kafka, kafka_egress_record("t", "v").SerializeToString())),
        ("example/any", types.pack(5)),
        ("example/any", typed("a/b", b"c")),
    ]


def test_an_any_leaves_as_it_is() -> None:
    """An Any is sent with what is in it, also by a typed egress."""

    def f(context: Context, message: AnyPb) -> None:
        context.send_egress(MessageEgress[AnyPb]("example/any"), typed("a/b", b"c"))
        context.send_egress(untyped_message("example/any"), typed("a/b", b"c"))

    assert run("v3", f, GO).egress == [("example/any", typed("a/b", b"c"))] * 2


def test_names_that_are_defined_later() -> None:
    """A hint in quotes is read when something is sent, with the names of the place where the egress was made."""
    from shop_pb2 import Logout  # noqa: PLC0415 -- local to this function

    early = untyped_kafka["Greeting | Logout"]("example/early", topic="t")
    assert early.record(Logout(user_id="u")).value_bytes == b"\x0a\x01u"
    assert refusal(SendError, lambda: early.record("v")) == "egress 'example/early' takes Greeting | Logout, not str"


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: untyped_kafka[int], f"KafkaEgress[int]: {NUMBER}"),
    (lambda: untyped_kafka[Union[str, bool]], f"KafkaEgress[bool]: {NUMBER}"),  # noqa: UP007 -- both spellings
    (lambda: untyped_kinesis[Cents], f"KinesisEgress[int]: {NUMBER}"),
    (
        lambda: untyped_kafka[Bigger],
        "KafkaEgress[Bigger]: Bigger has no typename\n  help: declare it: @json_type('<namespace>/Bigger')",
    ),
    (
        lambda: untyped_message[list[int]],
        f"MessageEgress[list[int]]: list[int] cannot be sent\n  help: {SENDABLE}",
    ),
    (
        lambda: untyped_kafka[Union[Greeting, None]],  # noqa: UP007 -- both spellings
        f"KafkaEgress[None]: None cannot be sent\n  help: {SENDABLE}",
    ),
    (
        lambda: untyped_kafka[str]("lines", topic="t"),
        "'lines' is not a typename: it must be '<namespace>/<name>', e.g. 'example/greeter'",
    ),
    (
        lambda: untyped_kafka[str]("a/b", topic=""),
        "egress 'a/b': its topic is a str that is not empty, not ''",
    ),
    (
        lambda: untyped_kafka[str]("a/b", topic=5),
        "egress 'a/b': its topic is a str that is not empty, not 5",
    ),
    (
        lambda: untyped_kinesis[str]("a/b", stream="\ud800"),
        "egress 'a/b': its stream is a str that is not empty, not '\\ud800'",
    ),
]


@pytest.mark.parametrize(("declare", "text"), REFUSED, ids=[text.partition("\n")[0] for _, text in REFUSED])
def test_wrong_declarations(declare: Callable[[], object], text: str) -> None:
    """What no record can hold, and what names no egress, is refused on the line where it is written."""
    assert refusal(DeclarationError, declare) == text


def test_hints_that_say_nothing() -> None:
    """A type variable, Any and Message leave open what is sent; that is checked when it is."""
    for hint in (T, Any, Message):
        egress = untyped_kafka[hint]("example/any", topic="t")
        assert egress.record(Greeting(text="t")).value_bytes == b"\x0a\x01t"
        assert refusal(UnsendableError, functools.partial(egress.record, 3)) == f"egress 'example/any': {NUMBER}"


WRONG: list[tuple[Callable[[], object], type[Exception], str]] = [
    (
        lambda: untyped_lines.record(3),
        SendError,
        "egress 'example/lines' takes str | bytes | Greeting | Item | Money, not int",
    ),
    (lambda: untyped_kafka("example/any", topic="t").record(3), UnsendableError, f"egress 'example/any': {NUMBER}"),
    (
        lambda: untyped_kafka("example/any", topic="t").record(object()),
        UnsendableError,
        f"object cannot be sent\n  help: {SENDABLE}",
    ),
    (lambda: untyped_lines.record("v", key=5), SendError, "egress 'example/lines': key is a str, not int"),
    (
        lambda: LINES.record("v", key="\ud800"),
        SendError,
        "egress 'example/lines': key '\\ud800' has no UTF-8 form: surrogates not allowed",
    ),
    (
        lambda: LINES.record("\ud800"),
        SendError,
        "egress 'example/lines': '\\ud800' has no UTF-8 form: surrogates not allowed",
    ),
    (
        lambda: untyped_lines.record("v", headers=[("a", 5)]),
        SendError,
        "egress 'example/lines': a header is (str, bytes or None), not ('a', 5)",
    ),
    (
        lambda: untyped_lines.record("v", headers=["abc"]),
        SendError,
        "egress 'example/lines': a header is (str, bytes or None), not 'abc'",
    ),
    (
        lambda: CLICKS.record(Greeting(), partition_key=""),
        SendError,
        "egress 'example/clicks': a Kinesis record needs a partition_key",
    ),
    (
        lambda: untyped_clicks.record(Greeting(), partition_key="p", explicit_hash_key=5),
        SendError,
        "egress 'example/clicks': explicit_hash_key is a str, not int",
    ),
    (
        lambda: untyped_totals.record("a"),
        SendError,
        "egress 'example/totals' takes float | int, not str",
    ),
    (lambda: kafka_egress_record("", "v"), SendError, "the topic of a Kafka record is a str that is not empty, not ''"),
    (
        lambda: kafka_egress_record("t", "v", "\ud800"),
        SendError,
        "the key of a Kafka record is a str that is not empty, not '\\ud800'",
    ),
    (lambda: untyped_kafka_record("t", 5), UnsendableError, NUMBER),
    (lambda: kafka_egress_record("t", "\ud800"), SendError, "'\\ud800' has no UTF-8 form: surrogates not allowed"),
    (
        lambda: kinesis_egress_record("", "v", "p"),
        SendError,
        "the stream of a Kinesis record is a str that is not empty, not ''",
    ),
    (
        lambda: kinesis_egress_record("s", "v", ""),
        SendError,
        "the partition key of a Kinesis record is a str that is not empty, not ''",
    ),
    (
        lambda: untyped_kinesis_record("s", "v", "p", 5),
        SendError,
        "the explicit hash key of a Kinesis record is a str that is not empty, not 5",
    ),
]
untyped_lines: Any = LINES
untyped_clicks: Any = CLICKS
untyped_totals: Any = TOTALS
untyped_kafka_record: Any = kafka_egress_record
untyped_kinesis_record: Any = kinesis_egress_record


@pytest.mark.parametrize(("make", "kind", "text"), WRONG, ids=[text.partition("\n")[0] for *_, text in WRONG])
def test_wrong_records(make: Callable[[], object], kind: type[Exception], text: str) -> None:
    """A value that the egress does not take, and an option that is none, are refused where the record is made."""
    assert refusal(kind, make) == text

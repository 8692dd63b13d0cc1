"""Headers are pairs of a str and bytes or None, where they are read, sent and given to a test."""

from collections.abc import Sequence

from shop_pb2 import Greeting
from typing_extensions import assert_type

from statefun import Context, KafkaEgress, KinesisEgress, testing

GREETINGS = KafkaEgress[Greeting]("example/greets", topic="greetings")
STREAM = KinesisEgress[Greeting]("example/stream", stream="greetings")


def reads(context: Context, message: Greeting) -> None:
    assert_type(context.headers, Sequence[tuple[str, bytes | None]])
    for key, value in context.headers:
        assert_type(key, str)
        assert_type(value, bytes | None)
        value.decode()  # E
    context.send_egress(GREETINGS, message, headers=context.headers)
    context.headers.append(("a", b"1"))  # E
    context.headers = []  # E


def sends(context: Context) -> None:
    context.send_egress(GREETINGS, Greeting(), headers=[("trace", b"1"), ("trace", None)])
    context.send_egress(GREETINGS, Greeting(), key="bob", headers=(("trace", b"1"),))
    context.send_egress(GREETINGS, Greeting(), headers={"trace": b"1"})  # E
    context.send_egress(GREETINGS, Greeting(), headers=[("trace", "1")])  # E
    context.send_egress(GREETINGS, Greeting(), headers=[(b"trace", b"1")])  # E
    context.send_egress(GREETINGS, Greeting(), headers=["trace"])  # E
    context.send_egress(STREAM, Greeting(), partition_key="bob", headers=[("trace", b"1")])  # E


def test_headers() -> None:
    assert_type(testing.context(headers=[("trace", b"1"), ("trace", None)]), testing.RecordingContext)
    testing.context(headers=[("trace", "1")])  # E
    testing.context(headers={"trace": b"1"})  # E

"""An egress takes the values it names and the options of its kind; Kafka and Kinesis take no number."""

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue
from shop_pb2 import Greeting, User
from typing_extensions import assert_type

from statefun import Context, KafkaEgress, KinesisEgress, MessageEgress

GREETINGS = KafkaEgress[Greeting]("example/greets", topic="greetings")
EVENTS = KafkaEgress[Greeting | User]("example/events", topic="events")
STREAM = KinesisEgress[Greeting]("example/stream", stream="greetings")
LINES = KafkaEgress[str]("example/lines", topic="lines")
RAW = KafkaEgress[bytes | Greeting]("example/raw", topic="raw")
TOTALS = MessageEgress[int]("example/totals")

assert_type(GREETINGS, KafkaEgress[Greeting])
assert_type(GREETINGS.typename, str)
forgot = KafkaEgress("example/greets", topic="greetings")  # E
no_topic = KafkaEgress[Greeting]("example/greets")  # E
no_stream = KinesisEgress[Greeting]("example/stream", topic="greetings")  # E
number = KafkaEgress[int]("example/totals", topic="totals")  # E
ratio = KinesisEgress[Greeting | float]("example/totals", stream="totals")  # E
flag = KafkaEgress[bool]("example/totals", topic="totals")  # E


def sends(context: Context, any: Any, either: Greeting | User) -> None:
    context.send_egress(GREETINGS, Greeting(), key="bob")
    context.send_egress(GREETINGS, Greeting())
    context.send_egress(EVENTS, User(), key="bob")
    context.send_egress(EVENTS, either)
    context.send_egress(STREAM, Greeting(), partition_key="bob")
    context.send_egress(STREAM, Greeting(), partition_key="bob", explicit_hash_key="7")
    context.send_egress("example/greets", any)
    context.pack_and_send_egress("example/greets", Greeting())
    context.send_egress(LINES, "a line", key="bob")
    context.send_egress(RAW, b"raw")
    context.send_egress(RAW, Greeting())
    context.send_egress(TOTALS, 3)
    context.pack_and_send_egress("example/totals", 3)


def refused(context: Context, any: Any, either: Greeting | User) -> None:
    context.send_egress(LINES, b"a line")  # E
    context.send_egress(LINES, 3)  # E
    context.send_egress(RAW, "raw")  # E
    context.send_egress(TOTALS, "3")  # E
    context.send_egress(TOTALS, 3, key="bob")  # E
    context.pack_and_send_egress("example/totals", [3])  # E
    context.send_egress(GREETINGS, User(), key="bob")  # E
    context.send_egress(GREETINGS, User())  # E
    context.send_egress(GREETINGS, either)  # E
    context.send_egress(GREETINGS, any)  # E
    context.send_egress(GREETINGS, Greeting(), kee="bob")  # E
    context.send_egress(GREETINGS, Greeting(), key=3)  # E
    context.send_egress(GREETINGS, Greeting(), partition_key="bob")  # E
    context.send_egress(GREETINGS)  # E
    context.send_egress(STREAM, Greeting())  # E
    context.send_egress(STREAM, Greeting(), partition_key=3)  # E
    context.send_egress("example/greets", Greeting())  # E
    context.send_egress("example/greets", any, key="bob")  # E
    context.send(GREETINGS, Greeting())  # E


less: KafkaEgress[Greeting] = EVENTS
more: KafkaEgress[Greeting | User] = GREETINGS  # E


class LogEgress:
    """An egress of one's own: a typename, and a method that makes the record."""

    typename = "example/log"

    def record(self, line: str, /, *, level: int = 0) -> Message:
        return StringValue(value=f"{level}: {line}")


class NoEgress:
    """It has no typename."""

    def record(self, line: str, /) -> Message:
        return StringValue(value=line)


def own(context: Context) -> None:
    context.send_egress(LogEgress(), "hello", level=3)
    context.send_egress(LogEgress(), b"hello", level=3)  # E
    context.send_egress(LogEgress(), "hello", level="high")  # E
    context.send_egress(NoEgress(), "hello")  # E

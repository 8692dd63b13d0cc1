"""Messages, states and records as JSON, and back."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as F
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.timestamp_pb2 import Timestamp
from shop_pb2 import Login

from statefun import Context, MessageEgress, StatefulFunctions, json_type, types
from statefun._proto import wire_v2_pb2, wire_v3_pb2
from statefun._proto.egress_pb2 import KafkaProducerRecord, KinesisEgressRecord
from statefun.catalog import Catalog
from statefun.protocol import ANY
from statefun.runtime._catalog import StoredCatalog
from statefun.runtime._plans import Wire
from statefun.runtime._values import ValueProblem, Values, brief, read_invocation
from tests.refusals import refusal

KAFKA = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
KINESIS = "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord"
LOGIN = "type.googleapis.com/shop.Login"
OLD = "type.googleapis.com/old.Old"
TIME = "type.googleapis.com/google.protobuf.Timestamp"


@json_type("values/Order")
@dataclass
class Order:
    """What is written as JSON."""

    sku: str


def values() -> Values:
    """Return the values of an app that takes a message, a JSON type and a primitive."""
    functions = StatefulFunctions()

    @functions.bind("t/f")
    def f(context: Context, message: Login | Order | Timestamp | int) -> None:
        del context, message

    functions.uses(MessageEgress[Order]("t/orders"), MessageEgress[str]("t/texts"))
    return Values(StoredCatalog.of(Catalog.of(functions)))


def of_proto2() -> Values:
    """Return the values of an app with a message of proto2, with a required field and extensions."""
    file = FileDescriptorProto(name="old.proto", package="old", syntax="proto2")
    message = file.message_type.add(name="Old")
    message.field.add(name="name", number=1, type=F.TYPE_STRING, label=F.LABEL_REQUIRED)
    message.extension_range.add(start=100, end=200)
    file.extension.add(name="more", number=100, type=F.TYPE_INT32, label=F.LABEL_OPTIONAL, extendee=".old.Old")
    descriptors = FileDescriptorSet(file=[file])
    return Values(StoredCatalog(kinds={OLD: "protobuf"}, messages={OLD: "old.Old"}, descriptors=descriptors))


def test_a_required_field() -> None:
    """A message without a field that proto2 requires is refused, at once and each time after."""
    known = of_proto2()
    for _ in range(2):
        assert known.encode(OLD, {"name": "a"}) == b"\x0a\x01a"
        with pytest.raises(ValueProblem) as caught:
            known.encode(OLD, {})
        assert str(caught.value) == "{} cannot become old.Old: Message old.Old is missing required fields: name"
    assert (known.fast_encoder(OLD)({"name": "a"}), known.fast_encoder(OLD)({})) == (b"\x0a\x01a", None)


def test_an_extension() -> None:
    """What an extension of proto2 holds is shown, by its full name."""
    assert of_proto2().decode(OLD, b"\x0a\x01a\xa0\x06\x07") == {"name": "a", "[old.more]": 7}


# --- typenames ---


@pytest.mark.parametrize(
    ("name", "typename"),
    [
        ("shop.Login", LOGIN),
        ("string", "io.statefun.types/string"),
        ("Order", "values/Order"),
        ("any/thing", "any/thing"),
    ],
)
def test_resolve(name: str, typename: str) -> None:
    """A name is what somebody would write: of a message, a primitive, a JSON type; with a slash it is a typename."""
    assert values().resolve(name) == typename


def test_resolve_nothing() -> None:
    """A name that is nobody's, or of two types, is refused with what could be meant."""
    text = "there is no type 'nope' (known: google.protobuf.Timestamp, int32, shop.Login, t/Order)"
    known = refusal(ValueProblem, functools.partial(values().resolve, "nope"))
    assert known.startswith("there is no type 'nope' (known: "), text
    two = Values(StoredCatalog(kinds={"a/T": "json", "b/T": "json"}))
    assert refusal(ValueProblem, functools.partial(two.resolve, "T")) == "there is no type 'T' (known: none)"


def test_brief_is_read_again() -> None:
    """What `brief` writes, `resolve` reads."""
    known = values()
    for typename in (LOGIN, TIME, "io.statefun.types/int", "values/Order"):
        assert known.resolve(brief(typename)) == typename


# --- to JSON and back ---


@pytest.mark.parametrize(
    ("typename", "value"),
    [
        ("io.statefun.types/bool", True),
        ("io.statefun.types/int", -5),
        ("io.statefun.types/long", 2**40),
        ("io.statefun.types/float", 0.5),
        ("io.statefun.types/double", 0.1),
        ("io.statefun.types/string", "ü"),
        (types.BYTES.typename, "AAH/"),
        ("values/Order", {"sku": "a"}),
        (types.JSON, [1, None, {"a": "b"}]),
        (LOGIN, {"userId": "ada"}),
        (TIME, "2026-01-02T03:04:05Z"),
    ],
)
def test_there_and_back(typename: str, value: object) -> None:
    """A value that JSON can become is read as what it was."""
    known = values()
    assert known.decode(typename, known.encode(typename, value)) == value


def test_a_whole_number_is_a_number() -> None:
    """A whole number becomes a float; true does not."""
    known = values()
    double = "io.statefun.types/double"
    assert known.decode(double, known.encode(double, 2)) == 2.0
    text = refusal(ValueProblem, functools.partial(known.encode, double, True))  # noqa: FBT003 -- a value
    assert text == "true cannot become double: it is true or false, not a number"


@pytest.mark.parametrize(
    ("typename", "value", "text"),
    [
        ("io.statefun.types/int", "5", '"5" cannot become int: it is text, not a whole number'),
        ("io.statefun.types/int", None, "null cannot become int: it is null, not a whole number"),
        ("io.statefun.types/int", [1], "[1] cannot become int: it is a list, not a whole number"),
        ("io.statefun.types/string", {}, "{} cannot become string: it is an object, not text"),
        ("io.statefun.types/string", 1.5, "1.5 cannot become string: it is a number, not text"),
        (types.BYTES.typename, 5, f"5 cannot become {brief(types.BYTES.typename)}: bytes are written in base64"),
        (LOGIN, "x" * 80, f'"{"x" * 56}... cannot become shop.Login: it is text, not an object'),
        (LOGIN, [], "[] cannot become shop.Login: it is a list, not an object"),
        ("t/unknown", {}, "the app does not say how 't/unknown' is written in JSON: give its bytes instead"),
    ],
)
def test_what_cannot_become_a_value(typename: str, value: object, text: str) -> None:
    """What is refused is named, and why."""
    assert refusal(ValueProblem, functools.partial(values().encode, typename, value)) == text


@pytest.mark.parametrize(
    ("typename", "value"), [(ANY, {}), ("io.statefun.types/string", "\ud800"), (TIME, "yesterday"), (LOGIN, {"a": 1})]
)
def test_what_another_refuses(typename: str, value: object) -> None:
    """What a codec, a message or UTF-8 does not take is a problem of the value, too, and is told what it should be."""
    text = refusal(ValueProblem, functools.partial(values().encode, typename, value))
    assert f" cannot become {brief(typename)}: " in text


def test_can_encode() -> None:
    """Primitives, JSON types and known messages can be made of JSON; what the app does not know cannot."""
    known = values()
    asked = ("io.statefun.types/int", "values/Order", LOGIN, "t/unknown", "type.googleapis.com/shop.Nobody")
    assert [known.can_encode(typename) for typename in asked] == [True, True, True, False, False]


def test_an_any() -> None:
    """An Any is shown as the type and the value of what is in it."""
    known = values()
    packed = wire_v2_pb2.Value(typename=LOGIN, value=Login(user_id="ada").SerializeToString())
    shown = {"type": "shop.Login", "value": {"userId": "ada"}}
    assert known.decode(ANY, packed.SerializeToString()) == shown


# --- records of Kafka and Kinesis ---


def test_kafka() -> None:
    """A Kafka record is its topic, key, headers and value; what is not there is not shown."""
    known = values()
    record = KafkaProducerRecord(topic="orders", key="k", value_bytes=b'{"sku":"a"}')
    record.headers.add(key="h", value=b"\xffv", has_value=True)
    record.headers.add(key="none")
    assert known.decode(KAFKA, record.SerializeToString(), "t/orders") == {
        "topic": "orders", "key": "k", "headers": [["h", "\ufffdv"], ["none", None]], "value": {"sku": "a"},
    }  # fmt: skip
    bare = KafkaProducerRecord(topic="orders", value_bytes=b"plain").SerializeToString()
    assert known.decode(KAFKA, bare) == {"topic": "orders", "value": "plain"}


def test_kinesis() -> None:
    """A Kinesis record is its stream, partition key and value; the value of a primitive is shown as its bytes are."""
    record = KinesisEgressRecord(stream="s", partition_key="p", value_bytes=b"raw").SerializeToString()
    shown = {"stream": "s", "partition_key": "p", "value": "raw"}
    assert values().decode(KINESIS, record, "t/texts") == shown


# --- what is not known ---


def field(number: int, data: bytes) -> bytes:
    """Return a field of bytes, as protobuf writes it."""
    return bytes([number << 3 | 2, len(data)]) + data


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"", ""),
        (b"some text\n", "some text\n"),
        (b'{"a": [1]}', {"a": [1]}),
        (b"[1, 2]", [1, 2]),
        (b"{not json", "{not json"),
        (b"\x08\x96\x01", {"1": 150}),
        (b"\x08\x01\x08\x02\x08\x03", {"1": [1, 2, 3]}),
        (field(1, b"\x08\x96\x01") + b"\x10\x05", {"1": {"1": 150}, "2": 5}),
        (field(1, b"\xff\xff"), {"1": {"base64": "//8="}}),
        (b"\xff\xff\xff", {"base64": "////"}),
    ],
)
def test_bytes_of_an_unknown_type(data: bytes, shown: object) -> None:
    """Bytes are shown as JSON or text if they are that, as numbered fields if they can be, else in base64."""
    assert values().decode("t/unknown", data) == shown


def test_deep_fields() -> None:
    """Fields within fields are taken apart four times; what is below is base64."""
    data = b"\x08\x96\x01"
    for _ in range(5):
        data = field(1, data)
    assert values().decode("t/unknown", data) == {"1": {"1": {"1": {"1": {"1": "CJYB"}}}}}


@pytest.mark.parametrize(("typename", "data"), [("values/Order", b"nope"), (LOGIN, b"\x0a\x05a")])
def test_bytes_that_are_not_of_their_type(typename: str, data: bytes) -> None:
    """Bytes that their type cannot read are shown as those of an unknown one are."""
    known = values()
    assert known.decode(typename, data) == known.decode("t/unknown", data)


@pytest.mark.parametrize("wire", ["v2", "v3"])
@pytest.mark.parametrize("caller", ["", "t/f/ada"])
def test_a_waiting_message(wire: Wire, caller: str) -> None:
    """A waiting message is its caller, if a function sent it, its typename and its bytes."""
    pb = wire_v2_pb2 if wire == "v2" else wire_v3_pb2
    message = pb.ToFunction.Invocation()
    message.argument.typename, message.argument.value = "t/x", b"data"
    if caller:
        message.caller.namespace, message.caller.type, message.caller.id = caller.split("/")
    assert read_invocation(message.SerializeToString(), wire) == (caller, "t/x", b"data")

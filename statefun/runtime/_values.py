"""Messages, states and records as JSON, for people and for files; and back.

Here: `Values`, which reads and writes what a catalog knows. What it does not know is shown as the fields of protobuf's
wire format if it can be, as text if it is text, else in base64.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable
from typing import cast

from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, EncodeError, Message
from google.protobuf.message_factory import GetMessageClass

from statefun import types
from statefun._primitives import fields
from statefun._proto import wire_v2_pb2, wire_v3_pb2
from statefun._proto.egress_pb2 import KafkaProducerRecord, KinesisEgressRecord
from statefun._type import short
from statefun.errors import PeerError, StatefunError, reason
from statefun.protocol import ANY
from statefun.runtime._catalog import StoredCatalog
from statefun.runtime._json_messages import Encode, encoder_of, parse, to_json
from statefun.runtime._json_text import quoted, writer_of
from statefun.runtime._plans import Wire

__all__ = ["Json", "ValueProblem", "Values", "brief", "read_invocation"]

Json = object
"""Whatever `json` reads and writes."""
_GOOGLE = "type.googleapis.com/"
_PRIMITIVES: dict[str, types.Type[bool] | types.Type[int] | types.Type[float] | types.Type[str] | types.Type[bytes]] = {
    known.typename: known
    for known in (types.BOOL, types.INT32, types.INT64, types.FLOAT32, types.FLOAT64, types.STRING, types.BYTES)
}
_KAFKA = ("io.statefun.sdk.egress.KafkaProducerRecord", "org.apache.flink.statefun.flink.io.KafkaProducerRecord")
_KINESIS = ("io.statefun.sdk.egress.KinesisEgressRecord", "org.apache.flink.statefun.flink.io.KinesisEgressRecord")
_HEADERS = b"\x22"
"""The tag of a Kafka record's headers."""
_DEEP = 4


class ValueProblem(PeerError, ValueError):
    """A JSON value cannot become a value of the type named."""


class Values:
    """Reads and writes values by their typename."""

    def __init__(self, catalog: StoredCatalog) -> None:
        self.catalog = catalog
        self._pool = DescriptorPool()
        for file in catalog.descriptors.file:
            self._pool.Add(file)
        self._classes: dict[str, type[Message] | None] = {}
        self._plain: dict[str, type[Message]] = {}  # of the app's own messages: the first look at every value

    # --- typenames ---

    def resolve(self, name: str) -> str:
        """Return the typename for what somebody wrote: "shop.Login", "string" or a typename. Raises ValueProblem."""
        if "/" in name:
            return name
        for typename in (f"{_GOOGLE}{name}", f"io.statefun.types/{name}"):
            if typename in _PRIMITIVES or self.message_class(typename) is not None:
                return typename
        named = [typename for typename in self.catalog.kinds if typename.rpartition("/")[2] == name]
        if len(named) == 1:
            return named[0]
        known = ", ".join(sorted(types_of(self.catalog))) or "none"
        raise ValueProblem(f"there is no type {name!r} (known: {known})")

    def message_class(self, typename: str) -> type[Message] | None:
        """Return the message class of a typename; None if it is of no known message."""
        if typename not in self._classes:
            name = self.catalog.messages.get(typename)
            if name is None and self.catalog.kinds.get(typename) is None:
                name = typename.rpartition("/")[2]
            self._classes[typename] = self._find(name)
        return self._classes[typename]

    def _find(self, name: str | None) -> type[Message] | None:
        if name is None:
            return None
        try:
            return GetMessageClass(self._pool.FindMessageTypeByName(name))
        except KeyError:
            return None

    # --- to JSON ---

    def decode(self, typename: str, data: bytes, egress: str = "") -> Json:
        """Return a value as JSON; what cannot be read so is shown as well as it can be."""
        try:
            return self._decode(typename, data, egress)
        except (ValueError, DecodeError, StatefunError):
            return show_bytes(data)

    def _decode(self, typename: str, data: bytes, egress: str) -> Json:
        plain = self._plain.get(typename)
        if plain is not None:
            return to_json(plain.FromString(data), self._pool)
        primitive = _PRIMITIVES.get(typename)
        if primitive is not None:
            value = primitive.decode(data)
            return base64.b64encode(value).decode() if isinstance(value, bytes) else value
        if self.catalog.kinds.get(typename) == "json" or typename == types.JSON:
            return cast("Json", json.loads(data))
        if typename == ANY:
            packed = wire_v2_pb2.Value.FromString(data)
            return {"type": short(packed.typename), "value": self.decode(packed.typename, packed.value)}
        name = typename.rpartition("/")[2]
        if name in _KAFKA:
            return self._kafka(KafkaProducerRecord.FromString(data), egress)
        if name in _KINESIS:
            return self._kinesis(KinesisEgressRecord.FromString(data), egress)
        cls = self.message_class(typename)
        if cls is not None:
            self._note_plain(typename, cls)
            return to_json(cls.FromString(data), self._pool)
        return show_bytes(data)

    def _note_plain(self, typename: str, cls: type[Message]) -> None:
        """Remember that values of this typename are messages of the app's own, and nothing else."""
        if not cls.DESCRIPTOR.full_name.startswith("google.protobuf."):
            self._plain[typename] = cls

    def message_writer(self, cls: type[Message]) -> Callable[[bytes], str]:
        """Return what writes values of a class as the JSON text that `decode` leads to. It raises DecodeError."""
        read, write = cls.FromString, writer_of(cls, self._pool)
        return lambda data: write(read(data))

    def kafka_writer(self, typename: str, egress: str) -> Callable[[bytes], str] | None:
        """Return what writes a Kafka record of an app's message so; None if it is something else.

        It raises DecodeError, and ValueError for a record that `decode` is to show.
        """
        known = self.catalog.egresses.get(egress, ())
        if typename.rpartition("/")[2] not in _KAFKA or self.catalog.kinds.get(typename) == "json" or len(known) != 1:
            return None
        cls = self.own_message(known[0])
        return None if cls is None else functools.partial(_kafka_text, self.message_writer(cls))

    def own_message(self, typename: str) -> type[Message] | None:
        """Return the class if values of this typename are messages of the app's own, and nothing else."""
        if typename in _PRIMITIVES or self.catalog.kinds.get(typename) == "json" or typename in (types.JSON, ANY):
            return None
        if typename.rpartition("/")[2] in (*_KAFKA, *_KINESIS):
            return None
        cls = self.message_class(typename)
        return None if cls is None or cls.DESCRIPTOR.full_name.startswith("google.protobuf.") else cls

    def _kafka(self, record: KafkaProducerRecord, egress: str) -> Json:
        shown: dict[str, Json] = {"topic": record.topic}
        if record.key:
            shown["key"] = record.key
        if record.headers:
            shown["headers"] = [
                [h.key, h.value.decode("utf-8", "replace") if h.has_value else None] for h in record.headers
            ]
        shown["value"] = self._payload(record.value_bytes, egress)
        return shown

    def _kinesis(self, record: KinesisEgressRecord, egress: str) -> Json:
        value = self._payload(record.value_bytes, egress)
        return {"stream": record.stream, "partition_key": record.partition_key, "value": value}

    def _payload(self, data: bytes, egress: str) -> Json:
        """Show the value of a record, which has no typename: what the app says the egress takes, if it is one type."""
        known = self.catalog.egresses.get(egress, ())
        if len(known) == 1 and known[0] not in _PRIMITIVES:
            return self.decode(known[0], data)
        return show_bytes(data)

    # --- from JSON ---

    def fast_encoder(self, typename: str) -> Encode:
        """Return what does for most values what `encode` does for all, and returns None for the others."""
        cls = self.own_message(typename)
        return _give_up if cls is None else encoder_of(cls)

    def encode(self, typename: str, value: Json) -> bytes:
        """Return the bytes of a JSON value. Raises ValueProblem."""
        try:
            plain = self._plain.get(typename)
            if plain is not None and value.__class__ is dict:
                return parse(plain, cast("dict[str, Json]", value), self._pool).SerializeToString()
            primitive = _PRIMITIVES.get(typename)
            if primitive is not None:
                return _encode_primitive(typename, value)
            if self.catalog.kinds.get(typename) == "json" or typename == types.JSON:
                return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
            if typename == ANY:
                raise ValueProblem("an Any is sent as what is in it: name that type")
            cls = self.message_class(typename)
            if cls is not None:
                self._note_plain(typename, cls)
                return self._encode_message(cls, value)
        except (json_format.ParseError, EncodeError, StatefunError, AttributeError, TypeError, UnicodeError) as error:
            problem = str(reason(error)).strip()
            raise ValueProblem(f"{_brief(value)} cannot become {brief(typename)}: {problem}") from error
        raise ValueProblem(f"the app does not say how {short(typename)!r} is written in JSON: give its bytes instead")

    def _encode_message(self, cls: type[Message], value: Json) -> bytes:
        if cls.DESCRIPTOR.full_name.startswith("google.protobuf."):
            message = json_format.ParseDict(cast("dict[str, object]", value), cls(), descriptor_pool=self._pool)
            return message.SerializeToString()
        if not isinstance(value, dict):
            raise TypeError(f"it is {_kind(value)}, not an object")
        return parse(cls, cast("dict[str, object]", value), self._pool).SerializeToString()

    def from_json(self, function: str) -> list[str]:
        """List the types of messages that a function takes and JSON can become."""
        known = self.catalog.functions.get(function)
        return [] if known is None else [one for one in known.accepts if self.can_encode(one)]

    def can_encode(self, typename: str) -> bool:
        """Tell whether JSON can become a value of this type."""
        return (
            typename in _PRIMITIVES
            or self.catalog.kinds.get(typename) == "json"
            or self.message_class(typename) is not None
        )


def _give_up(_value: Json) -> None:
    """Leave it to `encode`."""


def _kafka_text(payload: Callable[[bytes], str], data: bytes) -> str:
    """Write a record of Kafka, as `_kafka` shows it. Raises DecodeError, and ValueError if it has headers."""
    record = KafkaProducerRecord.FromString(data)
    if _HEADERS in data and record.headers:  # to look for the tag is cheaper than to ask for what is not there
        raise ValueError
    key, value = record.key, payload(record.value_bytes)
    if not key:
        return f'{{"topic":{quoted(record.topic)},"value":{value}}}'
    return f'{{"topic":{quoted(record.topic)},"key":{quoted(key)},"value":{value}}}'


def brief(typename: str) -> str:
    """Write a typename as people do, and as `resolve` reads it."""
    return short(typename).removeprefix("io.statefun.types/")


def types_of(catalog: StoredCatalog) -> set[str]:
    """List what the functions accept, as people write it."""
    return {brief(name) for known in catalog.functions.values() for name in known.accepts}


def _encode_primitive(typename: str, value: Json) -> bytes:
    known = _PRIMITIVES[typename]
    if known.cls is bytes:
        if not isinstance(value, str):
            raise TypeError("bytes are written in base64")
        return base64.b64decode(value, validate=True)
    if known.cls is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if value.__class__ is not known.cls:
        raise TypeError(f"it is {_kind(value)}, not {_kind(known.cls())}")
    return cast("types.Type[object]", known).encode(value)


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    names: dict[type[object], str] = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "an object",
    }
    return names.get(value.__class__, value.__class__.__name__)


def _brief(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 -- what fits a line


def show_bytes(data: bytes, deep: int = 0) -> Json:
    """Show bytes of an unknown type: as JSON or text, as protobuf's fields by number, else in base64."""
    if not data:
        return ""
    try:
        text = data.decode()
        if text.isprintable() or all(sign.isprintable() or sign in "\n\r\t" for sign in text):
            return _maybe_json(text)
    except UnicodeDecodeError:
        pass
    try:
        found: dict[str, Json] = {}
        for number, _, body in fields(data):
            value = show_bytes(body, deep + 1) if isinstance(body, bytes) and deep < _DEEP else body
            if isinstance(value, bytes):
                value = base64.b64encode(value).decode()
            known = found.get(str(number))
            found[str(number)] = value if known is None else [*(known if isinstance(known, list) else [known]), value]
    except ValueError:
        return {"base64": base64.b64encode(data).decode()}
    return found


def _maybe_json(text: str) -> Json:
    if text[:1] in ("{", "["):
        try:
            return cast("Json", json.loads(text))
        except ValueError:
            pass
    return text


def read_invocation(message: bytes, wire: Wire) -> tuple[str, str, bytes]:
    """Take a waiting message apart: its caller as text ("" for an ingress), its typename and its bytes."""
    invocation: wire_v2_pb2.ToFunction.Invocation | wire_v3_pb2.ToFunction.Invocation
    if wire == "v2":
        invocation = wire_v2_pb2.ToFunction.Invocation.FromString(message)
    else:
        invocation = wire_v3_pb2.ToFunction.Invocation.FromString(message)
    caller = invocation.caller
    name = f"{caller.namespace}/{caller.type}/{caller.id}" if invocation.HasField("caller") else ""
    return name, invocation.argument.typename, invocation.argument.value

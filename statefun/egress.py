"""Egresses: where records leave the application, and of which type they are.

Here: the `Egress` protocol, the three kinds of egress that runtimes have, and the record helpers of the 2.x SDK. The
names that a runtime knows the records by are the wire's affair (`_wire`).
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol

from google.protobuf.message import Message

from statefun import _hints
from statefun._primitives import varint
from statefun._proto.egress_pb2 import KafkaProducerRecord, KinesisEgressRecord
from statefun._variables import TypeVar
from statefun.address import split_typename
from statefun.errors import DeclarationError, SendError, UnsendableError, with_help
from statefun.types import NUMBERS, STRING, Record, Sendable, Type, for_value, type_of, unsendable

if TYPE_CHECKING:
    from statefun.protocol import Header

__all__ = [
    "Egress",
    "KafkaEgress",
    "KinesisEgress",
    "MessageEgress",
    "TypedEgress",
    "kafka_egress_record",
    "kinesis_egress_record",
]

P = ParamSpec("P")
V_contra = TypeVar("V_contra", bound=Record, contravariant=True)
M_contra = TypeVar("M_contra", bound=Sendable, contravariant=True)
X_contra = TypeVar("X_contra", contravariant=True)

KAFKA_RECORD = f"type.googleapis.com/{KafkaProducerRecord.DESCRIPTOR.full_name}"
KINESIS_RECORD = f"type.googleapis.com/{KinesisEgressRecord.DESCRIPTOR.full_name}"
_NO_NUMBER = with_help(
    "a record is bytes, and a number has no one way to become them",
    "send str or bytes (str(value)), a protobuf message, or a class with json_type",
)


class Egress(Protocol[P]):
    """Anything with a typename that makes records: `context.send_egress` takes what `record` takes."""

    @property
    def typename(self) -> str:
        """The id of the egress in module.yaml, "<namespace>/<name>"."""
        ...

    def record(self, *args: P.args, **kwargs: P.kwargs) -> Sendable:
        """Make the record that leaves."""
        ...


class TypedEgress(Generic[X_contra]):
    """What the egresses for values of one type have in common."""

    _numbers = False

    def __init__(self, typename: str) -> None:
        split_typename(typename)
        self.typename: str = typename
        """The id of the egress in module.yaml, "<namespace>/<name>"."""
        self._encoders: dict[type, Callable[[Any], bytes]] | None = None
        self._types: dict[type, Type[Any]] = {}
        self._scope = _hints.caller_scope(2)

    if not TYPE_CHECKING:

        def __class_getitem__(cls, hint: Any) -> Any:
            """Refuse `KafkaEgress[int]` on the line where it is written."""
            for argument in hint if isinstance(hint, tuple) else (hint,):
                for member in _evaluated(argument):
                    _check_member(cls, member)
            return super().__class_getitem__(hint)

    def _type_for(self, value: object) -> Type[Any]:
        """Return what a value is encoded with. Raises SendError."""
        if self._encoders is None:
            self._types = {known.cls: known for known in self.types()}
            self._encoders = {cls: _record_encoder(found) for cls, found in self._types.items()}
        cls = value.__class__
        found = self._types.get(cls)
        if found is None and cls is int:
            found = self._types.get(float)
        if found is not None:
            return found
        if self._types:
            hint = " | ".join(_hints.show(known) for known in self._types)
            msg = f"egress {self.typename!r} takes {hint}, not {_hints.show(cls)}"
            raise SendError(msg)
        if cls in NUMBERS and not self._numbers:
            msg = f"egress {self.typename!r}: {_NO_NUMBER}"
            raise UnsendableError(msg)
        return for_value(value)

    def types(self) -> tuple[Type[Any], ...]:
        """Return the types of its values, as far as its hint names them: none of `KafkaEgress[Any]`."""
        arguments = typing.get_args(getattr(self, "__orig_class__", None))
        if not arguments:
            return ()
        members = _hints.members(arguments[0], self._scope, Type)
        named = (one for one in members if one.cls is not Any and not isinstance(one.cls, typing.TypeVar))
        found = (one.extra or type_of(one.cls) for one in named)
        return tuple(known for known in found if known is not None)

    def _record_bytes(self, value: object) -> bytes:
        """Encode the value of a record: bytes as they are, text as UTF-8, a message or JSON as written."""
        encode = None if self._encoders is None else self._encoders.get(value.__class__)
        if encode is None:
            encode = _record_encoder(self._type_for(value))
        try:
            return encode(value)
        except UnicodeEncodeError as error:
            msg = f"egress {self.typename!r}: {value!r} has no UTF-8 form: {error.reason}"
            raise SendError(msg) from None

    def _text(self, name: str, value: object) -> bytes:
        """Encode an option that is text. Raises SendError."""
        if not isinstance(value, str):
            msg = f"egress {self.typename!r}: {name} is a str, not {_hints.show(type(value))}"
            raise SendError(msg)
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            msg = f"egress {self.typename!r}: {name} {value!r} has no UTF-8 form: {error.reason}"
            raise SendError(msg) from None


def _record_encoder(found: Type[Any]) -> Callable[[Any], bytes]:
    return str.encode if found is STRING else found.encode


def _evaluated(hint: Any) -> list[_hints.Member]:
    """List the members of a hint as far as they can be read now: a forward reference is read when it is used."""
    try:
        return list(_hints.members(hint, _hints.Scope({}, {}), Type))
    except NameError:
        return []


def _check_member(egress: type[TypedEgress[Any]], member: _hints.Member) -> None:
    cls = member.cls
    if isinstance(cls, typing.TypeVar) or cls is Any or cls is Message:
        return
    where = f"{egress.__name__}[{_hints.show(cls)}]"
    if cls in NUMBERS and not egress._numbers:
        msg = f"{where}: {_NO_NUMBER}"
        raise DeclarationError(msg)
    if member.extra is None and type_of(cls) is None:
        msg = f"{where}: {unsendable(cls)}"
        raise DeclarationError(msg)


def _check_destination(egress: TypedEgress[Any], name: str, value: object) -> None:
    if not isinstance(value, str) or not value or not _hints.has_utf8(value):
        msg = f"egress {egress.typename!r}: its {name} is a str that is not empty, not {value!r}"
        raise DeclarationError(msg)


class KafkaEgress(TypedEgress[V_contra]):
    """Name a Kafka egress of module.yaml, the topic that records go to, and what they may be.

    GREETINGS = KafkaEgress[Greeting]("example/greets", topic="greetings")

    A record is bytes: `bytes` as they are, `str` as UTF-8, a message serialized, JSON kinds as JSON. Raises
    DeclarationError.
    """

    def __init__(self, typename: str, *, topic: str) -> None:
        super().__init__(typename)
        _check_destination(self, "topic", topic)
        self.topic = topic
        topic_bytes = topic.encode()
        self._topic_field = b"\x1a" + varint(len(topic_bytes)) + topic_bytes

    def record(self, value: V_contra, /, *, key: str = "", headers: Sequence[Header] = ()) -> KafkaProducerRecord:
        """Make the record. An empty key is none.

        Headers leave on the Flink 2 continuation only: Apache's runtimes (2.x, 3.x) drop them without a word. Raises
        SendError.
        """
        return KafkaProducerRecord.FromString(self.encoded(value, key=key, headers=headers))

    def encoded(self, value: V_contra, /, *, key: str = "", headers: Sequence[Header] = ()) -> bytes:
        """Make the serialized record, in the order of its fields: what `context.send_egress` sends."""
        encode = None if self._encoders is None else self._encoders.get(value.__class__)
        if encode is None or not key or headers or key.__class__ is not str:
            return self._encoded(value, key, headers)
        try:  # the path of nearly every record, formatted in one go
            data, key_bytes = encode(value), key.encode()
        except UnicodeEncodeError:
            return self._encoded(value, key, headers)  # which says of what
        key_size, size = varint(len(key_bytes)), varint(len(data))
        if not data:
            return b"".join((b"\x0a", key_size, key_bytes, self._topic_field))
        return b"".join((b"\x0a", key_size, key_bytes, b"\x12", size, data, self._topic_field))

    def _encoded(self, value: Any, key: str, headers: Sequence[Header]) -> bytes:
        data = self._record_bytes(value)
        parts: list[bytes] = []
        if key:
            key_bytes = self._text("key", key)
            parts += [b"\x0a", varint(len(key_bytes)), key_bytes]
        if data:
            parts += [b"\x12", varint(len(data)), data]
        parts.append(self._topic_field)
        for header in headers:
            header_bytes = self._header(header)
            parts += [b"\x22", varint(len(header_bytes)), header_bytes]
        return b"".join(parts)

    def _header(self, header: Header) -> bytes:
        try:
            name, content = header
            made = KafkaProducerRecord.Header(key=name, value=content or b"", has_value=content is not None)
            return made.SerializeToString()
        except (TypeError, ValueError) as error:
            msg = f"egress {self.typename!r}: a header is (str, bytes or None), not {header!r}"
            raise SendError(msg) from error

    def __repr__(self) -> str:
        return f"KafkaEgress({self.typename!r}, topic={self.topic!r})"


class KinesisEgress(TypedEgress[V_contra]):
    """Name a Kinesis egress of module.yaml, the stream that records go to, and what they may be.

    CLICKS = KinesisEgress[Click]("example/clicks", stream="clicks")

    Records are as for Kafka. Raises DeclarationError.
    """

    def __init__(self, typename: str, *, stream: str) -> None:
        super().__init__(typename)
        _check_destination(self, "stream", stream)
        self.stream = stream

    def record(self, value: V_contra, /, *, partition_key: str, explicit_hash_key: str = "") -> KinesisEgressRecord:
        """Make the record. An empty explicit hash key is none. Raises SendError."""
        if not self._text("partition_key", partition_key):
            msg = f"egress {self.typename!r}: a Kinesis record needs a partition_key"
            raise SendError(msg)
        self._text("explicit_hash_key", explicit_hash_key)
        return KinesisEgressRecord(
            partition_key=partition_key,
            value_bytes=self._record_bytes(value),
            stream=self.stream,
            explicit_hash_key=explicit_hash_key,
        )

    def __repr__(self) -> str:
        return f"KinesisEgress({self.typename!r}, stream={self.stream!r})"


class MessageEgress(TypedEgress[M_contra]):
    """Name an egress of one's own, which takes the value itself with its typename.

    TOTALS = MessageEgress[int]("example/totals")
    """

    _numbers = True

    def record(self, value: M_contra, /) -> Sendable:
        """Return the value. Raises SendError."""
        self._type_for(value)
        return value

    def type_for(self, value: object) -> Type[Any]:
        """Return what a value leaves as. Raises SendError."""
        return self._type_for(value)

    def __repr__(self) -> str:
        return f"MessageEgress({self.typename!r})"


def kafka_egress_record(topic: str, value: Record, key: str | None = None) -> KafkaProducerRecord:
    """Make a Kafka record, for `context.pack_and_send_egress` (the helper of the 2.x SDK).

    Value: as for `KafkaEgress`. Raises SendError.
    """
    _check_part("a Kafka record", "topic", topic)
    if key:
        _check_part("a Kafka record", "key", key)
    return KafkaProducerRecord(key=key or "", value_bytes=_value_bytes(value), topic=topic)


def kinesis_egress_record(
    stream: str, value: Record, partition_key: str, explicit_hash_key: str | None = None
) -> KinesisEgressRecord:
    """Make a Kinesis record, for `context.pack_and_send_egress` (the helper of the 2.x SDK).

    Value: as for `KafkaEgress`. Raises SendError.
    """
    _check_part("a Kinesis record", "stream", stream)
    _check_part("a Kinesis record", "partition key", partition_key)
    if explicit_hash_key:
        _check_part("a Kinesis record", "explicit hash key", explicit_hash_key)
    return KinesisEgressRecord(
        partition_key=partition_key,
        value_bytes=_value_bytes(value),
        stream=stream,
        explicit_hash_key=explicit_hash_key or "",
    )


def _check_part(record: str, name: str, value: object) -> None:
    if not isinstance(value, str) or not value or not _hints.has_utf8(value):
        msg = f"the {name} of {record} is a str that is not empty, not {value!r}"
        raise SendError(msg)


def _value_bytes(value: object) -> bytes:
    if value.__class__ in NUMBERS:
        raise UnsendableError(_NO_NUMBER)
    try:
        return _record_encoder(for_value(value))(value)
    except UnicodeEncodeError as error:
        msg = f"{value!r} has no UTF-8 form: {error.reason}"
        raise SendError(msg) from None

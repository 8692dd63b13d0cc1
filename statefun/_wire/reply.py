"""A reply, encoded while its effects are appended (`FromFunction.InvocationResponse`).

Here: what v2 and v3 have in common, which is everything but how a value is written. Ugly for speed: the bytes of a
message are put together from what was encoded for the last one with an id and a payload of the same sizes, no protobuf
message is built for it, and a payload is copied once, when the reply is joined. (With `add()` and attributes a message
costs twice as much, and with its parts formatted anew each time half as much again: benchmarks/peers.)
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from statefun._primitives import VARINTS, varint
from statefun.address import split_typename
from statefun.egress import KAFKA_RECORD, KINESIS_RECORD
from statefun.errors import SendError
from statefun.protocol import ANY, Mark
from statefun.types import Type

__all__ = ["EncodedReply", "keep", "named"]

_CACHED = 4_096  # entries that a cache holds before it is emptied: names made at run time would fill the memory
_JOINED = 4_096  # bytes up to which a payload is formatted into its message; a larger one stays apart
_FEW = 16  # parts that are joined before their length is known
K = TypeVar("K")
V = TypeVar("V")
_RECORD_NAMES = {
    name: known.rpartition(".")[2]
    for known in (KAFKA_RECORD, KINESIS_RECORD)
    for name in (
        known.rpartition("/")[2],
        *(
            f"{ns}.{known.rpartition('.')[2]}"
            for ns in ("org.apache.flink.statefun.flink.io", "io.statefun.sdk.egress")
        ),
    )
}


class EncodedReply:
    """The effects of a batch, as the fields 1 to 4 of an InvocationResponse."""

    __slots__ = ("_delayed", "_egress", "_has_large", "_messages", "_mutations")

    speaks_cancellation: ClassVar[bool]
    any_is_bare: ClassVar[bool]
    """Whether a stored Any is kept as it is (v2), and not under its own typename once more (v3)."""
    record_namespace: ClassVar[str]
    """The package under which the runtime knows Kafka and Kinesis records."""
    _targets: ClassVar[dict[str, bytes]]
    _values: ClassVar[dict[str, bytes]]
    _message_frames: ClassVar[dict[tuple[str, str, int, int], tuple[bytes, bytes]]]
    """What stands around the id of a message, and before its payload: by function, typename and the two sizes."""
    _record_frames: ClassVar[dict[tuple[str, str, int], bytes]]
    """What stands before the payload of a record: by egress, typename and size."""
    _state_frames: ClassVar[dict[tuple[str, str, int], bytes]]
    """What stands before a stored value: by name, typename and size."""

    def __init__(self) -> None:
        self._mutations: list[bytes] = []
        self._messages: list[bytes] = []
        self._delayed: list[bytes] = []
        self._egress: list[bytes] = []
        self._has_large = False  # whether a payload stands apart, which is not to be copied again

    # --- how a version writes a value ---

    @staticmethod
    def value_prefix(typename: str) -> bytes:
        """Encode what stands before the length of a value."""
        raise NotImplementedError

    # --- effects ---

    def send(
        self,
        target: str,
        identity: str,
        typename: str,
        data: bytes,
        type: Type[Any] | None,  # noqa: ARG002 -- the recording reply of the test kit decodes with it
    ) -> None:
        """Append an outgoing message (field 2)."""
        try:
            id_bytes = identity.encode()
        except UnicodeEncodeError as error:
            raise _no_utf8("id", identity, error) from None
        size = len(data)
        key = target, typename, len(id_bytes), size
        before, between = self._message_frames.get(key) or self._message_frame(*key)
        if size < _JOINED:
            self._messages.append(before + id_bytes + between + data)
            return
        self._messages += [before + id_bytes + between, data]
        self._has_large = True

    def send_after(
        self,
        delay_ms: int,
        target: str,
        identity: str,
        typename: str,
        data: bytes,
        type: Type[Any] | None,  # noqa: ARG002 -- as for send
        token: str,
    ) -> None:
        """Append a delayed message (field 3)."""
        head = self._targets.get(target) or self._target(target)
        try:
            address = head + named(b"\x1a", identity)
            tail = named(b"\x5a", token) if token else b""
        except UnicodeEncodeError as error:
            raise _no_utf8("id or token", f"{identity}, {token}" if token else identity, error) from None
        size = len(data)
        value = self._value(typename, size)
        before = b"\x08" + varint(delay_ms) if delay_ms else b""
        before += b"\x12" + varint(len(address)) + address + b"\x1a" + varint(len(value) + size) + value
        before = b"\x1a" + varint(len(before) + size + len(tail)) + before
        if size < _JOINED:
            self._delayed.append(before + data + tail)
            return
        self._delayed += [before, data, tail] if tail else [before, data]
        self._has_large = True

    def cancel(self, token: str) -> None:
        """Append a cancellation (field 3, `is_cancellation_request`)."""
        try:
            body = b"\x50\x01" + named(b"\x5a", token)
        except UnicodeEncodeError as error:
            raise _no_utf8("token", token, error) from None
        self._delayed.append(b"\x1a" + varint(len(body)) + body)

    def egress(self, egress: str, typename: str, data: bytes) -> None:
        """Append a record (field 4); a Kafka or Kinesis record under the name that this version's runtimes know."""
        size = len(data)
        key = egress, typename, size
        before = self._record_frames.get(key) or self._record_frame(*key)
        if size < _JOINED:
            self._egress.append(before + data)
            return
        self._egress += [before, data]
        self._has_large = True

    def write_state(self, name: str, typename: str, data: bytes) -> None:
        """Append a MODIFY (field 1)."""
        size = len(data)
        key = name, typename, size
        before = self._state_frames.get(key) or self._state_frame(*key)
        if size < _JOINED:
            self._mutations.append(before + data)
            return
        self._mutations += [before, data]
        self._has_large = True

    def delete_state(self, name: str) -> None:
        """Append a DELETE (field 1), which is 0 and therefore not on the wire."""
        body = named(b"\x12", name)
        self._mutations.append(b"\x0a" + VARINTS[len(body)] + body)

    # --- taking back ---

    @property
    def effects(self) -> tuple[list[bytes], list[bytes], list[bytes]]:
        """What messages, delayed messages and records are appended to."""
        return self._messages, self._delayed, self._egress

    def mark(self) -> Mark:
        """Return the point reached."""
        return len(self._mutations), len(self._messages), len(self._delayed), len(self._egress)

    def rollback(self, mark: Mark) -> None:
        """Take back everything since that point."""
        mutations, messages, delayed, egress = mark
        del self._mutations[mutations:], self._messages[messages:], self._delayed[delayed:], self._egress[egress:]

    # --- the whole ---

    def encode(self) -> bytes:
        """Return the bytes of the reply: none at all where there is no effect."""
        parts = self._mutations + self._messages
        if self._delayed or self._egress:
            parts += self._delayed + self._egress
        if len(parts) < _FEW and not self._has_large:
            body = b"".join(parts)  # copied once more below, which costs less than adding up
            return b"\xa2\x06" + VARINTS[len(body)] + body if body else b""
        if not parts:
            return b""  # what was large was rolled back
        parts.insert(0, b"\xa2\x06" + varint(sum(map(len, parts))))
        return b"".join(parts)

    # --- parts ---

    def _target(self, typename: str) -> bytes:
        namespace, name = split_typename(typename)
        return keep(self._targets, typename, named(b"\x0a", namespace) + named(b"\x12", name))

    def _value(self, typename: str, size: int) -> bytes:
        """Encode what stands before a payload of this size in its value: without a payload, its tag goes, too."""
        prefix = self._values.get(typename) or keep(self._values, typename, self.value_prefix(typename))
        return prefix + varint(size) if size else prefix[:-1]

    def _message_frame(self, target: str, typename: str, id_size: int, size: int) -> tuple[bytes, bytes]:
        """Encode what stands before the id, and between id and payload, in a message where they are of these sizes."""
        head = self._targets.get(target) or self._target(target)
        address = head + b"\x1a" + varint(id_size) if id_size else head
        value = self._value(typename, size)
        between = b"\x12" + varint(len(value) + size) + value
        before = b"\x0a" + varint(len(address) + id_size) + address
        before = b"\x12" + varint(len(before) + id_size + len(between) + size) + before
        return keep(self._message_frames, (target, typename, id_size, size), (before, between))

    def _record_frame(self, egress: str, typename: str, size: int) -> bytes:
        """Encode what stands before the payload of a record of this size."""
        record = _RECORD_NAMES.get(typename.rpartition("/")[2])
        known = typename if record is None else f"type.googleapis.com/{self.record_namespace}.{record}"
        value = self._value(known, size)
        before = (self._targets.get(egress) or self._target(egress)) + b"\x1a" + varint(len(value) + size) + value
        return keep(self._record_frames, (egress, typename, size), b"\x22" + varint(len(before) + size) + before)

    def _state_frame(self, name: str, typename: str, size: int) -> bytes:
        """Encode what stands before a stored value of this size."""
        before = b"\x08\x01" + named(b"\x12", name)
        value = b"" if typename == ANY and self.any_is_bare else self._value(typename, size)
        if value or size:
            before += b"\x1a" + varint(len(value) + size) + value
        return keep(self._state_frames, (name, typename, size), b"\x0a" + varint(len(before) + size) + before)


def named(tag: bytes, text: str) -> bytes:
    """Encode a field that is text; an empty one is not on the wire."""
    data = text.encode()
    return tag + varint(len(data)) + data if data else b""


def keep(cache: dict[K, V], key: K, made: V) -> V:
    if len(cache) >= _CACHED:
        cache.clear()
    cache[key] = made
    return made


def _no_utf8(what: str, text: str, error: UnicodeEncodeError) -> SendError:
    return SendError(f"the {what} {text!r} has no UTF-8 form: {error.reason}")

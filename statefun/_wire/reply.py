"""A reply, encoded while its effects are appended (`FromFunction.InvocationResponse`).

Here: what v2 and v3 have in common, which is everything but how a value is written. Ugly for speed: the bytes of a
message are formatted in one go from cached parts, no protobuf message is built for it, and a payload is copied once,
when the reply is joined. (With `add()` and attributes a message costs twice as much: benchmarks/peers.)
"""

from __future__ import annotations

from typing import Any, ClassVar

from statefun._primitives import VARINTS, varint
from statefun.address import split_typename
from statefun.egress import KAFKA_RECORD, KINESIS_RECORD
from statefun.errors import SendError
from statefun.protocol import ANY, Mark
from statefun.types import Type

__all__ = ["EncodedReply", "keep", "named"]

_CACHED = 4_096  # names that a cache holds before it is emptied: more are made at run time, and would fill the memory
_JOINED = 4_096  # bytes up to which a payload is formatted into its message; a larger one stays apart
_FEW = 16  # parts that are joined before their length is known
_ONE_BYTE = 128
_states: dict[str, bytes] = {}  # what stands before the value in the MODIFY of a state
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
    _egresses: ClassVar[dict[str, bytes]]
    _records: ClassVar[dict[str, bytes]]

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
        head = self._targets.get(target) or self._target(target)
        value = self._values.get(typename) or self._value(typename)
        try:
            id_bytes = identity.encode()
        except UnicodeEncodeError as error:
            raise _no_utf8("id", identity, error) from None
        id_size, size = len(id_bytes), len(data)
        target_size, value_size = len(head) + id_size + 2, len(value) + size + 1
        if target_size < _ONE_BYTE and value_size < _ONE_BYTE and id_size and size:
            total = target_size + value_size + 4
            if total < _ONE_BYTE:
                self._messages.append(
                    b"\x12%c\x0a%c%b\x1a%c%b\x12%c%b%c%b"
                    % (total, target_size, head, id_size, id_bytes, value_size, value, size, data)
                )
            else:
                self._messages.append(
                    b"\x12%b\x0a%c%b\x1a%c%b\x12%c%b%c%b"
                    % (varint(total), target_size, head, id_size, id_bytes, value_size, value, size, data)
                )
            return
        self._append(self._messages, b"\x12", b"", _address(b"\x0a", head, id_bytes), b"\x12", value, data, b"")

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
        value = self._values.get(typename) or self._value(typename)
        try:
            address = _address(b"\x12", head, identity.encode())
            tail = named(b"\x5a", token) if token else b""
        except UnicodeEncodeError as error:
            raise _no_utf8("id or token", f"{identity}, {token}" if token else identity, error) from None
        delay = b"\x08" + varint(delay_ms) if delay_ms else b""
        self._append(self._delayed, b"\x1a", delay, address, b"\x1a", value, data, tail)

    def cancel(self, token: str) -> None:
        """Append a cancellation (field 3, `is_cancellation_request`)."""
        try:
            body = b"\x50\x01" + named(b"\x5a", token)
        except UnicodeEncodeError as error:
            raise _no_utf8("token", token, error) from None
        self._delayed.append(b"\x1a" + varint(len(body)) + body)

    def egress(self, egress: str, typename: str, data: bytes) -> None:
        """Append a record (field 4); a Kafka or Kinesis record under the name that this version's runtimes know."""
        head = self._egresses.get(egress) or self._egress_head(egress)
        value = self._records.get(typename) or self._record(typename)
        size = len(data)
        if 0 < size < _JOINED:
            length = VARINTS[size]
            value_size = len(value) + len(length) + size
            outer = VARINTS[value_size]
            total = VARINTS[len(head) + 1 + len(outer) + value_size]
            # seven parts are joined faster than they are formatted
            self._egress.append(b"".join((b"\x22", total, head, b"\x1a", outer, value, length, data)))
            return
        self._append(self._egress, b"\x22", head, b"", b"\x1a", value, data, b"")

    def write_state(self, name: str, typename: str, data: bytes) -> None:
        """Append a MODIFY (field 1)."""
        head = _states.get(name) or keep(_states, name, b"\x08\x01" + named(b"\x12", name))
        size = len(data)
        if typename == ANY and self.any_is_bare:
            value = b""
        else:
            value = self._values.get(typename) or self._value(typename)
            total = len(value) + size + (1 if size < _ONE_BYTE else 2)
            outer = len(head) + total + (2 if total < _ONE_BYTE else 3)
            if size and outer < _JOINED:
                if outer < _ONE_BYTE:
                    self._mutations.append(b"\x0a%c%b\x1a%c%b%c%b" % (outer, head, total, value, size, data))
                else:
                    parts = VARINTS[outer], head, VARINTS[total], value, VARINTS[size], data
                    self._mutations.append(b"\x0a%b%b\x1a%b%b%b%b" % parts)
                return
        # without a payload, its tag goes, too
        before = (value + VARINTS[size] if value else b"") if size else value[:-1]
        if not before and not size:
            self._mutations.append(b"\x0a" + VARINTS[len(head)] + head)
            return
        before = b"\x1a" + VARINTS[len(before) + size] + before
        before = b"\x0a" + VARINTS[len(head) + len(before) + size] + head + before
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
        parts = self._mutations + self._messages + self._delayed + self._egress
        if len(parts) < _FEW and not self._has_large:
            body = b"".join(parts)  # copied once more below, which costs less than adding up
            return b"\xa2\x06%b%b" % (VARINTS[len(body)], body) if body else b""
        if not parts:
            return b""  # what was large was rolled back
        parts.insert(0, b"\xa2\x06" + varint(sum(map(len, parts))))
        return b"".join(parts)

    # --- parts ---

    def _target(self, typename: str) -> bytes:
        namespace, name = split_typename(typename)
        return keep(self._targets, typename, named(b"\x0a", namespace) + named(b"\x12", name))

    def _egress_head(self, typename: str) -> bytes:
        return keep(self._egresses, typename, self._target(typename))

    def _value(self, typename: str) -> bytes:
        return keep(self._values, typename, self.value_prefix(typename))

    def _record(self, typename: str) -> bytes:
        record = _RECORD_NAMES.get(typename.rpartition("/")[2])
        known = typename if record is None else f"type.googleapis.com/{self.record_namespace}.{record}"
        return keep(self._records, typename, self.value_prefix(known))

    def _append(
        self,
        parts: list[bytes],
        tag: bytes,
        first: bytes,
        second: bytes,
        value_tag: bytes,
        value: bytes,
        data: bytes,
        tail: bytes,
    ) -> None:
        """Append one message of any size: `tag len first second value_tag len value len data tail`."""
        size = len(data)
        body = value + varint(size) if size else value[:-1]  # the tag of the payload goes with it
        before = first + second + value_tag + varint(len(body) + size) + body
        before = tag + varint(len(before) + size + len(tail)) + before
        if size < _JOINED:
            parts.append(before + data + tail)
            return
        parts += [before, data, tail] if tail else [before, data]
        self._has_large = True


def named(tag: bytes, text: str) -> bytes:
    """Encode a field that is text; an empty one is not on the wire."""
    data = text.encode()
    return tag + varint(len(data)) + data if data else b""


def _address(tag: bytes, head: bytes, id_bytes: bytes) -> bytes:
    body = head + b"\x1a" + varint(len(id_bytes)) + id_bytes if id_bytes else head
    return tag + varint(len(body)) + body


def keep(cache: dict[str, bytes], key: str, made: bytes) -> bytes:
    if len(cache) >= _CACHED:
        cache.clear()
    cache[key] = made
    return made


def _no_utf8(what: str, text: str, error: UnicodeEncodeError) -> SendError:
    return SendError(f"the {what} {text!r} has no UTF-8 form: {error.reason}")

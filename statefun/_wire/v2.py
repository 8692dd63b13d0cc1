"""Version 2 of the protocol: StateFun 2.0 to 2.2 (`http-function.proto`).

Here: what is v2's own. Messages are `google.protobuf.Any`; a stored value is bytes, which by the SDKs' convention are a
serialized Any; every state of module.yaml is in every request, and one without a value has no bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import methodcaller
from typing import Any, ClassVar

from google.protobuf.message import DecodeError

from statefun._primitives import VARINTS
from statefun._proto.wire_v2_pb2 import ToFunction, Value
from statefun._wire.reply import EncodedReply, keep, named
from statefun.address import Address
from statefun.errors import UndecodableState
from statefun.protocol import ANY, Header, Stored

__all__ = ["Reply", "Wire"]


_ONE_BYTE, _TWO_BYTES = 0x80, 0x80**2  # what a length of one byte, or of two, stays below
_values: dict[str, bytes] = {}  # what stands before a value of this type


class Reply(EncodedReply):
    """A reply of v2."""

    speaks_cancellation = False
    any_is_bare = True
    record_namespace = "org.apache.flink.statefun.flink.io"

    _targets: ClassVar[dict[str, bytes]] = {}
    _values: ClassVar[dict[str, bytes]] = {}
    _message_frames: ClassVar[dict[tuple[str, str, int, int], tuple[bytes, bytes]]] = {}
    _record_frames: ClassVar[dict[tuple[str, str, int], bytes]] = {}
    _state_frames: ClassVar[dict[tuple[str, str, int], bytes]] = {}

    @staticmethod
    def value_prefix(typename: str) -> bytes:
        """Encode what stands before the length of a value: Any{type_url, value}."""
        return named(b"\x0a", typename) + b"\x12"


class Wire:
    """What is v2's own (protocol.Wire)."""

    __slots__ = ()
    registers_states = False

    parse = staticmethod(ToFunction.FromString)
    """Parses a request. Raises DecodeError, TypeError."""

    shown_by = methodcaller("HasField", "value")
    """Tells whether an argument that was parsed as v2 shows that it is one: field 2 is a value if length-delimited."""
    reply = Reply

    def stored(self, entry: Any, declared: str, /) -> Stored | None:
        """Return what an entry holds; no bytes are no value. Raises UndecodableState for bytes that are no Any."""
        data: bytes = entry.state_value
        if not data:
            return None
        if declared == ANY:
            return ANY, data
        # nearly always it is `0a len typename 12 len value` and nothing else: what is compared need not be parsed
        head = _values.get(declared) or keep(_values, declared, Reply.value_prefix(declared))
        if data.startswith(head):
            start = len(head) + 1
            size = len(data) - start
            if size < _ONE_BYTE:
                if size > 0 and data[start - 1] == size:
                    return declared, data[start:]
            elif size <= _TWO_BYTES and data.startswith(VARINTS[size - 1], start - 1):
                return declared, data[start + 1 :]
        try:
            value = Value.FromString(data)
        except (DecodeError, ValueError) as error:  # ValueError: pure Python's for a text that is no UTF-8
            msg = f"state {entry.state_name!r} holds {len(data)} bytes that are no google.protobuf.Any: {error}"
            raise UndecodableState(msg) from error
        return value.typename, value.value

    def caller(self, invocation: Any, /) -> Address | None:
        """Return who sent a message; None if it came from an ingress."""
        if not invocation.HasField("caller"):
            return None
        caller = invocation.caller
        return Address(caller.namespace, caller.type, caller.id)

    def sender(self, invocation: Any, /) -> tuple[str, str] | None:
        """Return the typename and the id of who sent a message; None if it came from an ingress."""
        if not invocation.HasField("caller"):
            return None
        caller = invocation.caller
        return f"{caller.namespace}/{caller.type}", caller.id

    def headers(self, invocation: Any, /) -> Sequence[Header]:  # noqa: ARG002 -- v2 has none
        """Return no headers: v2 has none."""
        return ()

"""Version 3 of the protocol: StateFun 3.0 to 3.3 and its Flink 2 continuation (`request-reply.proto`).

Here: what is v3's own. Messages and stored values are `TypedValue`; states are registered by the function's answer, and
one without a value has no `state_value`.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, ClassVar

from statefun._proto.wire_v3_pb2 import FromFunction, ToFunction
from statefun._wire.reply import EncodedReply, named
from statefun.address import Address
from statefun.protocol import Header, MissingStates, Stored

__all__ = ["Reply", "Wire", "encode_missing"]


class Reply(EncodedReply):
    """A reply of v3."""

    speaks_cancellation = True
    any_is_bare = False
    record_namespace = "io.statefun.sdk.egress"

    _targets: ClassVar[dict[str, bytes]] = {}
    _values: ClassVar[dict[str, bytes]] = {}
    _message_frames: ClassVar[dict[tuple[str, str, int, int], tuple[bytes, bytes]]] = {}
    _record_frames: ClassVar[dict[tuple[str, str, int], bytes]] = {}
    _state_frames: ClassVar[dict[tuple[str, str, int], bytes]] = {}

    @staticmethod
    def value_prefix(typename: str) -> bytes:
        """Encode what stands before the length of a value: TypedValue{typename, has_value, value}."""
        return named(b"\x0a", typename) + b"\x10\x01\x1a"


class Wire:
    """What is v3's own (protocol.Wire)."""

    __slots__ = ()
    registers_states = True

    parse = staticmethod(ToFunction.FromString)
    """Parses a request. Raises DecodeError, TypeError."""
    shown_by = attrgetter("has_value")
    """Tells whether an argument that was parsed as v3 shows that it is one: field 2 is read from a varint only."""
    reply = Reply

    def stored(self, entry: Any, declared: str, /) -> Stored | None:  # noqa: ARG002 -- what it holds says its typename
        """Return what an entry holds; without `has_value` it holds nothing."""
        value = entry.state_value
        return (value.typename, value.value) if value.has_value else None

    def caller(self, invocation: Any, /) -> Address | None:
        """Return who sent a message; None if it came from an ingress (3.3 also sends an address without any part)."""
        if not invocation.HasField("caller"):
            return None
        caller = invocation.caller
        namespace, type, identity = caller.namespace, caller.type, caller.id
        return Address(namespace, type, identity) if namespace or type or identity else None

    def sender(self, invocation: Any, /) -> tuple[str, str] | None:
        """Return the typename and the id of who sent a message; None if it came from an ingress, as above."""
        if not invocation.HasField("caller"):
            return None
        caller = invocation.caller
        typename, identity = f"{caller.namespace}/{caller.type}", caller.id
        return (typename, identity) if identity or typename != "/" else None

    def headers(self, invocation: Any, /) -> Sequence[Header]:
        """Return the headers of the record that a message came in (`TypedValue.metadata`, the Flink 2 continuation)."""
        metadata = invocation.argument.metadata
        return tuple((header.key, header.value if header.has_value else None) for header in metadata)


def encode_missing(missing: MissingStates) -> bytes:
    """Encode the answer that registers states (`IncompleteInvocationContext`)."""
    reply = FromFunction()
    incomplete = reply.incomplete_invocation_context
    incomplete.SetInParent()
    for state in missing.states:
        spec = incomplete.missing_values.add(state_name=state.name, type_typename=state.typename)
        spec.expiration_spec.SetInParent()  # empty is NONE; the 3.x SDKs write it, too
        if state.expire_after_write_ms is not None:
            spec.expiration_spec.mode = FromFunction.ExpirationSpec.AFTER_WRITE
            spec.expiration_spec.expire_after_millis = state.expire_after_write_ms
        elif state.expire_after_call_ms is not None:
            spec.expiration_spec.mode = FromFunction.ExpirationSpec.AFTER_INVOKE
            spec.expiration_spec.expire_after_millis = state.expire_after_call_ms
    return reply.SerializeToString()

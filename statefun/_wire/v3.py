"""Version 3 of the protocol: StateFun 3.0 to 3.3 and its Flink 2 continuation (`request-reply.proto`).

Here: what is v3's own. Messages and stored values are `TypedValue`; states are registered by the function's answer, and
one without a value has no `state_value`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from statefun._primitives import varint
from statefun._proto.wire_v3_pb2 import FromFunction, ToFunction
from statefun._wire.reply import EncodedReply, named
from statefun.address import Address
from statefun.protocol import Header, Invocation, MissingStates, StateEntry, Stored

__all__ = ["Batch", "Reply", "encode_missing"]


class Reply(EncodedReply):
    """A reply of v3."""

    speaks_cancellation = True
    record_namespace = "io.statefun.sdk.egress"

    _targets: ClassVar[dict[str, bytes]] = {}
    _values: ClassVar[dict[str, bytes]] = {}
    _egresses: ClassVar[dict[str, bytes]] = {}
    _records: ClassVar[dict[str, bytes]] = {}

    @staticmethod
    def value_prefix(typename: str) -> bytes:
        """Encode what stands before the length of a value: TypedValue{typename, has_value, value}."""
        return named(b"\x0a", typename) + b"\x10\x01\x1a"

    @staticmethod
    def state_value(typename: str, data: bytes) -> bytes:
        """Encode what is stored: a TypedValue."""
        return named(b"\x0a", typename) + b"\x10\x01" + (b"\x1a" + varint(len(data)) + data if data else b"")


class Batch:
    """A request of v3."""

    __slots__ = ("_parsed", "identity", "invocations", "namespace", "states", "type")
    registers_states = True

    def __init__(self, request: ToFunction.InvocationBatchRequest) -> None:
        target = request.target
        self.namespace = target.namespace
        self.type = target.type
        self.identity = target.id
        self._parsed = request.invocations
        self.invocations: Sequence[Invocation] = self._parsed
        self.states: Sequence[StateEntry] = request.state

    def shows_version(self) -> bool:
        """Tell whether the first argument shows that this is v3: `has_value` is read from a varint only."""
        invocations = self._parsed
        return bool(invocations) and invocations[0].argument.has_value

    def reply(self) -> Reply:
        """Return an empty reply."""
        return Reply()

    def stored(self, entry: StateEntry, *, as_any: bool) -> Stored | None:  # noqa: ARG002 -- an Any is a typename of its own here
        """Return what an entry holds; without `has_value` it holds nothing."""
        value = cast("ToFunction.PersistedValue", entry).state_value
        return (value.typename, value.value) if value.has_value else None

    def caller(self, invocation: Invocation) -> Address | None:
        """Return who sent a message; None if it came from an ingress (3.3 also sends an address without any part)."""
        sent = cast("ToFunction.Invocation", invocation)
        if not sent.HasField("caller"):
            return None
        caller = sent.caller
        namespace, type, identity = caller.namespace, caller.type, caller.id
        return Address(namespace, type, identity) if namespace or type or identity else None

    def headers(self, invocation: Invocation) -> Sequence[Header]:
        """Return the headers of the record that a message came in (`TypedValue.metadata`, the Flink 2 continuation)."""
        metadata = cast("ToFunction.Invocation", invocation).argument.metadata
        return tuple((header.key, header.value if header.has_value else None) for header in metadata)


def encode_missing(missing: MissingStates) -> bytes:
    """Encode the answer that registers states (`IncompleteInvocationContext`)."""
    reply = FromFunction()
    incomplete = reply.incomplete_invocation_context
    incomplete.SetInParent()
    for state in missing.states:
        spec = incomplete.missing_values.add(state_name=state.name, type_typename=state.typename)
        if state.expire_after_write_ms is not None:
            spec.expiration_spec.mode = FromFunction.ExpirationSpec.AFTER_WRITE
            spec.expiration_spec.expire_after_millis = state.expire_after_write_ms
        elif state.expire_after_call_ms is not None:
            spec.expiration_spec.mode = FromFunction.ExpirationSpec.AFTER_INVOKE
            spec.expiration_spec.expire_after_millis = state.expire_after_call_ms
    return reply.SerializeToString()

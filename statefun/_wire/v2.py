"""Version 2 of the protocol: StateFun 2.0 to 2.2 (`http-function.proto`).

Here: what is v2's own. Messages are `google.protobuf.Any`; a stored value is bytes, which by the SDKs' convention are a
serialized Any; every state of module.yaml is in every request, and one without a value has no bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from google.protobuf.message import DecodeError

from statefun._primitives import varint
from statefun._proto.wire_v2_pb2 import ToFunction, Value
from statefun._wire.reply import EncodedReply, named
from statefun.address import Address
from statefun.errors import UndecodableState
from statefun.protocol import ANY, Header, Invocation, StateEntry, Stored

__all__ = ["Batch", "Reply"]


class Reply(EncodedReply):
    """A reply of v2."""

    speaks_cancellation = False
    record_namespace = "org.apache.flink.statefun.flink.io"

    _targets: ClassVar[dict[str, bytes]] = {}
    _values: ClassVar[dict[str, bytes]] = {}
    _egresses: ClassVar[dict[str, bytes]] = {}
    _records: ClassVar[dict[str, bytes]] = {}

    @staticmethod
    def value_prefix(typename: str) -> bytes:
        """Encode what stands before the length of a value: Any{type_url, value}."""
        return named(b"\x0a", typename) + b"\x12"

    @staticmethod
    def state_value(typename: str, data: bytes) -> bytes:
        """Encode what is stored: an Any, which is not packed once more when it is one."""
        if typename == ANY:
            return data
        return named(b"\x0a", typename) + (b"\x12" + varint(len(data)) + data if data else b"")


class Batch:
    """A request of v2."""

    __slots__ = ("identity", "invocations", "namespace", "states", "type")
    registers_states = False

    def __init__(self, request: ToFunction.InvocationBatchRequest) -> None:
        target = request.target
        self.namespace = target.namespace
        self.type = target.type
        self.identity = target.id
        self.invocations: Sequence[Invocation] = request.invocations
        self.states: Sequence[StateEntry] = request.state

    def shows_version(self) -> bool:
        """Tell whether the first argument shows that this is v2: `value` is read from a length-delimited field only."""
        invocations = self.invocations
        return bool(invocations) and bool(invocations[0].argument.value)

    def reply(self) -> Reply:
        """Return an empty reply."""
        return Reply()

    def stored(self, entry: StateEntry, *, as_any: bool) -> Stored | None:
        """Return what an entry holds; no bytes are no value. Raises UndecodableState for bytes that are no Any."""
        data = cast("ToFunction.PersistedValue", entry).state_value
        if not data:
            return None
        if as_any:
            return ANY, data
        try:
            value = Value.FromString(data)
        except DecodeError as error:
            msg = f"state {entry.state_name!r} holds {len(data)} bytes that are no google.protobuf.Any: {error}"
            raise UndecodableState(msg) from error
        return value.typename, value.value

    def caller(self, invocation: Invocation) -> Address | None:
        """Return who sent a message; None if it came from an ingress."""
        sent = cast("ToFunction.Invocation", invocation)
        if not sent.HasField("caller"):
            return None
        caller = sent.caller
        return Address(caller.namespace, caller.type, caller.id)

    def headers(self, invocation: Invocation) -> Sequence[Header]:  # noqa: ARG002 -- v2 has none
        """Return no headers: v2 has none."""
        return ()

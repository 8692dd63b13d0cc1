"""A reply read back: what a recorded one did.

Here: `read_effects`, the way back of `reply`. A runtime reads replies; the SDK does so for the test kit only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from google.protobuf.message import DecodeError

from statefun._proto import wire_v2_pb2, wire_v3_pb2
from statefun._proto.egress_pb2 import KafkaProducerRecord, KinesisEgressRecord
from statefun._wire.detect import Version
from statefun.errors import PeerError

__all__ = ["RECORD_VALUE", "Effect", "read_effects"]

RECORD_VALUE = "the value of a record"
"""In place of a typename: what it is, only the reader of the topic knows."""


class Effect(NamedTuple):
    """One thing that a reply does."""

    what: str
    """How and to whom: "send to example/front/f1"."""
    typename: str | None = None
    """Of the value, or RECORD_VALUE; None if there is no value."""
    value: bytes = b""


def read_effects(version: Version, reply: bytes) -> list[Effect]:
    """Read what a reply does, in order. Raises PeerError for bytes that are none."""
    try:
        if version == "v2":
            return list(_v2(wire_v2_pb2.FromFunction.FromString(reply)))
        return list(_v3(wire_v3_pb2.FromFunction.FromString(reply)))
    except DecodeError as error:
        msg = f"the {len(reply)} bytes of the reply are no FromFunction message of StateFun: {error}"
        raise PeerError(msg) from error


def _v2(reply: wire_v2_pb2.FromFunction) -> Iterator[Effect]:
    result = reply.invocation_result
    for mutation in result.state_mutations:
        if mutation.mutation_type == wire_v2_pb2.FromFunction.PersistedValueMutation.MODIFY:
            value = wire_v2_pb2.Value.FromString(mutation.state_value)
            yield Effect(f"store {mutation.state_name}", value.typename, value.value)
        else:
            yield Effect(f"delete {mutation.state_name}")
    for later in result.delayed_invocations:
        what = f"send in {later.delay_in_ms} ms to {_address(later.target)}"
        yield Effect(what, later.argument.typename, later.argument.value)
    yield from _common(result)


def _v3(reply: wire_v3_pb2.FromFunction) -> Iterator[Effect]:
    for spec in reply.incomplete_invocation_context.missing_values:
        expires = spec.expiration_spec
        mode = wire_v3_pb2.FromFunction.ExpirationSpec.ExpireMode.Name(expires.mode)
        after = f", {mode} {expires.expire_after_millis} ms" if expires.expire_after_millis else ""
        yield Effect(f"register {spec.state_name}: {spec.type_typename}{after}")
    result = reply.invocation_result
    for mutation in result.state_mutations:
        if mutation.mutation_type == wire_v3_pb2.FromFunction.PersistedValueMutation.MODIFY:
            value = mutation.state_value
            yield Effect(f"store {mutation.state_name}", value.typename, value.value)
        else:
            yield Effect(f"delete {mutation.state_name}")
    for later in result.delayed_invocations:
        if later.is_cancellation_request:
            yield Effect(f"cancel {later.cancellation_token}")
            continue
        token = f" as {later.cancellation_token}" if later.cancellation_token else ""
        what = f"send in {later.delay_in_ms} ms to {_address(later.target)}{token}"
        yield Effect(what, later.argument.typename, later.argument.value)
    yield from _common(result)


def _common(
    result: wire_v2_pb2.FromFunction.InvocationResponse | wire_v3_pb2.FromFunction.InvocationResponse,
) -> Iterator[Effect]:
    for sent in result.outgoing_messages:
        yield Effect(f"send to {_address(sent.target)}", sent.argument.typename, sent.argument.value)
    for out in result.outgoing_egresses:
        yield _record(f"egress {out.egress_namespace}/{out.egress_type}", out.argument.typename, out.argument.value)


def _record(what: str, typename: str, value: bytes) -> Effect:
    """Read a record: where it goes, and its bytes."""
    if typename.endswith(".KafkaProducerRecord"):
        kafka = KafkaProducerRecord.FromString(value)
        return Effect(f"{what}: {kafka.topic} <- {kafka.key!r}", RECORD_VALUE, kafka.value_bytes)
    if typename.endswith(".KinesisEgressRecord"):
        kinesis = KinesisEgressRecord.FromString(value)
        return Effect(f"{what}: {kinesis.stream} <- {kinesis.partition_key!r}", RECORD_VALUE, kinesis.value_bytes)
    return Effect(what, typename, value)


def _address(address: wire_v2_pb2.Address | wire_v3_pb2.Address) -> str:
    return f"{address.namespace}/{address.type}/{address.id}"

"""The bytes of replies, read only as deep as a runtime has to.

Here: the effects of a reply, with targets and values left as bytes, and the states that a function asks to register.
Whether an effect may be applied is `_effects`'s affair.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from statefun._proto import wire_v2_pb2, wire_v3_pb2
from statefun._proto.effects_pb2 import Incomplete, Reply, Result
from statefun.runtime._plans import Expire, StateSpec, Wire

__all__ = ["BadReply", "missing_states", "read_reply", "read_value"]

_EXPIRE: dict[int, Expire] = {0: "never", 1: "after-write", 2: "after-call"}


class BadReply(Exception):
    """What a function answered cannot be applied; nothing of it is."""


def read_reply(data: bytes) -> Result | Incomplete:
    """Read a reply. No bytes are no effects. Raises BadReply."""
    try:
        reply = Reply.FromString(data)
    except (DecodeError, UnicodeDecodeError) as error:  # the latter in pure Python
        raise BadReply(f"the reply of {len(data)} bytes is no FromFunction: {error}") from error
    if reply.HasField("incomplete_invocation_context"):
        return reply.incomplete_invocation_context
    return reply.invocation_result


def missing_states(incomplete: Incomplete) -> tuple[StateSpec, ...]:
    """Return what a function asks to register. Raises BadReply."""
    found: list[StateSpec] = []
    for missing in incomplete.missing_values:
        mode = missing.expiration_spec.mode
        millis = missing.expiration_spec.expire_after_millis
        if mode not in _EXPIRE:
            raise BadReply(f"state {missing.state_name!r} is to expire in mode {mode}, which is none of 0, 1 and 2")
        if mode and millis <= 0:
            raise BadReply(f"state {missing.state_name!r} is to expire after {millis} ms: it must be positive")
        spec = StateSpec(
            name=missing.state_name,
            typename=missing.type_typename or "io.statefun.types/unset",
            expire=_EXPIRE[mode],
            expire_ms=millis if mode else 0,
        )
        found.append(spec)
    return tuple(found)


def read_value(data: bytes, wire: Wire) -> tuple[str, bytes]:
    """Read a TypedValue or an Any: its typename and its bytes. Raises BadReply."""
    try:
        if wire == "v2":
            packed = wire_v2_pb2.Value.FromString(data)
            return packed.typename, packed.value
        value = wire_v3_pb2.Value.FromString(data)
    except (DecodeError, UnicodeDecodeError) as error:  # the latter in pure Python
        raise BadReply(f"a value of {len(data)} bytes cannot be read: {error}") from error
    return value.typename, value.value

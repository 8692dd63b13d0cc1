"""The bytes of requests, put together from the bytes of states and messages.

Here: how a message waits (as the content of `ToFunction.Invocation`), and how a request is joined from such messages.
Nothing is parsed: a message goes from its sender's reply to its receiver's request as it is, in both versions.
"""

from __future__ import annotations

from collections.abc import Sequence

from statefun._primitives import VARINTS, varint
from statefun._proto.wire_v3_pb2 import Address, Value
from statefun.runtime._plans import Plan, Wire, value_prefix

__all__ = [
    "address_bytes",
    "argument",
    "caller_field",
    "encode_request",
    "headers_field",
    "invocation",
    "parse_address",
]

_LONG = 0x80  # a length from here on has more than one byte


def argument(typename: str, data: bytes, wire: Wire) -> bytes:
    """Encode a message: TypedValue in v3, Any in v2. No bytes are not on the wire."""
    prefix = value_prefix(typename, wire)
    return prefix + varint(len(data)) + data if data else prefix[:-1]


def headers_field(headers: Sequence[tuple[str, bytes | None]]) -> bytes:
    """Encode the headers of a TypedValue (v3, `metadata`), to stand behind its other fields."""
    fields: list[bytes] = []
    for key, value in headers:
        header = Value.Metadata(key=key, value=value or b"", has_value=value is not None).SerializeToString()
        fields.append(b"\x22" + varint(len(header)) + header)
    return b"".join(fields)


def address_bytes(namespace: str, type: str, identity: str) -> bytes:
    """Encode an Address."""
    return Address(namespace=namespace, type=type, id=identity).SerializeToString()


def caller_field(address: bytes) -> bytes:
    """Encode the field that says who sent a message."""
    return b"\x0a" + VARINTS[len(address)] + address


def invocation(argument: bytes, caller: bytes = b"") -> bytes:
    """Encode the content of a `ToFunction.Invocation`; `caller` is its finished field."""
    return b"%b\x12%b%b" % (caller, VARINTS[len(argument)], argument)


def encode_request(plan: Plan, address: bytes, states: Sequence[bytes | None], messages: Sequence[bytes]) -> bytes:
    """Encode a `ToFunction`."""
    parts = [b"\x0a", VARINTS[len(address)], address]
    for value, cell in zip(states, plan.cells, strict=False):
        if value is None:
            parts.append(cell.bare)
            continue
        size = len(value)
        entry = cell.size + size + 1
        if entry < _LONG:
            parts.append(b"\x12%c%b%c%b" % (entry, cell.head, size, value))
        else:
            length = VARINTS[size]
            parts += (b"\x12", VARINTS[cell.size + len(length) + size], cell.head, length, value)
    for message in messages:
        parts += (b"\x1a", VARINTS[len(message)], message)
    body = b"".join(parts)
    return b"\xa2\x06%b%b" % (VARINTS[len(body)], body)


def parse_address(data: bytes) -> tuple[str, str, str]:
    """Read an encoded Address. Raises DecodeError."""
    address = Address.FromString(data)
    return address.namespace, address.type, address.id

"""The bytes of the primitives: the wrappers of `io.statefun.sdk.types`, in their one canonical form.

Here: encoders and decoders of bool, int, float, str and bytes, and nothing about typenames or hints. A default (False,
0, 0.0, "") is written as no bytes at all; the Java SDK refuses an explicit one (`08 00`). Decoders also take what any
protobuf writer may write: explicit defaults, unknown fields, the last of several.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import cast

from statefun.errors import SendError

__all__ = [
    "VARINTS",
    "decode_bool",
    "decode_fixed",
    "decode_str",
    "encode_bool",
    "encode_fixed",
    "encode_str",
    "fields",
    "fits",
    "varint",
]

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # protobuf wire types
_SMALL = 0x80


class _Varints(dict[int, bytes]):
    """Numbers, encoded when they are first asked for; those of one and two bytes are kept."""

    def __missing__(self, number: int) -> bytes:
        if number >= _SMALL * _SMALL:
            return varint(number)
        made = bytes([number]) if number < _SMALL else bytes((number & 0x7F | 0x80, number >> 7))
        self[number] = made
        return made


VARINTS = _Varints()
"""What `varint` returns, for who counts calls."""


def varint(number: int) -> bytes:
    """Encode a non-negative number as protobuf does."""
    if number < _SMALL * _SMALL:
        return VARINTS[number]
    if number < _SMALL**3:
        return bytes((number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14))
    out = bytearray()
    while number >= _SMALL:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode_bool(value: object) -> bytes:
    """Encode a BooleanWrapper."""
    return b"\x08\x01" if value else b""


def decode_bool(data: bytes) -> bool:
    """Decode a BooleanWrapper. Raises ValueError."""
    if data == b"\x08\x01":
        return True
    return bool(_last(data, _VARINT, 0))


def encode_str(value: str) -> bytes:
    """Encode a StringWrapper. Raises SendError for a lone surrogate, which UTF-8 cannot hold."""
    try:
        data = value.encode()
    except UnicodeEncodeError as error:
        msg = f"{value!r} has no UTF-8 form: {error.reason}"
        raise SendError(msg) from None
    return b"\x0a" + varint(len(data)) + data if data else b""


def decode_str(data: bytes) -> str:
    """Decode a StringWrapper. Raises ValueError."""
    return cast("bytes", _last(data, _LENGTH, b"")).decode()


def encode_fixed(layout: str, tag: int) -> Callable[[float], bytes]:
    """Make the encoder of a one-field wrapper of fixed width; `layout` is a `struct` format."""
    packer = struct.Struct(f"<B{layout}")
    default = packer.pack(tag, 0)
    bits = 8 * (packer.size - 1)

    def encode(value: float) -> bytes:
        try:
            data = packer.pack(tag, value)
        except (struct.error, OverflowError):
            msg = f"{value!r} does not fit into {bits} bits"
            raise SendError(msg) from None
        return data if data != default else b""

    return encode


def decode_fixed(layout: str, tag: int) -> Callable[[bytes], int | float]:
    """Make the decoder of a one-field wrapper of fixed width. It raises ValueError."""
    unpack = struct.Struct(f"<{layout}").unpack_from
    size = 1 + struct.calcsize(f"<{layout}")
    wire_type = _FIXED64 if size == 9 else _FIXED32
    zero = unpack(bytes(size))[0]

    def decode(data: bytes) -> int | float:
        if len(data) == size and data[0] == tag:
            return unpack(data, 1)[0]  # type: ignore[no-any-return]  # an int or a float, as the layout says
        field = cast("bytes", _last(data, wire_type, b""))
        return unpack(field)[0] if field else zero  # type: ignore[no-any-return]  # likewise

    return decode


def fits(bits: int) -> Callable[[int], None]:
    """Make the check that an int fits into so many bits; it raises SendError."""
    bound = 1 << (bits - 1)

    def check(value: int) -> None:
        if not -bound <= value < bound:
            msg = f"{value!r} does not fit into {bits} bits"
            raise SendError(msg)

    return check


def _last(data: bytes, wire_type: int, default: bytes | int) -> bytes | int:
    """Return the last field 1 of this wire type; other fields are skipped, as protobuf skips them."""
    found = default
    for number, kind, value in fields(data):
        if number == 1 and kind == wire_type:
            found = value
    return found


def fields(data: bytes) -> Iterator[tuple[int, int, bytes | int]]:
    """Walk the fields of a protobuf message: number, wire type, and the bytes or the number. Raises ValueError."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            msg = "a field has the number 0"
            raise ValueError(msg)
        value, at = _read_field(data, at, kind)
        yield number, kind, value


def _read_field(data: bytes, at: int, kind: int) -> tuple[bytes | int, int]:
    if kind == _VARINT:
        return _read_varint(data, at)
    if kind == _LENGTH:
        length, at = _read_varint(data, at)
    elif kind == _FIXED64:
        length = 8
    elif kind == _FIXED32:
        length = 4
    else:
        msg = f"wire type {kind} is not supported"
        raise ValueError(msg)
    if at + length > len(data):
        msg = "it ends in the middle of a field"
        raise ValueError(msg)
    return data[at : at + length], at + length


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    for position in range(at, min(at + 10, len(data))):
        byte = data[position]
        number |= (byte & 0x7F) << shift
        if byte < _SMALL:
            return number, position + 1
        shift += 7
    msg = "it ends in the middle of a number" if len(data) < at + 10 else "a number has more than ten bytes"
    raise ValueError(msg)

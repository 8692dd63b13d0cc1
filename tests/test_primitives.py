"""The bytes of the primitives."""

from __future__ import annotations

import struct

import pytest

from statefun import types
from statefun._primitives import fields, varint
from statefun.errors import SendError
from tests.refusals import refusal


@pytest.mark.parametrize(
    ("number", "data"),
    [
        (0, b"\x00"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (16_383, b"\xff\x7f"),
        (16_384, b"\x80\x80\x01"),
        (2**32, b"\x80\x80\x80\x80\x10"),
        (2**63 - 1, b"\xff" * 8 + b"\x7f"),
    ],
)
def test_varint(number: int, data: bytes) -> None:
    """A number is written in as few groups of seven bits as it needs, the low ones first."""
    assert varint(number) == data


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (True, b"\x08\x01"),
        (False, b""),
        (5, b"\x09\x05" + bytes(7)),
        (-1, b"\x09" + b"\xff" * 8),
        (0, b""),
        (1.5, b"\x09" + struct.pack("<d", 1.5)),
        (0.0, b""),
        ("Bob", b"\x0a\x03Bob"),
        ("x" * 200, b"\x0a\xc8\x01" + b"x" * 200),
        ("", b""),
        (b"\x00raw", b"\x00raw"),
        (b"", b""),
    ],
)
def test_literal_bytes(value: bool | int | float | str | bytes, data: bytes) -> None:
    """Each primitive has these bytes, and no others: a default has none, the Java SDK refuses an explicit one."""
    assert types.pack(value).value == data


def test_narrow_numbers() -> None:
    """The narrow types have four bytes."""
    assert types.pack(5, types.INT32).value == b"\x0d\x05\0\0\0"
    assert types.pack(-1, types.INT32).value == b"\x0d\xff\xff\xff\xff"
    assert types.pack(1.5, types.FLOAT32).value == b"\x0d" + struct.pack("<f", 1.5)
    assert types.pack(0, types.INT32).value == types.pack(0.0, types.FLOAT32).value == b""


def test_too_large() -> None:
    """A number that its type cannot hold is refused, and the text says how large it may be."""
    assert refusal(SendError, lambda: types.pack(2**63)) == "9223372036854775808 does not fit into 64 bits"
    assert refusal(SendError, lambda: types.pack(-(2**63) - 1)) == "-9223372036854775809 does not fit into 64 bits"
    assert refusal(SendError, lambda: types.pack(2**31, types.INT32)) == "2147483648 does not fit into 32 bits"
    assert refusal(SendError, lambda: types.pack(1e39, types.FLOAT32)) == "1e+39 does not fit into 32 bits"
    assert refusal(SendError, lambda: types.pack(10**400, types.FLOAT64)).endswith(" does not fit into 64 bits")
    assert refusal(SendError, lambda: types.pack("\ud800")) == "'\\ud800' has no UTF-8 form: surrogates not allowed"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x08", "it ends in the middle of a number"),
        (b"\x0a\x03Bo", "it ends in the middle of a field"),
        (b"\x09\x01", "it ends in the middle of a field"),
        (b"\x0d\x01", "it ends in the middle of a field"),
        (b"\x0b", "wire type 3 is not supported"),
        (b"\x00\x01", "a field has the number 0"),
        (b"\x08" + b"\xff" * 10, "a number has more than ten bytes"),
    ],
)
def test_no_protobuf(data: bytes, text: str) -> None:
    """Bytes that are no protobuf are a ValueError that says why."""
    assert refusal(ValueError, lambda: list(fields(data))) == text


def test_fields() -> None:
    """The fields of a message are walked with their numbers, wire types and contents."""
    data = b"\x08\x96\x01" + b"\x12\x01a" + b"\x19" + bytes(8) + b"\x25" + bytes(4) + b"\xa2\x06\x00"
    assert list(fields(data)) == [(1, 0, 150), (2, 2, b"a"), (3, 1, bytes(8)), (4, 5, bytes(4)), (100, 2, b"")]


def test_what_another_writer_may_write() -> None:
    """An explicit default, an unknown field, and the last of several values are read as protobuf reads them."""
    assert types.BOOL.decode(b"\x08\x00") is False
    assert types.BOOL.decode(b"\x08\x02") is True
    assert types.INT64.decode(b"\x09" + bytes(8)) == 0
    assert types.INT32.decode(b"\x10\x01" + b"\x0d\x05\0\0\0") == 5
    assert types.STRING.decode(b"\x0a\x01a\x0a\x01b") == "b"
    assert types.STRING.decode(b"\x0a\x00") == ""
    assert types.INT64.decode(b"\x0d\x05\0\0\0") == 0  # field 1 of another wire type is an unknown field
    assert refusal(UnicodeDecodeError, lambda: types.STRING.decode(b"\x0a\x01\xff"))

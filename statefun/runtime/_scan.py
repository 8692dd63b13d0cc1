"""A reply read from its bytes, if it is spelled as nearly every reply is.

Here: `scan`. It knows one spelling, the one of this SDK: fields in order, each once, none unknown, lengths of at most
two bytes, names that were seen before. For every other spelling it returns None, and protobuf reads the reply; what it
returns is what protobuf would read. The one place of the runtime where code is ugly for speed: in Python, each field of
a protobuf message costs as much as all of this does for an effect (benchmarks/runtime).
"""

from __future__ import annotations

from collections.abc import Mapping

from statefun._primitives import VARINTS
from statefun.runtime._plans import StateCell

__all__ = ["Scanned", "scan"]

Scanned = tuple[list[tuple[StateCell, bytes]], list[tuple[bytes, bytes]], list[tuple[int, int, bytes]]]
"""States to store; messages, as the target and the field of the argument; records: egress, typename, value."""

_RESULT = b"\xa2\x06"  # invocation_result of a FromFunction
_STATE, _MESSAGE, _RECORD = 0x0A, 0x12, 0x22  # fields of an InvocationResponse
_TARGET, _ARGUMENT = 0x0A, 0x12  # fields of an Invocation
_LONG = 0x80  # a length of more than one byte
_LONGER = 0x80 * 0x80  # of more than two


def scan(  # noqa: C901 -- see above
    data: bytes, cells: Mapping[bytes, StateCell], egresses: Mapping[bytes, int], types: Mapping[bytes, int], marks: int
) -> Scanned | None:
    """Read a FromFunction; None if it is spelled in another way.

    The mappings are by the bytes that stand before a value: those of a state (08 01 12 n name 1a), of an egress
    (0a n namespace 12 n type 1a), of a typename (0a n typename, and `marks` bytes).
    """
    changes: list[tuple[StateCell, bytes]] = []
    sends: list[tuple[bytes, bytes]] = []
    records: list[tuple[int, int, bytes]] = []
    size = len(data)
    try:
        at = 3 if data[2] == size - 3 < _LONG else _long(data, 2, size)
        if not (at and data.startswith(_RESULT)):
            return None
        while at < size:
            tag, length = data[at], data[at + 1]
            at += 2
            if length >= _LONG:
                length += (data[at] << 7) - _LONG
                at += 1
            end = at + length
            if tag == _RECORD:
                middle = at + 2 + data[at + 1]
                middle += 3 + data[middle + 1]
                egress = egresses.get(data[at:middle])
                start = middle + 1 if data[middle] == end - middle - 1 < _LONG else _long(data, middle, end)
                middle = start + 2 + data[start + 1] + marks
                type = types.get(data[start:middle])
                start = middle + 1 if data[middle] == end - middle - 1 < _LONG else _long(data, middle, end)
                if egress is None or type is None or not start:
                    return None
                records.append((egress, type, data[start:end]))
            elif tag == _STATE:
                middle = at + 5 + data[at + 3]
                cell = cells.get(data[at:middle])
                start = middle + 1 if data[middle] == end - middle - 1 < _LONG else _long(data, middle, end)
                if cell is None or not start:
                    return None
                prefix = cell.prefix
                inner = start + len(prefix)
                if prefix and not (
                    data.startswith(prefix, start)
                    and (data[inner] == end - inner - 1 < _LONG or _long(data, inner, end))
                ):
                    return None
                changes.append((cell, data[start:end]))
            elif tag == _MESSAGE and data[at] == _TARGET and data[at + 1] < _LONG:
                middle = at + 2 + data[at + 1]
                start = middle + 1
                if data[middle] != _ARGUMENT or not (data[start] == end - start - 1 < _LONG or _long(data, start, end)):
                    return None
                sends.append((data[at + 2 : middle], data[middle:end]))
            else:
                return None
            at = end
    except IndexError:
        return None
    return (changes, sends, records) if at == size else None


def _long(data: bytes, at: int, end: int) -> int:
    """Return where a field begins whose length stands here in two bytes; 0 if it does not end where it should."""
    length = end - at - 2
    return at + 2 if _LONG <= length < _LONGER and data.startswith(VARINTS[length], at) else 0

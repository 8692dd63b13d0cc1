"""Which version a request is of, told from its bytes.

Here: the decision, and the opening of the request with it. Only wire types decide (the arguments first, then the stored
values; undecided is v2): typenames do not, since either version may carry any.

    field of the argument    v2 (Any)              v3 (TypedValue)
    2, length-delimited      value                 -
    2, varint                -                     has_value
    3 and 4                  -                     value, metadata
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from google.protobuf.message import DecodeError

from statefun._primitives import fields
from statefun._wire import v2, v3
from statefun.errors import MalformedRequest
from statefun.protocol import Batch, Invocation

__all__ = ["AnyWire", "Version", "decided_version", "open_request", "version_of", "wire_of"]

Version = Literal["v2", "v3"]

_VARINT, _LENGTH = 0, 2
_INVOCATION = 100  # ToFunction.invocation
_STATE, _INVOCATIONS = 2, 3  # of InvocationBatchRequest
_ARGUMENT, _STATE_VALUE = 2, 2  # of Invocation and of PersistedValue
_VALUE, _V3_VALUE, _METADATA = 2, 3, 4  # of Any or TypedValue

AnyWire = v2.Wire | v3.Wire
_WIRES: dict[Version, AnyWire] = {"v2": v2.Wire(), "v3": v3.Wire()}


def wire_of(version: Version) -> AnyWire:
    """Return what is a version's own."""
    return _WIRES[version]


Opened = tuple[AnyWire, Batch, Sequence[Invocation]]
"""The version of a request, the request, and its messages once more as a list: protobuf's own iterates more slowly."""


def open_request(request: bytes, guess: AnyWire, fixed: bool) -> Opened:  # noqa: FBT001 -- positional for speed
    """Parse a request, and tell its version. `guess` is tried first, and is the only one allowed if `fixed`.

    What official runtimes send shows its version in the first argument, so that the right guess costs one parse and one
    look; the bytes are walked only where that look decides nothing. Raises MalformedRequest.
    """
    try:
        batch = guess.parse(request).invocation
        invocations = batch.invocations[:]
        if guess.shown_by(invocations[0].argument):
            return guess, batch, invocations
    except (DecodeError, ValueError, TypeError, IndexError):  # IndexError: there is no message in it
        pass
    return _open_slowly(request, guess, fixed=fixed)


def _open_slowly(request: bytes, guess: AnyWire, *, fixed: bool) -> Opened:
    request = _as_bytes(request)
    version = decided_version(request)
    wire = wire_of(version or "v2")
    if fixed and version is not None and wire is not guess:
        other = "v3" if version == "v2" else "v2"
        msg = f"the request is one of {version}, but the handler was made with wire={other!r}"
        raise MalformedRequest(msg)
    if not _holds_invocation(request):
        raise _malformed(request, None)
    chosen = guess if fixed else wire
    try:
        batch = chosen.parse(request).invocation
    except (DecodeError, ValueError) as error:  # ValueError: pure Python's for a text that is no UTF-8
        raise _malformed(request, error) from error
    return chosen, batch, batch.invocations[:]


def _holds_invocation(request: bytes) -> bool:
    return any(number == _INVOCATION for number, _ in _messages(request))


def version_of(request: bytes) -> Version:
    """Tell the version of a request from its bytes alone; undecided is v2. Raises MalformedRequest."""
    return decided_version(request) or "v2"


def decided_version(request: bytes) -> Version | None:
    """Tell the version that a request shows; None if it shows none. Raises MalformedRequest where it is no protobuf."""
    try:
        batches = [body for number, body in _messages(request) if number == _INVOCATION]
        arguments = _inner(batches, _INVOCATIONS, _ARGUMENT)
        states = _inner(batches, _STATE, _STATE_VALUE)
        return _decided(arguments) or _decided_leniently(states)
    except ValueError as error:
        raise _malformed(request, error) from error


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk the length-delimited fields of a message."""
    for number, kind, body in fields(data):
        if kind == _LENGTH and isinstance(body, bytes):
            yield number, body


def _inner(batches: list[bytes], outer: int, inner: int) -> Iterator[bytes]:
    for batch in batches:
        for number, body in _messages(batch):
            if number == outer:
                yield from (part for n, part in _messages(body) if n == inner)


def _decided(values: Iterator[bytes]) -> Version | None:
    for value in values:
        for number, kind, _ in fields(value):
            if number == _VALUE and kind in (_VARINT, _LENGTH):
                return "v3" if kind == _VARINT else "v2"
            if number in (_V3_VALUE, _METADATA) and kind == _LENGTH:
                return "v3"
    return None


def _decided_leniently(states: Iterator[bytes]) -> Version | None:
    """Decide by the stored values: those of v2 may be any bytes, which then are no v3."""
    for value in states:
        try:
            found = _decided(iter([value]))
        except ValueError:
            return "v2"
        if found is not None:
            return found
    return None


def _as_bytes(request: object) -> bytes:
    if isinstance(request, bytes):
        return request
    if isinstance(request, bytearray):
        return bytes(request)
    if isinstance(request, memoryview):
        return request.tobytes()
    msg = f"a request is bytes, not {type(request).__name__}"
    raise MalformedRequest(msg)


def _malformed(request: bytes, error: Exception | None) -> MalformedRequest:
    if not request:
        return MalformedRequest("the request is empty: a StateFun runtime sends a ToFunction message")
    why = "there is no invocation in them" if error is None else error
    return MalformedRequest(f"the {len(request)} bytes of the request are no ToFunction message of StateFun: {why}")

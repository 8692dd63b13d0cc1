"""Which version a request is of, told from its bytes.

Here: the decision, and the opening of the request with it. Only wire types decide (the arguments first, then the stored
values; undecided is v2): typenames do not, since either version may carry any.

    field of the argument    v2 (Any)              v3 (TypedValue)
    2, length-delimited      value                 -
    2, varint                -                     has_value
    3 and 4                  -                     value, metadata
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from google.protobuf.message import DecodeError

from statefun._primitives import fields
from statefun._proto import wire_v2_pb2, wire_v3_pb2
from statefun._wire import v2, v3
from statefun.errors import MalformedRequest

__all__ = ["Version", "open_request", "version_of"]

Version = Literal["v2", "v3"]

_VARINT, _LENGTH = 0, 2
_INVOCATION = 100  # ToFunction.invocation
_STATE, _INVOCATIONS = 2, 3  # of InvocationBatchRequest
_ARGUMENT, _STATE_VALUE = 2, 2  # of Invocation and of PersistedValue
_VALUE, _V3_VALUE, _METADATA = 2, 3, 4  # of Any or TypedValue

Batch = v2.Batch | v3.Batch


def open_request(request: bytes, guess: Version, *, fixed: bool = False) -> Batch:
    """Parse a request. `guess` is tried first, and is final if it is `fixed`. Raises MalformedRequest.

    What official runtimes send shows its version in the first argument, so that the right guess costs one parse and one
    look; the bytes are walked only where that look decides nothing.
    """
    opened = _open_v2(request) if guess == "v2" else _open_v3(request)
    if not isinstance(opened, Failure) and (fixed or opened.shows_version()):
        return opened
    version: Version = guess if fixed else version_of(request)
    if version != guess:
        opened = _open_v2(request) if version == "v2" else _open_v3(request)
    if isinstance(opened, Failure):
        raise _malformed(request, opened.error) from opened.error
    return opened


def version_of(request: bytes) -> Version:
    """Tell the version of a request from its bytes alone. Raises MalformedRequest where they are no protobuf."""
    try:
        batches = [body for number, body in _messages(request) if number == _INVOCATION]
        arguments = _inner(batches, _INVOCATIONS, _ARGUMENT)
        states = _inner(batches, _STATE, _STATE_VALUE)
        return _decided(arguments) or _decided_leniently(states) or "v2"
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


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that cannot be parsed as one version; it may be of the other."""

    error: Exception | None
    """What the parser said; None where it parsed, and found no invocation."""


def _open_v2(request: bytes) -> v2.Batch | Failure:
    try:
        parsed = wire_v2_pb2.ToFunction.FromString(request)
    except (DecodeError, TypeError) as error:
        return Failure(error)
    return v2.Batch(parsed.invocation) if parsed.HasField("invocation") else Failure(None)


def _open_v3(request: bytes) -> v3.Batch | Failure:
    try:
        parsed = wire_v3_pb2.ToFunction.FromString(request)
    except (DecodeError, TypeError) as error:
        return Failure(error)
    return v3.Batch(parsed.invocation) if parsed.HasField("invocation") else Failure(None)


def _malformed(request: object, error: Exception | None) -> MalformedRequest:
    if not isinstance(request, bytes):
        return MalformedRequest(f"a request is bytes, not {type(request).__name__}")
    if not request:
        return MalformedRequest("the request is empty: a StateFun runtime sends a ToFunction message")
    why = "there is no invocation in them" if error is None else error
    return MalformedRequest(f"the {len(request)} bytes of the request are no ToFunction message of StateFun: {why}")

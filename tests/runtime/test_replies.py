"""Replies as a runtime reads them."""

from __future__ import annotations

import functools

import pytest

from statefun._proto import wire_v2_pb2, wire_v3_pb2
from statefun._proto.effects_pb2 import Incomplete, Result
from statefun.runtime._plans import StateSpec, Wire
from statefun.runtime._replies import BadReply, missing_states, read_reply, read_value
from tests.refusals import refusal


def incomplete(*states: tuple[str, str, int, int]) -> Incomplete:
    """Return an answer that asks for states: name, typename, mode, milliseconds."""
    found = Incomplete()
    for name, typename, mode, millis in states:
        one = found.missing_values.add(state_name=name, type_typename=typename)
        one.expiration_spec.mode = mode
        one.expiration_spec.expire_after_millis = millis
    return found


def test_no_bytes() -> None:
    """No bytes are a reply without effects."""
    assert read_reply(b"") == Result()


def test_reply() -> None:
    """A reply is its effects; targets are left as bytes."""
    reply = wire_v3_pb2.FromFunction()
    message = reply.invocation_result.outgoing_messages.add()
    message.target.id = "x"
    found = read_reply(reply.SerializeToString())
    expected = Result()
    expected.outgoing_messages.add(target=message.target.SerializeToString())
    assert found == expected


def test_asks_for_states() -> None:
    """A reply that asks for states holds them as they are registered; no typename is a state without a type."""
    reply = wire_v3_pb2.FromFunction()
    asked = reply.incomplete_invocation_context.missing_values.add(state_name="seen", type_typename="t/seen")
    asked.expiration_spec.mode = asked.expiration_spec.AFTER_WRITE
    asked.expiration_spec.expire_after_millis = 7
    found = read_reply(reply.SerializeToString())
    assert isinstance(found, Incomplete)
    assert missing_states(found) == (StateSpec(name="seen", typename="t/seen", expire="after-write", expire_ms=7),)


def test_states() -> None:
    """Each way to expire has its name; a state that never expires has no time, whatever the reply says."""
    found = missing_states(incomplete(("a", "", 0, 5), ("b", "t/b", 1, 6), ("c", "t/c", 2, 7)))
    assert found == (
        StateSpec(name="a", typename="io.statefun.types/unset", expire="never", expire_ms=0),
        StateSpec(name="b", typename="t/b", expire="after-write", expire_ms=6),
        StateSpec(name="c", typename="t/c", expire="after-call", expire_ms=7),
    )


@pytest.mark.parametrize(
    ("mode", "millis", "text"),
    [
        (3, 5, "state 'seen' is to expire in mode 3, which is none of 0, 1 and 2"),
        (1, 0, "state 'seen' is to expire after 0 ms: it must be positive"),
        (2, -1, "state 'seen' is to expire after -1 ms: it must be positive"),
    ],
)
def test_states_that_are_refused(mode: int, millis: int, text: str) -> None:
    """A state that expires in a way that nobody knows, or at once, is refused."""
    bad = incomplete(("fine", "t/fine", 0, 0), ("seen", "t/seen", mode, millis))
    assert refusal(BadReply, functools.partial(missing_states, bad)) == text


def test_no_reply() -> None:
    """Bytes that are no message are refused, with their number."""
    text = refusal(BadReply, functools.partial(read_reply, b"\xff" * 4))
    assert text.startswith("the reply of 4 bytes is no FromFunction: ")


@pytest.mark.parametrize("wire", ["v2", "v3"])
def test_value(wire: Wire) -> None:
    """A value is its typename and its bytes; what cannot be read is refused, with its length."""
    if wire == "v2":
        data = wire_v2_pb2.Value(typename="t/a", value=b"xy").SerializeToString()
    else:
        data = wire_v3_pb2.Value(typename="t/a", has_value=True, value=b"xy").SerializeToString()
    assert read_value(data, wire) == ("t/a", b"xy")
    text = refusal(BadReply, functools.partial(read_value, b"\x0a\x05a", wire))
    assert text.startswith("a value of 3 bytes cannot be read: ")

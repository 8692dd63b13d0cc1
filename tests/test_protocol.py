"""What the handler, the wire and the test kit share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import GreetRequest

from statefun import protocol, testing
from statefun._proto import wire_v2_pb2, wire_v3_pb2
from statefun._wire import v2, v3
from statefun.protocol import Reply
from tests.peer import Wire, packed, request

GO = packed(GreetRequest(name="go"))


def recorded() -> Reply:
    """Return the reply of a call that is made by hand."""
    return testing.context()._around.reply


REPLIES: dict[str, Callable[[], Reply]] = {"v2": v2.Reply, "v3": v3.Reply, "testing": recorded}


@pytest.fixture(params=REPLIES)
def reply(request: pytest.FixtureRequest) -> Reply:
    """Make a reply of each kind, all of which keep the same contract."""
    return REPLIES[request.param]()


class TestReply:
    """The contract of a reply."""

    def test_it_is_one(self, reply: Reply) -> None:
        """It has every member of the protocol, with the same parameters."""
        for name, member in vars(Reply).items():
            if not name.startswith("_") and inspect.isfunction(member):
                found = inspect.signature(getattr(type(reply), name))
                assert list(found.parameters) == list(inspect.signature(member).parameters)
        assert isinstance(reply.speaks_cancellation, bool)

    def test_mark_and_rollback(self, reply: Reply) -> None:
        """What was appended since a mark can be taken back, again and again."""
        encode = self.effects_of(reply)
        reply.send("a/b", "1", "c/d", b"one", None)
        before, mark = encode(), reply.mark()
        for _ in range(2):
            reply.send("a/b", "2", "c/d", b"two", None)
            reply.send_after(5, "a/b", "2", "c/d", b"three", None, "")
            reply.egress("a/out", "c/d", b"four")
            assert encode() != before
            reply.rollback(mark)
            assert encode() == before
        reply.send("a/b", "3", "c/d", b"five", None)
        assert encode() != before

    @staticmethod
    def effects_of(reply: Any) -> Callable[[], object]:
        """Return what shows the effects that are in a reply now."""
        if isinstance(reply, v2.Reply | v3.Reply):
            return reply.encode
        return lambda: (list(reply.sent), list(reply.delayed), list(reply.cancelled), list(reply.egressed))


def test_requests_are_batches_as_they_are() -> None:
    """A parsed request of either version has the fields that the protocols name: nothing is copied for a message."""
    requests: dict[Wire, Any] = {"v2": wire_v2_pb2.ToFunction, "v3": wire_v3_pb2.ToFunction}
    wires: dict[Wire, protocol.Wire] = {"v2": v2.Wire(), "v3": v3.Wire()}
    for version, wire in wires.items():
        data = request(version, GO, states={"a": None}, caller=("x", "y", "z"), identity="i")
        batch: protocol.Batch = requests[version].FromString(data).invocation
        assert wire.registers_states is (version == "v3")
        assert (batch.target.namespace, batch.target.type, batch.target.id) == ("example", "f", "i")
        assert [entry.state_name for entry in batch.state] == ["a"]
        (invocation,) = batch.invocations
        assert (invocation.argument.typename, invocation.argument.value) == (GO.type_url, GO.value)
        assert wire.caller(invocation) == ("x", "y", "z")
        assert wire.stored(batch.state[0], "example/any") is None
        assert list(wire.headers(invocation)) == []


def test_names() -> None:
    """A stored Any has the typename of an Any."""
    assert f"type.googleapis.com/{AnyPb.DESCRIPTOR.full_name}" == protocol.ANY
    assert set(protocol.__all__) <= set(vars(protocol))

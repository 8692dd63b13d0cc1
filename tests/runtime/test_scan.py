"""Replies are read from their bytes as protobuf reads them, or not at all."""

from __future__ import annotations

from typing import Literal

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from statefun._primitives import varint
from statefun._proto.effects_pb2 import Reply
from statefun._wire import wire_of
from statefun.egress import KAFKA_RECORD
from statefun.runtime._plans import FunctionSpec, Names, Plan, StateCell, StateSpec, Wire, text_field, value_prefix
from statefun.runtime._replies import BadReply, read_value
from statefun.runtime._scan import Scanned, scan

EGRESSES = ("t/out", "shop.example/" + "long" * 20)
TYPES = ("t/type", KAFKA_RECORD, "io.statefun.types/string")
STATES = {"n": "t/type", "other": "io.statefun.types/string"}


class Reader:
    """What a runtime knows that has seen all these names."""

    def __init__(self, wire: Wire) -> None:
        self.wire: Wire = wire
        names = Names()
        states = tuple(StateSpec(name=name, typename=typename) for name, typename in STATES.items())
        self.plan = Plan(FunctionSpec(typename="t/f", states=states), wire, names)
        self.egresses: dict[bytes, int] = {}
        self.ids: dict[str, int] = {}
        for number, egress in enumerate(EGRESSES):
            namespace, _, name = egress.partition("/")
            self.egresses[text_field(b"\x0a", namespace) + text_field(b"\x12", name) + b"\x1a"] = number
            self.ids[egress] = number
        records = "org.apache.flink.statefun.flink.io" if wire == "v2" else "io.statefun.sdk.egress"
        self.types: dict[bytes, int] = {}
        for number, typename in enumerate((*TYPES, f"type.googleapis.com/{records}.KafkaProducerRecord")):
            self.types[value_prefix(typename, wire)] = number
            self.ids[typename] = number
        self.marks = 3 if wire == "v3" else 1

    def scan(self, data: bytes) -> Scanned | None:
        """Read a reply from its bytes."""
        return scan(data, self.plan.by_head, self.egresses, self.types, self.marks)

    def parse(self, data: bytes) -> Scanned:
        """Read a reply by protobuf. Raises DecodeError, BadReply, KeyError for a name that is not known."""
        result = Reply.FromString(data).invocation_result
        if result.delayed_invocations:
            raise KeyError
        changes: list[tuple[StateCell, bytes]] = []
        for mutation in result.state_mutations:
            if mutation.mutation_type != 1:
                raise KeyError
            cell = self.plan.by_name[mutation.state_name]
            if self.wire == "v3" and read_value(mutation.state_value, "v3")[0] != STATES[cell.name]:
                raise KeyError
            changes.append((cell, mutation.state_value))
        sends: list[tuple[bytes, bytes]] = []
        for message in result.outgoing_messages:
            body = message.SerializeToString()
            at = len(body) - len(message.argument) - (2 if len(message.argument) < 0x80 else 3)
            sends.append((message.target, body[at:]))
        records: list[tuple[int, int, bytes]] = []
        for record in result.outgoing_egresses:
            typename, value = read_value(record.argument, self.wire)
            records.append((self.ids[f"{record.egress_namespace}/{record.egress_type}"], self.ids[typename], value))
        return changes, sends, records


READERS = {"v2": Reader("v2"), "v3": Reader("v3")}
Effect = tuple[str, str, str, bytes]
values = st.binary(max_size=300)
effects = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from(["t/f", "x/y"]), st.sampled_from(TYPES), values),
        st.tuples(st.just("egress"), st.sampled_from(EGRESSES), st.sampled_from(TYPES), values),
        st.tuples(st.just("state"), st.sampled_from(list(STATES)), st.just(""), values),
    ),
    max_size=4,
)
wires = st.sampled_from(["v2", "v3"])


def written(wire: Literal["v2", "v3"], made: list[Effect]) -> bytes:
    """Write a reply as this SDK does."""
    reply = wire_of(wire).reply()
    for what, name, typename, data in made:
        if what == "send":
            reply.send(name, "somebody", typename, data, None)
        elif what == "egress":
            reply.egress(name, typename, data)
        else:
            reply.write_state(name, STATES[name], data)
    return reply.encode()


@given(wires, effects)
def test_what_is_read(wire: Literal["v2", "v3"], made: list[Effect]) -> None:
    """What is read from a reply of this SDK is what protobuf reads."""
    reader = READERS[wire]
    data = written(wire, made)
    found = reader.scan(data)
    if found is not None:
        assert found == reader.parse(data)


@pytest.mark.parametrize("wire", ["v2", "v3"])
def test_what_is_damaged(wire: Literal["v2", "v3"]) -> None:
    """What is read from any other bytes is what protobuf reads, too: where that refuses them, nothing is read."""
    reader = READERS[wire]
    reply = written(
        wire,
        [("state", "n", "", b"1"), ("send", "t/f", TYPES[0], b"2"), ("egress", EGRESSES[0], TYPES[0], b"3"),
         ("egress", EGRESSES[1], KAFKA_RECORD, b"x" * 200), ("state", "other", "", b"x" * 200)],
    )  # fmt: skip
    read = 0
    for at, byte in enumerate(reply):
        others = {
            0,
            1,
            2,
            8,
            0x0A,
            0x10,
            0x12,
            0x1A,
            0x22,
            0x7F,
            0x80,
            0xFF,
            byte ^ 1,
            byte - 1 & 0xFF,
            byte + 1 & 0xFF,
        }
        spoiled = [bytes([other]) for other in others] + [b"", bytes([byte, byte]), bytes([byte | 0x80, 0])]
        for some in spoiled:
            data = reply[:at] + some + reply[at + 1 :]
            found = reader.scan(data)
            if found is not None:
                assert found == reader.parse(data)
                read += 1
    assert read > 1_000  # values, and what their bytes may be, too


@pytest.mark.parametrize("wire", ["v2", "v3"])
@pytest.mark.parametrize("size", [40, 200])
def test_what_is_cut_off(wire: Literal["v2", "v3"], size: int) -> None:
    """A reply that ends in the middle of an effect is refused by protobuf, and not read."""
    effect = written(wire, [("egress", EGRESSES[0], KAFKA_RECORD, b"x" * size)])[4:]
    for cut in range(1, len(effect)):
        data = b"\xa2\x06" + varint(cut) + effect[:cut]
        assert READERS[wire].scan(data) is None
        with pytest.raises((DecodeError, BadReply)):
            READERS[wire].parse(data)


@pytest.mark.parametrize("wire", ["v2", "v3"])
@pytest.mark.parametrize("size", [1, 100, 127, 128, 3_000])
def test_usual_replies_are_read(wire: Literal["v2", "v3"], size: int) -> None:
    """A reply with a state, a message and a record goes without protobuf, whatever their sizes."""
    data = b"v" * size
    reply = written(
        wire, [("state", "n", "", data), ("send", "t/f", "t/type", data), ("egress", "t/out", KAFKA_RECORD, data)]
    )
    found = READERS[wire].scan(reply)
    assert found is not None
    assert found == READERS[wire].parse(reply)
    assert [len(part) for part in found] == [1, 1, 1]


@pytest.mark.parametrize("wire", ["v2", "v3"])
@pytest.mark.parametrize(
    "name",
    ["empty", "short", "unknown egress", "unknown type", "unknown state", "deleted", "no value", "huge", "other field"],
)
def test_the_rest_is_left(wire: Literal["v2", "v3"], name: str) -> None:
    """Everything else is left to protobuf."""
    reply = wire_of(wire).reply()
    match name:
        case "unknown egress":
            reply.egress("t/unknown", "t/type", b"x")
        case "unknown type":
            reply.egress("t/out", "t/unknown", b"x")
        case "unknown state":
            reply.write_state("unknown", "t/type", b"x")
        case "deleted":
            reply.delete_state("n")
        case "no value":
            reply.egress("t/out", "t/type", b"")
        case "huge":
            reply.egress("t/out", "t/type", b"x" * 20_000)
        case _:
            pass
    data = {"short": b"\xa2\x06", "other field": b"\xa2\x06\x03\x2a\x01x"}.get(name, reply.encode())
    assert READERS[wire].scan(data) is None


def test_not_utf8() -> None:
    """A name that is no text is refused by protobuf, and is none that was seen."""
    data = b"\xa2\x06\x0d\x0a\x0b\x08\x01\x12\x01\xff\x1a\x04abcd"
    assert READERS["v2"].scan(data) is None
    with pytest.raises((DecodeError, UnicodeDecodeError, BadReply, KeyError)):
        READERS["v2"].parse(data)

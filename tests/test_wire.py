"""The bytes of both versions, as they are written down here: nothing that reads them by itself has a part in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st
from shop_pb2 import GreetRequest, User

from statefun import Context, RequestReplyHandler, State, types, value
from statefun._proto import wire_v2_pb2, wire_v3_pb2
from statefun._wire import reply as reply_module
from statefun._wire import v2, v3
from statefun._wire.detect import version_of
from statefun.errors import DeclarationError, MalformedRequest, SendError, UndecodableState
from tests.peer import BOTH, Wire, functions_of, packed, request, run, typed
from tests.refusals import plain, refusal

GO = packed(GreetRequest(name="go"))


# --- literal bytes ---


class Counts(State):
    """Two values to write and delete."""

    n: int = 0
    s: str | None = value(default=None, name="s")


def f(context: Context[Counts], message: User) -> None:
    """Have every effect."""
    context.send("a/b", "1", typed("x/y", b"z"))
    context.send_after(timedelta(milliseconds=5), "a/b", "1", typed("x/y", b"z"))
    context.send_egress("o/p", typed("x/y", b"z"))
    context.state.n += 1
    context.state.s = None


class Expiring(State):
    """A value of each expiration."""

    a: int = value(default=0, expire_after_write=timedelta(milliseconds=5))
    b: int = value(default=0, expire_after_call=timedelta(milliseconds=6))
    c: int = 0


def hexed(*parts: str) -> bytes:
    """Read bytes that are written as hexadecimal and text: a part in quotes is text."""
    return b"".join(part[1:-1].encode() if part.startswith("'") else bytes.fromhex(part) for part in parts)


TARGET = ("0a", "07", "'example'", "12", "01", "'f'", "1a", "01", "'x'")
USER = ("0a", "1d", "'type.googleapis.com/shop.User'")
LONG = ("0a", "16", "'io.statefun.types/long'")
TO = ("0a", "01", "'a'", "12", "01", "'b'", "1a", "01", "'1'")
LITERAL: dict[Wire, tuple[bytes, bytes]] = {
    "v2": (
        # ToFunction.invocation { target, state "n" = Any(long 1), state "s" = Any(string "q"), invocation { User } }
        hexed(
            *("a206", "8901", "0a", "0f", *TARGET),
            *("12", "28", "0a", "01", "'n'", "12", "23", *LONG, "12", "09", "090100000000000000"),
            *(
                "12",
                "24",
                "0a",
                "01",
                "'s'",
                "12",
                "1f",
                "0a",
                "18",
                "'io.statefun.types/string'",
                "12",
                "03",
                "0a0171",
            ),
            *("1a", "26", "12", "24", *USER, "12", "03", "120162"),
        ),
        # FromFunction.invocation_result { MODIFY "n", DELETE "s", a message, a delayed one, a record }
        hexed(
            *("a206", "73"),
            *("0a", "2a", "0801", "12", "01", "'n'", "1a", "23", *LONG, "12", "09", "090200000000000000"),
            *("0a", "03", "12", "01", "'s'"),
            *("12", "15", "0a", "09", *TO, "12", "08", "0a", "03", "'x/y'", "12", "01", "'z'"),
            *("1a", "17", "08", "05", "12", "09", *TO, "1a", "08", "0a", "03", "'x/y'", "12", "01", "'z'"),
            *("22", "10", "0a", "01", "'o'", "12", "01", "'p'", "1a", "08", "0a", "03", "'x/y'", "12", "01", "'z'"),
        ),
    ),
    "v3": (
        # the same with TypedValues
        hexed(
            *("a206", "8f01", "0a", "0f", *TARGET),
            *("12", "2a", "0a", "01", "'n'", "12", "25", *LONG, "1001", "1a", "09", "090100000000000000"),
            *("12", "26", "0a", "01", "'s'", "12", "21", "0a", "18", "'io.statefun.types/string'", "1001"),
            *("1a", "03", "0a0171"),
            *("1a", "28", "12", "26", *USER, "1001", "1a", "03", "120162"),
        ),
        hexed(
            *("a206", "7b"),
            *("0a", "2c", "0801", "12", "01", "'n'", "1a", "25", *LONG, "1001", "1a", "09", "090200000000000000"),
            *("0a", "03", "12", "01", "'s'"),
            *("12", "17", "0a", "09", *TO, "12", "0a", "0a", "03", "'x/y'", "1001", "1a", "01", "'z'"),
            *("1a", "19", "08", "05", "12", "09", *TO, "1a", "0a", "0a", "03", "'x/y'", "1001", "1a", "01", "'z'"),
            *(
                "22",
                "12",
                "0a",
                "01",
                "'o'",
                "12",
                "01",
                "'p'",
                "1a",
                "0a",
                "0a",
                "03",
                "'x/y'",
                "1001",
                "1a",
                "01",
                "'z'",
            ),
        ),
    ),
}


@pytest.mark.parametrize("wire", BOTH)
def test_literal_bytes(wire: Wire) -> None:
    """A request and its reply are these bytes."""
    data, expected = LITERAL[wire]
    states = {"n": types.pack(1), "s": types.pack("q")}
    assert request(wire, packed(User(name="b")), states=states) == data
    assert version_of(data) == wire
    assert RequestReplyHandler(functions_of(f))(data) == expected
    assert RequestReplyHandler(functions_of(f), wire=wire)(data) == expected


def test_literal_handshake() -> None:
    """What is missing is asked for in these bytes."""

    def g(context: Context[Expiring], message: User) -> None: ...

    reply = RequestReplyHandler(functions_of(g))(request("v3", packed(User())))
    expected = [
        ("0a", "21", "0a", "01", "'a'", "12", "04", "0801", "1005", "1a", "16", "'io.statefun.types/long'"),
        ("0a", "21", "0a", "01", "'b'", "12", "04", "0802", "1006", "1a", "16", "'io.statefun.types/long'"),
        ("0a", "1b", "0a", "01", "'c'", "1a", "16", "'io.statefun.types/long'"),
    ]
    # a spec without an expiration has none, or an empty one: both are NONE
    alternative = ("0a", "1d", "0a", "01", "'c'", "12", "00", "1a", "16", "'io.statefun.types/long'")
    bodies = [hexed(*(part for spec in [*expected[:2], last] for part in spec)) for last in (expected[2], alternative)]
    assert reply in [b"\xaa\x06" + bytes([len(body)]) + body for body in bodies]


# --- telling the version ---


def argument(wire: Wire, **fields: Any) -> bytes:
    """Serialize a request of one argument with these fields."""
    made: Message
    if wire == "v2":
        v2_made = wire_v2_pb2.ToFunction()
        v2_made.invocation.invocations.add().argument.CopyFrom(wire_v2_pb2.Argument(**fields))
        made = v2_made
    else:
        v3_made = wire_v3_pb2.ToFunction()
        v3_made.invocation.invocations.add().argument.CopyFrom(wire_v3_pb2.Value(**fields))
        made = v3_made
    return made.SerializeToString()


METADATA = wire_v3_pb2.Value.Metadata(key="k")


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (argument("v2", typename="a/b", value=b"c"), "v2"),
        (argument("v3", typename="a/b", has_value=True, value=b"c"), "v3"),
        (argument("v3", typename="a/b", has_value=True), "v3"),
        (argument("v3", typename="a/b", value=b"c"), "v3"),
        (argument("v3", typename="a/b", metadata=[METADATA]), "v3"),
        (argument("v2", typename="a/b"), "v2"),
        (argument("v3", typename="a/b"), "v2"),
        (argument("v2"), "v2"),
        (request("v3"), "v2"),
        (request("v3", states={"a": types.pack(0)}), "v3"),
        (request("v2", states={"a": types.pack(0)}), "v2"),
        (request("v2", states={"a": types.pack(5)}), "v2"),
        (request("v2", typed("a/b"), typed("a/b", b"c")), "v2"),
        (request("v2", typed("a/b"), states={"a": types.pack(5)}), "v2"),
    ],
)
def test_versions(data: bytes, version: Wire) -> None:
    """Only wire types decide: the arguments first, then the stored values; undecided is v2."""
    assert version_of(data) == version


def state_of_v2(data: bytes, *messages: AnyPb) -> bytes:
    """Serialize a v2 request whose only state has these bytes."""
    made = wire_v2_pb2.ToFunction.FromString(request("v2", *messages))
    made.invocation.state.add(state_name="a", state_value=data)
    return made.SerializeToString()


@pytest.mark.parametrize("data", [b"\xff\xff", b"\x0a\x05x", b"hello"])
def test_states_of_v2_that_are_no_any(data: bytes) -> None:
    """A stored value that is no protobuf at all is v2's, whose values may be any bytes."""
    assert version_of(state_of_v2(data)) == "v2"


class Entry(NamedTuple):
    """A stored value as a request of v2 has it."""

    state_value: bytes
    state_name: str = "a"


@given(
    st.sampled_from(["a/b", "type.googleapis.com/shop.User", "t/" + "x" * 200]),
    st.sampled_from(["a/b", "type.googleapis.com/shop.User", "c/d"]),
    st.one_of(st.binary(max_size=300), st.integers(0, 40_000).map(bytes)),
    st.binary(max_size=3),
)
def test_a_stored_any(stored: str, declared: str, data: bytes, behind: bytes) -> None:
    """What is read of a stored Any without parsing it is what parsing gives, whatever stands behind it."""
    packed_bytes = typed(stored, data).SerializeToString() + behind
    try:
        parsed = wire_v2_pb2.Value.FromString(packed_bytes)
    except DecodeError:
        with pytest.raises(UndecodableState):
            v2.Wire().stored(Entry(packed_bytes), declared)
        return
    assert v2.Wire().stored(Entry(packed_bytes), declared) == (parsed.typename, parsed.value)


def test_a_state_that_is_no_any() -> None:
    """It is refused when it is looked at."""

    def look(context: Context[Counts], message: GreetRequest) -> None:
        context.state.n  # noqa: B018 -- the look is what raises

    made = wire_v2_pb2.ToFunction.FromString(request("v2", GO, states={"n": None, "s": None}))
    made.invocation.state[0].state_value = b"\xff"
    with pytest.raises(UndecodableState) as caught:
        RequestReplyHandler(functions_of(look))(made.SerializeToString())
    assert str(caught.value).startswith("state 'n' holds 1 bytes that are no google.protobuf.Any: ")


# --- requests that are none ---


@pytest.mark.parametrize("wire", [None, "v2", "v3"])
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "the request is empty: a StateFun runtime sends a ToFunction message"),
        ("abc", "a request is bytes, not str"),
        ("", "a request is bytes, not str"),
        (None, "a request is bytes, not NoneType"),
        (5, "a request is bytes, not int"),
        (
            b"\x08\x01",
            "the 2 bytes of the request are no ToFunction message of StateFun: there is no invocation in them",
        ),
        (
            b"\xaa\x06\x00",
            "the 3 bytes of the request are no ToFunction message of StateFun: there is no invocation in them",
        ),
    ],
    ids=repr,
)
def test_no_request(data: Any, text: str, wire: Wire | None) -> None:
    """What is no request is refused, in words that say why."""
    handler = RequestReplyHandler(functions_of(f), wire=wire)
    assert refusal(MalformedRequest, lambda: handler(data)) == text


@pytest.mark.parametrize("wire", [None, "v2", "v3"])
@pytest.mark.parametrize(
    "data", [b"\xff", b"\xa2\x06\x05ab", b"\xa2\x06\x02\x0a\x05", b"\xa2\x06\x04\x0a\x02\x0a\xff", b"<html>"]
)
def test_no_protobuf(data: bytes, wire: Wire | None) -> None:
    """Bytes that are no protobuf are refused with their number and what the parser says."""
    handler = RequestReplyHandler(functions_of(f), wire=wire)
    text = refusal(MalformedRequest, lambda: handler(data))
    assert text.startswith(f"the {len(data)} bytes of the request are no ToFunction message of StateFun: ")


@pytest.mark.parametrize("wire", BOTH)
@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_other_bytes(wire: Wire, kind: type[bytearray | memoryview]) -> None:
    """A request may come as a bytearray or a memoryview, as some servers have it, if it shows its version or not."""
    untyped: Any = RequestReplyHandler(functions_of(plain))
    for data in (request(wire, GO), request(wire, states={"a": None})):
        assert untyped(kind(data)) == untyped(data) == b""


def test_an_id_that_is_no_text() -> None:
    """An id that is not UTF-8 is refused, as every protobuf parser refuses it."""
    data = request("v3", GO).replace(b"\x1a\x01x", b"\x1a\x01\xff")
    handler = RequestReplyHandler(functions_of(f))
    assert refusal(MalformedRequest, lambda: handler(data)).startswith(f"the {len(data)} bytes of the request are no ")


@pytest.mark.parametrize(("wire", "other"), [("v2", "v3"), ("v3", "v2")])
def test_a_fixed_version(wire: Wire, other: Wire) -> None:
    """A handler for one version refuses a request that shows the other: it would read empty messages in it."""
    seen: list[Any] = []

    def g(context: Any, message: Any) -> None:
        seen.append(message)

    handler = RequestReplyHandler(functions_of(g), wire=wire)
    assert handler(request(wire, GO)) == b""
    assert refusal(MalformedRequest, lambda: handler(request(other, GO))) == (
        f"the request is one of {other}, but the handler was made with wire={wire!r}"
    )
    undecided = argument(other, typename="a/b")
    made = wire_v2_pb2.ToFunction.FromString(undecided)
    made.invocation.target.namespace, made.invocation.target.type = "example", "f"
    assert handler(made.SerializeToString()) == b""
    assert seen == [GO, typed("a/b")]


# --- sizes and names ---


@pytest.mark.parametrize("wire", BOTH)
@pytest.mark.parametrize("size", [0, 1, 80, 127, 128, 4_095, 4_096, 16_384, 1_000_000])
def test_sizes(wire: Wire, size: int) -> None:
    """A payload of any size leaves as it is, in every field of a reply."""
    payload = typed("x/y", bytes(size))

    def g(context: Context, message: GreetRequest) -> None:
        context.send("a/b", "1", payload)
        context.send_after(timedelta(seconds=1), "a/b", "1", payload)
        context.send_egress("o/p", payload)
        context["s"] = payload

    answer = run(wire, g, GO, states={"s": None})
    assert answer.sent == [("a/b", "1", payload)]
    assert answer.delayed == [(1_000, "a/b", "1", payload, "")]
    assert answer.egress == [("o/p", payload)]
    ((name, stored),) = answer.mutations
    assert name == "s"
    assert stored is not None
    assert (stored if wire == "v2" else AnyPb.FromString(stored.value)) == payload


@pytest.mark.parametrize("wire", BOTH)
def test_long_names(wire: Wire) -> None:
    """Names of any length leave as they are."""
    long = "n" * 300

    def g(context: Context, message: GreetRequest) -> None:
        context.send(f"{long}/{long}", long, typed(f"{long}/{long}", b"z"))
        context.send("a/b", "é" * 100, typed("x/y", b"z"))
        context.send_egress(f"{long}/{long}", typed(f"{long}/{long}", b""))
        context[long] = typed(long)

    answer = run(wire, g, GO, states={long: None})
    assert answer.sent == [
        (f"{long}/{long}", long, typed(f"{long}/{long}", b"z")),
        ("a/b", "é" * 100, typed("x/y", b"z")),
    ]
    assert answer.egress == [(f"{long}/{long}", typed(f"{long}/{long}"))]
    assert [name for name, _ in answer.mutations] == [long]


@pytest.mark.parametrize("make", [v2.Reply, v3.Reply])
def test_names_are_not_kept_for_ever(make: Callable[[], Any]) -> None:
    """The parts that are remembered are forgotten again when there are too many: names are made at run time, too."""
    made = make()
    caches = [made._targets, made._values, made._message_frames, made._record_frames, made._state_frames]
    for index in range(reply_module._CACHED + 10):
        made.send(f"a/{index}", "1", f"x/{index}", b"z", None)
        made.egress(f"o/{index}", f"x/{index}", b"z")
        made.write_state(f"s{index}", f"x/{index}", b"z")
    assert all(0 < len(cache) <= reply_module._CACHED for cache in caches)
    reply = wire_v3_pb2.FromFunction.FromString(made.encode()).invocation_result
    assert [m.target.type for m in reply.outgoing_messages] == [str(i) for i in range(reply_module._CACHED + 10)]
    assert [m.state_name for m in reply.state_mutations] == [f"s{i}" for i in range(reply_module._CACHED + 10)]


@pytest.mark.parametrize("make", [v2.Reply, v3.Reply])
def test_what_cannot_be_written(make: Callable[[], Any]) -> None:
    """A name without two parts, and a text without UTF-8 form, are refused, and leave nothing behind."""
    made = make()
    assert refusal(DeclarationError, lambda: made.send("nowhere", "1", "x/y", b"z", None)).startswith(
        "'nowhere' is not"
    )
    assert refusal(DeclarationError, lambda: made.egress("nowhere", "x/y", b"z")).startswith("'nowhere' is not")
    assert refusal(SendError, lambda: made.send("a/b", "\ud800", "x/y", b"z", None)) == (
        "the id '\\ud800' has no UTF-8 form: surrogates not allowed"
    )
    assert made.encode() == b""


def test_a_deleted_state() -> None:
    """DELETE is the default of its field, and not on the wire."""
    made = v3.Reply()
    made.delete_state("s")
    mutation = wire_v3_pb2.FromFunction.FromString(made.encode()).invocation_result.state_mutations[0]
    assert mutation == wire_v3_pb2.FromFunction.PersistedValueMutation(state_name="s")

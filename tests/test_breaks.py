"""The deliberate differences from the 2.x SDK: one test for each title of docs/explanation/breaks.md."""

from __future__ import annotations

import asyncio
import importlib
import re
import typing
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

import statefun
from statefun import (
    Address,
    AsyncRequestReplyHandler,
    BindError,
    Context,
    RequestReplyHandler,
    SendError,
    StateError,
    StatefulFunction,
    StatefulFunctions,
    testing,
)
from statefun.errors import (
    ContextError,
    MalformedRequest,
    MissingState,
    UndecodableState,
    UnexpectedMessage,
    UnknownFunction,
    UnsendableError,
)
from tests.peer import BOTH, Wire, answer_of, functions_of, packed, request, run

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "breaks.md"
ONE = packed(Int32Value(value=1))
both_wires = pytest.mark.parametrize("wire", BOTH)


def test_each_title_has_a_test() -> None:
    """Each difference that the page lists has a test, and no other has one."""
    titles = re.findall(r"^### (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    tests = [
        value
        for name, value in globals().items()
        if name.startswith("test_") and value is not test_each_title_has_a_test
    ]
    assert [test.__doc__ for test in tests] == [f"{title}." for title in titles]


def nothing(_context: Context, _message: Any) -> None:
    """Do nothing."""


# --- binding ---


def test_twice() -> None:
    """A name is bound once."""
    functions = StatefulFunctions()
    functions.register("example/f", nothing)
    with pytest.raises(BindError, match="it is already bound to"):
        functions.register("example/f", nothing)


def test_handle() -> None:
    """What bind gives back is a handle."""
    functions = StatefulFunctions()

    def hello(context: Context, message: Int32Value) -> None:
        """Count."""
        context.send(handle.at("x"), message)

    handle = functions.register("example/f", hello)
    assert isinstance(functions.bind("example/g")(hello), StatefulFunction)
    assert (handle.__name__, handle.__doc__, handle.fn) == ("hello", "Count.", hello)  # type: ignore[attr-defined]
    context = testing.context()
    handle(context, Int32Value(value=1))
    assert context.sent.to(handle) == [Int32Value(value=1)]


def test_read_when_bound() -> None:
    """A function is read when it is bound."""

    def optional(_context: Any, _message: typing.Optional[Int32Value]) -> None: ...  # noqa: UP045 -- as it was written
    def generator(_context: Any, _message: Int32Value) -> Iterator[None]:
        yield

    def three(_context: Any, _message: Int32Value, _more: int) -> None: ...

    functions = StatefulFunctions()
    for fn in (optional, generator, three):
        with pytest.raises(BindError):
            functions.register("example/f", typing.cast("Any", fn))
    with pytest.raises(TypeError):
        functions.register("no-slash", nothing)


@both_wires
def test_quoted_hints(wire: Wire) -> None:
    """A hint in quotes is a hint."""
    got: list[object] = []

    def f(_context: Context, message: Int32Value) -> None:  # this module has the __future__ import
        got.append(message)

    run(wire, f, ONE)
    assert got == [Int32Value(value=1)]


def test_frozen() -> None:
    """Nothing is bound after the first request."""
    functions = functions_of(nothing)
    RequestReplyHandler(functions)(request("v3", ONE))
    with pytest.raises(BindError, match="a request was answered already"):
        functions.register("example/g", nothing)


@both_wires
def test_async(wire: Wire) -> None:
    """A plain handler refuses async functions."""

    async def f(context: Context, message: Int32Value) -> None: ...

    with pytest.raises(BindError, match="it is async"):
        RequestReplyHandler(functions_of(f))
    reply = asyncio.run(AsyncRequestReplyHandler(functions_of(nothing))(request(wire, ONE)))
    assert reply == b""


# --- the context ---


@both_wires
def test_caller(wire: Wire) -> None:
    """A message of an ingress has no caller."""
    callers: list[Address | None] = []

    def f(context: Context, _message: AnyPb) -> None:
        callers.append(context.caller)

    run(wire, f, ONE)
    run(wire, f, ONE, caller=("a", "b", "c"))
    assert callers == [None, Address("a", "b", "c")]


def test_addresses() -> None:
    """Addresses are values."""
    bob = Address("example", "greeter", "bob")
    assert {bob: 1}[Address("example", "greeter", "bob")] == 1
    assert str(bob) == "example/greeter/bob"
    assert repr(bob) == "Address(namespace='example', type='greeter', identity='bob')"


@both_wires
def test_context_ends(wire: Wire) -> None:
    """A context belongs to one invocation."""
    kept: list[Context] = []

    def f(context: Context, message: AnyPb) -> None:
        for old in kept:
            with pytest.raises(ContextError, match="an invocation that has ended"):
                old.send("example/f", "x", message)
        with pytest.raises(AttributeError):
            context.mine = 1  # type: ignore[attr-defined]
        kept.append(context)

    run(wire, f, ONE, ONE)
    assert len(kept) == 2


# --- sending ---


def test_checked_at_the_call() -> None:
    """What is sent is checked at the call."""
    context: Any = testing.context()
    with pytest.raises(UnsendableError, match=re.escape("only a google.protobuf.Any can be sent, not Int32Value")):
        context.send("example/f", "x", Int32Value())
    for send, *arguments in (
        (context.send, "no-slash", "x", ONE),
        (context.send_egress, "no-slash", ONE),
        (context.send, "example/f", "", ONE),
        (context.pack_and_send, "example/f", "x", object()),
        (context.reply, ONE),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 -- that it is one is the point
            send(*arguments)


@both_wires
def test_encoded_at_the_call(wire: Wire) -> None:
    """What is sent or stored is encoded at the call."""

    def f(context: Any, _message: AnyPb) -> None:
        mine = packed(Int32Value(value=1))
        context.send("example/f", "x", mine)
        context["n"] = mine
        mine.Pack(StringValue(value="later"))

    answer = run(wire, f, ONE, states={"n": None})
    assert [message for *_, message in answer.sent] == [ONE]
    assert answer.mutations[0][1] == (ONE if wire == "v2" else packed(ONE))


def test_packed_once() -> None:
    """An Any is never packed again."""
    context = testing.context(caller="a/b/c")
    context.pack_and_send("example/f", "x", ONE)
    context.pack_and_reply(ONE)
    context.state("n").pack(ONE)
    assert [sent.message for sent in context.sent] == [ONE, ONE]
    assert context["n"] == ONE


def test_delays() -> None:
    """A delay of zero is accepted, a negative one refused."""
    context = testing.context()
    context.send_after(timedelta(0), "example/f", "x", ONE)
    assert context.delayed[0].delay == timedelta(0)
    with pytest.raises(SendError, match="a message cannot be sent in the past"):
        context.send_after(timedelta(microseconds=-1), "example/f", "x", ONE)


@both_wires
def test_empty_messages(wire: Wire) -> None:
    """Empty messages count."""
    got: list[object] = []

    def f(context: Context, message: Struct) -> None:
        got.append(message)
        context.pack_and_send("example/f", "x", message)

    answer = run(wire, f, packed(Struct()), packed(Struct(fields={})))
    assert got == [Struct(), Struct()]
    assert [message for *_, message in answer.sent] == [packed(Struct())] * 2


# --- state ---


@both_wires
def test_unpack(wire: Wire) -> None:
    """Unpacking another type raises."""

    def f(context: Any, _message: AnyPb) -> None:
        context["n"] = ONE
        with pytest.raises(
            UndecodableState, match=re.escape("the state holds google.protobuf.Int32Value, which is no StringValue")
        ):
            context.state("n").unpack(StringValue)

    run(wire, f, ONE, states={"n": None})


@both_wires
def test_values_by_name(wire: Wire) -> None:
    """A value by name is an Any or None."""

    def f(context: Any, _message: AnyPb) -> None:
        context["n"] = None
        with pytest.raises(StateError, match=re.escape("is set to a google.protobuf.Any by name, not to int; pack it")):
            context["n"] = 1

    answer = run(wire, f, ONE, states={"n": ONE if wire == "v2" else packed(ONE)})
    assert answer.mutations == [("n", None)]


def test_copies() -> None:
    """A value by name is read as a copy."""
    context: Any = testing.context()
    context["n"] = ONE
    context["n"].Pack(StringValue(value="lost"))
    assert context["n"] == ONE


def test_handles() -> None:
    """A handle has no bytes, modified and deleted."""
    handle = testing.context().state("n")
    assert {name for name in dir(handle) if not name.startswith("_")} == {"pack", "unpack", "value"}


def test_missing_state() -> None:
    """A state that the runtime did not send is a MissingState."""

    def f(context: Any, _message: AnyPb) -> None:
        context["n"] = ONE

    with pytest.raises(MissingState, match=re.escape("list what is missing in module.yaml")) as raised:
        RequestReplyHandler(functions_of(f))(request("v2", ONE))
    assert isinstance(raised.value, LookupError)
    assert not isinstance(raised.value, KeyError)
    missing = answer_of("v3", RequestReplyHandler(functions_of(f))(request("v3", ONE))).missing
    assert missing is not None
    assert [name for name, *_ in missing] == ["n"]


def test_reserved_names() -> None:
    """Two names of states are refused."""
    for name in ("batch", "request-state"):
        with pytest.raises(StateError, match="the runtime keeps a value of its own under this name"):
            testing.context()[name]


# --- errors, modules ---


def test_errors() -> None:
    """What cannot be served has an error of its own."""

    def f(context: Context, message: Int32Value) -> None: ...

    handler = RequestReplyHandler(functions_of(f))
    for data, error, kin in (
        (b"\xff", MalformedRequest, ValueError),
        (request("v2", ONE, function="example/other"), UnknownFunction, KeyError),
        (request("v2", packed(StringValue())), UnexpectedMessage, ValueError),
    ):
        with pytest.raises(error) as raised:
            handler(data)
        assert isinstance(raised.value, kin)


def test_modules() -> None:
    """The inner modules are gone."""
    for name in ("core", "request_reply", "request_reply_pb2", "kafka_egress_pb2", "kinesis_egress_pb2"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(f"statefun.{name}")
    documented = ["StatefulFunctions", "RequestReplyHandler", "AsyncRequestReplyHandler"]
    assert {*documented, "kafka_egress_record", "kinesis_egress_record"} <= set(statefun.__all__)

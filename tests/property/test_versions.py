"""The version of a request is told from wire types alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.any_pb2 import Any as AnyPb
from hypothesis import given
from hypothesis import strategies as st

from statefun import Address, RequestReplyHandler
from statefun._proto import wire_v2_pb2, wire_v3_pb2
from statefun._wire.detect import version_of
from tests.peer import BOTH, Caller, Wire, functions_of, request, typed

typenames = st.sampled_from(["", "io.statefun.types/string", "type.googleapis.com/shop.User", "a/b"]) | st.text(
    max_size=9
)
values = st.builds(typed, typenames, st.binary(max_size=12))
batches = st.lists(values, max_size=5)
stored_values = st.dictionaries(st.sampled_from("abcd"), st.none() | values, max_size=4)
callers = st.none() | st.tuples(st.text(max_size=5), st.text(max_size=5), st.text(min_size=1, max_size=5))


class Seen:
    """A handler that was used for requests of one version, and what its function saw since."""

    def __init__(self, guess: Wire) -> None:
        self.batch: list[AnyPb] = []
        self.callers: list[Address | None] = []
        self.states: dict[str, AnyPb | None] = {}
        self.names: Sequence[str] = ()
        self.handler = RequestReplyHandler(functions_of(self))
        self.handler(request(guess, typed("a/b", b"c")))
        self.batch.clear()
        self.callers.clear()

    def __call__(self, context: Any, message: AnyPb) -> None:
        """Remember what is there."""
        self.batch.append(message)
        self.callers.append(context.caller)
        self.states = {name: context[name] for name in self.names}


@given(batches, stored_values, callers, st.sampled_from(BOTH))
def test_v2(batch: list[AnyPb], stored: dict[str, AnyPb | None], caller: Caller | None, guess: Wire) -> None:
    """A v2 request is read as v2, whatever came before it, also where nothing in it shows its version."""
    seen = Seen(guess)
    seen.names = list(stored)
    data = request("v2", *batch, states=stored, caller=caller)
    assert version_of(data) == "v2"
    assert seen.handler(data) == b""
    assert seen.batch == batch
    assert seen.callers == [Address(*caller) if caller else None] * len(batch)
    if batch:  # an Any of which nothing is set has no bytes, which is no value in v2
        assert seen.states == {name: value if value and value.ByteSize() else None for name, value in stored.items()}


@given(batches, stored_values, callers, st.sampled_from(BOTH))
def test_v3(batch: list[AnyPb], stored: dict[str, AnyPb | None], caller: Caller | None, guess: Wire) -> None:
    """A v3 request is read as v3 where an argument or a stored value is in it, with bytes or without."""
    seen = Seen(guess)
    seen.names = list(stored)
    data = request("v3", *batch, states=stored, caller=caller)
    decidable = bool(batch) or any(value is not None for value in stored.values())
    assert version_of(data) == ("v3" if decidable else "v2")
    assert seen.handler(data) == b""
    assert seen.batch == batch
    assert seen.callers == [Address(*caller) if caller else None] * len(batch)
    if batch:
        assert seen.states == stored


@given(batches.filter(any), st.dictionaries(st.text(max_size=6), st.binary(max_size=12), max_size=4))
def test_v2_states_of_other_sdks(batch: list[AnyPb], stored: dict[str, bytes]) -> None:
    """Stored values of v2 may be any bytes: where an argument shows the version, they have no say."""
    batch = [*batch, typed("a/b", b"shown")]
    made = wire_v2_pb2.ToFunction.FromString(request("v2", *batch))
    for name, data in stored.items():
        made.invocation.state.add(state_name=name, state_value=data)
    seen = Seen("v3")
    assert version_of(made.SerializeToString()) == "v2"
    assert seen.handler(made.SerializeToString()) == b""
    assert seen.batch == batch


@given(st.lists(st.tuples(values, st.booleans()), min_size=1, max_size=4), st.sampled_from(BOTH))
def test_values_without_has_value(batch: list[tuple[AnyPb, bool]], guess: Wire) -> None:
    """One argument that shows v3 is enough, wherever it stands among those that show nothing."""
    made = wire_v3_pb2.ToFunction.FromString(request("v3", *(value for value, _ in batch)))
    for invocation, (_, shows) in zip(made.invocation.invocations, batch, strict=True):
        if not shows:
            invocation.argument.ClearField("has_value")
            invocation.argument.ClearField("value")
    assert version_of(made.SerializeToString()) == ("v3" if any(shows for _, shows in batch) else "v2")
    seen = Seen(guess)
    assert seen.handler(made.SerializeToString()) == b""
    assert seen.batch == [value if shows else typed(value.type_url) for value, shows in batch]

"""A batch with messages that fail is answered as the batch without them, whatever they did before they failed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from hypothesis import given
from hypothesis import strategies as st
from shop_pb2 import SeenCount

from statefun import Context, RequestReplyHandler, State, StatefulFunctions, ValueSpec, raise_, skip, value
from statefun.failures import OnFailure
from tests.kinds import Item
from tests.peer import BOTH, Wire, packed, request, typed


class Everything(State):
    """One value of each way to start, and of each way to change."""

    seen: SeenCount | None = None
    total: SeenCount = value(default_factory=SeenCount)
    visits: int = 3
    name: str | None = None
    tags: list[str] = value(default_factory=list[str])
    item: Item | None = value(default=None, expire_after_write=timedelta(days=1))
    packed: AnyPb | None = None


LISTED = ValueSpec("listed", Item, default=lambda: Item("listed"))
Step = Callable[[Context[Everything]], object]
names = st.sampled_from(["seen", "total", "visits", "name", "tags", "item", "packed"])
typed_values: dict[str, st.SearchStrategy[Any]] = {
    "seen": st.builds(SeenCount, value=st.integers(0, 3)),
    "total": st.builds(SeenCount, value=st.integers(0, 3)),
    "visits": st.integers(0, 4),
    "name": st.sampled_from(["", "a"]),
    "tags": st.lists(st.sampled_from(["a", "b"]), max_size=2),
    "item": st.builds(Item, sku=st.sampled_from(["", "a"])),
    "packed": st.builds(packed, st.builds(SeenCount, value=st.integers(0, 2))),
}


def look(name: str) -> Step:
    """Look at a value."""
    return lambda context: getattr(context.state, name)


def look_packed(name: str) -> Step:
    """Look at it packed."""
    return lambda context: context[name]


def delete(name: str) -> Step:
    """Delete it."""
    return lambda context: delattr(context.state, name)


@st.composite
def assigned(draw: st.DrawFn) -> Step:
    """Assign a value, itself or packed."""
    name = draw(names)
    new = draw(typed_values[name])
    made: Any = Everything.__statefun_state__
    spec = next(spec for spec in made.specs if spec.name == name)
    wrapped = new if name == "packed" else typed(spec.type.typename, spec.type.encode(new))
    if draw(st.booleans()):
        return lambda context: context.__setitem__(name, wrapped)
    copied = spec.type.encode(new)  # what is assigned is one's own: each run has to have one of its own
    return lambda context: setattr(context.state, name, spec.type.decode(copied))


def change(name: str) -> Step:
    """Change a value in place."""

    def run(context: Context[Everything]) -> None:
        found: Any = getattr(context.state, name)
        if isinstance(found, SeenCount):
            found.value += 1
        elif isinstance(found, AnyPb):
            found.value += b"\x00"
        elif isinstance(found, Item):
            found.tags.append("changed")
        elif found is not None:
            found.append("changed")

    return run


def change_listed(context: Context[Everything]) -> None:
    """Change what a ValueSpec declares."""
    context[LISTED].tags.append("changed")


def send(context: Context[Everything]) -> None:
    """Send what the state holds by now."""
    context.pack_and_send("a/b", "c", context.state.visits)


def egress(context: Context[Everything]) -> None:
    """Send out what the state holds by now."""
    context.pack_and_send_egress("a/out", context.state.total)


def delayed(token: str) -> Step:
    """Send later, under a token where there is none of it yet."""

    def run(context: Context[Everything]) -> None:
        tokens = context._around.tokens or ()
        if context._around.wire.registers_states and token not in tokens:
            context.pack_and_send_after(timedelta(seconds=1), "a/b", "c", 1, token=token)
        else:
            context.pack_and_send_after(timedelta(seconds=2), "a/b", "c", 2)

    return run


def cancel(token: str) -> Step:
    """Cancel it, on the wire that can."""

    def run(context: Context[Everything]) -> None:
        if context._around.wire.registers_states:
            context.cancel(token)

    return run


mutable = st.sampled_from(["seen", "total", "tags", "item", "packed"])
tokens = st.sampled_from(["t", "u"])
steps = st.one_of(
    st.builds(look, names),
    st.builds(look_packed, names),
    st.builds(delete, names),
    assigned(),
    st.builds(change, mutable),
    st.just(change_listed),
    st.just(send),
    st.just(egress),
    st.builds(delayed, tokens),
    st.builds(cancel, tokens),
)
messages = st.lists(st.tuples(st.lists(steps, max_size=5), st.booleans()), min_size=1, max_size=6)
stored = st.dictionaries(names, st.none()).flatmap(
    lambda given: st.fixed_dictionaries({name: typed_values[name] for name in given})
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Say nothing of the failures."""
    logging.getLogger("statefun.failures").disabled = True
    yield
    logging.getLogger("statefun.failures").disabled = False


def answered(
    wire: Wire, policy: OnFailure, program: Sequence[tuple[Sequence[Step], bool]], kept: dict[str, Any]
) -> tuple[bytes, list[bool]]:
    """Run a program, one message after the other; return the reply, and which messages were worked through."""
    functions = StatefulFunctions(on_failure=policy)
    worked: list[bool] = []

    @functions.bind("example/f", states=[LISTED])
    def f(context: Context[Everything], message: int) -> None:
        of_message, fails = program[message]
        for step in of_message:
            step(context)
        worked.append(fails)
        if fails:
            raise ValueError

    int_type = f.specs["visits"].type
    states: dict[str, AnyPb | None] = dict.fromkeys(f.specs)
    for name, found in kept.items():
        made = f.specs[name].type
        states[name] = found if name == "packed" and wire == "v2" else typed(made.typename, made.encode(found))
    arguments = [typed(int_type.typename, int_type.encode(number)) for number in range(len(program))]
    return RequestReplyHandler(functions, wire=wire)(request(wire, *arguments, states=states)), worked


@pytest.mark.parametrize("wire", BOTH)
@given(program=messages, kept=stored)
def test_as_without_them(wire: Wire, program: Sequence[tuple[Sequence[Step], bool]], kept: dict[str, Any]) -> None:
    """The reply is that of the batch without them, byte for byte."""
    with_them, worked = answered(wire, skip, program, kept)
    without = [(of_message, fails) for of_message, fails in program if not fails]
    expected = answered(wire, raise_, without, kept)[0] if without else b""
    assert with_them == expected
    assert worked == [fails for _, fails in program]

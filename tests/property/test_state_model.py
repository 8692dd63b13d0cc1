"""The values of an address behave as a dict that the runtime keeps, whichever way they are looked at or written."""

from __future__ import annotations

import copy
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any

from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from shop_pb2 import SeenCount

from statefun import AsyncRequestReplyHandler, Context, State, StatefulFunctions, ValueSpec, value
from tests.kinds import Item
from tests.peer import BOTH, Runtime, Wire, answer_of, functions_of, packed, request, typed


class Counts(State):
    """One value of each way to start, and of each way to change."""

    seen: SeenCount | None = None
    total: SeenCount = value(default_factory=SeenCount)
    visits: int = 3
    name: str | None = value(default=None, name="user_name")
    tags: list[str] = value(default_factory=list[str])
    item: Item | None = None
    packed: AnyPb | None = None


LISTED = ValueSpec("listed", Item, default=lambda: Item("listed"))
FIELDS = {"user_name": "name"}
DEFAULTS: dict[str, Callable[[], Any]] = {
    "total": SeenCount,
    "visits": lambda: 3,
    "tags": list[str],
    "listed": lambda: Item("listed"),
}
small = st.sampled_from(["", "a", "bb"])
counts = st.builds(SeenCount, value=st.integers(0, 2))
items = st.builds(Item, sku=small, tags=st.lists(small, max_size=2))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "seen": counts,
    "total": counts,
    "visits": st.integers(0, 4),
    "user_name": small,
    "tags": st.lists(small, max_size=2),
    "item": items,
    "packed": st.builds(packed, counts),
    "listed": items,
}
MUTABLE = {"seen", "total", "tags", "item", "packed", "listed"}
OPTIONAL = [name for name in VALUES if name not in DEFAULTS]


class _Pause:
    """Gives the turn back to who drives the coroutine."""

    def __await__(self) -> Generator[None, None, None]:
        yield


def change(found: Any) -> None:
    """Change a value in place."""
    if isinstance(found, SeenCount):
        found.value += 1
    elif isinstance(found, AnyPb):
        found.value += b"\x00"
    elif isinstance(found, Item):
        found.tags.append("changed")
    else:
        found.append("changed")


class StateModel(RuleBasedStateMachine):
    """One address, batch after batch; its function waits while the rules use its context."""

    context: Context[Counts]
    state: Counts

    def __init__(self) -> None:
        super().__init__()
        functions = StatefulFunctions()

        @functions.bind("example/f", states=[LISTED])
        async def f(context: Context[Counts], message: AnyPb) -> None:
            self.context = context
            self.state = context.state
            await _Pause()

        self.specs = f.specs
        self.handler = AsyncRequestReplyHandler(functions)
        self.running: Coroutine[Any, Any, bytes] | None = None
        self.wire: Wire = "v3"
        self.kept: dict[str, AnyPb] = {}
        """What the runtime has."""
        self.values: dict[str, Any] = {}
        """What is there now; what is absent is not in it."""
        self.handed_out: dict[str, Any] = {}
        """The defaults that were handed out and may be changed in place."""
        self.touched: set[str] = set()
        """What was assigned or deleted: if it is there in the end, it is written, also if it is what it was."""

    @initialize(wire=st.sampled_from(BOTH), messages=st.integers(1, 3))
    def start(self, wire: Wire, messages: int) -> None:
        """Send the first batch."""
        self.wire = wire
        self._send(messages)

    def _send(self, messages: int) -> None:
        states = {name: self.kept.get(name) for name in self.specs}
        data = request(self.wire, *[typed("a/b", b"c")] * messages, states=states)
        self.left = messages
        self.running = self.handler(data)
        self.running.send(None)

    def _decoded(self, name: str) -> Any:
        stored = self.kept[name]
        if name == "packed" and self.wire == "v2":
            return copy.deepcopy(stored)
        return self.specs[name].type.decode(stored.value)

    # --- what is there ---

    def expected(self, name: str) -> Any:
        """Return what a typed look gives."""
        if name in self.values:
            return self.values[name]
        if name not in DEFAULTS:
            return None
        return self.handed_out.setdefault(name, DEFAULTS[name]())

    def expected_any(self, name: str) -> AnyPb | None:
        """Return what a packed look gives: a default is not stored before it is changed."""
        self._notice(name)
        if name not in self.values:
            return None
        if name == "packed":
            found: AnyPb = self.values[name]
            return found
        made = self.specs[name].type
        return typed(made.typename, made.encode(self.values[name]))

    def _notice(self, name: str) -> None:
        """Take a default that was changed in place for a value."""
        if name in self.handed_out and name not in self.values:
            handed = self.handed_out[name]
            if handed != DEFAULTS[name]():
                self.values[name] = handed

    # --- looking ---

    @rule(name=st.sampled_from(list(VALUES)), how=st.sampled_from(["attribute", "spec"]))
    def look(self, name: str, how: str) -> None:
        """Look at the value itself."""
        assert self._typed(name, how) == self.expected(name)

    def _typed(self, name: str, how: str = "attribute") -> Any:
        if name == "listed" or how == "spec":
            return self.context[self.specs[name]]
        return getattr(self.state, FIELDS.get(name, name))

    @rule(name=st.sampled_from(list(VALUES)), how=st.sampled_from(["item", "handle"]))
    def look_packed(self, name: str, how: str) -> None:
        """Look at it packed: what one gets is a copy."""
        found = self.context[name] if how == "item" else self.context.state(name).value
        assert found == self.expected_any(name)
        if found is not None:
            found.value += b"changed"
            assert self.context[name] == self.expected_any(name)

    @rule(name=st.sampled_from([name for name in VALUES if name != "packed"]))
    def unpack(self, name: str) -> None:
        """Look at it by a handle."""
        found = self.context.state(name).unpack(self.specs[name].type)
        self._notice(name)
        assert found == self.values.get(name)

    # --- writing ---

    @rule(data=st.data(), name=st.sampled_from(list(VALUES)), how=st.sampled_from(["attribute", "spec"]))
    def assign(self, data: st.DataObject, name: str, how: str) -> None:
        """Assign the value itself."""
        new = data.draw(VALUES[name])
        self._put(name, copy.deepcopy(new))
        if name == "listed" or how == "spec":
            self.context[self.specs[name]] = new
        else:
            setattr(self.state, FIELDS.get(name, name), new)

    @rule(data=st.data(), name=st.sampled_from(list(VALUES)), how=st.sampled_from(["item", "handle", "pack"]))
    def assign_packed(self, data: st.DataObject, name: str, how: str) -> None:
        """Assign it packed."""
        new = data.draw(VALUES[name])
        made = self.specs[name].type
        wrapped = new if name == "packed" else typed(made.typename, made.encode(new))
        self._put(name, copy.deepcopy(new))
        if how == "item":
            self.context[name] = wrapped
        elif how == "handle" or name in {"packed", "tags"}:
            self.context.state(name).value = wrapped
        else:
            self.context.state(name).pack(new, type=made)
        wrapped.value += b"later changes do not show"

    def _put(self, name: str, new: Any) -> None:
        self.values[name] = new
        self.touched.add(name)
        self.handed_out.pop(name, None)

    @rule(name=st.sampled_from(list(VALUES)), how=st.sampled_from(["attribute", "spec", "item", "handle", "none"]))
    def delete(self, name: str, how: str) -> None:
        """Delete it."""
        self.values.pop(name, None)
        self.handed_out.pop(name, None)
        self.touched.add(name)
        if how == "attribute" and name != "listed":
            delattr(self.state, FIELDS.get(name, name))
        elif how == "item":
            del self.context[name]
        elif how == "handle":
            del self.context.state(name).value
        elif how == "none":
            self.context[name] = None
        else:
            del self.context[self.specs[name]]

    @rule(name=st.sampled_from(OPTIONAL))
    def assign_none(self, name: str) -> None:
        """Assign None where absent reads as None."""
        self.values.pop(name, None)
        self.touched.add(name)
        setattr(self.state, FIELDS.get(name, name), None)

    @rule(name=st.sampled_from(sorted(MUTABLE)))
    def change_in_place(self, name: str) -> None:
        """Change the value in place."""
        found = self._typed(name)
        if found is not None:
            expected = self.expected(name)
            change(found)
            change(expected)
            self._notice(name)

    # --- between messages, and at the end of a batch ---

    @precondition(lambda self: self.left > 1)
    @rule()
    def next_message(self) -> None:
        """Go on to the next message of the batch: the values stay as they are."""
        assert self.running is not None
        self.left -= 1
        self.running.send(None)

    @rule(messages=st.integers(1, 3))
    def settle(self, messages: int) -> None:
        """End the batch: what was changed or assigned is written, what was deleted is deleted, and nothing else."""
        answer = answer_of(self.wire, self._finish())
        expected: dict[str, AnyPb | None] = {}
        for name in VALUES:
            new, old = self._kept_form(name), self.kept.get(name)
            if new is None and old is not None:
                expected[name] = None
            elif new is not None and (name in self.touched or new != old):
                expected[name] = new
        assert answer.states == expected
        assert len(answer.mutations) == len(expected)
        self.kept = {name: new for name in VALUES if (new := expected.get(name, self.kept.get(name))) is not None}
        self.values = {name: self._decoded(name) for name in self.kept}
        self.handed_out, self.touched = {}, set()
        self._send(messages)

    def _finish(self) -> bytes:
        assert self.running is not None
        while True:
            try:
                self.running.send(None)
            except StopIteration as done:
                reply: bytes = done.value
                return reply

    def _kept_form(self, name: str) -> AnyPb | None:
        value = self.expected_any(name)
        if name == "packed" and value is not None and self.wire == "v3":
            return typed("type.googleapis.com/google.protobuf.Any", value.SerializeToString(deterministic=True))
        return value

    @invariant()
    def every_way_shows_the_same(self) -> None:
        """Whatever was done, the attribute and the ValueSpec show the same object."""
        if self.running is not None:
            for name in ("seen", "visits"):
                if name in self.values:
                    assert self.context[self.specs[name]] is getattr(self.state, name)

    def teardown(self) -> None:
        """End what still runs."""
        if self.running is not None:
            self.running.close()


def test_declared_states() -> None:
    """Typed looks, packed looks, assignments, deletions and changes in place, in any order, over batches."""
    run_state_machine_as_test(StateModel)


# --- states that nobody declared ---


@dataclass(frozen=True)
class Read:
    """Look at a value, in one of the ways of 2.x."""

    name: str
    handle: bool


@dataclass(frozen=True)
class Write:
    """Set a value, in one of the ways of 2.x."""

    name: str
    handle: bool
    number: int


@dataclass(frozen=True)
class Delete:
    """Delete a value, in one of the ways of 2.x."""

    name: str
    handle: bool


names = st.sampled_from("abcd")
operations = st.one_of(
    st.builds(Read, names, st.booleans()),
    st.builds(Write, names, st.booleans(), st.integers(0, 3)),
    st.builds(Delete, names, st.booleans()),
)
Operation = Read | Write | Delete


def perform(context: Any, operation: Operation, model: dict[str, int]) -> None:
    """Do it to the context and to the model."""
    name = operation.name
    match operation:
        case Read(handle=True):
            expected = SeenCount(value=model[name]) if name in model else None
            assert context.state(name).unpack(SeenCount) == expected
        case Read():
            expected_any: Message | None = packed(SeenCount(value=model[name])) if name in model else None
            assert context[name] == expected_any
        case Write(handle=True):
            context.state(name).pack(SeenCount(value=operation.number))
            model[name] = operation.number
        case Write():
            context[name] = packed(SeenCount(value=operation.number))
            model[name] = operation.number
        case Delete(handle=True):
            del context.state(name).value
            model.pop(name, None)
        case Delete():
            del context[name]
            model.pop(name, None)


@given(st.sampled_from(BOTH), st.lists(st.lists(st.lists(operations, max_size=4), min_size=1, max_size=3), max_size=4))
def test_undeclared_states(wire: Wire, batches: list[list[list[Operation]]]) -> None:
    """A function of 2.x keeps what it likes under any name; in v3 the runtime is asked for it, once a name."""
    model: dict[str, int] = {}
    script: list[list[Operation]] = []

    def f(context: Any, message: AnyPb) -> None:
        for operation in script[int(message.value)]:
            perform(context, operation, attempt)

    runtime = Runtime(wire, functions_of(f), listed="abcd")
    for batch in batches:
        script = batch
        attempt: dict[str, int] = {}
        messages = [typed("a/b", b"%d" % index) for index in range(len(batch))]
        _send(runtime, messages, model, attempt)
        model = dict(attempt)
        for name in runtime.states:
            expected = packed(SeenCount(value=model[name])) if name in model else None
            assert runtime.state(name) == expected
    asked = [name for names_asked in runtime.asked for name in names_asked]
    assert len(asked) == len(set(asked))


def _send(runtime: Runtime, messages: list[AnyPb], model: dict[str, int], attempt: dict[str, int]) -> None:
    """Send a batch; every attempt starts from what the last batch left."""
    handler = runtime.handler

    def from_the_start(data: bytes) -> bytes:
        attempt.clear()
        attempt.update(model)
        return handler(data)

    runtime.handler = from_the_start  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue] -- called only
    try:
        runtime.send(*messages)
    finally:
        runtime.handler = handler

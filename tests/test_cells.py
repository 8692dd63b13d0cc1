"""The stored values of one address during one batch, by themselves: without a wire and without a function."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import SeenCount, User

from statefun import StateError, ValueSpec, types
from statefun._cells import Cells, Declared, check_name
from statefun._wire import v3
from statefun.errors import ContextError, UndecodableState
from statefun.protocol import Stored
from tests.kinds import Item, Tier
from tests.peer import ANY, Answer, answer_of, packed, typed
from tests.refusals import refusal

ONE = packed(SeenCount(value=1))
DAY = dt.timedelta(days=1)


class Kept(Cells):
    """Values of an address that are kept here; it remembers what was loaded."""

    def __init__(self, specs: Sequence[ValueSpec[Any, Any]], **kept: AnyPb) -> None:
        super().__init__(specs, {spec.name: index for index, spec in enumerate(specs)})
        self.kept = {name: (value.type_url, value.value) for name, value in kept.items()}
        self.asked: list[str] = []

    def load(self, index: int, spec: Declared, /) -> Stored | None:
        """Return what is stored of a declared value."""
        return self.load_undeclared(spec.name)

    def load_undeclared(self, name: str, /) -> Stored | None:
        """Return what is stored under a name."""
        self.asked.append(name)
        return self.kept.get(name)


def cells(*specs: ValueSpec[Any, Any], **kept: AnyPb) -> Kept:
    """Make the values of an address."""
    return Kept(specs, **kept)


def settled(made: Cells) -> Answer:
    """Return what is written back."""
    reply = v3.Reply()
    made.settle(reply)
    return answer_of("v3", reply.encode())


SEEN = ValueSpec("seen", SeenCount)
TOTAL = ValueSpec("total", SeenCount, default=SeenCount)
VISITS = ValueSpec("visits", int, default=int)


def test_values_are_opened_when_they_are_looked_at() -> None:
    """What nobody looks at is not loaded, and what was loaded is not loaded again."""
    made = cells(SEEN, TOTAL, seen=ONE)
    assert made.opened == [None, None]
    assert made.open(0).load() == SeenCount(value=1)
    assert made.open(0) is made.open(0) is made.named("seen")
    assert made.asked == ["seen"]
    assert made.named("other") is None
    assert made.names() == ["seen", "total"]


def test_a_look_writes_nothing() -> None:
    """A value and a default that were only looked at are not written."""
    made = cells(SEEN, TOTAL, VISITS, seen=ONE)
    assert [made.open(index).load() for index in range(3)] == [SeenCount(value=1), SeenCount(), 0]
    assert settled(made).mutations == []


def test_a_change_in_place() -> None:
    """A value, or a default, that does not encode to what it was is written."""
    made = cells(SEEN, TOTAL, seen=ONE)
    made.open(0).load().value = 5
    made.open(1).load().value = 7
    assert settled(made).states == {"seen": packed(SeenCount(value=5)), "total": packed(SeenCount(value=7))}


def test_a_change_that_was_taken_back() -> None:
    """A value that was changed in place and is as before in the end is not written."""
    made = cells(SEEN, seen=ONE)
    value = made.open(0).load()
    value.value = 5
    value.value = 1
    assert settled(made).mutations == []


@pytest.mark.parametrize(("expiration", "written"), [(None, True), (DAY, False)])
def test_another_writer(expiration: dt.timedelta | None, *, written: bool) -> None:
    """A value that another SDK encoded in another way is rewritten only where that does not restart an expiration."""
    spec = ValueSpec("item", Item, expire_after_write=expiration)
    made = cells(spec, item=typed("kinds/Item", b'{ "sku": "s" }'))
    assert made.open(0).load() == Item("s")
    assert bool(settled(made).mutations) is written
    made = cells(spec, item=typed("kinds/Item", b'{ "sku": "s" }'))
    made.open(0).load().tags.append("a")
    assert len(settled(made).mutations) == 1


def test_what_cannot_be_encoded_at_the_end() -> None:
    """A value that was changed in place into what has no bytes is refused when it is written."""
    spec = ValueSpec("item", Item, default=lambda: Item("s"))
    made = cells(spec)
    made.open(0).load().sku = 5
    text = "state 'item': Item has no JSON form: $.sku: expected a string, not 5"
    assert refusal(StateError, lambda: settled(made)) == text
    assert refusal(StateError, lambda: made.open(0).read_any()) == text
    made = cells(spec, item=types.pack(Item("s")))
    made.open(0).load().sku = 5
    assert refusal(StateError, lambda: settled(made)) == text


def test_a_default_that_has_no_bytes() -> None:
    """A default that its type cannot encode is refused when it is first looked at."""
    untyped_item: Any = Item
    made = cells(ValueSpec("item", Item, default=lambda: untyped_item(5)))
    assert refusal(StateError, lambda: made.open(0).load()).startswith("state 'item': Item has no JSON form: $.sku: ")


def test_none() -> None:
    """None deletes a value that may be absent, and is refused where there is a default."""
    made = cells(SEEN, VISITS, seen=ONE)
    made.open(0).write(None)
    text = "state 'visits' has a default and is never None; `del` resets it"
    assert refusal(StateError, lambda: made.open(1).write(None)) == text
    assert settled(made).mutations == [("seen", None)]


def test_packed_values() -> None:
    """A value is read packed as it would be stored, and set packed as what its type can read."""
    made = cells(SEEN, VISITS, seen=ONE)
    cell = made.open(0)
    assert cell.read_any() == ONE
    cell.load().value = 2
    assert cell.read_any() == packed(SeenCount(value=2))
    cell.write_any(typed("other.example/shop.SeenCount", b"\x08\x03"))
    assert cell.value == SeenCount(value=3)
    visits = made.open(1)
    assert visits.read_any() is None
    visits.write_any(types.pack(5, types.INT32))
    assert visits.value == 5
    assert settled(made).states == {"seen": packed(SeenCount(value=3)), "visits": types.pack(5)}


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (packed(User()), StateError, "state 'seen' holds SeenCount, not shop.User"),
        (5, StateError, "state 'seen' is set to a google.protobuf.Any by name, not to int; pack it"),
        (SeenCount(), StateError, "state 'seen' is set to a google.protobuf.Any by name, not to SeenCount; pack it"),
    ],
    ids=["type", "int", "message"],
)
def test_packed_values_that_are_refused(value: Any, kind: type[Exception], text: str) -> None:
    """What is no Any, and an Any of another type, are refused, and change nothing."""
    made = cells(SEEN, seen=ONE)
    assert refusal(kind, lambda: made.open(0).write_any(value)) == text
    assert settled(made).mutations == []


def test_packed_bytes_that_are_not_of_the_type() -> None:
    """An Any whose bytes are not of its type is refused where it is set."""
    made = cells(ValueSpec("tier", Tier))
    wrong = typed("statefun.python/json", b'"SILVER"')
    assert refusal(UndecodableState, lambda: made.open(0).write_any(wrong)) == (
        "state 'tier' cannot be read as statefun.python/json: $: expected one of BASIC, GOLD, not 'SILVER'"
    )


# --- an Any, declared or not ---


def as_any(value: AnyPb) -> AnyPb:
    """Pack an Any as v3 stores it."""
    return typed(ANY, value.SerializeToString(deterministic=True))


def test_undeclared_values() -> None:
    """Where nothing is declared every name is an Any, and each look at it is a copy."""
    made = cells(a=as_any(ONE), b=as_any(ONE))
    cell = made.by_hand("a")
    assert cell is not None
    assert cell is made.by_hand("a")
    found = cell.read_any()
    assert found == ONE
    assert found is not cell.read_any()
    cell.write_any(packed(User(name="b")))
    assert settled(made).states == {"a": as_any(packed(User(name="b")))}


def test_a_typed_state_of_another_sdk() -> None:
    """A v3 state that was registered under its own type keeps it: a runtime fails the job when it changes."""
    made = cells(n=types.pack(5))
    cell = made.by_hand("n")
    assert cell is not None
    assert cell.read_any() == types.pack(5)
    assert (
        refusal(StateError, lambda: cell.write_any(ONE)) == "state 'n' holds io.statefun.types/long, not shop.SeenCount"
    )
    cell.write_any(types.pack(6))
    assert settled(made).states == {"n": types.pack(6)}


def test_bytes_that_are_no_any() -> None:
    """An Any that cannot be parsed is refused when it is looked at."""
    made = cells(a=typed(ANY, b"\xff"))
    cell = made.by_hand("a")
    assert cell is not None
    with pytest.raises(UndecodableState, match=r"^state 'a' cannot be read as google.protobuf.Any: "):
        cell.read_any()


def test_a_declared_any() -> None:
    """A value that is declared as an Any is read and changed like any other message."""
    made = cells(ValueSpec("packed", AnyPb), packed=as_any(ONE))
    cell = made.open(0)
    assert cell.load() == ONE
    cell.value.value = b"\x08\x02"
    assert cell.read_any() == packed(SeenCount(value=2))
    assert settled(made).states == {"packed": as_any(packed(SeenCount(value=2)))}


# --- names, and the end ---


def test_by_hand() -> None:
    """Where values are declared, only their names may be used; where none is, every name that can be one."""
    assert cells(SEEN).by_hand("other") is None
    assert cells(SEEN).by_hand("seen") is not None
    assert refusal(StateError, lambda: cells().by_hand("")) == "a stored value needs a name, not ''"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "a stored value needs a name, not ''"),
        (None, "a stored value needs a name, not None"),
        (
            "batch",
            "state 'batch': the runtime keeps a value of its own under this name, and a job that uses it crash-loops",
        ),
        ("\ud800", "state '\\ud800': the name has no UTF-8 form"),
    ],
)
def test_names(name: Any, text: str) -> None:
    """What cannot be the name of a state is refused."""
    assert refusal(StateError, lambda: check_name(name)) == text
    check_name("any other/name ä")


def test_the_end() -> None:
    """When the batch is over, a value that was opened and one that was not raise whatever is done with them."""
    made = cells(SEEN, TOTAL, VISITS, seen=ONE)
    handed = made.by_hand("seen")
    assert handed is not None
    text = "state 'seen' belongs to an invocation that has ended"
    made.end()
    uses: list[Callable[[], object]] = [
        handed.read_any,
        handed.delete,
        lambda: handed.write_any(None),
        lambda: made.open(0),
        lambda: made.look(0),
        lambda: made.named("seen"),
    ]
    for use in uses:
        assert refusal(ContextError, use) == text
    free = cells(a=as_any(ONE))
    assert free.by_hand("a")
    free.end()
    assert refusal(ContextError, lambda: free.by_hand("a")) == "state 'a' belongs to an invocation that has ended"


def test_nothing_behind() -> None:
    """Values without a source are those of a State that stands for itself."""
    made = Cells((VISITS,), {"visits": 0})
    assert made.open(0).load() == 0
    free = Cells((), {})
    cell = free.by_hand("a")
    assert cell is not None
    assert cell.read_any() is None

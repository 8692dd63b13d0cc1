"""State and StateHandle, as they are used."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import GreetRequest, SeenCount, User

from statefun import Context, State, StateError, StateHandle, testing, types, value
from statefun.errors import ContextError, SendError, UndeclaredState, UndecodableState, UnsendableError
from tests.kinds import WHEN, Bigger, Item, Kinds, Money, Parcel, Refund, Tier
from tests.peer import BOTH, Wire, packed, run, typed
from tests.refusals import refusal

NOON = dt.datetime(2024, 1, 1, 12)  # noqa: DTZ001 -- one without a zone is a value, too
GO = packed(GreetRequest())


class Greeted(State):
    """A State with a value of each way to start."""

    seen: SeenCount | None = None
    total: SeenCount = value(default_factory=SeenCount)
    visits: int = 0
    name: str | None = value(default=None, name="user_name")
    tags: list[str] = value(default_factory=list[str])
    item: Item | None = None


untyped_greeted: Any = Greeted
BOB = typed("io.statefun.types/string", b"\x0a\x03Bob")


def long(number: int) -> AnyPb:
    """Store an int."""
    return typed("io.statefun.types/long", b"\x09" + number.to_bytes(8, "little", signed=True) if number else b"")


def mutations(
    wire: Wire, body: Callable[[Context[Greeted]], None], times: int = 1, **stored: AnyPb | None
) -> dict[str, AnyPb | None]:
    """Run a function for some messages, and return what it writes back."""

    def greeter(context: Context[Greeted], message: GreetRequest) -> None:
        body(context)

    return run(wire, greeter, *[GO] * times, states=stored).states


wires = pytest.mark.parametrize("wire", BOTH)


@wires
def test_absent_values(wire: Wire) -> None:
    """What is absent reads as None or as its default, and looking at it writes nothing."""

    def body(context: Context[Greeted]) -> None:
        state = context.state
        assert state == Greeted()
        assert (state.seen, state.total, state.visits, state.name) == (None, SeenCount(), 0, None)
        assert (state.tags, state.item) == ([], None)

    assert mutations(wire, body) == {}


@wires
def test_stored_values(wire: Wire) -> None:
    """What is stored is read as it was written, and looking at it writes nothing."""

    def body(context: Context[Greeted]) -> None:
        state = context.state
        assert (state.seen, state.visits, state.name) == (SeenCount(value=5), 7, "Bob")
        assert state.visits is state.visits
        assert state.seen is state.seen

    assert mutations(wire, body, seen=packed(SeenCount(value=5)), visits=long(7), user_name=BOB) == {}


@wires
def test_assignment(wire: Wire) -> None:
    """What is assigned is written once a batch, as it is in the end."""

    def body(context: Context[Greeted]) -> None:
        context.state.seen = SeenCount(value=1)
        context.state.visits += 1
        context.state.name = "Bob"

    assert mutations(wire, body, times=3) == {"seen": packed(SeenCount(value=1)), "visits": long(3), "user_name": BOB}


@wires
def test_change_in_place(wire: Wire) -> None:
    """A message, a list or a dataclass that was changed in place is written."""

    def body(context: Context[Greeted]) -> None:
        context.state.total.value += 1
        context.state.tags.append("new")
        assert context.state.seen is not None
        context.state.seen.value += 1
        assert context.state.item is not None
        context.state.item.tags.append("new")

    item = typed("kinds/Item", b'{"sku":"s","tier":"BASIC","tags":[]}')
    assert mutations(wire, body, times=2, seen=packed(SeenCount(value=5)), item=item) == {
        "seen": packed(SeenCount(value=7)),
        "total": packed(SeenCount(value=2)),
        "tags": typed("statefun.python/json", b'["new","new"]'),
        "item": typed("kinds/Item", b'{"sku":"s","tier":"BASIC","tags":["new","new"]}'),
    }


@wires
def test_the_same_value_assigned(wire: Wire) -> None:
    """Assigning what is there already writes it: that restarts its expiration."""

    def body(context: Context[Greeted]) -> None:
        context.state.name = context.state.name

    assert mutations(wire, body, user_name=BOB) == {"user_name": BOB}


@wires
@pytest.mark.parametrize("how", ["del", "None", "item", "handle", "any"])
def test_deletion(wire: Wire, how: str) -> None:
    """A value is deleted in each of these ways, and is absent from then on."""

    def body(context: Context[Greeted]) -> None:
        assert context.state.seen == SeenCount(value=5)
        if how == "del":
            del context.state.seen
        elif how == "None":
            context.state.seen = None
        elif how == "item":
            del context["seen"]
        elif how == "handle":
            del context.state("seen").value
        else:
            context["seen"] = None
        assert context.state.seen is None
        assert context["seen"] is None

    assert mutations(wire, body, seen=packed(SeenCount(value=5))) == {"seen": None}


@wires
def test_deleting_what_is_absent(wire: Wire) -> None:
    """Nothing is written where nothing was."""

    def body(context: Context[Greeted]) -> None:
        del context.state.seen
        context.state.name = "Bob"
        context.state.name = None

    assert mutations(wire, body) == {}


@wires
def test_del_resets_a_default(wire: Wire) -> None:
    """A deleted value with a default reads as the default."""

    def body(context: Context[Greeted]) -> None:
        assert context.state.visits == 7
        del context.state.visits
        assert context.state.visits == 0

    assert mutations(wire, body, visits=long(7)) == {"visits": None}


@wires
def test_every_way_sees_the_same_value(wire: Wire) -> None:
    """The attribute, the packed value and the handle show the same value at any time."""

    def body(context: Context[Greeted]) -> None:
        context["seen"] = packed(SeenCount(value=1))
        assert context.state.seen is not None
        assert context.state.seen.value == 1
        context.state.seen.value = 2
        assert context["seen"] == packed(SeenCount(value=2))
        assert context.state("seen").unpack(SeenCount) == SeenCount(value=2)
        assert context["visits"] is None
        context.state.visits = 0
        assert context["visits"] == long(0)

    assert set(mutations(wire, body)) == {"seen", "visits"}


@pytest.mark.parametrize(
    ("name", "wrong", "text"),
    [
        ("visits", "1", "state 'visits' holds int, not str: '1'"),
        ("visits", None, "state 'visits' has a default and is never None; `del` resets it"),
        ("seen", User(name="b"), "state 'seen' holds SeenCount, not User: name: \"b\"\n"),
        ("name", 5, "state 'user_name' holds str, not int: 5"),
        ("tags", [1], "state 'tags': list has no JSON form: $[0]: expected a string, not 1"),
    ],
)
def test_wrong_values(name: str, wrong: Any, text: str) -> None:
    """A value of another class is refused where it is assigned, and nothing is changed."""

    def body(context: Context[Greeted]) -> None:
        assert refusal(StateError, lambda: setattr(context.state, name, wrong)) == text

    assert mutations("v3", body) == {}
    assert refusal(StateError, lambda: Greeted(**{name: wrong})) == text


def test_undeclared_values() -> None:
    """A name that the class does not declare is refused in every way, with the names that it does."""
    declared = "(it declares seen, total, visits, name, tags, item)"

    def body(context: Context[Greeted]) -> None:
        state: Any = context.state
        text = f"Greeted declares no state 'sen' {declared}"
        assert refusal(UndeclaredState, lambda: state.sen) == text
        assert refusal(UndeclaredState, lambda: setattr(state, "sen", 1)) == text
        assert refusal(UndeclaredState, lambda: state("sen")) == text

    mutations("v3", body)
    plain: Any = State()
    assert refusal(UndeclaredState, lambda: plain.sen) == "State declares no state 'sen' (it declares nothing)"
    assert isinstance(UndeclaredState("text"), AttributeError)
    assert isinstance(UndeclaredState("text"), KeyError)


@wires
def test_another_type_than_declared(wire: Wire) -> None:
    """A stored value of another type is refused when it is looked at."""

    def body(context: Context[Greeted]) -> None:
        context.state.seen  # noqa: B018 -- the look is what raises

    with pytest.raises(UndecodableState) as caught:
        mutations(wire, body, seen=packed(User(name="x")))
    expected = {
        "v2": "state 'seen' holds shop.User, which is no SeenCount",
        "v3": "state 'seen' of example/f holds shop.User, but is declared as shop.SeenCount\n"
        "  help: a v3 runtime fails the job when a state changes its type: declare the type that it holds, "
        "or give it another name",
    }
    assert str(caught.value) == expected[wire]


@wires
def test_bytes_that_are_not_of_the_type(wire: Wire) -> None:
    """A stored value that cannot be decoded is refused when it is looked at."""

    def body(context: Context[Greeted]) -> None:
        context.state.tags  # noqa: B018 -- the look is what raises

    with pytest.raises(UndecodableState) as caught:
        mutations(wire, body, tags=typed("statefun.python/json", b"{}"))
    assert str(caught.value) == "state 'tags' cannot be read as statefun.python/json: $: expected a list, not {}"


def test_v2_reads_what_others_wrote() -> None:
    """In v2, where a state has no type of its own, a narrower number and another prefix are read, too."""

    def body(context: Context[Greeted]) -> None:
        assert context.state.visits == 5
        assert context.state.seen == SeenCount(value=1)

    narrow = typed("io.statefun.types/int", b"\x0d\x05\0\0\0")
    assert mutations("v2", body, visits=narrow, seen=typed("x/shop.SeenCount", b"\x08\x01")) == {}


@wires
def test_every_storable_type_comes_back(wire: Wire) -> None:
    """A value of every storable type is written under its typename, and read again as it was."""

    def write(context: Context[Kinds], message: GreetRequest) -> None:
        state = context.state
        state.flag, state.n, state.m, state.ratio, state.raw, state.tier = True, 5, 6, 2, b"raw", Tier.GOLD
        state.narrow = 3
        state.tags.append("a")
        state.items["a"] = Item("s")
        state.item, state.parcel, state.money = Item("s", Tier.GOLD), Parcel("s"), Money(5)
        state.refund, state.at, state.user = Refund(sku="s", at=NOON), NOON, User(name="b")
        state.cents, state.specs, state.keys, state.name = 7, 1, 2, "n"  # type: ignore[assignment]  # pyright: ignore -- a NewType
        state.packed = packed(User(name="p"))

    functions_states: dict[str, AnyPb | None] = run(wire, write, GO).states
    typenames = {name: stored.type_url for name, stored in functions_states.items() if stored is not None}
    assert typenames == {
        "flag": "io.statefun.types/bool",
        "n": "io.statefun.types/int",
        "m": "io.statefun.types/int",
        "ratio": "io.statefun.types/double",
        "narrow": "io.statefun.types/float",
        "raw": "statefun.python/bytes",
        "tier": "statefun.python/json",
        "tags": "statefun.python/json",
        "items": "statefun.python/json",
        "item": "kinds/Item",
        "parcel": "kinds/Parcel",
        "refund": "kinds/Refund",
        "money": "kinds/money",
        "cents": "io.statefun.types/long",
        "at": "kinds/when",
        "user": "legacy/user",
        "packed": "type.googleapis.com/shop.User" if wire == "v2" else "type.googleapis.com/google.protobuf.Any",
        "specs": "io.statefun.types/long",
        "keys": "io.statefun.types/long",
        "name": "io.statefun.types/string",
    }

    def read(context: Context[Kinds], message: GreetRequest) -> None:
        state = context.state
        assert (state.flag, state.n, state.m, state.ratio, state.raw) == (True, 5, 6, 2.0, b"raw")
        assert type(state.ratio) is type(state.narrow) is float
        assert state.tier is Tier.GOLD
        assert (state.tags, state.items) == (["a"], {"a": Item("s")})
        assert (state.item, state.parcel, state.money) == (Item("s", Tier.GOLD), Parcel("s"), Money(5))
        assert (state.refund, state.at, state.user) == (Refund(sku="s", at=NOON), NOON, User(name="b"))
        assert (state.cents, state.specs, state.keys, state.name) == (7, 1, 2, "n")
        assert state.packed == packed(User(name="p"))

    assert run(wire, read, GO, states=functions_states).states == {}


# --- a State by itself ---


def test_it_is_a_dataclass() -> None:
    """Outside of a function a State is made, compared, copied and shown as any dataclass."""
    state = Greeted(visits=2, item=Item("s"))
    assert (state.visits, state.seen, state.tags) == (2, None, [])
    assert state == Greeted(visits=2, item=Item("s")) != Greeted(visits=3, item=Item("s"))
    assert dataclasses.replace(state, visits=3).visits == 3
    assert dataclasses.asdict(state)["visits"] == 2
    assert repr(Greeted(visits=1)) == "Greeted(seen=None, total=, visits=1, name=None, tags=[], item=None)"
    with pytest.raises(TypeError, match="unexpected keyword argument 'vists'"):
        untyped_greeted(vists=2)
    with pytest.raises(TypeError, match="positional"):
        untyped_greeted(2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(state)


def test_two_of_them_share_nothing() -> None:
    """A default that is made by a factory belongs to one State."""
    one, other = Greeted(), Greeted()
    one.tags.append("a")
    one.total.value = 1
    assert (other.tags, other.total) == ([], SeenCount())


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_copies(how: Callable[[Greeted], Greeted]) -> None:
    """A copy of a State is one of its own."""
    state = Greeted(visits=2)
    made = how(state)
    made.visits = 5
    assert (state.visits, made.visits) == (2, 5)


def test_values_of_any_name() -> None:
    """State has no public name of its own, so that a value may have any."""
    assert [name for name in dir(State) if not name.startswith("_")] == []
    state = Kinds(specs=1, keys=2, name="n")
    assert (state.specs, state.keys, state.name) == (1, 2, "n")


# --- handles ---


@wires
def test_handles_of_what_is_not_declared(wire: Wire) -> None:
    """A function that declares nothing uses handles as 2.x does."""

    def plain(context: Context, message: GreetRequest) -> None:
        seen = context.state("seen")
        assert isinstance(seen, StateHandle)
        assert seen.value is None
        assert seen.unpack(SeenCount) is None
        seen.pack(SeenCount(value=1))
        assert seen.unpack(SeenCount) == SeenCount(value=1)
        assert context["seen"] == packed(SeenCount(value=1))
        assert (
            refusal(UndecodableState, lambda: seen.unpack(User)) == "the state holds shop.SeenCount, which is no User"
        )
        assert context.state("n").unpack(int) == 5
        context.state("n").pack(6, type=types.INT32)
        context.state("at").pack(NOON, type=WHEN)
        assert context.state("at").unpack(WHEN) == NOON
        del context.state("gone").value

    as_any = "type.googleapis.com/google.protobuf.Any"

    def stored(value: AnyPb) -> AnyPb:
        return value if wire == "v2" else typed(as_any, value.SerializeToString())

    states = {"seen": None, "n": stored(types.pack(5)), "at": None, "gone": stored(types.pack("x"))}
    answer = run(wire, plain, GO, states=states)
    assert answer.states == {
        "seen": stored(packed(SeenCount(value=1))),
        "n": stored(types.pack(6, types.INT32)),
        "at": stored(types.pack(NOON, WHEN)),
        "gone": None,
    }


def test_handles_of_what_is_declared() -> None:
    """A handle writes what the declaration can read, and the value is the same in both ways."""

    def body(context: Context[Kinds], message: GreetRequest) -> None:
        context.state("n").pack(5, type=types.INT32)
        assert context.state.n == 5
        context.state.n += 1
        assert context.state("n").unpack(types.INT32) == 6
        context.state("item").value = types.pack(Item("s"))
        assert context.state.item == Item("s")
        del context.state("item").value
        assert context["item"] is None
        assert refusal(StateError, lambda: context.state("n").pack("x")) == (
            "state 'n' holds int, not io.statefun.types/string"
        )

    assert set(run("v3", body, GO).states) == {"n"}


def test_handles_that_are_used_wrongly() -> None:
    """What no handle can pack or unpack is refused, in the words for a value of the same kind."""
    handle = testing.context().state("a")
    untyped: Any = handle
    assert refusal(UnsendableError, lambda: untyped.pack(NOON)).startswith("datetime cannot be sent\n  help: send a ")
    assert refusal(UnsendableError, lambda: untyped.pack(Bigger("s"))).startswith("Bigger has no typename\n  help: ")
    assert refusal(SendError, lambda: untyped.pack(2**63)) == "9223372036854775808 does not fit into 64 bits"
    assert refusal(StateError, lambda: untyped.unpack(object)).startswith("unpack: values of type object cannot be ")
    text = "state 'a' is set to a google.protobuf.Any by name, not to int; pack it"
    assert refusal(StateError, lambda: setattr(untyped, "value", 5)) == text
    handle.value = typed("", b"x")
    assert refusal(UndecodableState, lambda: handle.unpack(User)) == (
        "the state holds a value without a type, which is no User"
    )
    handle.value = typed("kinds/Item", b"[]")
    assert refusal(UndecodableState, lambda: handle.unpack(Item)) == (
        "the state cannot be read as kinds/Item: $: expected an object, not []"
    )


def test_after_the_batch() -> None:
    """A State or a handle that is kept raises when the batch is over: what is written then would be lost."""
    kept: list[Any] = []

    def keep(context: Context[Greeted], message: GreetRequest) -> None:
        assert context.state.visits == 0
        kept.extend([context.state, context.state("seen")])

    run("v3", keep, GO)
    state, handle = kept
    text = "state 'visits' belongs to an invocation that has ended"
    assert refusal(ContextError, lambda: state.visits) == text
    assert refusal(ContextError, lambda: setattr(state, "visits", 1)) == text
    assert refusal(ContextError, lambda: delattr(state, "visits")) == text
    assert refusal(ContextError, lambda: state("visits").value) == text
    text = "state 'seen' belongs to an invocation that has ended"
    assert refusal(ContextError, lambda: handle.value) == text
    assert refusal(ContextError, lambda: handle.pack(SeenCount())) == text
    assert refusal(ContextError, lambda: handle.unpack(SeenCount)) == text
    assert refusal(ContextError, lambda: delattr(handle, "value")) == text


def test_after_a_batch_that_failed() -> None:
    """The same holds where the function raised."""
    kept: list[Any] = []

    def fail(context: Context[Greeted], message: GreetRequest) -> None:
        kept.append(context.state)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run("v3", fail, GO)
    assert refusal(ContextError, lambda: kept[0].visits) == "state 'visits' belongs to an invocation that has ended"

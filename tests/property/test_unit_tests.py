"""A function does the same under testing.context and behind a handler: a unit test says what a cluster would see."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from google.protobuf.any_pb2 import Any as AnyPb
from hypothesis import given
from hypothesis import strategies as st
from shop_pb2 import SeenCount, Ship, User

from statefun import Context, FunctionRef, KafkaEgress, KinesisEgress, MessageEgress, SendError, Type, testing, types
from statefun.testing import RecordingContext
from tests.kinds import LEGACY, WHEN, Item, Kinds, Money, Parcel, Refund, Tier, Wide
from tests.peer import ANY, BOTH, Answer, Runtime, Wire, functions_of, typed

ELSEWHERE = FunctionRef[User | Annotated[int, types.INT32] | float | str | Item | Money]("shop/elsewhere")
ANYTHING = FunctionRef[AnyPb]("shop/anything")
LINES = KafkaEgress[str | bytes | User | Item]("shop/lines", topic="lines")
CLICKS = KinesisEgress[str | Item]("shop/clicks", stream="clicks")
TOTALS = MessageEgress[float | Item]("shop/totals")
CALLER = ("shop", "caller", "c")

Step = Callable[[Context[Kinds]], None]


@dataclass(frozen=True)
class Named:
    """A step, shown by Hypothesis as what it does."""

    what: str
    do: Step

    def __repr__(self) -> str:
        return self.what


small = st.sampled_from(["", "a", "ä"])
ids = st.sampled_from(["x", "1/2", "é"])
tokens = st.sampled_from(["t1", "t2", "t3", "t4", "t5", "t6"])
delays = st.timedeltas(dt.timedelta(0), dt.timedelta(days=400))
items = st.builds(Item, sku=small, tier=st.sampled_from(Tier), tags=st.lists(small, max_size=2))
elsewhere = st.one_of(
    st.builds(User, name=small),
    st.integers(-5, 5),
    st.floats(allow_nan=False),
    small,
    items,
    st.builds(Money, st.integers(0, 9)),
)
anything = elsewhere | st.booleans() | st.binary(max_size=3) | st.builds(Refund, sku=small, at=st.datetimes())
anys = st.builds(typed, st.sampled_from(["a/b", "type.googleapis.com/shop.User"]), st.binary(max_size=4))
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "flag": st.booleans(),
    "n": st.integers(-9, 9),
    "m": st.integers(-9, 9),
    "big": st.integers(-(2**63), 2**63 - 1),
    "ratio": st.integers(0, 3) | st.floats(allow_nan=False),
    "narrow": st.floats(width=32, allow_nan=False),
    "raw": st.binary(max_size=3),
    "tier": st.sampled_from(Tier),
    "tags": st.lists(small, max_size=3),
    "items": st.dictionaries(small, items, max_size=2),
    "item": st.none() | items,
    "wide": st.none() | st.builds(Wide, text=small, item=st.none() | items),
    "parcel": st.none() | st.builds(Parcel, sku=small),
    "refund": st.none() | st.builds(Refund, sku=small, at=st.datetimes()),
    "money": st.none() | st.builds(Money, st.integers(0, 9)),
    "cents": st.none() | st.integers(0, 9),
    "at": st.none() | st.datetimes(),
    "user": st.none() | st.builds(User, name=small),
    "seen": st.none() | st.builds(SeenCount, value=st.integers(0, 3)),
    "total": st.builds(SeenCount, value=st.integers(0, 3)),
    "ship": st.none() | st.builds(Ship, items=st.dictionaries(small, st.integers(0, 3), max_size=3)),
    "packed": st.none() | anys,
    "specs": st.integers(0, 3),
    "keys": st.integers(0, 3),
    "name": small,
}
filled = st.fixed_dictionaries({}, optional=FIELDS).map(lambda values: Kinds(**copy.deepcopy(values)))


def _assign(name: str, value: Any) -> Named:
    return Named(f"state.{name} = {value!r}", lambda context: setattr(context.state, name, copy.deepcopy(value)))


def _delete(name: str) -> Named:
    return Named(f"del state.{name}", lambda context: delattr(context.state, name))


def _look(name: str) -> Named:
    return Named(f"state.{name}", lambda context: getattr(context.state, name))


def _change(name: str) -> Named:
    def do(context: Context[Kinds]) -> None:
        state = context.state
        state.tags.append(name)
        state.items[name] = Item("new")
        state.total.value += 1
        if state.item is not None:
            state.item.tags.append("new")
        if state.seen is not None:
            state.seen.value += 1

    return Named("change in place", do)


def _copy(name: str, to: str) -> Named:
    def do(context: Context[Kinds]) -> None:
        context[to] = context[name]

    return Named(f"context[{to!r}] = context[{name!r}]", do)


def _send(identity: str, message: Any) -> Named:
    return Named(f"send {message!r}", lambda context: context.send(ELSEWHERE.at(identity), message))


def _send_anything(identity: str, message: Any) -> Named:
    return Named(f"send anything {message!r}", lambda context: context.send(ANYTHING.at(identity), message))


def _send_by_name(identity: str, message: AnyPb) -> Named:
    return Named(f"send by name {message!r}", lambda context: context.send("shop/named", identity, message))


def _pack_and_send(identity: str, message: Any) -> Named:
    return Named(f"pack and send {message!r}", lambda context: context.pack_and_send("shop/named", identity, message))


def _reply(message: Any) -> Named:
    return Named(f"reply {message!r}", lambda context: context.reply(message))


def _send_after(delay: dt.timedelta, identity: str, message: Any) -> Named:
    return Named(
        f"send {message!r} after {delay}", lambda context: context.send_after(delay, ELSEWHERE.at(identity), message)
    )


def _to_kafka(value: Any) -> Named:
    return Named(f"to Kafka {value!r}", lambda context: context.send_egress(LINES, value, key="k"))


def _to_kinesis(value: Any) -> Named:
    return Named(f"to Kinesis {value!r}", lambda context: context.send_egress(CLICKS, value, partition_key="k"))


def _to_egress(value: Any) -> Named:
    return Named(f"to egress {value!r}", lambda context: context.send_egress(TOTALS, value))


def _to_egress_by_name(value: Any) -> Named:
    return Named(f"to egress by name {value!r}", lambda context: context.pack_and_send_egress("shop/out", value))


names = st.sampled_from(sorted(FIELDS))
steps: st.SearchStrategy[Named] = st.one_of(
    st.builds(_send, ids, elsewhere),
    st.builds(_send_anything, ids, anything | anys),
    st.builds(_send_by_name, ids, anys),
    st.builds(_pack_and_send, ids, anything),
    st.builds(_reply, anything | anys),
    st.builds(_send_after, delays, ids, elsewhere),
    st.builds(_to_kafka, small | items),
    st.builds(_to_kinesis, small | items),
    st.builds(_to_egress, st.integers(0, 5) | items),
    st.builds(_to_egress_by_name, anything),
    names.flatmap(lambda name: st.builds(_assign, st.just(name), FIELDS[name])),
    st.builds(_delete, names),
    st.builds(_look, names),
    st.builds(_change, small),
    st.builds(_copy, st.just("specs"), st.just("keys")),
)
SENT = (bool, int, float, str, bytes, User, SeenCount, Ship, Item, Refund, Money)
TYPES: list[Type[Any] | None] = [*(types.type_of(cls) for cls in SENT), types.INT32, types.FLOAT32, LEGACY, WHEN]
KNOWN: dict[str, Type[Any]] = {found.typename: found for found in TYPES if found is not None}


def decoded(packed: AnyPb, *, as_any: bool) -> Any:
    """Decode what left a handler."""
    return packed if as_any else KNOWN[packed.type_url].decode(packed.value)


def seen_by_cluster(answer: Answer, recorded: RecordingContext[Any]) -> tuple[list[Any], ...]:
    """Return what a handler sent, decoded like what a recording context remembers."""
    sent = [
        (target, id, decoded(message, as_any=isinstance(known.message, AnyPb)))
        for (target, id, message), known in zip(answer.sent, recorded.sent, strict=True)
    ]
    delayed = [
        (delay, target, id, decoded(message, as_any=isinstance(known.message, AnyPb)), token)
        for (delay, target, id, message, token), known in zip(answer.delayed, recorded.delayed, strict=True)
    ]
    return sent, delayed, answer.cancelled, [(name, record.value) for name, record in answer.egress]


def seen_by_test(recorded: RecordingContext[Any]) -> tuple[list[Any], ...]:
    """Return what a recording context remembers."""
    sent = [(known.to.typename(), known.to.identity, known.message) for known in recorded.sent]
    millisecond = dt.timedelta(milliseconds=1)
    delayed = [
        (known.delay // millisecond, known.to.typename(), known.to.identity, known.message, known.token or "")
        for known in recorded.delayed
    ]
    return sent, delayed, recorded.cancelled, [(left.egress, left.record.value) for left in recorded.egress]


@given(st.sampled_from(BOTH), filled, st.lists(steps, max_size=8))
def test_the_same_is_done(wire: Wire, state: Kinds, done: list[Named]) -> None:
    """The same steps send the same and leave the same state; the State that a test gave stays as it was."""

    def f(context: Context[Kinds], message: AnyPb) -> None:
        for step in done:
            step.do(context)

    functions = functions_of(f)
    specs = functions["example/f"].specs
    runtime = Runtime(wire, functions, listed=list(specs))
    before = copy.deepcopy({name: getattr(state, name) for name in FIELDS})
    recorded = testing.context(state, address="example/f/x", caller="/".join(CALLER))
    f(recorded, AnyPb())
    assert {name: getattr(state, name) for name in FIELDS} == before

    runtime.states = {name: stored(wire, specs[name].type, recorded_value(state, name)) for name in specs}
    runtime.typenames = {name: spec.type.typename for name, spec in specs.items()}
    answer = runtime.send(typed("a/b", b"c"), caller=CALLER)
    assert seen_by_cluster(answer, recorded) == seen_by_test(recorded)
    again = kept(runtime, specs)
    assert {name: getattr(recorded.state, name) for name in FIELDS} == again


def recorded_value(state: Kinds, name: str) -> Any:
    """Return a value of a State that is not its default: that one is not stored."""
    found = getattr(state, name)
    return None if found == getattr(Kinds(), name) else found


def stored(wire: Wire, made: Type[Any], value: Any) -> AnyPb | None:
    """Return what a runtime keeps of a value."""
    if value is None:
        return None
    if made.typename == ANY and wire == "v2":
        found: AnyPb = value
        return found
    return typed(made.typename, made.encode(value))


def kept(runtime: Runtime, specs: Any) -> dict[str, Any]:
    """Return the values that a runtime has after a batch, as a State has them."""
    found: dict[str, Any] = {}
    for name, spec in specs.items():
        value = runtime.states[name]
        if value is None:
            found[name] = spec.default() if spec.default is not None else None
        elif spec.type.typename == ANY:
            found[name] = runtime.state(name)
        else:
            found[name] = spec.type.decode(value.value)
    return found


@given(st.lists(st.tuples(tokens, st.booleans()), max_size=8))
def test_tokens(uses: list[tuple[str, bool]]) -> None:
    """Tokens and cancellations leave in order, and one that is in use is refused in both."""

    def f(context: Context, message: AnyPb) -> None:
        for token, cancel in uses:
            if cancel:
                context.cancel(token)
                continue
            try:
                context.send_after(dt.timedelta(seconds=1), ELSEWHERE.at("x"), "a", token=token)
            except SendError as error:
                context.send(ELSEWHERE.at("error"), str(error))

    recorded = testing.context(address="example/f/x")
    f(recorded, AnyPb())
    answer = Runtime("v3", functions_of(f)).send(typed("a/b", b"c"))
    assert seen_by_cluster(answer, recorded) == seen_by_test(recorded)
    in_use: set[str] = set()
    refused = 0
    for token, cancel in uses:
        if cancel:
            in_use.discard(token)
        else:
            refused += token in in_use
            in_use.add(token)
    assert len(recorded.sent.to(ELSEWHERE.at("error"))) == refused

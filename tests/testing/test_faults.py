"""What a cluster may do happens to an app in a test, and never what it may not."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from statefun import Context, FunctionRef, MessageEgress, State, StatefulFunctions, json_type, testing, value
from statefun.runtime._requests import caller_field, invocation
from statefun.testing import Faults, Harness
from statefun.testing._faults import Chaos

NONE = Faults(seed=0, crash=False, resend=False, recut=False, reorder=False, slow=False)
RESULTS = MessageEgress[str]("law/results")
AWAY = FunctionRef[str]("law/away")


@json_type("law/Step")
@dataclass(frozen=True)
class Step:
    """The n-th message that one address sends to another, and what the receiver shall do."""

    n: int
    sender: str
    spread: int


NODE = FunctionRef[Step]("law/node")


class Seen(State):
    """What an address has sent to, and got from, each other one."""

    sent: dict[str, int] = value(default_factory=dict[str, int])
    got: dict[str, int] = value(default_factory=dict[str, int])


def law(*, is_async: bool) -> tuple[StatefulFunctions, Counter[str]]:
    """Return an app that fails where order is broken, a message is lost or one is doubled; and what it has seen."""
    functions, seen = StatefulFunctions(), Counter[str]()

    def step(context: Context[Seen], message: Step) -> None:
        me, state = context.address.identity, context.state
        seen[f"{message.sender}>{me}:{message.n}"] += 1
        expected = state.got.get(message.sender, 0)
        assert message.n == expected, f"{message.sender} to {me}: message {message.n} instead of {expected}"
        state.got[message.sender] = expected + 1
        for number in range(message.spread):
            to = str((int(me) + number * number + 1) % 5)
            n = state.sent.get(to, 0)
            state.sent[to] = n + 1
            context.send(NODE.at(to), Step(n, me, message.spread - 1))
        context.send_egress(RESULTS, f"{message.sender}>{me}:{message.n}")
        context.send(AWAY.at(me), f"{message.sender}>{me}:{message.n}")

    async def awaited(context: Context[Seen], message: Step) -> None:
        await asyncio.sleep(0)
        step(context, message)

    if is_async:
        functions.register("law/node", awaited)
    else:
        functions.register("law/node", step)
    return functions, seen


def run(faults: Faults, *, spread: int = 3, is_async: bool = False) -> tuple[Harness, Counter[str]]:
    """Run the app to its end."""
    functions, seen = law(is_async=is_async)
    harness = Harness(functions, faults=faults)
    for n in range(3):
        for id in ("0", "1"):
            harness.send(NODE.at(id), Step(n, "ingress", spread))
    harness.run()
    return harness, seen


def results(harness: Harness) -> list[str]:
    """Return what left, in order."""
    return [record.value for record in harness.egress(RESULTS)]


@settings(deadline=None, max_examples=60)
@given(
    faults=st.builds(
        Faults,
        seed=st.integers(0, 2**32),
        crash=st.booleans(),
        resend=st.booleans(),
        recut=st.booleans(),
        reorder=st.booleans(),
        slow=st.booleans(),
    ),
    spread=st.integers(0, 3),
    is_async=st.booleans(),
)
@example(faults=Faults(seed=1), spread=3, is_async=True)
@example(faults=Faults(seed=2), spread=3, is_async=False)
def test_the_law(faults: Faults, spread: int, is_async: bool) -> None:
    """From one address to another no message is lost, doubled or overtaken, and each has its effects once."""
    harness, _ = run(faults, spread=spread, is_async=is_async)
    calm, _ = run(NONE, spread=spread)
    assert sorted(results(harness)) == sorted(results(calm))
    assert len(set(results(harness))) == len(results(harness))
    assert sorted(sent.message for sent in harness.sent) == sorted(results(harness))
    assert harness.pending == harness.delayed == []


def test_the_law_has_teeth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where messages of one sender may overtake each other, the law is broken."""

    def in_front(_chaos: Chaos, _queue: object, _message: object) -> int:
        return 0

    monkeypatch.setattr(Chaos, "place", in_front)
    with pytest.raises(AssertionError):
        run(Faults(seed=1))


@pytest.mark.parametrize("seed", range(6))
def test_again(seed: int) -> None:
    """A seed does the same again: the same calls, the same order, the same crashes."""
    first, first_seen = run(Faults(seed=seed))
    second, second_seen = run(Faults(seed=seed))
    assert (results(first), first_seen, first.crashes) == (results(second), second_seen, second.crashes)
    assert first.crashes > 0


def test_in_turn() -> None:
    """Seeds take the versions of the protocol in turn, unless one is asked for."""
    functions, _ = law(is_async=False)
    assert [Harness(functions, faults=Faults(seed=seed)).wire for seed in range(4)] == ["v3", "v2", "v3", "v2"]
    assert [Harness(functions, faults=Faults(seed=seed), wire="v3").wire for seed in range(2)] == ["v3", "v3"]


def test_without_any() -> None:
    """With every fault switched off each message is seen once, and everything is as without faults."""
    harness, seen = run(NONE)
    assert set(seen.values()) == {1}
    assert harness.crashes == 0
    assert repr(harness) == (
        "Harness(functions, faults=Faults(seed=0, crash=False, resend=False, recut=False, reorder=False, slow=False))"
    )


# --- each fault does what it says ---


def seen_by(faults: Faults) -> tuple[list[list[int]], str]:
    """Return which of six messages for one address came together, and what its state says of them."""
    app, batches = StatefulFunctions(), list[list[int]]()

    class Sum(State):
        text: str = ""

    contexts: list[object] = []

    @app.bind("x/sum")
    def add(context: Context[Sum], message: int) -> None:
        around = context._around
        if not contexts or contexts[-1] is not around:
            contexts.append(around)
            batches.append([])
        batches[-1].append(message)
        context.state.text += str(message)

    harness = Harness(app, faults=faults)
    for number in range(6):
        harness.send(add.at("s"), number)
    harness.run()
    return batches, harness.state(add, "s").text


def test_calm_batches() -> None:
    """Without faults what waits goes as one batch."""
    assert seen_by(NONE) == ([[0, 1, 2, 3, 4, 5]], "012345")


def test_resend() -> None:
    """A batch that is sent again is seen twice, and has the effects of one reply."""
    found = [seen_by(replace(NONE, seed=seed, resend=True)) for seed in range(20)]
    assert {text for _, text in found} == {"012345"}
    assert {len(batches) for batches, _ in found} == {1, 2}
    assert all(batch == [0, 1, 2, 3, 4, 5] for batches, _ in found for batch in batches)


def test_recut() -> None:
    """Messages are cut into other batches, and stay in order."""
    batches, text = seen_by(replace(NONE, recut=True))
    assert len(batches) > 1
    assert [number for batch in batches for number in batch] == [0, 1, 2, 3, 4, 5]
    assert text == "012345"


def test_crash() -> None:
    """After a crash messages are seen again that were answered already, and count once."""
    found = [seen_by(replace(NONE, seed=seed, crash=True, recut=True)) for seed in range(40)]
    assert {text for _, text in found} == {"012345"}
    assert any(sum(map(len, batches)) > 6 for batches, _ in found)


def test_a_side_effect_is_caught() -> None:
    """A function that keeps something beside its state counts too much on some seed: that is what faults are for."""
    counts: set[int] = set()
    for seed in range(20):
        _, seen = run(Faults(seed=seed), spread=1)
        counts.add(sum(seen.values()))
    assert len(counts) > 1


def test_reorder() -> None:
    """What comes from different addresses comes in one order or another."""
    orders = {tuple(results(run(replace(NONE, seed=seed, reorder=True), spread=2)[0])) for seed in range(10)}
    assert len(orders) > 1


def test_slow() -> None:
    """While a reply is late others go on, and what comes for the busy address becomes its next batch."""
    orders = {tuple(results(run(replace(NONE, seed=seed, slow=True), spread=2)[0])) for seed in range(10)}
    assert len(orders) > 1


def test_what_is_shown() -> None:
    """An error of a run with faults says how to see it again (Python 3.11 and later)."""
    app = StatefulFunctions()

    @app.bind("x/wrong")
    def wrong(context: Context, message: int) -> None:
        raise LookupError("no luck")

    harness = Harness(app, faults=Faults(seed=7, slow=False), wire="v3")
    harness.send(wrong.at("1"), 1)
    with pytest.raises(LookupError) as raised:
        harness.run()
    expected = "statefun: again with Harness(functions, faults=Faults(seed=7, slow=False), wire='v3')"
    assert getattr(raised.value, "__notes__", [expected])[-1] == expected


def test_an_async_function_that_raises() -> None:
    """What an async function raises is raised, whichever of the copies of a batch it was."""
    app, calls = StatefulFunctions(), list[int]()

    @app.bind("x/wrong")
    async def wrong(context: Context, message: int) -> None:
        await asyncio.sleep(0)
        calls.append(message)
        if len(calls) > 1:
            raise LookupError("no luck")

    for seed in range(10):
        calls.clear()
        harness = Harness(app, faults=Faults(seed=seed))
        for _ in range(2):
            harness.send(wrong.at("1"), 1)
        with pytest.raises(LookupError):
            harness.run()


def test_timers_survive_crashes() -> None:
    """Delayed messages, tokens and expirations outlive crashes; a cancelled message never comes."""
    app = StatefulFunctions()

    @app.bind("x/timer")
    def timer(context: Context, message: str) -> None:
        match message:
            case "start":
                context.send_after(timedelta(hours=1), timer.at("t"), "kept", token="kept")
                context.send_after(timedelta(hours=2), timer.at("t"), "dropped", token="dropped")
            case "kept":
                context.cancel("dropped")
            case _:
                pass
        context.send_egress(RESULTS, message)

    for seed in range(30):
        harness = Harness(app, faults=Faults(seed=seed), wire="v3")
        harness.send(timer.at("t"), "start")
        harness.advance(timedelta(days=1))
        assert results(harness) == ["start", "kept"], harness
        assert harness.delayed == []


# --- where a message queues ---

ADDRESSES = st.sampled_from([b"", b"a", b"b" * 127, b"c" * 200])


@given(st.lists(ADDRESSES, max_size=8), ADDRESSES, st.integers(0, 99))
def test_place(senders: list[bytes], sender: bytes, seed: int) -> None:
    """A message queues behind every message of its own sender."""
    queue = [invocation(b"x", caller_field(one) if one else b"") for one in senders]
    at = Chaos(Faults(seed=seed)).place(queue, invocation(b"y", caller_field(sender) if sender else b""))
    assert 0 <= at <= len(queue)
    assert sender not in senders[at:]


def test_the_kit_says_it() -> None:
    """Faults are written as they would be pasted."""
    assert repr(Faults(seed=3)) == "Faults(seed=3)"
    assert repr(testing.Faults(seed=3, resend=False)) == "Faults(seed=3, resend=False)"

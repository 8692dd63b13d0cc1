"""The engine against a model of a few lines: whatever is sent, delayed, cancelled or lost, in whatever order."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from statefun import Context, MessageEgress, State, StatefulFunctions, json_type
from statefun.runtime._boxes import Limits
from tests.runtime.rig import app_rig, sqlite_store

OUT = MessageEgress[str]("t/out")
IDS = st.sampled_from(["a", "b", "c", "d"])
TOKENS = st.sampled_from(["", "t", "u"])


@json_type("t/Order")
@dataclass
class Order:
    """What an address is told to do, after which it is told the next."""

    do: str
    to: str = ""
    number: int = 0
    delay: int = 0
    token: str = ""


class Kept(State):
    """What an address keeps."""

    total: int = 0
    seen: list[int] = field(default_factory=list[int])


functions = StatefulFunctions()


@functions.bind("t/f")
def f(context: Context[Kept], order: Order) -> None:
    """Do as told."""
    state = context.state
    match order.do:
        case "add":
            state.total += order.number
            state.seen = [*state.seen, order.number]
            context.send_egress(OUT, f"{context.address.identity} {order.number}")
        case "forward":
            context.send(f.at(order.to), Order("add", number=order.number))
        case "later":
            delay = timedelta(milliseconds=order.delay)
            context.send_after(delay, f.at(order.to), Order("add", number=order.number), token=order.token or None)
        case "cancel":
            context.cancel(order.token)
        case _:
            raise ValueError(order.do)


class Model:
    """What should be."""

    def __init__(self) -> None:
        self.total: dict[str, int] = defaultdict(int)
        self.seen: dict[str, list[int]] = defaultdict(list)
        self.waiting: list[tuple[int, int, str, int, tuple[str, str] | None]] = []
        self.records: list[str] = []
        self.now = 0
        self.count = 0

    def add(self, id: str, number: int) -> None:
        """Count a number."""
        self.total[id] += number
        self.seen[id].append(number)
        self.records.append(f"{id} {number}")

    def later(self, id: str, order: Order) -> bool:
        """Note a delayed message; tell whether its token was free."""
        key = (id, order.token) if order.token else None
        if key is not None and any(key == other for *_, other in self.waiting):
            return False
        self.count += 1
        self.waiting.append((self.now + order.delay, self.count, order.to, order.number, key))
        return True

    def cancel(self, id: str, token: str) -> None:
        """Forget a delayed message."""
        self.waiting = [one for one in self.waiting if one[4] != (id, token)]

    def pass_time(self, ms: int) -> None:
        """Deliver what is due."""
        self.now += ms
        due = sorted(one for one in self.waiting if one[0] <= self.now)
        self.waiting = [one for one in self.waiting if one[0] > self.now]
        for _, _, id, number, _ in due:
            self.add(id, number)


class Machine(RuleBasedStateMachine):
    """Every rule does the same to the runtime and to the model."""

    @initialize(small=st.booleans(), sqlite=st.booleans())
    def begin(self, small: bool, sqlite: bool) -> None:
        """Start with little or much memory, on either store."""
        self.folder = tempfile.TemporaryDirectory()
        limits = Limits(addresses=2, messages=4, mailbox=2) if small else Limits()
        store = sqlite_store(Path(self.folder.name) / "s.db") if sqlite else None
        self.rig = app_rig(functions, store=store, limits=limits)
        self.model = Model()
        self.model.now = self.rig.now
        self.numbers = 0

    def teardown(self) -> None:
        """Delete the files."""
        if hasattr(self, "folder"):
            self.rig.store.close()
            self.folder.cleanup()

    def tell(self, id: str, order: Order) -> None:
        """Feed an order, and commit it as an ingress does before it answers."""
        data = json.dumps(order.__dict__).encode()
        self.rig.send("t/f", id, data, "t/Order")

    def number(self) -> int:
        """Return a number that no other message has."""
        self.numbers += 1
        return self.numbers

    @rule(id=IDS, count=st.integers(1, 7))
    def add(self, id: str, count: int) -> None:
        """Send numbers."""
        for _ in range(count):
            number = self.number()
            self.tell(id, Order("add", number=number))
            self.model.add(id, number)
        self.settle()

    @rule(id=IDS, to=IDS)
    def forward(self, id: str, to: str) -> None:
        """Send a number over another address."""
        number = self.number()
        self.tell(id, Order("forward", to=to, number=number))
        self.model.add(to, number)
        self.settle()

    @rule(id=IDS, to=IDS, delay=st.integers(0, 30), token=TOKENS)
    def later(self, id: str, to: str, delay: int, token: str) -> None:
        """Send a number for later, if its token is free."""
        order = Order("later", to=to, number=self.number(), delay=delay, token=token)
        if self.model.later(id, order):
            self.tell(id, order)
            self.settle()

    @rule(id=IDS, token=st.sampled_from(["t", "u"]))
    def cancel(self, id: str, token: str) -> None:
        """Take a delayed number back."""
        self.tell(id, Order("cancel", token=token))
        self.model.cancel(id, token)
        self.settle()

    @rule(ms=st.integers(0, 20))
    def pass_time(self, ms: int) -> None:
        """Let time pass."""
        self.rig.later(ms)
        self.model.pass_time(ms)

    @rule()
    def restart(self) -> None:
        """Start on what was committed."""
        self.rig.restart()
        self.rig.run()

    @rule(id=IDS, steps=st.integers(0, 6), committed=st.integers(0, 6))
    def crash(self, id: str, steps: int, committed: int) -> None:
        """Feed, commit somewhere in the middle, go on, and lose the rest."""
        numbers = [self.number() for _ in range(3)]
        for number in numbers:
            self.tell(id, Order("forward", to="a", number=number))
        self.rig.pump.commit()  # an ingress answers from here on
        for step in range(steps):
            self.rig.step()
            if step == committed:
                self.rig.pump.commit()
        self.rig.restart()
        self.rig.run()
        for number in numbers:
            self.model.add("a", number)

    def settle(self) -> None:
        """Let everything be handled that can be now."""
        self.rig.run()
        self.model.pass_time(0)

    @invariant()
    def same(self) -> None:
        """Compare the states, the records and what waits with the model."""
        if not hasattr(self, "rig"):
            return
        states = self.rig.states()
        for id in "abcd":
            assert states.get(f"t/f/{id} total", 0) == self.model.total[id]
            assert sorted(states.get(f"t/f/{id} seen", [])) == sorted(self.model.seen[id])  # type: ignore[call-overload]
        assert sorted(map(str, self.rig.records())) == sorted(self.model.records)
        counts = self.rig.store.counts()
        assert (counts.waiting, counts.failing, counts.delayed) == (0, 0, len(self.model.waiting))
        assert self.rig.engine.boxes.held == 0


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

"""Makes up the traffic of tests/engines/apps/traffic.py from a seed.

Each message holds all that it will cause, and the end is the same in every order that a cluster may choose, since

- what all messages of an address change is a sum, whatever the order;
- every other state belongs to one path (from the ingress; to itself; from one other address), on which order is kept;
- a message that is cancelled is due in an hour, and what cancels it is caused by who sent it;
- what one message sends later to one address is due in the order in which it is sent.

On a path messages keep their order: a delayed message begins a path of its own, since others may overtake it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.engines.apps.traffic import Do, Step
from tests.engines.kafka import Record

__all__ = ["Traffic", "make"]

FUNCTIONS = ("left", "right")
IDS = 25
"""Two functions with as many ids: 50 addresses."""
NEVER_MS = 3_600_000
SLOTS = {"i": ("i_text", "i_note", "i_bytes"), "s": ("s_number", "s_list"), "p": ("p_wrapped", "p_flag", "p_ratio")}
DEEPEST = 4
"""So many messages one may cause, each by the one before."""


@dataclass(slots=True)
class Traffic:
    """What is sent, and how much has to come out."""

    seed: int
    ids: tuple[str, ...]
    sent: list[tuple[str, Step]] = field(default_factory=list["tuple[str, Step]"])
    """What the ingress sends: to which address, and what."""
    handled: int = 0
    """How many messages functions will get."""
    records: int = 0
    """How many records they will write, beside the one for each message."""

    @property
    def addresses(self) -> list[str]:
        """All addresses, as function/id."""
        return [f"{function}/{identity}" for function in FUNCTIONS for identity in self.ids]

    def steps(self) -> Iterator[Record]:
        """Yield the records of the ingress."""
        for to, step in self.sent:
            function, _, identity = to.partition("/")
            yield Record(f"{function}-step", identity, json.dumps(as_json(step)).encode())

    def tells(self) -> Iterator[Record]:
        """Yield the records that ask each address for its states."""
        for function in FUNCTIONS:
            for identity in self.ids:
                yield Record(f"{function}-tell", identity, b"{}")

    def cause(self, number: int) -> str:
        """Return the record of the ingress that a message comes from, as JSON, for who looks for a difference."""
        to, step = next(each for each in reversed(self.sent) if each[1].number <= number)
        return f"{to} <- {json.dumps(as_json(step))}"


def as_json(step: Step) -> dict[str, object]:
    """Return a message as its JSON, without what is not said in it."""
    does: list[dict[str, object]] = []
    for do in step.do:
        said: dict[str, object] = {name: said for name, said in vars(do).items() if said and name != "then"}
        does.append({**said, "then": as_json(do.then)} if do.then is not None else said)
    return {"number": step.number, "path": step.path, "do": does}


def make(seed: int, messages: int) -> Traffic:
    """Make up so many messages of an ingress, and what they cause."""
    made = Maker(seed)
    for _ in range(messages):
        to = made.address()
        made.traffic.sent.append((to, made.step((to,), to, 0)))
    return made.traffic


class Maker:
    """Makes up messages, one after the other."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # no secret
        self.traffic = Traffic(seed, tuple(f"s{seed}-{number}" for number in range(IDS)))
        self.addresses = self.traffic.addresses
        self.number = 0

    def address(self) -> str:
        """Choose one: some get many messages, most get few."""
        return self.addresses[int(self.chance.random() ** 2 * len(self.addresses))]

    def peer(self, address: str) -> str:
        """Return the address which the p-states of this one belong to."""
        return self.addresses[(self.addresses.index(address) + 1) % len(self.addresses)]

    def step(self, way: Sequence[str], path: str, depth: int, *, arrives: bool = True) -> Step:
        """Make up a message that has come this way: addresses, without an end of it where one was late."""
        self.number += 1
        number = self.number
        self.traffic.handled += arrives
        do: list[Do] = []
        for _ in range(self.chance.choice((0, 1, 2, 3, 5) if depth < DEEPEST - 1 else (0, 0, 1))):
            do += self.deed(way, path, depth, arrives=arrives)
        return Step(number, path, do)

    def deed(self, way: Sequence[str], path: str, depth: int, *, arrives: bool) -> list[Do]:
        """Make up one thing to do, or some that belong together."""
        lane = self.lane(way)
        kinds = ["send", "after", "tokens"] * (depth < DEEPEST) + ["reply"] * (len(way) > 1 and depth < DEEPEST)
        kind = self.chance.choice([*kinds, *["state"] * (6 if lane else 0), "cancel"])
        match kind:
            case "send":
                me = way[-1]
                other = self.chance.choice((self.address(), me, self.addresses[self.addresses.index(me) - 1]))
                return [Do("send", other, self.next(way, path, other, depth, arrives=arrives))]
            case "reply":
                return [Do("reply", then=self.next(way, path, way[-2], depth, arrives=arrives))]
            case "after":
                return self.later(way, path, depth, arrives=arrives)
            case "tokens":
                return self.tokens(way, path, depth, arrives=arrives)
            case "cancel":
                return [Do("cancel", token="nobody's")]
            case _:
                return [self.state(lane, way[-1], arrives=arrives)]

    def lane(self, way: Sequence[str]) -> str:
        """Tell whose states a message that has come this way may change."""
        if len(way) == 1:
            return "i"
        if len(way) == 2 and way[0] == way[1]:  # from itself, and before that from the ingress
            return "s"
        return "p" if len(way) == 2 and way[0] == self.peer(way[1]) else ""

    def next(self, way: Sequence[str], path: str, to: str, depth: int, *, arrives: bool) -> Step:
        """Make up the message that one sends."""
        return self.step((*way, to), f"{path}>{to}", depth + 1, arrives=arrives)

    def late(self, way: Sequence[str], path: str, to: str, depth: int, *, arrives: bool) -> Step:
        """Make up the message that one sends later, of no path that has states; `path` ends with its own number."""
        return self.step(("late", "late", way[-1], to), f"{path}>{to}", depth + 1, arrives=arrives)

    def state(self, lane: str, me: str, *, arrives: bool) -> Do:
        """Make up a change of a state, or a record of one."""
        slot = self.chance.choice(SLOTS[lane])
        what = self.chance.choice(("put", "append", "append", "delete", "record"))
        if what == "record":
            self.traffic.records += arrives
            return Do("record", slot=slot, token=self.chance.choice((me, "")))
        return Do(what, slot=slot, number=self.chance.randrange(10_000))

    def later(self, way: Sequence[str], path: str, depth: int, *, arrives: bool) -> list[Do]:
        """Make up some delayed messages to one address, the earlier ones first."""
        to = self.chance.choice((self.address(), way[-1]))
        delays = sorted(self.chance.choice((0, 1, 5, 40, 150)) for _ in range(self.chance.choice((1, 1, 3))))
        path = f"{path}~{self.number}"
        return [Do("after", to, self.late(way, path, to, depth, arrives=arrives), delay_ms=delay) for delay in delays]

    def tokens(self, way: Sequence[str], path: str, depth: int, *, arrives: bool) -> list[Do]:
        """Make up what becomes of a delayed message that can be cancelled."""
        me, token, later = way[-1], f"t{self.number}", f"{path}~{self.number}"
        cancel = Do("cancel", token=token)
        identity = me.partition("/")[2]
        twin = self.chance.choice([f"{function}/{identity}" for function in FUNCTIONS])
        other = self.chance.choice([address for address in self.addresses if not address.endswith(f"/{identity}")])

        def late(to: str, delay_ms: int, *do: Do) -> Do:
            step = self.late(way, later, to, depth, arrives=arrives and delay_ms < NEVER_MS)
            return Do("after", to, Step(step.number, step.path, [*step.do, *do]), delay_ms, token)

        def told(to: str, *do: Do) -> Do:
            step = self.next(way, path, to, depth, arrives=arrives)
            return Do("send", to, Step(step.number, step.path, [*step.do, *do]))

        match self.chance.randrange(6):
            case 0:  # taken back at once, and the token used again
                return [late(me, NEVER_MS), cancel, late(other, 5)]
            case 1:  # taken back by a message to the same id, of whichever function
                return [late(other, NEVER_MS), told(twin, cancel)]
            case 2:  # and by one that is late itself
                step = self.late(way, later, twin, depth, arrives=arrives)
                cancels = Step(step.number, step.path, [*step.do, cancel])
                return [late(me, NEVER_MS), Do("after", twin, cancels, delay_ms=20)]
            case 3:  # too late: it has arrived
                return [late(twin, self.chance.choice((0, 30)), cancel)]
            case 4:  # not by somebody else, though the token is the same
                return [late(me, 100), told(other, cancel)]
            case _:  # it does not come while the test lasts
                return [late(other, NEVER_MS)]

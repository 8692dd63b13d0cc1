"""The addresses in memory: their mailboxes, their states, and which of them are to be called next.

Here: `Box`, one address, and `Boxes`, all that are in memory. The number of both addresses and messages in memory is
bounded; what does not fit waits in the store and is read in turn.

An address that is idle is forgotten when others need the room: there are two generations, and what was not looked at
during one of them goes. A message that finds memory full is written to the store only, and so is every later one until
the store has been read through: so each address gets its messages in their order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

from google.protobuf.message import DecodeError

from statefun.runtime._delta import Delta
from statefun.runtime._plans import Plan
from statefun.runtime._replies import BadReply
from statefun.runtime._requests import parse_address

__all__ = ["BUSY", "FAILING", "IDLE", "LOADING", "READY", "WAITING", "Box", "Boxes", "Limits"]

IDLE: Final = 0
LOADING: Final = 1
"""Its states are asked for."""
READY: Final = 2
WAITING: Final = 3
"""For the first answer of its function, which says which states there are."""
BUSY: Final = 4
"""A request is out."""
FAILING: Final = 5
"""It waits for its next attempt."""
Status = Literal[0, 1, 2, 3, 4, 5]

FindPlan = Callable[[str, str], "Plan | None"]
Place = Callable[[Sequence[bytes], bytes], int]


class Limits:
    """How much is kept in memory."""

    __slots__ = ("addresses", "mailbox", "messages")

    def __init__(self, addresses: int = 50_000, messages: int = 100_000, mailbox: int = 1_000) -> None:
        self.addresses: int = addresses
        """Addresses, idle ones included."""
        self.messages: int = messages
        """Messages in mailboxes, all together."""
        self.mailbox: int = mailbox
        """Messages in one mailbox: more wait in the store, so that one slow address does not fill the memory."""


class InFlight(Protocol):
    """Messages that are being handled (a `Call`)."""

    messages: list[bytes]
    seqs: list[int]


class Box:
    """One address."""

    __slots__ = (
        "address", "alone", "call", "cold_from", "dirty", "expires", "identity", "plan", "queue", "seqs", "states",
        "status",
    )  # fmt: skip

    def __init__(self, address: bytes, plan: Plan, identity: str) -> None:
        self.address: bytes = address
        self.plan: Plan = plan
        self.identity: str = identity
        self.queue: list[bytes] | None = None
        self.seqs: list[int] | None = None
        self.states: list[bytes | None] | None = None
        """By cell; None until they are read from the store."""
        self.expires: list[int] | None = None
        """When each state expires, 0 for never; None where no state of the function does."""
        self.dirty: int = 0
        """Which states were changed since the last commit, as bits."""
        self.status: Status = IDLE
        self.call: InFlight | None = None
        """The request that is out."""
        self.alone: int = 0
        """How many messages are to be sent one at a time, because a batch with them failed."""
        self.cold_from: int = 0
        """The first message that waits in the store alone; 0: none does."""

    @property
    def active(self) -> bool:
        """Whether it must stay in memory."""
        return bool(self.queue or self.status or self.dirty or self.cold_from)


class Boxes:
    """All addresses in memory."""

    def __init__(self, find_plan: FindPlan, limits: Limits, seq: int, place: Place | None = None) -> None:
        self._find_plan = find_plan
        self._place = place
        self.limits = limits
        self.young: dict[bytes, Box] = {}
        self._old: dict[bytes, Box] = {}
        self._half = max(1, limits.addresses // 2)
        self.ready: deque[Box] = deque()
        self.loads: list[Box] = []
        """Whose states are to be read."""
        self.thaws: list[Box] = []
        """Whose parked messages are to be read."""
        self.seq: int = seq
        self._saved: int = seq  # the last message that the store has seen
        self._fresh: list[Box] = []  # that got messages since; once for each
        self.held: int = 0
        """Messages in memory."""
        self.spill_from: int | None = 0
        """While messages are written to the store only: the first that is not in memory. It begins so."""
        self.unsaved: bool = False
        """Whether messages of that kind are in the delta, and not yet where they could be read."""
        self.delta: Delta = Delta()

    # --- addresses ---

    def find(self, address: bytes) -> Box:
        """Return the box of an address that is not among the young. Raises BadReply."""
        box = self._old.get(address)
        if box is None:
            try:
                namespace, name, identity = parse_address(address)
            except (DecodeError, UnicodeDecodeError) as error:  # the latter in pure Python
                raise BadReply(f"the address of {len(address)} bytes cannot be read: {error}") from error
            plan = self._find_plan(namespace, name)
            if plan is None:
                raise BadReply(f"there is no function {f'{namespace}/{name}'!r} to send to")
            canonical = plan.address(identity)
            box = self.young.get(canonical) or self._old.get(canonical) or Box(canonical, plan, identity)
        self.keep(box)
        return box

    def at(self, plan: Plan, identity: str) -> Box:
        """Return the box of one instance of a function."""
        address = plan.address(identity)
        return self.young.get(address) or self.enter(address, plan, identity)

    def enter(self, address: bytes, plan: Plan, identity: str) -> Box:
        """Return the box of an instance that is not among the young, and put it there."""
        box = self._old.get(address) or Box(address, plan, identity)
        self.keep(box)
        return box

    def peek(self, address: bytes) -> Box | None:
        """Return a box if it is in memory."""
        return self.young.get(address) or self._old.get(address)

    def keep(self, box: Box) -> None:
        """Put a box among the young; the old ones go when they are too many, but for those with work."""
        self.young[box.address] = box
        if len(self.young) > self._half:
            old, self._old = self._old, self.young
            self.young = {kept.address: kept for kept in old.values() if kept.active}
            # where most have work, the bound gives way: it must not be reached again at once
            self._half = max(self.limits.addresses // 2, 2 * len(self.young))

    def resident(self) -> list[Box]:
        """List the addresses in memory."""
        return list({**self._old, **self.young}.values())

    # --- messages ---

    def put(self, box: Box, message: bytes) -> None:
        """Add a new message to a mailbox."""
        self.seq = seq = self.seq + 1
        queue = box.queue
        if box.cold_from or self.spill_from is not None or (queue and len(queue) >= self.limits.mailbox):
            self._store_only(box, seq, message)
            return
        self._fresh.append(box)
        self.held = held = self.held + 1
        if queue is None:
            box.queue = [message]
            box.seqs = [seq]
        else:
            at = len(queue) if self._place is None else self._place(queue, message)
            queue.insert(at, message)
            assert box.seqs is not None
            box.seqs.insert(at, seq)
        if not box.status:
            self.wake(box)
        if held >= self.limits.messages:
            self.spill_from = seq + 1

    def _store_only(self, box: Box, seq: int, message: bytes) -> None:
        cold = box.cold_from or (self.spill_from is None)
        if cold and not box.cold_from:
            box.cold_from = seq
        self.delta.queued.append((seq, box.plan.index, box.identity, message, 1 if cold else 0))
        self.unsaved = True

    def put_stored(self, box: Box, seq: int, message: bytes) -> None:
        """Add a message that the store holds."""
        queue = box.queue
        cold = box.cold_from
        if (cold and seq > cold) or (queue is not None and len(queue) >= self.limits.mailbox):
            self.delta.parked.append(seq)
            self.unsaved = True
            box.cold_from = min(cold or seq, seq)
            return
        self._append_stored(box, seq, message)

    def _append_stored(self, box: Box, seq: int, message: bytes) -> None:
        self.held += 1
        if box.queue is None or box.seqs is None:
            box.queue = [message]
            box.seqs = [seq]
        else:
            box.queue.append(message)
            box.seqs.append(seq)
        if not box.status:
            self.wake(box)

    def wake(self, box: Box) -> None:
        """Let an idle address that has messages be called, once its states are there."""
        states, plan = box.states, box.plan
        if states is None or len(states) != len(plan.cells):
            if plan.cells:
                box.status = LOADING
                self.loads.append(box)
                return
            box.states = []
        box.status = READY
        self.ready.append(box)

    def settle(self, box: Box, seqs: Sequence[int]) -> None:
        """Note that these messages were handled, and let the address go on."""
        saved = self._saved
        for seq in seqs:
            if seq <= saved:
                self.delta.done.append(seq)
        self.held -= len(seqs)
        if box.queue or box.cold_from:
            self.rest(box)
        else:
            box.status = IDLE

    def rest(self, box: Box) -> None:
        """Let an address whose request is answered go on, or be idle."""
        box.status = IDLE
        if box.queue:
            self.wake(box)
        elif box.cold_from:
            self.thaws.append(box)

    def take(self, box: Box, most: int) -> tuple[list[bytes], list[int]]:
        """Take the next messages out of a mailbox."""
        queue, seqs = box.queue, box.seqs
        assert queue is not None
        assert seqs is not None
        if len(queue) > most:
            box.queue, box.seqs = queue[most:], seqs[most:]
            return queue[:most], seqs[:most]
        box.queue = box.seqs = None
        return queue, seqs

    def give_back(self, box: Box, messages: list[bytes], seqs: list[int]) -> None:
        """Put messages back at the front of a mailbox."""
        box.queue = messages + (box.queue or [])
        box.seqs = seqs + (box.seqs or [])

    # --- what the store has not seen ---

    def save(self, delta: Delta) -> None:
        """Hand the messages to the delta that came since the last time and were not handled."""
        waiting = dict.fromkeys(box for box in self._fresh if box.queue or box.call is not None)
        if waiting:
            saved = self._saved
            for box in waiting:
                index, identity, call = box.plan.index, box.identity, box.call
                seqs, messages = box.seqs or [], box.queue or []
                if call is not None:
                    seqs, messages = call.seqs + seqs, call.messages + messages
                delta.queued += [
                    (seq, index, identity, message, 0)
                    for seq, message in zip(seqs, messages, strict=True)
                    if seq > saved
                ]
        self._fresh = []
        self._saved = self.seq

    # --- what waits in the store ---

    def wants_page(self) -> bool:
        """Tell whether messages of the store should be read now."""
        return self.spill_from is not None and not self.unsaved and self.held <= self.limits.messages // 2

    def wants_thaw(self) -> Box | None:
        """Return an address whose parked messages should be read now."""
        if self.unsaved:
            return None
        for position, box in enumerate(self.thaws):
            if self.spill_from is None or self.spill_from > box.cold_from:
                del self.thaws[position]
                return box
        return None

    def paged(self, upto: int | None, *, last: bool) -> None:
        """Note up to which message the store was read in turn; None if there was nothing to read."""
        if upto is not None:
            self.spill_from = upto + 1
        if last and not self.unsaved:
            self.spill_from = None

    def thawed(self, box: Box, rows: Sequence[tuple[int, bytes]], *, last: bool) -> None:
        """Take the parked messages of an address."""
        if last:
            box.cold_from = self.spill_from or 0  # what is still to be read in turn may be for it, too
        else:
            box.cold_from = rows[-1][0] + 1
        for seq, message in rows:
            self._append_stored(box, seq, message)
        if not rows and box.cold_from:
            self.thaws.append(box)

"""The engine: messages in, requests out, replies in, and what changed. No I/O, no clock.

Here: `Engine`. A driver feeds it messages, does what `step` asks for (call a function, read from the store), tells it
the outcome, moves time with `advance`, and commits what `take_delta` returns. Between two commits everything is in
memory; a crash loses it, and nothing that left the process depends on it, since what leaves does so after a commit.

    feed  -> mailbox -> step: Call -> reply -> mailboxes, timers, records, states -> take_delta
                             LoadStates, LoadMessages, LoadParked, LoadDelayed -> loaded, paged, thawed, timers_paged
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from google.protobuf.message import DecodeError

from statefun._primitives import VARINTS, varint
from statefun._proto.effects_pb2 import Reply
from statefun.runtime._boxes import BUSY, FAILING, LOADING, READY, WAITING, Box, Boxes, Limits
from statefun.runtime._commands import Call, Command, LoadDelayed, LoadMessages, LoadParked, LoadStates, Start, Stored
from statefun.runtime._delta import Delta, FailureRow
from statefun.runtime._effects import Effects
from statefun.runtime._failures import Failures
from statefun.runtime._order import Order
from statefun.runtime._plans import FunctionSpec, Names, Plan, StateCell, Wire
from statefun.runtime._replies import BadReply, missing_states
from statefun.runtime._requests import encode_request
from statefun.runtime._timers import Delayed, Timers

__all__ = ["Engine", "encode_state"]

_parse = Reply.FromString
_RESULT = 0xA2  # the first byte of the tag of invocation_result; that of incomplete_invocation_context is 0xAA
Find = Callable[[str, str], "FunctionSpec | None"]


class Engine:
    """The embedded runtime without its hands and its watch."""

    def __init__(
        self,
        find: Find,
        start: Start,
        *,
        wire: Wire = "v3",
        knows_egress: Callable[[str], bool] = lambda _typename: True,
        limits: Limits | None = None,
        jitter: Callable[[], float] = lambda: 0.0,
        order: Order | None = None,
    ) -> None:
        self.names: Names = Names(dict(start.names))
        self.wire: Wire = wire
        self._find = find
        self._plans: dict[str, Plan | None] = {}
        limits = limits or Limits()
        self._order = order
        self.boxes: Boxes = Boxes(self._plan_at, limits, start.seq, None if order is None else order.place)
        self.timers: Timers = Timers(dict(start.tokens), limits.messages)
        self.effects: Effects = Effects(self.boxes, self.timers, self.names, wire, knows_egress, start.records)
        self.failures: Failures = Failures(jitter)
        self.calls: int = 0
        """How many requests are out."""
        for row in start.failures:
            self._restore(row)

    # --- functions ---

    def plan(self, typename: str) -> Plan | None:
        """Return what is known about a function; None if there is none of this name."""
        if typename in self._plans:
            return self._plans[typename]
        namespace, _, name = typename.rpartition("/")
        spec = self._find(namespace, name) if namespace and name else None
        plan = None if spec is None else Plan(spec, self.wire, self.names)
        self._plans[typename] = plan
        return plan

    def _plan_at(self, namespace: str, name: str) -> Plan | None:
        return self.plan(f"{namespace}/{name}")

    def plan_of(self, index: int) -> Plan | None:
        """Return the function with this number."""
        return self.plan(self.names.text(index))

    # --- in ---

    def feed(self, plan: Plan, identity: str, argument: bytes) -> None:
        """Add a message from an ingress; `argument` is its encoded TypedValue or Any."""
        boxes = self.boxes
        address = plan.address(identity)
        box = boxes.young.get(address) or boxes.enter(address, plan, identity)
        boxes.put(box, b"\x12%b%b" % (VARINTS[len(argument)], argument))

    # --- out ---

    def step(self, now: int) -> Command | None:
        """Return what is to be done next; None if nothing is, until a reply, a commit or the time changes that."""
        ready, order = self.boxes.ready, self._order
        while ready:
            box = ready.popleft() if order is None else order.next(ready)
            plan = box.plan
            states = box.states
            if plan.registers:
                if self._must_wait(box):
                    continue
            elif states is None or len(states) != len(plan.cells):
                self.boxes.wake(box)  # its function has registered a state since
                continue
            most = 1 if box.alone else plan.max_batch
            messages, seqs = box.queue, box.seqs
            assert messages is not None
            assert seqs is not None
            if order is None and len(messages) <= most:  # what `take` does, without the call
                box.queue = box.seqs = None
            else:
                messages, seqs = self.boxes.take(box, most if order is None else order.cut(most))
            if plan.expires:
                self._expire(box, now)
            box.status = BUSY
            self.calls += 1
            assert states is not None
            call = Call(box, encode_request(plan, box.address, states, messages), messages, seqs, len(states))
            box.call = call
            return call
        return self._next_load()

    def _must_wait(self, box: Box) -> bool:
        """Let the first request of a function go alone: its answer says which states there are."""
        plan = box.plan
        if plan.probe:
            box.status = WAITING
            plan.waiting.append(box.address)
            return True
        plan.probe = True
        return False

    def _next_load(self) -> Command | None:
        boxes = self.boxes
        if boxes.loads:
            plan = boxes.loads[0].plan
            found = {box.identity: box for box in boxes.loads if box.plan is plan}
            boxes.loads = [box for box in boxes.loads if box.plan is not plan]
            return LoadStates(plan, found)
        if boxes.wants_page():
            assert boxes.spill_from is not None
            return LoadMessages(boxes.spill_from)
        if boxes.thaws and (box := boxes.wants_thaw()) is not None:
            return LoadParked(box, box.cold_from, boxes.spill_from, boxes.limits.mailbox)
        if self.timers.wants_page():
            assert self.timers.horizon is not None
            return LoadDelayed(self.timers.horizon)
        return None

    def _expire(self, box: Box, now: int) -> None:
        states, expires = box.states, box.expires
        assert states is not None
        if expires is None:
            expires = box.expires = [0] * len(states)
        for cell in box.plan.cells:
            index = cell.index
            if not cell.expire_ms or states[index] is None:
                continue
            at = expires[index]
            if at and at <= now:
                states[index] = None
                expires[index] = 0
                self.effects.touch(box, index)
            elif cell.renewed:
                expires[index] = now + cell.expire_ms
                self.effects.touch(box, index)

    # --- outcomes ---

    def reply(self, call: Call, data: bytes, now: int) -> None:
        """Apply what a function answered."""
        box = call.box
        plan = box.plan
        try:
            if data and not self.effects.apply_scanned(box, data, now):
                parsed = _parse(data)
                if data[0] != _RESULT and parsed.HasField("incomplete_invocation_context"):
                    self._register(call, parsed)
                    return
                self.effects.apply(box, parsed.invocation_result, now)
        except (DecodeError, UnicodeDecodeError) as error:  # the latter in pure Python
            self.fail(call, f"the reply of {len(data)} bytes is no FromFunction: {error}", "", now)
            return
        except BadReply as error:
            self.fail(call, str(error), "", now)
            return
        self.calls -= 1
        box.call = None
        if plan.registers:
            plan.registers = False
            self._release(plan)
        if box.alone:
            box.alone -= 1
        if self.failures.rows and self.failures.forget(box):
            self.boxes.delta.healed.append((plan.index, box.identity))
        self.boxes.settle(box, call.seqs)

    def _register(self, call: Call, parsed: Reply) -> None:
        """Register the states that a function asks for, and let the same messages go again."""
        plan = call.box.plan
        if self.wire == "v2":
            raise BadReply(f"{plan.typename} answered in v3, and was called in v2")
        specs = missing_states(parsed.incomplete_invocation_context)
        for spec in specs:
            known = plan.by_name.get(spec.name)
            if known is not None and known.spec.typename != spec.typename:
                was = known.spec.typename
                raise BadReply(f"state {spec.name!r} is registered as {was!r}, and is asked for as {spec.typename!r}")
        if call.states == len(plan.cells) and all(spec.name in plan.by_name for spec in specs):
            raise BadReply(f"{plan.typename} asks for states that it was just sent: {[spec.name for spec in specs]}")
        for spec in specs:
            plan.register(spec, self.names)
        plan.registers = False
        self.calls -= 1
        call.box.call = None
        self.boxes.give_back(call.box, call.messages, call.seqs)
        self.boxes.rest(call.box)
        self._release(plan)

    def _release(self, plan: Plan) -> None:
        """Let those go on that waited for the first answer of a function."""
        plan.probe = False
        waiting, plan.waiting = plan.waiting, []
        for address in waiting:
            box = self.boxes.peek(address)
            if box is not None and box.status == WAITING:
                self.boxes.rest(box)

    def fail(self, call: Call, error: str, detail: str, now: int) -> None:
        """Note that a call failed. The messages of a batch go again, each alone; a single one goes again later."""
        box = call.box
        self.calls -= 1
        box.call = None
        self.boxes.give_back(box, call.messages, call.seqs)
        if box.plan.registers:
            self._release(box.plan)
        if len(call.messages) > 1:
            box.alone = len(call.messages)
            self.boxes.rest(box)
            return
        self._hold(box, call.seqs[0], error, detail, now)

    def withdraw(self, call: Call) -> None:
        """Take back a call that was not made: it is the next one again."""
        box = call.box
        self.calls -= 1
        box.call = None
        self.boxes.give_back(box, call.messages, call.seqs)
        box.status = READY
        self.boxes.ready.appendleft(box)
        if box.plan.registers:
            box.plan.probe = False

    def _hold(self, box: Box, seq: int, error: str, detail: str, now: int) -> None:
        box.status = FAILING
        self.boxes.delta.failed.append(self.failures.note(box, seq, error, detail, now))

    def _restore(self, row: FailureRow) -> None:
        plan = self.plan_of(row.function)
        if plan is not None:
            box = self.boxes.at(plan, row.id)
            box.status = FAILING
            self.failures.restore(box, row)

    # --- what the store read ---

    def loaded(self, command: LoadStates, rows: Iterable[Stored], now: int) -> None:
        """Take the states that were read."""
        plan = command.plan
        size = len(plan.cells)
        fresh: dict[str, int] = {}
        for box in command.boxes.values():
            states = box.states
            fresh[box.identity] = 0 if states is None else len(states)
            grown: list[bytes | None] = [] if states is None else states
            box.states = grown + [None] * (size - len(grown))
            if plan.expires:
                box.expires = (box.expires or [0] * fresh[box.identity]) + [0] * (size - fresh[box.identity])
        cells = {cell.name_id: cell for cell in plan.cells}
        wrong: dict[str, str] = {}
        for identity, name, typename, value, expires_at in rows:
            cell = cells.get(name)
            if cell is None or cell.index < fresh[identity]:
                continue
            box = command.boxes[identity]
            if cell.type_id and typename != cell.type_id:
                wrong[identity] = self._mismatch(plan, cell, typename)
                continue
            assert box.states is not None
            box.states[cell.index] = encode_state(cell, value)
            if cell.expire_ms and box.expires is not None:
                box.expires[cell.index] = expires_at or 0
        for box in command.boxes.values():
            if box.status != LOADING:
                continue
            if box.identity in wrong:
                box.states = box.states if box.dirty else None
                self._hold(box, (box.seqs or [0])[0], wrong[box.identity], "", now)
            else:
                box.status = READY
                self.boxes.ready.append(box)

    def _mismatch(self, plan: Plan, cell: StateCell, typename: int) -> str:
        stored = self.names.text(typename)
        return f"state {cell.name!r} of {plan.typename} is registered as {cell.spec.typename!r}, and holds {stored!r}"

    def paged(self, rows: Sequence[tuple[int, int, str, bytes]], *, last: bool) -> None:
        """Take messages that were read in turn: seq, function, id, message."""
        boxes = self.boxes
        for seq, function, identity, message in rows:
            plan = self.plan_of(function)
            if plan is not None:  # a function that is gone keeps its messages
                boxes.put_stored(boxes.at(plan, identity), seq, message)
        boxes.paged(rows[-1][0] if rows else None, last=last)

    def thawed(self, command: LoadParked, rows: Sequence[tuple[int, bytes]], *, last: bool) -> None:
        """Take the parked messages of an address."""
        self.boxes.thawed(command.box, rows, last=last)

    def timers_paged(self, rows: Sequence[Delayed], *, last: bool) -> None:
        """Take delayed messages that were read."""
        self.timers.paged(rows, last=last)

    # --- time ---

    def advance(self, now: int) -> None:
        """Deliver what is due, and let failed addresses try again."""
        boxes = self.boxes
        for delayed in self.timers.due(now, boxes.delta):
            self._deliver(delayed)
        for address in self.failures.due(now):
            box = boxes.peek(address)
            if box is not None and box.status == FAILING:
                boxes.rest(box)

    def _deliver(self, delayed: Delayed) -> None:
        plan = self.plan_of(delayed.function)
        if plan is not None:
            self.boxes.put(self.boxes.at(plan, delayed.id), delayed.message)

    def next_due(self) -> int | None:
        """Return when `advance` has something to do; None if never."""
        times = [at for at in (self.timers.next_due(), self.failures.next_due()) if at is not None]
        return min(times) if times else None

    def has_work(self) -> bool:
        """Tell whether any message could be handled now, or is read from the store soon."""
        boxes = self.boxes
        return bool(boxes.ready or boxes.loads or boxes.thaws or self.calls or boxes.spill_from is not None)

    def may_miss(self, at: int) -> bool:
        """Tell whether the store may hold a delayed message that is due by then and was not read yet."""
        horizon = self.timers.horizon
        return horizon is not None and horizon[0] <= at

    # --- what changed ---

    def take_delta(self) -> Delta:
        """Return what changed since the last time."""
        boxes = self.boxes
        delta = boxes.delta
        self.effects.save(delta)
        boxes.save(delta)
        self.timers.save(delta)
        delta.names, self.names.fresh = self.names.fresh, []
        boxes.delta = Delta()
        boxes.unsaved = False
        return delta


def encode_state(cell: StateCell, value: bytes) -> bytes | None:
    """Encode a stored value as requests carry it."""
    if not cell.type_id:
        return value or None
    return cell.prefix + varint(len(value)) + value if value else cell.empty

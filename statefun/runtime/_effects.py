"""What a reply does: its messages, delays, records and states, all of them or none.

Here: every effect is checked first and applied after, so that a reply with one bad effect changes nothing. They apply
in the order of the real runtime: messages, then delayed ones and cancellations as listed, records, states. What is
checked is what fails a job there: an unknown function or egress, a negative delay, a token in use, a state that is not
registered or changes its type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from statefun._primitives import varint
from statefun._proto.effects_pb2 import Delayed as DelayedPb
from statefun._proto.effects_pb2 import Mutation, Record, Result
from statefun.runtime._boxes import Box, Boxes
from statefun.runtime._delta import Delta
from statefun.runtime._plans import Names, Plan, StateCell, Wire, text_field, value_prefix
from statefun.runtime._replies import BadReply, read_value
from statefun.runtime._requests import caller_field, invocation
from statefun.runtime._scan import scan
from statefun.runtime._timers import Delayed, Timers

__all__ = ["Effects"]

_DELETE, _MODIFY = 0, 1
_LONGEST = 2**53  # ms, some 285,000 years

KnowsEgress = Callable[[str], bool]


class Effects:
    """Applies replies."""

    def __init__(
        self, boxes: Boxes, timers: Timers, names: Names, wire: Wire, knows_egress: KnowsEgress, records: int
    ) -> None:
        self._boxes = boxes
        self._timers = timers
        self._names = names
        self._wire: Wire = wire
        self._knows_egress = knows_egress
        self._egresses: dict[tuple[str, str], int] = {}
        self._heads: dict[bytes, int] = {}  # the same, by what stands in a reply before the value (`_scan`)
        self._prefixes: dict[bytes, int] = {}
        self._marks = 3 if wire == "v3" else 1  # bytes between a typename and the length of its value
        self.records: int = records
        """The number of the last record."""
        self.dirty: list[Box] = []
        """Whose states were changed since the last commit."""

    def apply_scanned(self, box: Box, data: bytes, now: int) -> bool:
        """Apply a reply that can be read without protobuf; tell whether it was one. Raises BadReply, as `apply`."""
        found = scan(data, box.plan.by_head, self._heads, self._prefixes, self._marks)
        if found is None:
            return False
        changes, sends, records = found
        boxes = self._boxes
        if sends:
            for target, _ in sends:
                if target not in boxes.young:
                    boxes.find(target)  # which refuses what there is not
            caller = caller_field(box.address)
            for target, argument in sends:
                boxes.put(boxes.young.get(target) or boxes.find(target), caller + argument)
        if records:
            number, out = self.records, boxes.delta.records
            for egress, typename, value in records:
                number += 1
                out.append((number, egress, typename, value))
            self.records = number
        for cell, value in changes:
            self.write(box, cell, value, now)
        return True

    def apply(self, box: Box, result: Result, now: int) -> None:  # noqa: C901 -- one step after the other
        """Apply a reply. Raises BadReply, and then nothing has changed."""
        messages, delayed = result.outgoing_messages, result.delayed_invocations
        boxes = self._boxes
        changes = [self._change(box.plan, mutation) for mutation in result.state_mutations]
        rows: list[tuple[int, int, bytes]] = []
        for record in result.outgoing_egresses:
            egress = self._egresses.get((record.egress_namespace, record.egress_type)) or self._egress(record)
            rows.append((egress, *self.split(record.argument)))
        later: list[Delayed | str] = []
        caller = b""
        if messages or delayed:
            caller = caller_field(box.address)
            for message in messages:
                if message.target not in boxes.young:
                    boxes.find(message.target)  # which refuses what there is not
            if delayed:
                later = self._delays(box, delayed, caller, now)
        # from here on nothing can be refused
        for message in messages:
            target = message.target
            boxes.put(boxes.young.get(target) or boxes.find(target), invocation(message.argument, caller))
        delta = boxes.delta
        for one in later:
            if isinstance(one, Delayed):
                self._timers.add(one, delta)
            else:
                self._timers.cancel(box.identity, one, delta)
        for egress, typename, value in rows:
            self.records = number = self.records + 1
            delta.records.append((number, egress, typename, value))
        for cell, stored in changes:
            self.write(box, cell, stored, now)

    # --- states ---

    def _change(self, plan: Plan, mutation: Mutation) -> tuple[StateCell, bytes | None]:
        cell = plan.by_name.get(mutation.state_name)
        if cell is not None and cell.prefix and mutation.mutation_type == _MODIFY:
            return cell, self._canonical(cell, mutation.state_value)
        if cell is None:
            raise BadReply(
                f"{plan.typename} changes the state {mutation.state_name!r}, which is not registered"
                + ("" if plan.wire == "v3" else " (in v2, module.yaml lists the states)")
            )
        if mutation.mutation_type == _DELETE:
            return cell, None
        if mutation.mutation_type != _MODIFY:
            raise BadReply(f"state {cell.name!r} has a mutation of the unknown type {mutation.mutation_type}")
        return cell, mutation.state_value or None  # v2, where no bytes read as no value

    def _canonical(self, cell: StateCell, value: bytes) -> bytes:
        typename, data = read_value(value, self._wire)
        if typename != cell.spec.typename:
            raise BadReply(
                f"state {cell.name!r} is registered as {cell.spec.typename!r}, and what is written is {typename!r}"
            )
        return cell.prefix + varint(len(data)) + data if data else cell.empty

    def write(self, box: Box, cell: StateCell, value: bytes | None, now: int) -> None:
        """Change a state in memory."""
        states = box.states
        assert states is not None
        states[cell.index] = value
        if cell.expire_ms and box.expires is not None:
            box.expires[cell.index] = now + cell.expire_ms if value is not None else 0
        if not box.dirty:
            self.dirty.append(box)
        box.dirty |= cell.bit

    def touch(self, box: Box, index: int) -> None:
        """Note that a state has to be written."""
        if not box.dirty:
            self.dirty.append(box)
        box.dirty |= 1 << index

    def save(self, delta: Delta) -> None:
        """Hand the states to the delta that were changed since the last time."""
        for box in self.dirty:
            _save_states(box, delta)
        self.dirty.clear()

    # --- records ---

    def _egress(self, record: Record) -> int:
        key = record.egress_namespace, record.egress_type
        typename = f"{key[0]}/{key[1]}"
        if not self._knows_egress(typename):
            raise BadReply(f"there is no egress {typename!r}")
        egress = self._egresses[key] = self._names.id(typename)
        self._heads[text_field(b"\x0a", key[0]) + text_field(b"\x12", key[1]) + b"\x1a"] = egress
        return egress

    def split(self, argument: bytes) -> tuple[int, bytes]:
        """Take a value apart: the number of its typename, and its bytes."""
        typename, data = read_value(argument, self._wire)
        number = self._names.id(typename)
        self._prefixes[value_prefix(typename, self._wire)] = number
        return number, data

    # --- later ---

    def _delays(self, box: Box, delayed: Iterable[DelayedPb], caller: bytes, now: int) -> list[Delayed | str]:
        """Return what is to be sent later, and the tokens that are to be cancelled, as listed."""
        boxes = self._boxes
        found: list[Delayed | str] = []
        taken: dict[str, bool] = {}
        for one in delayed:
            token = one.cancellation_token if self._wire == "v3" else ""
            if self._wire == "v3" and one.is_cancellation_request:
                if not token:
                    raise BadReply("a cancellation has no token")
                taken[token] = False
                found.append(token)
                continue
            if not 0 <= one.delay_in_ms <= _LONGEST:
                raise BadReply(f"a delay of {one.delay_in_ms} ms cannot be")
            if token:
                if taken.get(token, (box.identity, token) in self._timers.tokens):
                    raise BadReply(f"the token {token!r} belongs to a delayed message that is still to come")
                taken[token] = True
            target = boxes.young.get(one.target) or boxes.find(one.target)
            boxes.seq += 1
            message = invocation(one.argument, caller)
            due = now + one.delay_in_ms
            found.append(Delayed(due, boxes.seq, target.plan.index, target.identity, message, box.identity, token))
        return found


def _save_states(box: Box, delta: Delta) -> None:
    plan, mask, states, expires = box.plan, box.dirty, box.states, box.expires
    box.dirty = 0
    assert states is not None
    for cell in plan.cells:
        if not mask >> cell.index & 1:
            continue
        value = states[cell.index]
        if value is None:
            delta.removed.append((plan.index, box.identity, cell.name_id))
            continue
        at = len(cell.prefix)
        if at:
            if len(value) <= at:
                value = b""
            else:
                while value[at] >= 0x80:  # noqa: PLR2004 -- a varint goes on
                    at += 1
                value = value[at + 1 :]
        expires_at = (expires[cell.index] or None) if cell.expire_ms and expires is not None else None
        delta.states.append((plan.index, box.identity, cell.name_id, cell.type_id, value, expires_at))

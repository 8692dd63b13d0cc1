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
from statefun.runtime._plans import Names, Plan, StateCell, Wire, value_prefix
from statefun.runtime._replies import BadReply, read_value
from statefun.runtime._requests import caller_field, invocation
from statefun.runtime._timers import Delayed, Timers

__all__ = ["Effects"]

_DELETE, _MODIFY = 0, 1
_LONG = 0x80  # a varint from here on has more than one byte
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
        self._prefixes: dict[bytes, int] = {}
        self._marks = 3 if wire == "v3" else 1  # bytes between a typename and the length of its value
        self.records = records
        """The number of the last record."""
        self.dirty: list[Box] = []
        """Whose states were changed since the last commit."""

    def apply(self, box: Box, result: Result, now: int) -> None:
        """Apply a reply. Raises BadReply, and then nothing has changed."""
        messages, delayed = result.outgoing_messages, result.delayed_invocations
        records, mutations = result.outgoing_egresses, result.state_mutations
        boxes = self._boxes
        changes = [self._change(box.plan, mutation) for mutation in mutations]
        rows = [self._record(record) for record in records]
        caller = b""
        targets: list[Box] = []
        if messages or delayed:
            caller = caller_field(box.address)
            young, find = boxes.young, boxes.find
            targets = [young.get(message.target) or find(message.target) for message in messages]
        later = self._delays(box, delayed, caller, now) if delayed else ()
        # from here on nothing can be refused
        for target, message in zip(targets, messages, strict=True):
            argument = message.argument
            size = len(argument)
            boxes.put(target, b"%b\x12%b%b" % (caller, varint(size), argument))
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
        if cell is None:
            raise BadReply(
                f"{plan.typename} changes the state {mutation.state_name!r}, which is not registered"
                + ("" if plan.wire == "v3" else " (in v2, module.yaml lists the states)")
            )
        if mutation.mutation_type == _DELETE:
            return cell, None
        if mutation.mutation_type != _MODIFY:
            raise BadReply(f"state {cell.name!r} has a mutation of the unknown type {mutation.mutation_type}")
        value = mutation.state_value
        if plan.wire == "v2":
            return cell, value or None  # no bytes read as no value
        at = len(cell.prefix)
        if value.startswith(cell.prefix) and value[at] < _LONG and value[at] == len(value) - at - 1:
            return cell, value
        return cell, self._canonical(cell, value)

    def _canonical(self, cell: StateCell, value: bytes) -> bytes:
        typename, data = read_value(value, self._wire)
        if typename != cell.spec.typename:
            raise BadReply(
                f"state {cell.name!r} is registered as {cell.spec.typename!r}, and what is written is {typename!r}"
            )
        return cell.prefix + varint(len(data)) + data if data else cell.empty

    def write(self, box: Box, cell: StateCell, value: bytes | None, now: int) -> None:
        """Change a state in memory."""
        assert box.states is not None
        box.states[cell.index] = value
        if cell.expire_ms and box.expires is not None:
            box.expires[cell.index] = now + cell.expire_ms if value is not None else 0
        self.touch(box, cell.index)

    def touch(self, box: Box, index: int) -> None:
        """Note that a state has to be written."""
        if not box.dirty:
            self.dirty.append(box)
        box.dirty |= 1 << index

    # --- records ---

    def _record(self, record: Record) -> tuple[int, int, bytes]:
        key = record.egress_namespace, record.egress_type
        egress = self._egresses.get(key)
        if egress is None:
            typename = f"{key[0]}/{key[1]}"
            if not self._knows_egress(typename):
                raise BadReply(f"there is no egress {typename!r}")
            egress = self._egresses[key] = self._names.id(typename)
        return egress, *self.split(record.argument)

    def split(self, argument: bytes) -> tuple[int, bytes]:
        """Take a value apart: the number of its typename, and its bytes."""
        if len(argument) > 2 and argument[0] == 0x0A and argument[1] < _LONG:  # noqa: PLR2004 -- tag, length
            at = 2 + argument[1] + self._marks
            number = self._prefixes.get(argument[:at])
            if number is not None:
                if len(argument) > at and argument[at] < _LONG:
                    if argument[at] == len(argument) - at - 1:
                        return number, argument[at + 1 :]
                elif len(argument) > at + 1 and argument[at + 1] < _LONG:
                    size = argument[at] & 0x7F | argument[at + 1] << 7
                    if size == len(argument) - at - 2:
                        return number, argument[at + 2 :]
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

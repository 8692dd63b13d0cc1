"""The engine of the embedded runtime on a memory store and a clock that stands still.

Here: `Machine`, the driver of the test kit: bytes in, bytes out. What they mean is `_harness`'s affair.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from statefun._clock import VirtualClock
from statefun.errors import StatefunError
from statefun.runtime._engine import Engine
from statefun.runtime._memory import MemoryStore
from statefun.runtime._plans import Plan, Wire
from statefun.runtime._pump import Pending, Pump
from statefun.runtime._requests import argument, caller_field, invocation
from statefun.testing._callee import Callee
from statefun.testing._faults import Chaos

__all__ = ["HarnessError", "Machine"]

START = 1_767_225_600_000
"""2026-01-01, midnight UTC."""
_GROUP = 256
_ENOUGH = 100_000


class HarnessError(StatefunError):
    """The app did what would fail a job, or never comes to rest."""


class Machine:
    """A runtime that goes on when it is told to."""

    def __init__(
        self,
        callee: Callee,
        *,
        wire: Wire,
        knows_egress: Callable[[str], bool],
        chaos: Chaos | None,
        retries: bool,
    ) -> None:
        self._callee = callee
        self._wire: Wire = wire
        self._knows_egress = knows_egress
        self._chaos = chaos
        self._retries = retries
        self.store = MemoryStore()
        self.clock = VirtualClock(START)
        self._start()

    def _start(self) -> None:
        """Begin with what the store holds: what was not committed is gone."""
        self._engine = Engine(
            self._callee.find,
            self.store.start(),
            wire=self._wire,
            knows_egress=self._knows_egress,
            order=self._chaos,
        )
        self._pump = Pump(self._engine, self.store, self._callee)
        self._out: list[Pending] = []

    def plan(self, typename: str) -> Plan:
        """Return a function, as the engine knows it."""
        plan = self._engine.plan(typename)
        if plan is None:
            raise LookupError(typename)  # which cannot be: a callee finds every function
        return plan

    def feed(self, typename: str, identity: str, message: tuple[str, bytes], caller: tuple[str, str] | None) -> None:
        """Take a message in, and keep it whatever happens; `caller` is a function and an id, or nobody."""
        boxes = self._engine.boxes
        sender = b"" if caller is None else caller_field(self.plan(caller[0]).address(caller[1]))
        boxes.put(boxes.at(self.plan(typename), identity), invocation(argument(*message, self._wire), sender))
        self._pump.commit()

    async def settle(self) -> None:
        """Work until there is nothing to do at this time, and commit. Raises what a function raises, HarnessError."""
        done = self._pump.handled
        while await self._step():
            if self._pump.handled - done > _ENOUGH:
                self._pump.commit()
                row = next(iter(self.store.list_messages(None, None, 1)), None)
                where = "" if row is None else f"; {row.function}/{row.id} has a message still"
                msg = f"the app does not come to rest: {_ENOUGH:,} messages were handled in one run{where}"
                raise HarnessError(msg)

    async def _step(self) -> bool:
        """Do a part of the work; tell whether there may be more."""
        chaos, now = self._chaos, self.clock.now()
        if chaos is not None and chaos.crashes_now():
            await self._die(chaos)
            return True
        due = self._engine.next_due()
        if due is not None and due <= now:
            self._engine.advance(now)
        pending = self._pump.work(now, _GROUP if chaos is None else 1)
        self._check()
        self._out += pending or ()
        if self._out and (chaos is None or pending is None or not chaos.waits()):
            await self._answer(self._out.pop(0 if chaos is None else chaos.pick(len(self._out))))
            return True
        if pending is not None:
            if chaos is not None and chaos.commits_now():
                self._pump.commit()
            return True
        return self._pump.commit() is not None or self._is_due(now)

    def _is_due(self, now: int) -> bool:
        due = self._engine.next_due()
        return due is not None and due <= now

    async def _answer(self, pending: Pending) -> None:
        try:
            reply = await pending.reply
        except Exception as error:  # noqa: BLE001 -- whatever a function raises is its failure
            self._pump.failed(pending.call, error, self.clock.now())
        else:
            self._engine.reply(pending.call, reply, self.clock.now())
        self._check()

    async def _die(self, chaos: Chaos) -> None:
        """Lose what was not committed; some functions had answered, and nobody heard it."""
        for pending in self._out:
            if chaos.loses():
                with contextlib.suppress(Exception):  # the callee has kept what a function raised
                    await pending.reply
        self._start()
        self._check()

    def _check(self) -> None:
        """Raise what went wrong, unless it is to be tried again."""
        raised, self._callee.raised = self._callee.raised, []
        if self._retries:
            return
        if raised:
            raise raised[0]
        for row in self._engine.boxes.delta.failed:
            where = f"{self._engine.names.text(row.function)}/{row.id}"
            raise HarnessError(f"the reply of {where} would fail a job: {row.error}")

    async def advance(self, by_ms: int) -> None:
        """Let time pass, from one moment in which something is due to the next."""
        end = self.clock.now() + by_ms
        await self.settle()
        while (due := self._engine.next_due()) is not None and due <= end:
            self.clock.move_to(due)
            await self.settle()
        self.clock.move_to(end)
        await self.settle()

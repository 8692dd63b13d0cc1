"""The engine in time: it is fed, its groups are committed, what leaves does so after the commit.

Here: `Driver`, on asyncio. A group ends when there is nothing more to do, or as `Pace` says: so a lone message is
committed at once, and a flood shares its commits. Everything happens on the loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from statefun._clock import Clock, RecordClock
from statefun.runtime._commands import Call
from statefun.runtime._delta import Delta
from statefun.runtime._engine import Engine
from statefun.runtime._pace import Pace, Window
from statefun.runtime._plans import Plan
from statefun.runtime._pump import Pending, Pump
from statefun.runtime._retention import Retention
from statefun.runtime._senders import Senders
from statefun.runtime._sinks import Sink
from statefun.runtime._sources import Source, SourceError
from statefun.runtime._store import RecordRow, Store

__all__ = ["Driver", "Full", "Pace"]

_POLL_S = 0.2
"""How often a followed file is looked at."""
_SWEEP_S = 60.0
CLOCK = "clock"


class Full(Exception):
    """There is no room for another message now."""


class Driver:
    """Runs a pump until it is told to stop."""

    def __init__(
        self,
        pump: Pump,
        clock: Clock,
        *,
        sources: Sequence[Source] = (),
        sinks: Sequence[Sink] = (),
        pace: Pace | None = None,
        retention: Retention | None = None,
        exit_at_end: bool = False,
    ) -> None:
        self.pump = pump
        self.engine: Engine = pump.engine
        self.store: Store = pump.store
        self.clock = clock
        self.pace: Pace = pace or Pace()
        self.sources: list[Source] = list(sources)
        self.sinks: list[Sink] = list(sinks)
        self.senders: Senders = Senders()
        self.fed: int = 0
        """Messages taken from sources in this run."""
        self.commits: int = 0
        self.on_commit: list[Callable[[Delta], None]] = []
        """Called after every commit."""
        self._exit_at_end = exit_at_end
        self._tasks: dict[asyncio.Task[None], Call] = {}
        self._committed: list[asyncio.Future[None]] = []
        self._woken = False
        self._sleeper: asyncio.Future[None] | None = None
        self._stopping = False
        self._moved: set[str] = set()
        self._written: list[Sink] = []
        self._plans: dict[str, tuple[Plan, ...]] = {}
        self._retention = retention or Retention(pump.store)
        self._settled = 0  # the records of the commit before: what files were given of them is committed
        self._window = Window()
        self._handled = 0  # at the last commit
        self._last = time.perf_counter()
        self._swept = time.monotonic()

    # --- in ---

    def submit(
        self, plan: Plan, identity: str, argument: bytes, answer: tuple[str, str] | None = None
    ) -> asyncio.Future[None]:
        """Add a message; what is returned is done when it is committed. Raises Full."""
        if self._full():
            raise Full
        self.engine.feed(plan, identity, argument)
        if answer is not None:
            key, text = answer
            self.engine.boxes.delta.answers.append((key, self.clock.now(), text))
        return self.commit_soon()

    def commit_soon(self) -> asyncio.Future[None]:
        """Return what is done at the end of the next commit."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._committed.append(future)
        self.wake()
        return future

    def wake(self) -> None:
        """Look for work again."""
        self._woken = True
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    def moved(self, source: str) -> None:
        """Write down the position of a source with the next commit, though no record of it was taken."""
        self._moved.add(source)

    def stop(self) -> None:
        """Take nothing more in, finish what is out, commit, and end."""
        self._stopping = True
        self.wake()

    @property
    def stopping(self) -> bool:
        """Whether it is about to end."""
        return self._stopping

    def _full(self) -> bool:
        boxes = self.engine.boxes
        return (
            boxes.held > boxes.limits.messages // 2
            or len(self.engine.failures) > self.pace.failing
            or self.senders.full()
        )

    # --- running ---

    async def run(self) -> None:
        """Work until it is told to stop, or the sources have ended. Raises what a source, sink or store raises."""
        try:
            self._open()
            while not self._over():
                worked = self._turn()
                await self._pause(worked=worked)
            await self._finish()
        finally:
            self._close()

    def _open(self) -> None:
        positions = self.store.positions()
        if isinstance(self.clock, RecordClock):
            self.clock.move_to(int(positions.get(CLOCK, 0)))
        for sink in self.sinks:
            known = positions.get(f"out {sink.name}")
            last = sink.open(known)
            if known is None and (position := sink.position()) is not None:  # before the first line is written
                self.store.commit(Delta(positions={f"out {sink.name}": position}))
            while rows := self.store.list_records(sink.egress, last, self.pace.group):
                sink.write(rows)
                last = rows[-1].seq
                self._written.append(sink)
        self.senders.open(dict(positions), self.store, self.engine.names)
        for source in self.sources:
            source.open(positions.get(f"in {source.name}"))
            for target in source.targets:
                if self.engine.plan(target) is None:
                    raise SourceError(f"{source.name} sends to {target!r}, and there is no such function")
            self._plans[source.name] = tuple(
                plan for target in source.targets if (plan := self.engine.plan(target)) is not None
            )

    def _over(self) -> bool:
        if self._stopping:
            return True
        if not self._exit_at_end or self._tasks or self._committed or self._written or not self.senders.idle():
            return False
        due = self.engine.next_due()
        is_due = due is not None and due <= self.clock.now()
        return all(source.ended for source in self.sources) and not self.engine.has_work() and not is_due

    def _turn(self) -> bool:
        """Work on one group and commit it; tell whether there was anything."""
        pump, pace, window = self.pump, self.pace, self._window
        due = self.engine.next_due()
        if due is not None and due <= self.clock.now():
            self.engine.advance(self.clock.now())
        began, handled, fed = time.perf_counter(), pump.handled, self.fed
        ends, until = began + (pace.group_s if self._committed else pace.alone_s), handled + pace.group

        def enough() -> bool:
            return time.perf_counter() > ends

        while pump.handled < until and len(self._tasks) < pace.calls:
            pending = pump.work(self.clock.now(), until - pump.handled, enough)
            if pending is None:
                now = time.perf_counter()
                if not self._tasks:
                    window.learn(self.fed - fed, pump.handled - handled, now - began)
                if not self._feed(window.size(until - pump.handled, ends - now, fresh=self.fed == fed)):
                    break
            for one in pending or ():
                self._start(one)
            if enough():
                break
        if self._may_wait():
            return True
        return self._commit()

    def _may_wait(self) -> bool:
        """Tell whether the group may go on: functions are awaited, nobody waits for the commit, and it is early."""
        if not self._tasks or self._committed or self.pump.handled - self._handled >= self.pace.group:
            return False
        return time.perf_counter() - self._last < self.pace.group_s

    def _feed(self, most: int) -> bool:
        """Read from the sources what a group can take; tell whether there was anything."""
        if self._stopping or self._full() or self.engine.boxes.spill_from is not None:
            return False
        if isinstance(self.clock, RecordClock):
            return self._feed_in_time(self.clock)
        before, feed = self.fed, self.engine.feed
        for source in self.sources:
            records = source.read(most)
            if not records:
                continue
            plans = self._plans[source.name]
            for identity, argument, _ in records:
                for plan in plans:
                    feed(plan, identity, argument)
            self._moved.add(source.name)
            self.fed += len(records)
        return self.fed > before

    def _take(self, source: Source, identity: str, argument: bytes) -> None:
        for plan in self._plans[source.name]:
            self.engine.feed(plan, identity, argument)
        source.take()
        self._moved.add(source.name)
        self.fed += 1

    def _feed_in_time(self, clock: RecordClock) -> bool:
        """Feed the record that comes next in time, when everything that is due before it has run."""
        if self._tasks:
            return False
        heads = [(source, record) for source in self.sources if (record := source.peek()) is not None]
        if not heads:
            return False
        source, (identity, argument, at) = min(heads, key=lambda head: head[1][2] or 0)
        at = clock.now() if at is None else max(at, clock.now())
        due = self.engine.next_due()
        if due is not None and due <= at:
            clock.move_to(due)
            self.engine.advance(due)
            return True
        if self.engine.may_miss(at):
            return False  # what is due has to be read from the store first, and that after a commit
        clock.move_to(at)
        self._take(source, identity, argument)
        return True

    def _start(self, pending: Pending) -> None:
        task = asyncio.get_running_loop().create_task(self._await(pending))
        self._tasks[task] = pending.call
        task.add_done_callback(self._ended)

    async def _await(self, pending: Pending) -> None:
        try:
            reply = await pending.reply
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever a function raises is its failure
            self.pump.failed(pending.call, error, self.clock.now())
        else:
            self.engine.reply(pending.call, reply, self.clock.now())

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self.wake()

    # --- out ---

    def _commit(self) -> bool:
        delta = self.engine.take_delta()
        self._note_positions(delta)
        waiting, self._committed = self._committed, []
        try:
            committed = self.pump.commit(delta)
            self.senders.committed()
        except BaseException as error:
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # whoever waits may be gone: nobody has to look
            raise
        for future in waiting:
            if not future.done():
                future.set_result(None)
        self._handled, self._last = self.pump.handled, time.perf_counter()
        if committed is None:
            return bool(waiting)
        self.commits += 1
        self._publish(committed)
        return True

    def _note_positions(self, delta: Delta) -> None:
        self.senders.intend(delta)
        for source in self.sources:
            if source.name in self._moved and (position := source.position()) is not None:
                delta.positions[f"in {source.name}"] = position
        self._moved.clear()
        if delta.positions and isinstance(self.clock, RecordClock):
            delta.positions[CLOCK] = str(self.clock.now())
        for sink in self._written:
            if (position := sink.position()) is not None:
                delta.positions[f"out {sink.name}"] = position
        self._written = []

    def _publish(self, delta: Delta) -> None:
        if delta.records and self.sinks:
            text = self.engine.names.text
            rows = [
                RecordRow(seq, text(egress), text(typename), value) for seq, egress, typename, value in delta.records
            ]
            for sink in self.sinks:
                chosen = rows if sink.egress is None else [row for row in rows if row.egress == sink.egress]
                if chosen:
                    sink.write(chosen)
                    self._written.append(sink)
        for listener in self.on_commit:
            listener(delta)
        newest = self.engine.effects.records
        self._retention.look(self.senders.settled(self._settled), newest, self.clock.now())
        self._settled = newest

    async def _pause(self, *, worked: bool) -> None:
        """Let others run; if there was no work, until there may be some."""
        if worked:
            await asyncio.sleep(0)
            return
        if time.monotonic() - self._swept > _SWEEP_S:
            self._swept = time.monotonic()
            self.store.sweep(self.clock.now())
            self._retention.look(self.senders.settled(self._settled), self.engine.effects.records, self.clock.now())
        if self._over():
            return
        if not self._woken:
            await self._rest(self._patience())
        self._woken = False

    async def _rest(self, seconds: float) -> None:
        """Wait until something wakes it, or for so long; `asyncio.wait_for` would make a task for each answer."""
        loop = asyncio.get_running_loop()
        self._sleeper = sleeper = loop.create_future()
        alarm = loop.call_later(seconds, self.wake)
        try:
            await sleeper
        finally:
            alarm.cancel()
            self._sleeper = None

    def _patience(self) -> float:
        """Return for how many seconds nothing can happen by itself."""
        waits = [_SWEEP_S]
        due = self.engine.next_due()
        if due is not None and not isinstance(self.clock, RecordClock):
            waits.append(max(0.0, (due - self.clock.now()) / 1_000))
        if any(not source.ended for source in self.sources):
            waits.append(_POLL_S)
        return min(waits)

    async def _finish(self) -> None:
        """Wait for the requests that are out, a while, and commit."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=3.0)
        for task in list(self._tasks):
            task.cancel()
        while self._commit():
            pass
        self.senders.finish(self._commit)

    def _close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        for source in self.sources:
            source.close()
        for sink in self.sinks:
            sink.close()
        self.senders.close()

"""The engine at work: its commands carried out, and what changed committed.

Here: `Pump`, which joins an engine, a store and an endpoint. It is synchronous and knows no clock: the driver gives it
the time and awaits what could not be answered at once; the test kit does the same with a time of its own.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from typing_extensions import assert_never

from statefun.runtime._commands import Call, Command, LoadDelayed, LoadMessages, LoadParked, LoadStates
from statefun.runtime._delta import Delta
from statefun.runtime._engine import Engine
from statefun.runtime._store import Store

__all__ = ["CallError", "Endpoint", "Pending", "Pump"]

_TOGETHER = 32
"""How many functions are called before their replies are applied."""


class CallError(Exception):
    """A function could not be called, or gave no reply; `detail` is for those who look closer."""

    def __init__(self, text: str, detail: str = "") -> None:
        super().__init__(text)
        self.detail = detail


class Endpoint(Protocol):
    """Where functions are called."""

    def call(self, typename: str, request: bytes) -> bytes | Awaitable[bytes]:
        """Return the reply, or what will be it. May raise anything: the call failed then."""
        ...


@dataclass(frozen=True, slots=True)
class Pending:
    """A call whose reply has to be awaited."""

    call: Call
    reply: Awaitable[bytes]


class Pump:
    """Carries out what an engine asks for."""

    def __init__(self, engine: Engine, store: Store, endpoint: Endpoint) -> None:
        self.engine = engine
        self.store = store
        self.endpoint = endpoint
        self.handled: int = 0
        """Invocations so far."""

    def work(self, now: int, most: int, enough: Callable[[], bool] = lambda: False) -> list[Pending] | None:
        """Do what there is to do, up to about `most` invocations or until it is enough; None if there was nothing."""
        until = self.handled + most
        pending: list[Pending] = []
        worked = False
        while self.handled < until:
            calls = self._next_calls(now, until)
            if calls is None:
                break
            worked = True
            if self._make(calls, now, enough, pending):
                break
        return pending if worked else None

    def _next_calls(self, now: int, until: int) -> list[Call] | None:
        """Return the next few calls, and read what is to be read before them; None if there is nothing to do.

        One call after the other would cost a half more: the code of requests, functions and replies is larger than the
        innermost cache of a processor, and each of them would have to fetch its own anew (benchmarks/runtime).
        """
        calls: list[Call] = []
        command = self.engine.step(now)
        if command is None:
            return None
        while command is not None:
            if isinstance(command, Call):
                calls.append(command)
                self.handled += len(command.messages)
                if len(calls) >= _TOGETHER or self.handled >= until:
                    break
            else:
                self._load(command, now)
            command = self.engine.step(now)
        return calls

    def _make(self, calls: list[Call], now: int, enough: Callable[[], bool], pending: list[Pending]) -> bool:
        """Make calls, and apply their replies; tell whether it was enough: those that are left are taken back."""
        engine, call = self.engine, self.endpoint.call
        answers: list[bytes | Awaitable[bytes] | Exception] = []
        ended = False
        for one in calls:
            try:
                answers.append(call(one.box.plan.typename, one.request))
            except Exception as error:  # noqa: BLE001 -- whatever a function raises is its failure
                answers.append(error)
            if enough():
                ended = True
                break
        for one, answer in zip(calls, answers, strict=False):
            if isinstance(answer, bytes):
                engine.reply(one, answer, now)
            elif isinstance(answer, Exception):
                self.failed(one, answer, now)
            else:
                pending.append(Pending(one, answer))
        for one in reversed(calls[len(answers) :]):
            self.handled -= len(one.messages)
            engine.withdraw(one)
        return ended

    def failed(self, call: Call, error: BaseException, now: int) -> None:
        """Tell the engine that a call failed."""
        if isinstance(error, CallError):
            self.engine.fail(call, str(error), error.detail, now)
            return
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self.engine.fail(call, text, "".join(traceback.format_exception(error)), now)

    def _load(self, command: Command, now: int) -> None:
        engine, store = self.engine, self.store
        match command:
            case LoadStates(plan, boxes):
                engine.loaded(command, store.states(plan.index, list(boxes)), now)
            case LoadMessages(start, limit):
                messages = store.messages(start, limit)
                engine.paged(messages, last=len(messages) < limit)
            case LoadParked(box, start, below, limit):
                parked = store.parked(box.plan.index, box.identity, start, below, limit)
                engine.thawed(command, parked, last=len(parked) < limit)
            case LoadDelayed(after, limit):
                delayed = store.delayed(after, limit)
                engine.timers_paged(delayed, last=len(delayed) < limit)
            case Call():
                pass
            case _:
                assert_never(command)

    def commit(self, delta: Delta | None = None) -> Delta | None:
        """Write down what changed; return it, or None if nothing did."""
        delta = delta or self.engine.take_delta()
        if not delta:
            return None
        self.store.commit(delta)
        return delta

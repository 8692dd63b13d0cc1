"""The endpoint in this process: the same handler as behind HTTP, without HTTP.

Here: `InProcess`. A plain function is called where it stands and its reply is there at once; an async one, and one that
is bound with `blocking=True`, is awaited. What module.yaml says about a function goes into its `FunctionSpec`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from datetime import datetime, timedelta

from statefun._clock import Clock, WallClock, moment
from statefun.functions import StatefulFunctions
from statefun.handler import AsyncRequestReplyHandler, RequestReplyHandler
from statefun.module import Module
from statefun.module._model import Endpoint
from statefun.runtime._plans import BATCH, Expire, FunctionSpec, StateSpec, Wire
from statefun.runtime._pump import CallError
from statefun.runtime._watch import Watch
from statefun.state import ValueSpec

__all__ = ["TIMEOUT_S", "InProcess", "listed"]

TIMEOUT_S = 60.0
"""How long an async function may take, if nothing else is said."""


class InProcess:
    """Calls the functions of a registry.

    `timeout_s` is the limit of async functions; `slow` is told which function holds up the loop, and for how long;
    `measured` counts for OpenTelemetry what they do.
    """

    def __init__(
        self,
        functions: StatefulFunctions,
        *,
        wire: Wire = "v3",
        module: Module | None = None,
        timeout_s: float | None = None,
        slow: Callable[[str, float], None] | None = None,
        measured: bool = False,
    ) -> None:
        self._functions = functions
        self._wire: Wire = wire
        self._module = module
        self._timeout_s = timeout_s
        self._watch = Watch(slow)
        self._awaits = {function.typename for function in functions if function.on_loop}
        self._blocking = {function.typename for function in functions if function.blocking and not function.on_loop}
        self.clock: Clock = WallClock()
        """Where the time of a dead letter comes from."""
        self._async = _handler_class(measured=measured)(functions, threads=0, wire=wire, clock=self._time)
        # what is measured goes through one handler, which counts
        plain = not (self._awaits or measured)
        self._plain = RequestReplyHandler(functions, wire=wire, clock=self._time) if plain else None
        self.abandoned: int = 0
        """How many calls in threads were not waited for: what they run cannot be stopped."""

    def _time(self) -> datetime:
        return moment(self.clock)

    def find(self, namespace: str, name: str) -> FunctionSpec | None:
        """Return what the engine has to know about a function."""
        typename = f"{namespace}/{name}"
        if typename not in self._functions:
            return None
        endpoint = None if self._module is None else self._module.endpoint_of(typename)
        states: tuple[StateSpec, ...] = ()
        if endpoint is not None and endpoint.states is not None:
            states = listed(endpoint)
        elif self._wire == "v2":
            states = tuple(map(_declared, self._functions[typename].all_specs))
        most = BATCH if endpoint is None else endpoint.max_num_batch_requests
        return FunctionSpec(typename=typename, states=states, max_batch=most)

    def call(self, typename: str, request: bytes) -> bytes | Awaitable[bytes]:
        """Return the reply, or what will be it."""
        if typename in self._awaits:
            return self._awaited(typename, request)
        if typename in self._blocking:
            return self._in_thread(request)
        watch = self._watch
        watch.typename = typename
        watch.since = time.perf_counter()
        try:
            return self._inline(request) if self._plain is None else self._plain(request)
        finally:
            watch.end()

    async def _awaited(self, typename: str, request: bytes) -> bytes:
        try:
            return await asyncio.wait_for(_Steps(self._async(request), typename, self._watch), self._timeout_s)
        except asyncio.TimeoutError as error:
            raise CallError(f"the function took longer than {self._timeout_s:g} s") from error

    async def _in_thread(self, request: bytes) -> bytes:
        try:
            return await self._async(request)
        except asyncio.CancelledError:
            self.abandoned += 1
            raise

    def _inline(self, request: bytes) -> bytes:
        """Run the coroutine of a plain function, which never waits."""
        steps = self._async(request)
        try:
            steps.send(None)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # it is what the handler returns
        steps.close()
        raise CallError("a plain function gave back an awaitable that waits: declare it with 'async def'")

    def close(self) -> None:
        """End the watch."""
        self._watch.close()


def _handler_class(*, measured: bool) -> type[AsyncRequestReplyHandler]:
    if not measured:
        return AsyncRequestReplyHandler
    from statefun.metrics import MeasuredHandler  # noqa: PLC0415 -- who does not count does not import it

    return MeasuredHandler


class _Steps:
    """A coroutine whose every step on the loop is watched."""

    def __init__(self, coroutine: Coroutine[object, object, bytes], typename: str, watch: Watch) -> None:
        self._coroutine = coroutine
        self._typename = typename
        self._watch = watch

    def __await__(self) -> Generator[object, object, bytes]:
        value: object = None
        raised: BaseException | None = None
        while True:
            self._watch.typename = self._typename
            self._watch.since = time.perf_counter()
            try:
                waits = self._coroutine.send(value) if raised is None else self._coroutine.throw(raised)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]  # it is what the coroutine returns
            finally:
                self._watch.end()
            try:
                value, raised = (yield waits), None
            except BaseException as error:  # noqa: BLE001 -- a cancellation, above all: the function shall see it
                raised = error


def listed(endpoint: Endpoint) -> tuple[StateSpec, ...]:
    """Return the states that module.yaml lists (1.0 and 2.0)."""
    return tuple(
        _state(entry.name, "after-write" if entry.mode == "after-write" else "after-call", entry.expire_after)
        for entry in endpoint.states or ()
    )


def _declared(spec: ValueSpec[object, object]) -> StateSpec:
    """Say about a state what module.yaml would, if it fits."""
    expire: Expire = "after-call" if spec.expire_after_call is not None else "after-write"
    return _state(spec.name, expire, spec.expire_after_call or spec.expire_after_write)


def _state(name: str, expire: Expire, after: timedelta | None) -> StateSpec:
    if after is None:
        return StateSpec(name=name)
    return StateSpec(name=name, expire=expire, expire_ms=int(after.total_seconds() * 1_000))

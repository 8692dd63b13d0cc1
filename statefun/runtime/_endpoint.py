"""The endpoint in this process: the same handler as behind HTTP, without HTTP.

Here: `InProcess`. A plain function is called where it stands and its reply is there at once; an async one is a task.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from statefun.functions import StatefulFunctions
from statefun.handler import AsyncRequestReplyHandler, RequestReplyHandler
from statefun.runtime._plans import FunctionSpec, StateSpec, Wire
from statefun.runtime._pump import CallError

__all__ = ["InProcess"]

SLOW_S = 1.0
"""A plain function that takes longer holds up everything, and is named in the log."""


class InProcess:
    """Calls the functions of a registry."""

    def __init__(
        self,
        functions: StatefulFunctions,
        *,
        wire: Wire = "v3",
        timeout_s: float | None = None,
        slow: Callable[[str, float], None] = lambda _typename, _seconds: None,
    ) -> None:
        self._functions = functions
        self._wire: Wire = wire
        self._timeout_s = timeout_s
        self._slow = slow
        self._is_async = {function.typename for function in functions if function.is_async}
        self._async = AsyncRequestReplyHandler(functions, threads=0, wire=wire)
        self._plain = None if self._is_async else RequestReplyHandler(functions, wire=wire)

    def find(self, namespace: str, name: str) -> FunctionSpec | None:
        """Return what the engine has to know about a function."""
        typename = f"{namespace}/{name}"
        if typename not in self._functions:
            return None
        if self._wire == "v3":
            return FunctionSpec(typename=typename)
        specs = self._functions[typename].all_specs
        return FunctionSpec(typename=typename, states=tuple(StateSpec(name=spec.name) for spec in specs))

    def call(self, typename: str, request: bytes) -> bytes | Awaitable[bytes]:
        """Return the reply, or the task that will have it."""
        if typename in self._is_async:
            return self._awaited(request)
        started = time.perf_counter()
        reply = self._inline(request) if self._plain is None else self._plain(request)
        took = time.perf_counter() - started
        if took > SLOW_S:
            self._slow(typename, took)
        return reply

    async def _awaited(self, request: bytes) -> bytes:
        try:
            return await asyncio.wait_for(self._async(request), self._timeout_s)
        except asyncio.TimeoutError as error:
            raise CallError(f"the function took longer than {self._timeout_s:g} s") from error

    def _inline(self, request: bytes) -> bytes:
        """Run the coroutine of a plain function, which never waits."""
        steps = self._async(request)
        try:
            steps.send(None)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # it is what the handler returns
        steps.close()
        raise CallError("a plain function gave back an awaitable that waits: declare it with 'async def'")

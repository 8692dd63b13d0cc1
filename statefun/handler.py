"""The door of an app: the bytes of a request in, the bytes of the reply out.

Here: the plain and the async handler. Which server the bytes come through is not known here, nor is any clock.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Generator
from typing import TYPE_CHECKING, Literal

from statefun._signature import describe
from statefun._turn import Turn
from statefun._wire import open_request
from statefun._wire.v3 import encode_missing
from statefun.errors import BindError, ConfigError
from statefun.protocol import Completed, MissingStates

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from statefun._wire.detect import Version
    from statefun.functions import StatefulFunctions

__all__ = ["AsyncRequestReplyHandler", "RequestReplyHandler"]

Steps = Generator[Awaitable[object], None, "Completed | MissingStates"]
THREADS = 32
"""How many requests for plain functions an async handler works on at once, if not told otherwise."""


class _Handler:
    """What both handlers do: open a request, find its function, encode the outcome."""

    def __init__(self, functions: StatefulFunctions, *, wire: Literal["v2", "v3"] | None = None) -> None:
        if wire not in (None, "v2", "v3"):
            msg = f"wire is 'v2', 'v3' or None (told from each request), not {wire!r}"
            raise ConfigError(msg)
        from statefun import _installation  # noqa: PLC0415 -- reads the installation, which an import must not

        _installation.check()
        self._functions = functions
        self._fixed = wire is not None
        self._guess: Version = wire or "v3"

    def _open(self, request: bytes) -> Turn:
        functions = self._functions
        functions.freeze()
        batch = open_request(request, self._guess, fixed=self._fixed)
        self._guess = "v3" if batch.registers_states else "v2"
        return Turn(functions.for_type(batch.namespace, batch.type), batch)

    @staticmethod
    def _encode(outcome: Completed | MissingStates) -> bytes:
        if isinstance(outcome, MissingStates):
            return encode_missing(outcome)
        return outcome.reply.encode()


class RequestReplyHandler(_Handler):
    """Answer requests in the calling thread: handler(request_bytes) -> reply_bytes.

    Every function must be a plain one. `wire` fixes the version of the protocol; by default it is told from each
    request. Raises BindError for an async function, ConfigError for a broken installation; at a call, PeerError for a
    request that cannot be served, and what the function raises, unchanged.
    """

    def __init__(self, functions: StatefulFunctions, *, wire: Literal["v2", "v3"] | None = None) -> None:
        super().__init__(functions, wire=wire)
        self._checked = -1
        self._refuse_async()

    def _refuse_async(self) -> None:
        if self._checked == len(self._functions):
            return
        for function in self._functions:
            if function.is_async:
                problem = "it is async, and RequestReplyHandler would never await it"
                raise BindError(
                    function.typename, describe(function), problem, "serve it with AsyncRequestReplyHandler"
                )
        self._checked = len(self._functions)

    def __call__(self, request: bytes, /) -> bytes:
        """Answer one request."""
        self._refuse_async()  # one may have been bound after the handler was made
        turn = self._open(request)
        steps = turn.steps()
        try:
            awaitable = next(steps)
        except StopIteration as done:
            return self._encode(done.value)
        steps.close()
        raise turn.refuse_awaitable(awaitable)


class AsyncRequestReplyHandler(_Handler):
    """Answer requests on the running event loop: await handler(request_bytes).

    Async functions run on the loop. The plain ones of a request run in one of `threads` threads, all its messages in
    one hop and in order, so that they do not hold up the loop; with `threads=0` they run on the loop, which is faster
    where they do not block. Requests of different addresses run at the same time.
    """

    def __init__(
        self, functions: StatefulFunctions, *, threads: int = THREADS, wire: Literal["v2", "v3"] | None = None
    ) -> None:
        super().__init__(functions, wire=wire)
        if threads.__class__ is not int or threads < 0:
            msg = f"threads is a number of threads, or 0, not {threads!r}"
            raise ConfigError(msg)
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    async def __call__(self, request: bytes, /) -> bytes:
        """Answer one request."""
        turn = self._open(request)
        steps = turn.steps()
        if not self._threads or turn.is_async:
            return self._encode(await _drive(steps, _advance(steps)))
        in_context = contextvars.copy_context()

        def hop() -> Awaitable[object] | Completed | MissingStates:
            return in_context.run(_advance, steps)

        first = await asyncio.get_running_loop().run_in_executor(self._executor(), hop)
        if not isinstance(first, (Completed, MissingStates)):
            turn.found_async()
        return self._encode(await _drive(steps, first))

    def _executor(self) -> ThreadPoolExecutor:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 -- needed for plain functions only

            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="statefun")
        return self._pool


def _advance(steps: Steps) -> Awaitable[object] | Completed | MissingStates:
    """Go on to the next awaitable, or to the outcome (a StopIteration cannot cross a Future)."""
    try:
        return next(steps)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # it is what `steps` returns


async def _drive(steps: Steps, current: Awaitable[object] | Completed | MissingStates) -> Completed | MissingStates:
    while not isinstance(current, (Completed, MissingStates)):
        try:
            await current
        except BaseException as error:  # noqa: BLE001, PERF203 -- thrown in where it was raised: nothing is swallowed
            try:
                current = steps.throw(error)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]  # as above
        else:
            current = _advance(steps)
    return current

"""The door of an app: the bytes of a request in, the bytes of the reply out.

Here: the plain and the async handler. Which server the bytes come through is not known here, nor is any clock.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, TypeVar

from statefun._guarded import GuardedTurn
from statefun._turn import Turn
from statefun._wire import AnyWire, Version, encode_missing, open_request, wire_of
from statefun.errors import BindError, ConfigError
from statefun.middleware import off_loop

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor
    from datetime import datetime

    from statefun.functions import StatefulFunctions
    from statefun.module import Module

__all__ = ["AsyncRequestReplyHandler", "RequestReplyHandler"]

Steps = Generator[Awaitable[object], None, None]
T = TypeVar("T")
Clock = Callable[[], "datetime"]
THREADS = 32
"""How many requests for plain functions an async handler works on at once, if not told otherwise."""


class _Handler:
    """What both handlers do: open a request, find its function, encode the outcome."""

    def __init__(
        self, functions: StatefulFunctions, wire: Version | None, module: Module | None, clock: Clock | None
    ) -> None:
        if wire not in (None, "v2", "v3"):
            msg = f"wire is 'v2', 'v3' or None (told from each request), not {wire!r}"
            raise ConfigError(msg)
        from statefun import _installation  # noqa: PLC0415 -- reads the installation, which an import must not

        _installation.check()
        if module is not None:
            from statefun.module import require  # noqa: PLC0415 -- whoever has a module has imported it

            require(functions, module)
        self._functions = functions
        self._clock = clock
        self._fixed = wire is not None
        self._guess: AnyWire = wire_of(wire or "v3")
        self._table = functions.table
        self._started = False

    @property
    def functions(self) -> StatefulFunctions:
        """What it serves."""
        return self._functions

    def _start(self) -> None:
        """Do what is done once, at the first request."""
        self._functions.freeze()
        self._started = True

    def _open(self, request: bytes) -> Turn:
        if not self._started:
            self._start()
        wire, batch, invocations = open_request(request, self._guess, self._fixed)
        self._guess = wire
        target = batch.target
        function = self._table.get((target.namespace, target.type))
        if function is None:
            function = self._functions.stand_in(target.namespace, target.type)
        if function.guarded:
            return GuardedTurn(function, wire, batch, invocations, self._clock)
        return Turn(function, wire, batch, invocations)


class RequestReplyHandler(_Handler):
    """Answer requests in the calling thread: handler(request_bytes) -> reply_bytes.

    Every function must be a plain one, and every middleware. `wire` fixes the version of the protocol; by default it is
    told from each request. `module` is the module.yaml that deploys the app, as `statefun.module.read` gives it: the
    app is checked against it. `clock` is asked for the time of a dead letter. Raises BindError for an async function or
    middleware, ConfigError for a broken installation, ModuleError for an app that does not fit its module; at a call,
    PeerError for a request that cannot be served, and what the function raises, unchanged.
    """

    def __init__(
        self,
        functions: StatefulFunctions,
        *,
        wire: Version | None = None,
        module: Module | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(functions, wire, module, clock)
        self._refuse_async()

    def _refuse_async(self) -> None:
        for function in self._functions:
            if function.on_loop:
                from statefun._signature import describe  # noqa: PLC0415 -- imported when the function was bound

                layers = [layer.described for layer in self._functions.layers if layer.is_async]
                what = "it" if function.is_async else f"the middleware {layers[0]} around it"
                problem = f"{what} is async, and RequestReplyHandler would never await it"
                help = "serve it with AsyncRequestReplyHandler"
                raise BindError(function.typename, describe(function), problem, help)

    def _start(self) -> None:
        self._refuse_async()  # one may have been bound after the handler was made
        super()._start()

    def __call__(self, request: bytes, /) -> bytes:
        """Answer one request."""
        turn = self._open(request)
        turn.run()
        return turn.reply.encode() if turn.missing is None else encode_missing(turn.ask())


class AsyncRequestReplyHandler(_Handler):
    """Answer requests on the running event loop: await handler(request_bytes).

    Async functions run on the loop. The plain ones of a request run in one of `threads` threads, all its messages in
    one hop and in order, so that they do not hold up the loop; with `threads=0` they run on the loop, which is faster
    where they do not block, and only those that are bound with `blocking=True` get one of 32 threads. Requests of
    different addresses run at the same time. The other options are as above.
    """

    def __init__(
        self,
        functions: StatefulFunctions,
        *,
        threads: int = THREADS,
        wire: Version | None = None,
        module: Module | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(functions, wire, module, clock)
        if threads.__class__ is not int or threads < 0:
            msg = f"threads is a number of threads, or 0, not {threads!r}"
            raise ConfigError(msg)
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    async def __call__(self, request: bytes, /) -> bytes:
        """Answer one request."""
        turn = self._open(request)
        steps = turn.steps()
        bound = turn.bound
        if bound.on_loop or not (self._threads or bound.blocking):
            if bound.off_loop:  # an async middleware around a plain function, which keeps its thread
                off_loop.set(self._run_in_thread if self._threads or bound.blocking else None)
            await _drive(steps, next(steps, None))
            return turn.reply.encode() if turn.missing is None else encode_missing(turn.ask())
        first = await self._run_in_thread(lambda: next(steps, None))
        if first is not None:
            bound.is_async = bound.on_loop = True  # a decorator hid it: from now on it stays on the loop
            await _drive(steps, first)
        return turn.reply.encode() if turn.missing is None else encode_missing(turn.ask())

    async def _run_in_thread(self, call: Callable[[], T]) -> T:
        import asyncio  # noqa: PLC0415 -- the loop runs, so it is there; `import statefun` must not pay for it

        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._executor(), context.run, call)

    def _executor(self) -> ThreadPoolExecutor:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 -- needed for plain functions only

            self._pool = ThreadPoolExecutor(self._threads or THREADS, thread_name_prefix="statefun")
        return self._pool


async def _drive(steps: Steps, current: Awaitable[object] | None) -> None:
    """Await what the steps give back, one after the other, and throw in what that raises: it is raised there."""
    while current is not None:
        try:
            await current
        except BaseException as error:  # noqa: BLE001, PERF203 -- nothing is swallowed
            try:
                current = steps.throw(error)
            except StopIteration:
                return
        else:
            current = next(steps, None)

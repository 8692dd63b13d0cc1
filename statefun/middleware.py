"""What a team wraps around every call of a function: authentication, timing, a database session.

Here: what a middleware is to a type checker, and how some of them become one call. Where they are registered, and what
is refused then, is the registry's affair (`functions`).
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

from statefun.context import Context
from statefun.errors import BindError
from statefun.state import State
from statefun.types import Sendable

__all__ = ["AsyncMiddleware", "Middleware"]

Middleware = Callable[[Context[State], Sendable, Callable[[], None]], None]
"""def timed(context: Context, message: Sendable, proceed: Callable[[], None]) -> None, in which proceed() goes on."""
AsyncMiddleware = Callable[[Context[State], Sendable, Callable[[], Awaitable[None]]], Awaitable[None]]
"""The same as an `async def`, which writes `await proceed()`."""

Call = Callable[[Any, Any], Any]
OffLoop = Callable[[Callable[[], object]], Awaitable[object]]

off_loop: ContextVar[OffLoop | None] = ContextVar("statefun_off_loop", default=None)
"""Where an async middleware has a plain function run: the handler says it, which knows of threads."""


class Layer(NamedTuple):
    """A middleware, and what is known of it."""

    fn: Callable[..., Any]
    is_async: bool
    described: str
    """Its name, and where it is."""


def composed(layers: Sequence[Layer], fn: Call, typename: str, described: str, *, is_async: bool) -> Call:
    """Return one call that runs the layers, the first one outermost, and then the function."""
    call, awaits = fn, is_async
    for layer in reversed(layers):
        if layer.is_async:
            call, awaits = _async_around(layer.fn, call, awaits=awaits), True
        else:
            call = _around(layer, call, typename, described)
    return call


def _around(layer: Layer, call: Call, typename: str, described: str) -> Call:
    middleware = layer.fn

    def run(context: Any, message: Any) -> Any:
        def proceed() -> None:
            result = call(context, message)
            if result is not None and isinstance(result, Awaitable):
                raise hidden(result, layer, typename, described)

        return middleware(context, message, proceed)

    return run


def _async_around(middleware: Callable[..., Any], call: Call, *, awaits: bool) -> Call:
    async def run(context: Any, message: Any) -> None:
        async def proceed() -> None:
            runner = None if awaits else off_loop.get()
            result: Any
            if runner is None:
                result = call(context, message)
            else:
                result = await runner(functools.partial(call, context, message))
            if result is not None and isinstance(result, Awaitable):
                await result

        await middleware(context, message, proceed)

    return run


def hidden(result: Any, layer: Layer, typename: str, described: str) -> BindError:
    """Say that a function around which a plain middleware is turned out to be async."""
    if hasattr(result, "close"):
        result.close()  # or Python warns that it was never awaited
    return around_async(layer, typename, described, "it gave back an awaitable")


def around_async(layer: Layer, typename: str, described: str, what: str) -> BindError:
    """Say that a plain middleware cannot be around what is awaited."""
    problem = f"{what}, and the middleware {layer.described} around it is plain: it would end before the function does"
    return BindError(typename, described, problem, "make the middleware an 'async def' that says 'await proceed()'")

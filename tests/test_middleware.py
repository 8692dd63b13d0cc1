from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from statefun import (
    AsyncRequestReplyHandler,
    Context,
    RequestReplyHandler,
    StatefulFunctions,
    skip,
    types,
)
from statefun.errors import BindError, DeclarationError
from statefun.types import Sendable
from tests.peer import BOTH, Wire, answer_of, request, typed

Proceed = Callable[[], None]
AsyncProceed = Callable[[], Awaitable[None]]
ONE = typed(types.INT64.typename, types.INT64.encode(1))
DATA = request("v3", ONE)


def answered(functions: StatefulFunctions, data: bytes = DATA) -> bytes:
    """Let a plain handler answer."""
    return RequestReplyHandler(functions)(data)


def answered_async(functions: StatefulFunctions, threads: int = 2) -> bytes:
    """Let an async handler answer."""

    async def run() -> bytes:
        return await AsyncRequestReplyHandler(functions, threads=threads)(DATA)

    return asyncio.run(run())


class App:
    """A function, and middleware that writes down when it is where."""

    def __init__(self, *, is_async: bool = False, fails: bool = False, **options: Any) -> None:
        self.log: list[str] = []
        self.functions = StatefulFunctions(**options)

        def f(context: Context, message: int) -> None:
            self.log.append("f")
            if fails:
                raise ValueError

        async def g(context: Context, message: int) -> None:
            await asyncio.sleep(0)
            f(context, message)

        self.bound = self.functions.register("example/f", g if is_async else f)

    def plain(self, name: str) -> None:
        """Register a plain middleware."""

        def around(context: Context, message: Sendable, proceed: Proceed) -> None:
            self.log.append(f"{name} in")
            proceed()
            self.log.append(f"{name} out")

        self.functions.middleware(around)

    def waiting(self, name: str) -> None:
        """Register an async middleware."""

        async def around(context: Context, message: Sendable, proceed: AsyncProceed) -> None:
            self.log.append(f"{name} in")
            await proceed()
            self.log.append(f"{name} out")

        self.functions.middleware(around)


def test_the_order() -> None:
    """The first one that is registered is the outermost, around every message of a batch."""
    app = App()
    app.plain("a")
    app.plain("b")
    answered(app.functions, request("v2", ONE, ONE))
    assert app.log == ["a in", "b in", "f", "b out", "a out"] * 2


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("threads", [0, 2])
def test_async(is_async: bool, threads: int) -> None:
    """Async middleware is around functions of both kinds."""
    app = App(is_async=is_async)
    app.waiting("a")
    app.waiting("b")
    answered_async(app.functions, threads)
    assert app.log == ["a in", "b in", "f", "b out", "a out"]


@pytest.mark.parametrize("threads", [0, 2])
def test_plain_inside_async(threads: int) -> None:
    """Plain middleware may stand inside async one, around a plain function."""
    app = App()
    app.waiting("a")
    app.plain("b")
    answered_async(app.functions, threads)
    assert app.log == ["a in", "b in", "f", "b out", "a out"]


@pytest.mark.parametrize("threads", [0, 2])
def test_plain_under_the_async_handler(threads: int) -> None:
    """Plain middleware runs where the plain function runs."""
    app = App()
    app.plain("a")
    answered_async(app.functions, threads)
    assert app.log == ["a in", "f", "a out"]


var = ContextVar("var", default="")


@pytest.mark.parametrize("threads", [0, 2])
def test_a_plain_function_keeps_its_thread(threads: int) -> None:
    """Inside async middleware a plain function does not hold up the loop, and sees the context variables."""
    functions = StatefulFunctions()
    seen: list[object] = []

    @functions.middleware
    async def around(context: Context, message: Sendable, proceed: AsyncProceed) -> None:
        var.set("set outside")
        await proceed()

    @functions.bind("example/f")
    def f(context: Context, message: int) -> None:
        seen.append((threading.current_thread() is threading.main_thread(), var.get()))

    answered_async(functions, threads)
    assert seen == [(threads == 0, "set outside")]


def test_what_it_is_called_with() -> None:
    """It gets the context of the call and the decoded message; both are the function's."""
    functions = StatefulFunctions()
    seen: list[object] = []

    @functions.middleware
    def around(context: Context, message: Sendable, proceed: Proceed) -> None:
        seen.append((context, message))
        context.pack_and_send("a/b", "c", "from the middleware")
        proceed()

    @functions.bind("example/f")
    def f(context: Context, message: int) -> None:
        seen.append((context, message))

    (sent,) = answer_of("v3", answered(functions)).sent
    assert types.STRING.decode(sent[2].value) == "from the middleware"
    assert seen[0] == seen[1]
    assert isinstance(seen[0], tuple)
    assert seen[0][1] == 1


def test_not_to_proceed() -> None:
    """A middleware that does not proceed keeps the message from the function."""
    app = App()

    @app.functions.middleware
    def refuse(context: Context, message: Sendable, proceed: Proceed) -> None:
        app.log.append("refused")

    assert answered(app.functions) == b""
    assert app.log == ["refused"]


@pytest.mark.parametrize("wire", BOTH)
def test_inside_the_failure_policy(wire: Wire) -> None:
    """What it raises is a failure of the message, and what it sent is taken back with it; each attempt runs it anew."""
    functions = StatefulFunctions(on_failure=skip)

    @functions.middleware
    def authenticated(context: Context, message: Sendable, proceed: Proceed) -> None:
        context.pack_and_send("a/b", "c", 1)
        if context.caller is None:
            raise PermissionError
        proceed()

    @functions.bind("example/f")
    def f(context: Context, message: int) -> None: ...

    assert answered(functions, request(wire, ONE)) == b""
    assert len(answer_of(wire, answered(functions, request(wire, ONE, caller=("a", "b", "c")))).sent) == 1


def test_a_failure_goes_through_it() -> None:
    """What the function raises comes out of proceed()."""
    app = App(fails=True)
    seen: list[type] = []

    @app.functions.middleware
    def around(context: Context, message: Sendable, proceed: Proceed) -> None:
        try:
            proceed()
        except ValueError as error:
            seen.append(type(error))
            raise

    with pytest.raises(ValueError, match=r"^"):
        answered(app.functions)
    assert seen == [ValueError]


def test_of_functions_bound_later() -> None:
    """It is around functions that are bound later, too; `fn` and a call of the handle stay the bare function."""
    functions = StatefulFunctions()
    log: list[str] = []

    @functions.middleware
    def around(context: Context, message: Sendable, proceed: Proceed) -> None:
        log.append("around")
        proceed()

    @functions.bind("example/f")
    def f(context: Context, message: int) -> None:
        log.append("f")

    answered(functions)
    assert log == ["around", "f"]
    context: Any = None
    f(context, 1)
    assert log == ["around", "f", "f"]


def test_it_is_given_back() -> None:
    """The decorator gives back what it took."""

    def around(context: Context, message: Sendable, proceed: Proceed) -> None: ...

    assert StatefulFunctions().middleware(around) is around


def test_without_any() -> None:
    """Without middleware, what a message runs is the function itself."""
    bound = App().bound
    assert bound.call is bound.fn


# --- what is refused ---


@pytest.mark.parametrize("first", [True, False])
def test_async_under_the_plain_handler(first: bool) -> None:
    """Async middleware under the plain handler is a BindError, when it is made or at its first request."""
    app = App()
    if first:
        app.waiting("a")

    def serve() -> None:
        handler = RequestReplyHandler(app.functions)
        app.waiting("a")
        handler(DATA)

    with pytest.raises(BindError) as raised:
        serve()
    assert str(raised.value).startswith("cannot bind 'example/f' to App.__init__.<locals>.f (test_middleware.py:")
    assert ": the middleware App.waiting.<locals>.around (test_middleware.py:" in str(raised.value)
    assert str(raised.value).endswith(
        ") around it is async, and RequestReplyHandler would never await it\n"
        "  help: serve it with AsyncRequestReplyHandler"
    )


PLAIN_AROUND = (
    " around it is plain: it would end before the function does\n"
    "  help: make the middleware an 'async def' that says 'await proceed()'"
)


def test_plain_around_async() -> None:
    """Plain middleware around an async function is a BindError, whichever comes first."""
    app = App(is_async=True)
    with pytest.raises(BindError) as raised:
        app.plain("a")
    assert "it is async, and the middleware App.plain.<locals>.around (test_middleware.py:" in str(raised.value)
    assert str(raised.value).endswith(PLAIN_AROUND)
    app = App()
    app.plain("a")

    async def g(context: Context, message: int) -> None: ...

    with pytest.raises(BindError) as raised:
        app.functions.register("example/g", g)
    assert str(raised.value).endswith(PLAIN_AROUND)
    assert "example/g" not in app.functions


def test_plain_around_async_middleware() -> None:
    """Async middleware inside plain one is refused."""
    app = App()
    app.plain("a")
    with pytest.raises(DeclarationError) as raised:
        app.waiting("b")
    assert "cannot be a middleware: it is async, and App.plain.<locals>.around (test_middleware.py:" in str(
        raised.value
    )
    assert str(raised.value).endswith(" around it is plain\n  help: register the async ones first, or make both async")


def test_hidden_async() -> None:
    """A function whose async is hidden from bind is found out under plain middleware: no failure of a message."""
    app = App(on_failure=skip)

    async def hidden(context: Context, message: int) -> None: ...

    def f(context: Context, message: int) -> Any:
        return hidden(context, message)

    app.functions.register("example/g", f)
    app.plain("a")
    with pytest.raises(BindError) as raised:
        answered_async_of(app.functions, "example/g")
    assert "it gave back an awaitable, and the middleware App.plain" in str(raised.value)
    assert str(raised.value).splitlines()[1] == PLAIN_AROUND.splitlines()[1]


def test_hidden_async_inside_async() -> None:
    """Inside async middleware it is awaited."""
    app = App()
    ran: list[int] = []

    async def hidden(context: Context, message: int) -> None:
        ran.append(message)

    def f(context: Context, message: int) -> Any:
        return hidden(context, message)

    app.functions.register("example/g", f)
    app.waiting("a")
    answered_async_of(app.functions, "example/g")
    assert ran == [1]


def answered_async_of(functions: StatefulFunctions, name: str) -> bytes:
    """Let an async handler answer for a function."""

    async def run() -> bytes:
        return await AsyncRequestReplyHandler(functions)(request("v3", ONE, function=name))

    return asyncio.run(run())


def test_after_the_first_request() -> None:
    """It is refused once a request was answered: some would not have seen it."""
    app = App()
    answered(app.functions)
    with pytest.raises(DeclarationError) as raised:
        app.plain("a")
    assert "cannot be a middleware: a request was answered already" in str(raised.value)
    assert str(raised.value).endswith("\n  help: register it before the first request")


def test_a_generator() -> None:
    """A generator function is refused: calling it would run nothing."""

    def around(context: Context, message: Sendable, proceed: Proceed) -> Any:
        yield

    with pytest.raises(DeclarationError) as raised:
        StatefulFunctions().middleware(around)
    assert str(raised.value).endswith(
        "cannot be a middleware: it is a generator function: calling it would run nothing\n"
        "  help: call proceed() where it yields"
    )


def test_other_parameters() -> None:
    """What does not take a context, a message and what runs the function is refused."""

    def around(context: Context, proceed: Proceed) -> None: ...

    with pytest.raises(DeclarationError) as raised:
        StatefulFunctions().middleware(around)  # type: ignore[type-var]
    assert str(raised.value).endswith(
        ": it cannot be called with a context, a message and what runs the function: too many positional arguments\n"
        "  help: def timed(context: Context, message: Sendable, proceed: Callable[[], None]) -> None"
    )

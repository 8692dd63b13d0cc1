"""The plain and the async handler."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from shop_pb2 import GreetRequest, Login, SeenCount

from statefun import (
    AsyncRequestReplyHandler,
    BindError,
    ConfigError,
    Context,
    RequestReplyHandler,
    State,
    StatefulFunctions,
)
from statefun.errors import ContextError, UndecodableMessage, UnexpectedMessage, UnknownFunction
from tests.peer import BOTH, Wire, answer_of, functions_of, packed, request, typed
from tests.refusals import plain, refusal

GO = packed(GreetRequest(name="go"))
wires = pytest.mark.parametrize("wire", BOTH)
Request = Callable[..., bytes]


def served(handler: AsyncRequestReplyHandler, *requests: bytes) -> list[bytes]:
    """Serve requests at the same time."""

    async def main() -> list[bytes]:
        return await asyncio.gather(*(handler(data) for data in requests))

    return asyncio.run(main())


def numbered(*numbers: int) -> list[Any]:
    """Make messages that can be told apart."""
    return [packed(SeenCount(value=number)) for number in numbers]


def echo(context: Context, message: GreetRequest) -> None:
    """Send something back."""
    context.pack_and_send("example/echo", "x", message)


async def async_echo(context: Context, message: GreetRequest) -> None:
    """Send something back, a little later."""
    await asyncio.sleep(0)
    echo(context, message)


def logged(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function so that nobody sees whether it is async."""

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return wrapper


# --- both ---


@wires
@pytest.mark.parametrize("fn", [echo, async_echo, logged(async_echo)], ids=["plain", "async", "hidden"])
@pytest.mark.parametrize("threads", [0, 1, 32])
def test_the_same_answer(wire: Wire, fn: Callable[..., Any], threads: int) -> None:
    """Whatever serves a function, and whether it is async or not, the answer to a request is the same."""
    data = request(wire, GO, GO)
    expected = RequestReplyHandler(functions_of(echo))(data)
    handler = AsyncRequestReplyHandler(functions_of(fn), threads=threads)
    assert served(handler, data, data) == [expected, expected]
    assert served(handler, data) == [expected]  # on another loop
    assert len(answer_of(wire, expected).sent) == 2


def test_one_handler_for_both_versions() -> None:
    """One handler serves both versions, from request to request."""
    handler = RequestReplyHandler(functions_of(echo))
    for wire in (*BOTH, *BOTH, "v2", "v2", "v3", "v3"):
        version: Wire = "v2" if wire == "v2" else "v3"
        assert answer_of(version, handler(request(version, GO))).sent == [("example/echo", "x", GO)]


def both(functions: StatefulFunctions) -> list[Callable[[bytes], bytes]]:
    """Make a handler of each kind."""
    asynchronous = AsyncRequestReplyHandler(functions)
    return [RequestReplyHandler(functions), lambda data: served(asynchronous, data)[0]]


@wires
def test_requests_that_nobody_serves(wire: Wire) -> None:
    """An unknown function and a message that is not accepted are refused by both handlers."""
    for handler in both(functions_of(echo)):
        data = request(wire, GO, function="example/nobody")
        assert refusal(UnknownFunction, functools.partial(handler, data)) == (
            "no function is bound to 'example/nobody' (bound: example/f)"
        )
        data = request(wire, packed(Login()))
        assert refusal(UnexpectedMessage, functools.partial(handler, data)).startswith(
            "example/f accepts GreetRequest, but got a shop.Login\n  help: "
        )
        data = request(wire, typed("type.googleapis.com/shop.GreetRequest", b"\xff"))
        assert refusal(UndecodableMessage, functools.partial(handler, data)).startswith(
            "example/f cannot read a message of 1 bytes as shop.GreetRequest: "
        )


@pytest.mark.parametrize("handler", [RequestReplyHandler, AsyncRequestReplyHandler])
@pytest.mark.parametrize("wire", ["v1", "", 3])
def test_wrong_versions(handler: Any, wire: Any) -> None:
    """There are two versions of the protocol."""
    text = f"wire is 'v2', 'v3' or None (told from each request), not {wire!r}"
    assert refusal(ConfigError, lambda: handler(StatefulFunctions(), wire=wire)) == text


@pytest.mark.parametrize("threads", [-1, None, 1.5, True, "8"])
def test_wrong_threads(threads: Any) -> None:
    """The number of threads is one, or 0."""
    assert refusal(ConfigError, lambda: AsyncRequestReplyHandler(StatefulFunctions(), threads=threads)) == (
        f"threads is a number of threads, or 0, not {threads!r}"
    )


# --- async functions under the plain handler ---

HELP = "\n  help: serve it with AsyncRequestReplyHandler"


def where(fn: Callable[..., Any]) -> str:
    """Name a function as its errors do."""
    return f"{fn.__name__} (test_handler.py:{fn.__code__.co_firstlineno})"


def test_an_async_function_at_creation() -> None:
    """A plain handler is not made for an async function: it would never be awaited."""
    assert refusal(BindError, lambda: RequestReplyHandler(functions_of(async_echo))) == (
        f"cannot bind 'example/f' to {where(async_echo)}: "
        f"it is async, and RequestReplyHandler would never await it{HELP}"
    )


def test_an_async_function_at_the_first_request() -> None:
    """The same holds for one that was bound after the handler was made, before anything is run."""
    functions = functions_of(echo)
    handler = RequestReplyHandler(functions)
    functions.register("example/late", async_echo)
    for _ in range(2):
        assert refusal(BindError, lambda: handler(request("v3", GO))) == (
            f"cannot bind 'example/late' to {where(async_echo)}: "
            f"it is async, and RequestReplyHandler would never await it{HELP}"
        )


class Pending:
    """Something to await that is no coroutine."""

    def __await__(self) -> Generator[Any, None, None]:
        yield


@pytest.mark.parametrize("what", ["coroutine", "awaitable"])
def test_an_async_function_behind_a_decorator(what: str) -> None:
    """What a decorator hid is refused on its first message, and is closed: nothing warns that it was not awaited."""
    calls: list[str] = []

    def hidden(context: Context, message: GreetRequest) -> Awaitable[None]:
        calls.append(message.name)
        return async_echo(context, message) if what == "coroutine" else Pending()

    handler = RequestReplyHandler(functions_of(hidden))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = refusal(BindError, lambda: handler(request("v3", GO, GO)))
    assert text.endswith(f"it gave back an awaitable, and RequestReplyHandler would never await it{HELP}")
    assert calls == ["go"]


# --- plain functions under the async handler ---


def test_one_hop_a_request() -> None:
    """The plain functions of a request run in one thread, not the loop's, all its messages in order."""
    seen: list[tuple[int, int]] = []

    def f(context: Context, message: SeenCount) -> None:
        seen.append((message.value, threading.get_ident()))

    handler = AsyncRequestReplyHandler(functions_of(f))
    served(handler, request("v3", *numbered(*range(20))))
    assert [number for number, _ in seen] == list(range(20))
    (thread,) = {thread for _, thread in seen}
    assert thread != threading.get_ident()


def test_no_threads() -> None:
    """With threads=0 they run on the loop."""
    seen: list[int] = []

    def f(context: Context, message: SeenCount) -> None:
        seen.append(threading.get_ident())

    handler = AsyncRequestReplyHandler(functions_of(f), threads=0)
    served(handler, request("v3", *numbered(1, 2)))
    assert seen == [threading.get_ident()] * 2
    assert handler._pool is None


def test_blocking_without_threads() -> None:
    """With threads=0 a function that is bound with blocking=True still gets a thread."""
    seen: list[int] = []
    functions = StatefulFunctions()

    @functions.bind("example/f", blocking=True)
    def f(context: Context, message: SeenCount) -> None:
        seen.append(threading.get_ident())

    served(AsyncRequestReplyHandler(functions, threads=0), request("v3", *numbered(1, 2)))
    (thread,) = set(seen)
    assert (thread != threading.get_ident(), len(seen)) == (True, 2)
    RequestReplyHandler(functions)(request("v3", *numbered(3)))
    assert seen[2] == threading.get_ident()


def test_requests_at_the_same_time() -> None:
    """Requests of different addresses run at the same time, up to the number of threads."""
    barrier = threading.Barrier(3, timeout=10)

    def f(context: Context, message: SeenCount) -> None:
        barrier.wait()

    handler = AsyncRequestReplyHandler(functions_of(f), threads=3)
    served(handler, *(request("v3", *numbered(1), identity=id) for id in "abc"))


def test_the_number_of_threads_is_a_bound() -> None:
    """No more requests than threads are worked on at once; the others wait for theirs."""
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def f(context: Context, message: SeenCount) -> None:
        with lock:
            running.append(message.value)
            most.append(len(running))
        time.sleep(0.01)
        with lock:
            running.remove(message.value)

    handler = AsyncRequestReplyHandler(functions_of(f), threads=2)
    served(handler, *(request("v3", *numbered(number), identity=str(number)) for number in range(8)))
    assert len(most) == 8
    assert max(most) == 2


def test_the_loop_goes_on() -> None:
    """A plain function that blocks does not hold up the loop."""
    released = threading.Event()

    async def main() -> None:
        reached, loop = asyncio.Event(), asyncio.get_running_loop()

        def f(context: Context, message: SeenCount) -> None:
            loop.call_soon_threadsafe(reached.set)
            assert released.wait(10)

        handler = AsyncRequestReplyHandler(functions_of(f))
        task = asyncio.ensure_future(handler(request("v3", *numbered(1))))
        await reached.wait()
        released.set()  # which nobody could do if the function blocked the loop
        assert await task == b""

    asyncio.run(main())


VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE")


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("hidden", [False, True])
def test_context_variables(threads: int, *, hidden: bool) -> None:
    """What a server noted in a context variable is there in the function, wherever it runs."""
    seen: list[str] = []

    def f(context: Context, message: SeenCount) -> None:
        seen.append(VARIABLE.get())

    async def g(context: Context, message: SeenCount) -> None:
        f(context, message)

    async def one(handler: AsyncRequestReplyHandler, name: str) -> None:
        VARIABLE.set(name)
        await handler(request("v3", *numbered(1, 2)))

    async def main() -> None:
        handler = AsyncRequestReplyHandler(functions_of(logged(g) if hidden else f), threads=threads)
        await asyncio.gather(*(one(handler, name) for name in ("a", "b")))

    asyncio.run(main())
    assert sorted(seen) == ["a", "a", "b", "b"]


# --- async functions ---


def test_async_functions_stay_on_the_loop() -> None:
    """An async function runs on the loop, message after message."""
    seen: list[Any] = []

    async def f(context: Context, message: SeenCount) -> None:
        seen.append((message.value, "begin", threading.get_ident()))
        await asyncio.sleep(0.002 * (3 - message.value))
        seen.append((message.value, "end", threading.get_ident()))

    served(AsyncRequestReplyHandler(functions_of(f)), request("v3", *numbered(1, 2, 3)))
    assert [what[:2] for what in seen] == [(n, what) for n in (1, 2, 3) for what in ("begin", "end")]
    assert {thread for *_, thread in seen} == {threading.get_ident()}


def test_async_requests_at_the_same_time() -> None:
    """Requests of different addresses take turns while they wait."""
    seen: list[str] = []

    async def main() -> None:
        turn = asyncio.Event()

        async def f(context: Context, message: SeenCount) -> None:
            seen.append(context.address.identity)
            if len(seen) == 2:
                turn.set()
            await turn.wait()

        handler = AsyncRequestReplyHandler(functions_of(f))
        await asyncio.gather(*(handler(request("v3", *numbered(1), identity=id)) for id in "ab"))

    asyncio.run(main())
    assert sorted(seen) == ["a", "b"]


def test_what_a_decorator_hid_stays_on_the_loop_from_then_on() -> None:
    """An async function that a decorator hid is awaited; the handler learns what it is."""
    threads: list[int] = []

    @logged
    async def hidden(context: Context, message: SeenCount) -> None:
        await asyncio.sleep(0)
        threads.append(threading.get_ident())

    functions = functions_of(hidden)
    handler = AsyncRequestReplyHandler(functions)
    known = [functions["example/f"].is_async]
    for _ in range(2):
        served(handler, request("v3", *numbered(1, 2)))
        known.append(functions["example/f"].is_async)
    assert known == [False, True, True]
    assert set(threads) == {threading.get_ident()}


def test_a_function_that_gives_back_both() -> None:
    """A function may await for one message and not for the next: the order is kept."""
    seen: list[int] = []

    def f(context: Context, message: SeenCount) -> Awaitable[None] | None:
        async def later() -> None:
            await asyncio.sleep(0.001)
            seen.append(message.value)

        if message.value % 2:
            return later()
        seen.append(message.value)
        return None

    for threads in (0, 2):
        seen.clear()
        served(AsyncRequestReplyHandler(functions_of(f), threads=threads), request("v3", *numbered(*range(6))))
        assert seen == list(range(6))


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("what", ["plain", "async", "hidden"])
def test_what_a_function_raises(what: str, threads: int) -> None:
    """A user's own exception comes out of the async handler unchanged, whatever ran the function."""
    raised = KeyError("mine")

    def f(context: Context, message: SeenCount) -> None:
        if message.value == 2:
            raise raised

    async def g(context: Context, message: SeenCount) -> None:
        await asyncio.sleep(0)
        f(context, message)

    fn = {"plain": f, "async": g, "hidden": logged(g)}[what]
    with pytest.raises(KeyError) as caught:
        served(AsyncRequestReplyHandler(functions_of(fn), threads=threads), request("v3", *numbered(1, 2, 3)))
    assert caught.value is raised
    found = getattr(raised, "__notes__", ["statefun: example/f/x, message 2 of 3 (shop.SeenCount)"])
    assert found == ["statefun: example/f/x, message 2 of 3 (shop.SeenCount)"]


def test_an_async_function_that_goes_on() -> None:
    """An exception that an async function catches by itself is none of the handler's."""

    async def f(context: Context, message: SeenCount) -> None:
        try:
            await asyncio.wait_for(asyncio.sleep(10), 0.001)
        except asyncio.TimeoutError:
            context.pack_and_send("a/b", "timeout", 1)

    (reply,) = served(AsyncRequestReplyHandler(functions_of(f)), request("v3", *numbered(1)))
    assert [id for _, id, _ in answer_of("v3", reply).sent] == ["timeout"]


def test_cancellation() -> None:
    """A request whose client is gone can be cancelled: the function is, and its context ends."""
    kept: list[Context] = []

    async def main() -> None:
        waiting = asyncio.Event()

        async def f(context: Context, message: SeenCount) -> None:
            kept.append(context)
            waiting.set()
            await asyncio.sleep(10)

        task = asyncio.ensure_future(AsyncRequestReplyHandler(functions_of(f))(request("v3", *numbered(1, 2))))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert len(kept) == 1
    assert refusal(ContextError, lambda: kept[0].address)


class Counts(State):
    """A State to share among the messages of a batch."""

    visits: int = 0


@pytest.mark.parametrize("threads", [0, 1])
def test_state_under_the_async_handler(threads: int) -> None:
    """The handshake and the state of a batch are the same under the async handler, for both kinds of function."""

    def f(context: Context[Counts], message: SeenCount) -> None:
        context.state.visits += message.value

    async def g(context: Context[Counts], message: SeenCount) -> None:
        await asyncio.sleep(0)
        f(context, message)

    for fn in (f, g):
        handler = AsyncRequestReplyHandler(functions_of(fn), threads=threads)
        (reply,) = served(handler, request("v3", *numbered(1, 2)))
        assert answer_of("v3", reply).missing == [("visits", "io.statefun.types/long", "NONE", 0)]
        (reply,) = served(handler, request("v3", *numbered(1, 2), states={"visits": None}))
        assert answer_of("v3", reply).states == {"visits": typed("io.statefun.types/long", b"\x09\x03" + bytes(7))}


def test_undeclared_state_under_the_async_handler() -> None:
    """A name that a function touches first in the middle of an await is asked for, too."""

    async def f(context: Context, message: SeenCount) -> None:
        await asyncio.sleep(0)
        context["a"] = packed(message)

    (reply,) = served(AsyncRequestReplyHandler(functions_of(f)), request("v3", *numbered(1, 2)))
    assert [name for name, *_ in answer_of("v3", reply).missing or []] == ["a"]


def test_many_threads_and_one_function() -> None:
    """What is remembered about a function serves requests that come at once, with their states in any order."""

    def f(context: Context[Counts], message: SeenCount) -> None:
        for _ in range(3):
            context.state.visits += 1
            time.sleep(0)

    handler = AsyncRequestReplyHandler(functions_of(f), threads=8)
    orders = [["visits"], ["visits", "b"], ["a", "visits"], ["a", "b", "visits"]]
    requests = [
        request(wire, *numbered(1), identity=str(number), states=dict.fromkeys(orders[number % 4]))
        for number in range(40)
        for wire in BOTH
    ]
    replies = served(handler, *requests)
    for number, reply in enumerate(replies):
        assert answer_of(BOTH[number % 2], reply).states == {
            "visits": typed("io.statefun.types/long", b"\x09\x03" + bytes(7))
        }


def test_a_function_without_hints() -> None:
    """A function of 2.x, which has no hints, is served as any other."""
    assert RequestReplyHandler(functions_of(plain))(request("v2", GO)) == b""

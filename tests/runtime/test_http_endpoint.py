"""Functions behind HTTP: what is sent, what is retried, and servers that are slow, rude or gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typing_extensions import Self

from statefun import AsyncRequestReplyHandler, ConfigError, Context, MessageEgress, State, StatefulFunctions
from statefun._clock import WallClock
from statefun.runtime._driver import Driver
from statefun.runtime._engine import Engine
from statefun.runtime._http_endpoint import HttpEndpoint, Route, Transport
from statefun.runtime._memory import MemoryStore
from statefun.runtime._plans import StateSpec
from statefun.runtime._pump import CallError, Pump
from statefun.runtime._requests import argument

OUT = MessageEgress[str]("t/out")
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """An HTTP server of a test."""

    def __init__(self, serve: Serve, path: Path | None = None) -> None:
        self._app = web.Application(client_max_size=1 << 30)
        self._app.router.add_route("*", "/{any:.*}", serve)
        self._path = path
        self.port = 0

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(self._app)
        await self._runner.setup()
        if self._path is not None:
            await web.UnixSite(self._runner, str(self._path)).start()
        else:
            site = web.TCPSite(self._runner, "127.0.0.1", 0)
            await site.start()
            self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"http://127.0.0.1:{self.port}/fn"


def octets(data: bytes = b"", **more: object) -> web.Response:
    """Return a good answer."""
    return web.Response(body=data, content_type="application/octet-stream", **more)  # type: ignore[arg-type]


async def call(url: str, request: bytes = b"r", **options: Any) -> bytes:
    """Call a function once."""
    transport = Transport(**options)
    endpoint = HttpEndpoint([Route(namespace="t", name=None, url=url, transport=transport)])
    try:
        return await endpoint.call("t/f", request)
    finally:
        await endpoint.close()


def test_what_is_sent() -> None:
    """A request is a POST of octets with a length, and its answer is the reply."""
    seen: list[web.Request] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append(request)
        return octets(await request.read() + b"!")

    async def go() -> None:
        async with Server(serve) as server:
            assert await call(f"{server.url}/{{function.name}}?a=b", b"hello") == b"hello!"

    asyncio.run(go())
    (request,) = seen
    assert (request.method, request.path_qs) == ("POST", "/fn/f?a=b")
    assert request.headers["Content-Type"] == "application/octet-stream"
    assert request.headers["Content-Length"] == "5"
    assert request.headers["User-Agent"] == "statefun"


def test_unix(tmp_path: Path) -> None:
    """A unix socket is asked for what is behind it as one segment, as the real runtime does."""
    seen: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return octets(b"yes")

    async def go() -> None:
        socket = tmp_path / "fn.sock"
        async with Server(serve, socket):
            assert await call(f"http+unix://{socket}/serve/path") == b"yes"
            assert await call(f"http+unix://{socket}") == b"yes"

    asyncio.run(go())
    assert seen == ["/%2Fserve%2Fpath", "/%2F"]


@pytest.mark.parametrize("kind", ["okhttp", "async"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_retried(kind: str, status: int) -> None:
    """Overload and server errors are tried again, by both transports."""
    answers = [status, status, 200]

    async def serve(_request: web.Request) -> web.Response:
        return octets(status=answers.pop(0))

    async def go() -> None:
        async with Server(serve) as server:
            assert await call(server.url, kind=kind) == b""

    asyncio.run(go())
    assert answers == []


def outcome(serve: Serve, **options: Any) -> str:
    """Return the error of a call."""

    async def go() -> str:
        async with Server(serve) as server:
            with pytest.raises(CallError) as caught:
                await call(server.url, **options)
            return str(caught.value).replace(server.url, "URL")

    return asyncio.run(go())


@pytest.mark.parametrize("status", [400, 404, 302])
def test_not_retried(status: int) -> None:
    """Okhttp gives up at once at what is the request's fault, async tries it all again; redirects are not followed."""
    count = 0

    async def serve(_request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        return octets(status=status, headers={"Location": "/other"})

    assert outcome(serve, kind="okhttp") == f"it answered with HTTP {status}, which this transport does not retry"
    assert count == 1
    assert outcome(serve, kind="async", call=0.5) == f"URL: it answered with HTTP {status}, and so it went for 0.5 s"
    assert count > 3


def test_content_type() -> None:
    """The content type of an answer has no parameters; async takes one of several."""

    async def serve(_request: web.Request) -> web.Response:
        return web.Response(body=b"", headers={"Content-Type": "application/octet-stream; charset=utf-8"})

    error = (
        "it answered with the content type 'application/octet-stream; charset=utf-8', "
        "which must be 'application/octet-stream'"
    )
    assert outcome(serve, kind="okhttp") == error
    assert outcome(serve, kind="async", call=0.5) == f"URL: {error}, and so it went for 0.5 s"


def test_slow() -> None:
    """A server that takes longer than the call may is given up."""

    async def serve(_request: web.Request) -> web.Response:
        await asyncio.sleep(1)
        return octets()

    assert outcome(serve, call=0.1) == "URL did not answer within 0.1 s"


def test_rude() -> None:
    """A server that hangs up half-way through its answer is tried again."""
    answers = ["hang up", "hang up", "yes"]

    async def serve(request: web.Request) -> web.StreamResponse:
        if answers.pop(0) == "yes":
            return octets(b"yes")
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream", "Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    async def go() -> None:
        async with Server(serve) as server:
            assert await call(server.url) == b"yes"

    asyncio.run(go())


def test_too_large() -> None:
    """A reply that is larger than allowed is refused."""

    async def serve(_request: web.Request) -> web.Response:
        return octets(bytes(1_001))

    assert outcome(serve, largest=1_000, call=0.5) == (
        "URL: a reply of 1,001 bytes is larger than 1,000, and so it went for 0.5 s"
    )


def test_nobody() -> None:
    """A server that is not there is tried until the call has taken too long."""

    async def go() -> str:
        with pytest.raises(CallError) as caught:
            await call("http://127.0.0.1:9/fn", call=0.05)
        return str(caught.value)

    assert asyncio.run(go()).startswith("http://127.0.0.1:9/fn: ClientConnectorError: ")


def test_routes() -> None:
    """A route of a function goes before the one of its namespace."""
    states = (StateSpec(name="s"),)
    endpoint = HttpEndpoint([
        Route(namespace="t", name=None, url="http://h/all", max_batch=7),
        Route(namespace="t", name="f", url="http://h/one", states=states),
    ])  # fmt: skip
    one, other = endpoint.find("t", "f"), endpoint.find("t", "g")
    assert one is not None
    assert one.states == states
    assert other is not None
    assert other.max_batch == 7
    assert endpoint.find("u", "f") is None


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (
            "ftp://h/x",
            (
                "'ftp://h/x' is no URL of an endpoint\n"
                "  help: e.g. http://localhost:8000/statefun or http+unix:///run/app/fn.sock/statefun"
            ),
        ),
        ("http+unix:///run/x", "'http+unix:///run/x': the path of a unix socket has a part that ends in .sock"),
    ],
)  # fmt: skip
def test_a_bad_url(url: str, error: str) -> None:
    """A URL that cannot be one is refused at the start."""
    with pytest.raises(ConfigError) as caught:
        HttpEndpoint([Route(namespace="t", name=None, url=url)])
    assert str(caught.value) == error


class Kept(State):
    """What is counted."""

    n: int = 0


def counting() -> StatefulFunctions:
    """Return an app that counts and passes on."""
    functions = StatefulFunctions()

    @functions.bind("t/second")
    def second(context: Context[Kept], message: str) -> None:
        context.state.n += 1
        context.send_egress(OUT, f"{context.address.identity} {message} {context.state.n}")

    @functions.bind("t/first")
    async def first(context: Context[Kept], message: str) -> None:
        context.state.n += 1
        context.send(second.at(message), f"{context.address.identity}{context.state.n}")

    return functions


@pytest.mark.parametrize("wire", ["v2", "v3"])
def test_the_same_results(wire: str) -> None:
    """The same app gives the same results over HTTP as in process, on both wires, though its server restarts."""
    handler = AsyncRequestReplyHandler(counting())
    calls = 0

    async def serve(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        if calls % 4 == 0:
            return octets(status=503)
        return octets(await handler(await request.read()))

    async def go() -> list[bytes]:
        async with Server(serve) as server:
            states = (StateSpec(name="n"),) if wire == "v2" else ()
            endpoint = HttpEndpoint([Route(namespace="t", name=None, url=server.url, states=states)])
            store = MemoryStore()
            engine = Engine(endpoint.find, store.start(), wire=wire)  # type: ignore[arg-type]  # one of the two
            driver = Driver(Pump(engine, store, endpoint), WallClock(), exit_at_end=True)
            driver._turn()  # reads what the store has: nothing
            plan = engine.plan("t/first")
            assert plan is not None
            for number in range(60):
                data = b"\x0a\x01" + bytes([97 + number % 3])
                engine.feed(plan, str(number % 5), argument("io.statefun.types/string", data, wire))  # type: ignore[arg-type]
            await driver.run()
            await endpoint.close()
            assert not store.list_failures()
            return sorted(row.value for row in store.list_records(None, 0, 1_000))

    records = asyncio.run(go())
    assert len(records) == 60
    assert len({record.split()[-1] for record in records}) == 20

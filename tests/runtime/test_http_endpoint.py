"""Functions behind HTTP: what is sent, what is retried, and servers that are slow, rude or gone."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typing_extensions import Self

from statefun import AsyncRequestReplyHandler, ConfigError, Context, MessageEgress, State, StatefulFunctions
from statefun._clock import WallClock
from statefun.module import read
from statefun.runtime import Runtime
from statefun.runtime._driver import Driver
from statefun.runtime._engine import Engine
from statefun.runtime._http_endpoint import HttpEndpoint, Route, Transport
from statefun.runtime._memory import MemoryStore
from statefun.runtime._plans import StateSpec, Wire
from statefun.runtime._pump import CallError, Pump
from statefun.runtime._requests import argument
from statefun.runtime._surroundings import routes
from statefun.types import INT64, STRING
from tests.certificates import make_certificates, openssl
from tests.runtime.rig import V2

OUT = MessageEgress[str]("t/out")
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """An HTTP server of a test."""

    def __init__(
        self, serve: Serve, path: Path | None = None, tls: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        self._app = web.Application(client_max_size=1 << 30)
        self._app.router.add_route("*", "/{any:.*}", serve)
        self._path = path
        self._tls = tls
        self.port = port

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(self._app)
        await self._runner.setup()
        if self._path is not None:
            await web.UnixSite(self._runner, str(self._path)).start()
        else:
            site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls)
            await site.start()
            self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/fn"


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
    assert request.headers["Accept"] == "application/octet-stream"
    assert set(request.headers["Accept-Encoding"].replace(" ", "").split(",")) >= {"gzip", "deflate"}
    assert request.version == (1, 1)


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
@pytest.mark.parametrize("status", [408, 409, 420, 429, 499, 500, 502, 503, 504, 599])
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


@pytest.mark.parametrize("status", [304, 400, 401, 403, 404, 413, 302])
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


@pytest.mark.parametrize("kind", ["okhttp", "async"])
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_answer(kind: str, coding: str) -> None:
    """An answer may be compressed; what it may hold at most is counted after that."""

    async def serve(_request: web.Request) -> web.Response:
        answer = octets(b"x" * 10_000)
        answer.enable_compression(web.ContentCoding(coding))
        return answer

    async def go() -> None:
        async with Server(serve) as server:
            assert await call(server.url, kind=kind, largest=10_000) == b"x" * 10_000

    asyncio.run(go())
    assert outcome(serve, kind=kind, largest=9_999, call=0.3) == (
        "URL: a reply is larger than 9,999 bytes, and so it went for 0.3 s"
    )


def test_several_content_types() -> None:
    """Async takes an answer whose content types, in any case, are among others the right one."""

    async def serve(_request: web.Request) -> web.Response:
        return web.Response(body=b"yes", headers={"Content-Type": "text/plain, Application/Octet-Stream"})

    async def go() -> None:
        async with Server(serve) as server:
            assert await call(server.url) == b"yes"

    asyncio.run(go())
    assert outcome(serve, kind="okhttp").startswith("it answered with the content type 'text/plain, Appl")


def test_read_and_write_limits() -> None:
    """OkHttp limits each part: one of the answer that does not come, one of the request that nobody takes."""
    attempts: list[float] = []

    async def halts(request: web.Request) -> web.StreamResponse:
        attempts.append(time.monotonic())
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        await response.write(b"half")
        await asyncio.sleep(0.6)
        return response

    late = "URL: it took too long, and so it went for 0.5 s"
    assert outcome(halts, kind="okhttp", read=0.1, call=0.5) == late
    assert len(attempts) >= 3
    assert attempts[1] - attempts[0] < 0.3

    async def deaf() -> str:
        with socket.create_server(("127.0.0.1", 0)) as server:  # nobody takes a connection, the system keeps some bytes
            url = f"http://127.0.0.1:{server.getsockname()[1]}/fn"
            with pytest.raises(CallError) as caught:
                await call(url, bytes(64 << 20), kind="okhttp", write=0.1, call=0.25)
            return str(caught.value).replace(url, "URL")

    assert asyncio.run(deaf()) == ("URL: a part of the request was not taken within 0.1 s, and so it went for 0.25 s")


@pytest.mark.parametrize("size", [1 << 16, 1 << 20, 64 << 20])
def test_a_large_request_in_parts(size: int) -> None:
    """A request with a limit for each part arrives whole, with its length."""
    seen: list[str | None] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Content-Length"))
        return octets(str(len(await request.read())).encode())

    async def go() -> None:
        async with Server(serve) as server:
            for kind in ("okhttp", "async"):
                write = 5.0 if kind == "okhttp" else None
                assert await call(server.url, bytes(size), kind=kind, write=write) == str(size).encode()

    asyncio.run(go())
    assert seen == [str(size)] * 2


def test_the_longest_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between attempts double, up to 5 s."""
    waits: list[float] = []
    now = [0.0]

    async def pass_by(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    async def serve(_request: web.Request) -> web.Response:
        return octets(status=500)

    async def go() -> None:
        async with Server(serve) as server:
            with monkeypatch.context() as patched:
                patched.setattr("statefun.runtime._http_endpoint.asyncio.sleep", pass_by)
                patched.setattr("statefun.runtime._http_endpoint.time.monotonic", lambda: now[0])
                with pytest.raises(CallError):
                    await call(server.url, call=60.0)

    asyncio.run(go())
    assert waits[:4] == [0.004, 0.008, 0.016, 0.032]
    assert max(waits) == 5.0
    assert 55 < sum(waits) < 60


# --- TLS ---


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority, certificates of it, and the client's key with a password."""
    folder = make_certificates(tmp_path_factory.mktemp("tls"))
    openssl(folder, "pkcs8", "-topk8", "-in", "client.key", "-out", "client.p8", "-passout", "pass:secret")
    (folder / "password").write_text("secret")
    (folder / "line").write_text("secret\n")
    return folder


TRUST = "trust_cacerts: ca.pem"
OWN = "client_cert: client.pem, client_key: client.p8, client_key_password: password"


def module_of(folder: Path, url: str, transport: str) -> Path:
    """Write a module.yaml with one endpoint."""
    path = folder / "module.yaml"
    path.write_text(
        "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: t/*\n"
        f"  urlPathTemplate: {url}\n  transport: {{call: 300ms, {transport}}}\n"
    )
    return path


def told(folder: Path, transport: str, *, asks: bool) -> str:
    """Call a function over TLS as a module.yaml says; return the reply or the error."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    tls.load_cert_chain(folder / "server.pem", folder / "server.key")
    tls.verify_mode = ssl.CERT_REQUIRED if asks else ssl.CERT_NONE

    async def serve(_request: web.Request) -> web.Response:
        return octets(b"yes")

    async def go() -> str:
        async with Server(serve, tls=tls) as server:
            endpoint = HttpEndpoint(routes(read(str(module_of(folder, server.url, transport)))))
            try:
                return (await endpoint.call("t/f", b"r")).decode()
            except CallError as error:
                return str(error).replace(server.url, "URL")
            finally:
                await endpoint.close()

    return asyncio.run(go())


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # asyncio's of 3.10, though it closes them
def test_tls(certificates: Path) -> None:
    """The authority, the certificate and the key with its password are those that module.yaml names."""
    assert told(certificates, TRUST, asks=False) == "yes"
    assert told(certificates, f"{TRUST}, {OWN}", asks=True) == "yes"
    uri = (certificates / "ca.pem").as_uri()
    assert told(certificates, f"trust_cacerts: '{uri}'", asks=False) == "yes"
    assert "certificate verify failed" in told(certificates, "pool_size: 1", asks=False)
    assert told(certificates, TRUST, asks=True).startswith("URL: ")


@pytest.mark.parametrize(
    ("transport", "error"),
    [
        ("trust_cacerts: none.pem", "trust_cacerts: there is no file {folder}/none.pem"),
        (
            "trust_cacerts: classpath:ca.pem",
            (
                "trust_cacerts: 'classpath:ca.pem' is a place in a jar, which only a cluster has\n"
                "  help: name a file, e.g. file:/etc/statefun/ca.pem"
            ),
        ),
        ("trust_cacerts: san", "trust_cacerts: {folder}/san is not PEM certificates: "),
        (
            OWN.replace("client.p8", "server.key"),
            "client_cert and client_key: {folder}/client.pem is not a certificate with its key: KEY_VALUES_MISMATCH",
        ),
        (
            OWN.replace(": password", ": line"),
            "client_cert and client_key: {folder}/client.pem is not a certificate with its key: ",
        ),
        (OWN.replace(": password", ": gone"), "client_key_password: there is no file {folder}/gone"),
    ],
)
def test_bad_certificates(certificates: Path, transport: str, error: str) -> None:
    """A file that is not there, or is not what it should be, is refused at the start."""
    with pytest.raises(ConfigError) as caught:
        HttpEndpoint(routes(read(str(module_of(certificates, "https://127.0.0.1:1/", transport)))))
    assert str(caught.value).startswith(error.format(folder=certificates))
    if "line" in transport:
        assert str(caught.value).endswith("\n  help: the password is the whole file, and it ends with a new line")


def test_what_module_yaml_says_of_transports(tmp_path: Path) -> None:
    """Every limit of a transport is the one of the file, or the runtime's own default."""
    (tmp_path / "module.yaml").write_text(
        "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: t/f\n  urlPathTemplate: http://h/\n"
        "  transport:\n    type: io.statefun.transports.v1/okhttp\n"
        "    timeouts: {call: 20s, connect: 1s, read: 2s, write: 3s}\n"
        "---\nkind: io.statefun.endpoints.v2/http\nspec: {functions: t/g, urlPathTemplate: http://h/}\n"
        "---\nkind: io.statefun.endpoints.v1/http\nspec: {functions: t/h, urlPathTemplate: http://h/}\n"
    )
    module = read(str(tmp_path / "module.yaml"))
    okhttp = {"kind": "okhttp", "pool_ttl": 300.0, "largest": 1 << 31}
    said = Transport(call=20.0, connect=1.0, read=2.0, write=3.0, **okhttp)  # type: ignore[arg-type]
    old = Transport(call=60.0, connect=10.0, read=10.0, write=10.0, **okhttp)  # type: ignore[arg-type]
    assert [route.transport for route in routes(module)] == [said, Transport(), old]
    assert {route.transport.call for route in routes(module, 7.0)} == {7.0}


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


async def results(driver: Driver, wire: Wire) -> tuple[list[str], dict[str, int]]:
    """Send 60 messages; return what the second function was told how often, and every count."""
    driver._turn()  # reads what the store has: nothing
    plan = driver.engine.plan("t/first")
    assert plan is not None
    for number in range(60):
        text = b"\x0a\x01" + bytes([97 + number % 3])
        driver.engine.feed(plan, str(number % 5), argument("io.statefun.types/string", text, wire))
    await driver.run()
    store = driver.store
    assert not store.list_failures()
    # which of two senders was first is nobody's promise: who was sent something, and which count it got, is
    records = [STRING.decode(row.value).split() for row in store.list_records(None, 0, 1_000)]
    told = sorted(f"{to} {count}" for to, _, count in records) + sorted(f"{to} {text}" for to, text, _ in records)
    rows = store.list_states(None, None, 0, None, 1_000)
    return told[:60], {f"{row.function}/{row.id}": count_of(row.value, wire) for row in rows}


def test_a_server_that_vanishes() -> None:
    """A server that goes away in the middle of its answers, and comes back a while later, costs nothing but time."""
    handler = AsyncRequestReplyHandler(counting())
    gone = asyncio.Event()
    calls = 0

    async def serve(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        reply = await handler(await request.read())
        if calls > 3 and not gone.is_set():
            gone.set()
        if gone.is_set() and calls < 8:
            assert request.transport is not None
            request.transport.abort()  # the reply is made, and never arrives
        return octets(reply)

    async def go() -> tuple[list[str], dict[str, int]]:
        async with Server(serve) as server:
            port = server.port
            endpoint = HttpEndpoint([Route(namespace="t", name=None, url=server.url)])
            store = MemoryStore()
            engine = Engine(endpoint.find, store.start())
            driver = Driver(Pump(engine, store, endpoint), WallClock(), exit_at_end=True)
            running = asyncio.ensure_future(results(driver, "v3"))
            await gone.wait()
        await asyncio.sleep(0.3)
        async with Server(serve, port=port):
            found = await running
        await endpoint.close()
        return found

    records, states = asyncio.run(asyncio.wait_for(go(), 30))
    assert (len(records), sorted(states.values())) == (60, [12] * 5 + [20] * 3)


def count_of(value: bytes, wire: Wire) -> int:
    """Read a count; what 2.x stores is an Any."""
    return INT64.decode(V2.Value.FromString(value).value if wire == "v2" else value)


@pytest.mark.parametrize("wire", ["v2", "v3"])
def test_the_same_results(wire: Wire, tmp_path: Path) -> None:
    """The same app gives the same results over HTTP as in process, on both wires, though its server restarts."""
    handler = AsyncRequestReplyHandler(counting())
    calls = 0

    async def serve(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        if calls % 4 == 0:
            return octets(status=503)
        return octets(await handler(await request.read()))

    async def go() -> tuple[list[str], dict[str, int]]:
        async with Server(serve) as server:
            states = (StateSpec(name="n"),) if wire == "v2" else ()
            endpoint = HttpEndpoint([Route(namespace="t", name=None, url=server.url, states=states)])
            store = MemoryStore()
            engine = Engine(endpoint.find, store.start(), wire=wire)
            driver = Driver(Pump(engine, store, endpoint), WallClock(), exit_at_end=True)
            found = await results(driver, wire)
            await endpoint.close()
            return found

    with Runtime.in_process(counting(), tmp_path, wire=wire) as runtime:
        inside = asyncio.run(results(Driver(runtime.pump, WallClock(), exit_at_end=True), wire))
    assert asyncio.run(go()) == inside
    records, states = inside
    assert (len(records), sorted(states.values())) == (60, [12] * 5 + [20] * 3)
    assert calls > 10

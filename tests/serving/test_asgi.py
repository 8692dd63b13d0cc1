"""The ASGI door, on uvicorn and httptools, in FastAPI and in Starlette."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import re
import socket
import threading
from collections.abc import Awaitable, Iterator
from datetime import timedelta
from typing import Any, cast

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from statefun import AsyncRequestReplyHandler, Context, RequestReplyHandler, StatefulFunctions
from statefun.errors import ConfigError
from statefun.serving import AsgiDoor
from tests.peer import BOTH, Wire, answer_of
from tests.served import CALLER, OCTETS, Got, Running, app_functions, ask, call, got, until, uvicorn_running, visit


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve the app as it is mounted by nobody."""
    with uvicorn_running(AsgiDoor(app_functions())) as server:
        yield server.port


class Fixed:
    """What answers every request with the same bytes, after it was let go on."""

    functions = app_functions()

    def __init__(self, reply: bytes = b"", go_on: threading.Event | None = None) -> None:
        self.reply = reply
        self.go_on = go_on
        self.seen: list[bytes] = []

    async def __call__(self, request: bytes, /) -> bytes:
        """Answer."""
        self.seen.append(request)
        while self.go_on is not None and not self.go_on.is_set():  # noqa: ASYNC110 -- of another thread
            await asyncio.sleep(0.005)
        return self.reply


@pytest.mark.parametrize("wire", BOTH)
def test_call(wire: Wire, port: int) -> None:
    """A call is answered with the bytes of the handler, under the exact content type."""
    answer = ask(port, visit(wire))
    assert (answer.status, answer.content_type) == (200, OCTETS)
    assert answer.headers["content-length"] == str(len(answer.body))
    assert [identity for _, identity, _ in answer_of(wire, answer.body).sent] == ["f1"]


def test_empty_reply() -> None:
    """A reply without bytes is a reply: 200, with its content type and a length of 0."""
    with uvicorn_running(AsgiDoor(Fixed(b""))) as server:
        answer = ask(server.port, b"x")
    assert (answer.status, answer.content_type, answer.headers["content-length"]) == (200, OCTETS, "0")


@pytest.mark.parametrize("chunked", [False, True])
def test_large(port: int, chunked: bool) -> None:
    """A payload of 64 MiB goes through, there and back, in one piece or in chunks."""
    body = call("example/echo", "statefun.python/bytes", bytes(64 << 20))
    parts = (body[at : at + (1 << 20)] for at in range(0, len(body), 1 << 20))
    answer = ask(port, body, chunks=parts if chunked else None)
    assert answer.status == 200
    assert len(answer_of("v3", answer.body).sent[0][2].value) == 64 << 20


def test_largest() -> None:
    """A limit that was asked for refuses what is larger."""
    with uvicorn_running(AsgiDoor(Fixed(b"ok"), largest=10)) as server:
        assert ask(server.port, bytes(10)).status == 200
        for chunks in (None, iter([bytes(8), bytes(8)])):
            answer = ask(server.port, bytes(11), chunks=chunks)
            assert (answer.status, answer.body) == (413, b"a request has at most 10 bytes here\n")


def test_keep_alive(port: int) -> None:
    """Requests follow each other on one connection of HTTP/1.1, also after one that failed."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        statuses: list[int] = []
        for body in (visit("v3"), b"", call("example/fails"), visit("v2")):
            connection.request("POST", "/statefun", body)
            statuses.append(got(connection).status)
            assert connection.sock is not None, "still the first one"
    assert statuses == [200, 400, 500, 200]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (call("example/fails"), "no bob today"),
        (call("example/unknown"), "no function is bound to 'example/unknown'"),
        (call("example/echo", "shop/unknown"), "example/echo accepts bytes, but got a shop/unknown"),
    ],
    ids=["raises", "unknown function", "unknown type"],
)
def test_failure(port: int, body: bytes, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """What fails is a 500, which a runtime tries again: it has an id, and the log has the traceback under it."""
    caplog.set_level(logging.ERROR)
    answer = ask(port, body)
    assert answer.status == 500
    text = answer.body.decode()
    found = re.fullmatch(r"the request failed; why is in the log of the functions \(id ([0-9a-f]{12})\)\n", text)
    assert found
    (record,) = (record for record in caplog.records if found[1] in record.getMessage())
    assert why in record.getMessage()
    assert record.exc_info
    assert vars(record)["error_id"] == found[1]


def test_no_request(port: int) -> None:
    """What is no request of the protocol is a 400 that says so: no StateFun runtime sends it."""
    answer = ask(port, b"hello")
    text = re.sub("[0-9a-f]{12}", "...", answer.body.decode())
    assert (answer.status, answer.content_type) == (400, "text/plain; charset=utf-8")
    assert text.startswith("the 5 bytes of the request are no ToFunction message of StateFun: ")
    assert text.endswith("(id ...)\n")


def test_methods(port: int) -> None:
    """Other methods than GET, HEAD and POST are refused, and told which there are."""
    answer = ask(port, method="PUT")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_web_page(port: int) -> None:
    """A web page may not call functions through somebody's browser."""
    answer = ask(port, visit("v3"), headers={"Origin": "http://localhost:3000"})
    assert (answer.status, answer.body) == (403, b"a web page may not call functions\n")


def test_get(port: int) -> None:
    """GET on the URL says what is served, as JSON, and to a browser as HTML; HEAD has no body."""
    answer = ask(port, method="GET")
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert [one["function"] for one in json.loads(answer.body)["functions"]] == [
        "example/echo",
        "example/fails",
        "example/greeter",
    ]
    page = ask(port, method="GET", headers={"Accept": "text/html,application/xhtml+xml"})
    assert page.content_type == "text/html; charset=utf-8"
    assert b"<code>example/greeter</code>" in page.body
    assert ask(port, method="HEAD").body == b""


def test_health(port: int) -> None:
    """/healthz and /readyz answer a probe."""
    assert ask(port, method="GET", path="/healthz").body == b"ok\n"
    assert ask(port, method="GET", path="/statefun/readyz").body == b"ready\n"


SECRET = "correct-horse-battery"  # noqa: S105 -- of the tests


def test_secret() -> None:
    """With a secret, a path without it is nothing; probes need none. A unix socket's path comes as one segment."""
    with uvicorn_running(AsgiDoor(app_functions(), secret=SECRET)) as server:
        for path in ("/statefun", f"/{SECRET}x/statefun", f"/?{SECRET}", "/%C3%A9"):
            for method in ("POST", "GET", "PUT"):
                assert ask(server.port, visit("v3"), path=path, method=method).status == 404
        for path in (f"/{SECRET}/statefun", f"/a/{SECRET}", f"/%2F{SECRET}%2Fstatefun"):
            assert ask(server.port, visit("v3"), path=path).status == 200
        page = ask(server.port, method="GET", path=f"/{SECRET}")
        assert page.status == 200
        assert SECRET.encode() not in page.body
        assert ask(server.port, method="GET", path="/readyz").status == 200


def test_bad_secret() -> None:
    """A secret that is short, or no segment of a URL, is refused."""
    for secret in ("short", "with/a/slash/and/more", "ümlaut-ümlaut-ümlaut"):
        with pytest.raises(ConfigError) as raised:
            AsgiDoor(app_functions(), secret=secret)
        assert str(raised.value) == (
            "a secret is one segment of a URL: 16 or more of A-Z a-z 0-9 . _ ~ -\n"
            "  help: python -c 'import secrets; print(secrets.token_urlsafe())' makes one"
        )


def test_plain_handler() -> None:
    """A handler that cannot be awaited is refused when the door is made."""
    with pytest.raises(ConfigError) as raised:
        AsgiDoor(cast("Any", RequestReplyHandler(app_functions())))
    assert str(raised.value) == (
        "an ASGI server awaits the reply, and RequestReplyHandler does not let it\n"
        "  help: give it the functions themselves, or an AsyncRequestReplyHandler"
    )


def test_async_functions() -> None:
    """Async functions run on the loop of the server."""
    functions = StatefulFunctions()
    loops: list[object] = []

    @functions.bind("example/slow")
    async def slow(context: Context, message: str) -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    with uvicorn_running(AsgiDoor(AsyncRequestReplyHandler(functions))) as server:
        assert ask(server.port, call("example/slow")).status == 200
        assert loops == [server.loop]


# --- limits, and the end ---


def in_threads(server: Running, count: int, answers: list[Got]) -> list[threading.Thread]:
    """Send requests at the same time."""
    made = [threading.Thread(target=lambda: answers.append(ask(server.port, b"x"))) for _ in range(count)]
    for thread in made:
        thread.start()
    return made


def test_limit_waits() -> None:
    """Above the limit of requests in flight others wait, and are answered."""
    handler = Fixed(b"ok", threading.Event())
    assert handler.go_on is not None
    answers: list[Got] = []
    with uvicorn_running(AsgiDoor(handler, in_flight=2)) as server:
        threads = in_threads(server, 6, answers)
        until(lambda: len(server.server_state.tasks) == 6)
        assert len(handler.seen) == 2
        handler.go_on.set()
        for thread in threads:
            thread.join()
    assert [answer.status for answer in answers] == [200] * 6


def test_limit_ends() -> None:
    """Who waited for 3/4 of `call` is turned away with 503, and was not read."""
    handler = Fixed(b"ok", threading.Event())
    assert handler.go_on is not None
    answers: list[Got] = []
    with uvicorn_running(AsgiDoor(handler, in_flight=1, call=timedelta(seconds=0.4))) as server:
        threads = in_threads(server, 1, answers)
        until(lambda: handler.seen)
        late = ask(server.port, b"y")
        assert (late.status, late.headers["retry-after"]) == (503, "1")
        assert re.fullmatch(rb"not now: too many requests are in flight \(id .{12}\)\n", late.body)
        handler.go_on.set()
        threads[0].join()
    assert handler.seen == [b"x"]
    assert [answer.status for answer in answers] == [200]


def test_gone() -> None:
    """A request whose sender is gone when its turn comes is not run."""
    handler = Fixed(b"ok", threading.Event())
    assert handler.go_on is not None
    answers: list[Got] = []
    door = AsgiDoor(handler, in_flight=1)
    with uvicorn_running(door) as server:
        threads = in_threads(server, 1, answers)
        until(lambda: handler.seen)
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nyy")
            until(lambda: len(server.server_state.tasks) == 2)
        until(lambda: len(server.server_state.connections) == 1)
        handler.go_on.set()
        threads[0].join()
        until(lambda: door.in_flight == 0)
    assert handler.seen == [b"x"]


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"in_flight": 0}, "in_flight is a number of requests, at least 1, not 0"),
        ({"call": 60}, "call is how long a runtime waits, a timedelta above 0, not 60"),
        ({"call": timedelta(0)}, "call is how long a runtime waits, a timedelta above 0, not datetime.timedelta(0)"),
    ],
)
def test_bad_limit(option: dict[str, Any], text: str) -> None:
    """A limit that is none is refused."""
    with pytest.raises(ConfigError) as raised:
        AsgiDoor(app_functions(), **option)
    assert str(raised.value) == text


def test_leaving() -> None:
    """A door that leaves is not ready, still answers, and closes each connection."""
    door = AsgiDoor(app_functions())
    with uvicorn_running(door) as server:
        server.on_loop(door.leave)
        until(lambda: ask(server.port, method="GET", path="/readyz").status == 503)
        answer = ask(server.port, visit("v3"))
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert ask(server.port, method="GET", path="/healthz").status == 200


def test_draining() -> None:
    """A door that drains turns requests away with 503, those that waited, too, and answers those in flight."""
    handler = Fixed(b"ok", threading.Event())
    assert handler.go_on is not None
    door = AsgiDoor(handler, in_flight=1)
    answers: list[Got] = []
    with uvicorn_running(door) as server:
        first = in_threads(server, 1, answers)
        until(lambda: handler.seen)
        waiting: list[Got] = []
        second = in_threads(server, 1, waiting)
        until(lambda: len(server.server_state.tasks) == 2)
        drained = asyncio.run_coroutine_threadsafe(door.drain(), server.loop)
        second[0].join()
        assert (waiting[0].status, ask(server.port, b"x").status) == (503, 503)
        assert not drained.done()
        handler.go_on.set()
        drained.result(10)
        first[0].join()
    assert [answer.status for answer in answers] == [200]


def test_shutdown_off_the_main_thread() -> None:
    """A server in a thread that is told to exit answers what is in flight first."""
    handler = Fixed(b"ok", threading.Event())
    assert handler.go_on is not None
    answers: list[Got] = []
    with uvicorn_running(AsgiDoor(handler)) as server:
        threads = in_threads(server, 4, answers)
        until(lambda: len(handler.seen) == 4)
        server.should_exit = True
        threading.Timer(0.3, handler.go_on.set).start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200] * 4


def test_given_up() -> None:
    """What a server cancels is counted, and gives its place back."""
    door = AsgiDoor(Fixed(b"ok", threading.Event()))

    async def cancel() -> None:
        sent: list[object] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"x"}

        async def send(message: object) -> None:
            sent.append(message)

        scope: dict[str, object] = {"type": "http", "method": "POST", "path": "/", "headers": []}
        task = asyncio.ensure_future(door(scope, cast("Any", receive), send))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sent == []

    asyncio.run(cancel())
    assert (door.abandoned, door.in_flight) == (1, 0)


# --- frameworks ---


def mounted_in_fastapi(door: AsgiDoor) -> FastAPI:
    """Mount the door beside a route of FastAPI's own."""
    app = FastAPI()

    @app.get("/")
    def home() -> str:
        return "home"

    app.mount("/statefun", door)
    return app


def routed_in_fastapi(door: AsgiDoor) -> FastAPI:
    """Give the door one path of FastAPI."""
    app = mounted_in_fastapi(door)
    app.router.routes[:] = [route for route in app.router.routes if not isinstance(route, Mount)]
    app.router.routes.append(Route("/statefun", door))
    return app


def mounted_in_starlette(door: AsgiDoor) -> Starlette:
    """Mount the door in Starlette."""
    return Starlette(routes=[Mount("/statefun", door)])


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (mounted_in_fastapi, "/statefun/"),
        (mounted_in_starlette, "/statefun/"),
        (mounted_in_starlette, "/statefun/example/greeter"),
        (routed_in_fastapi, "/statefun"),
    ],
)
def test_mounted(make: Any, path: str) -> None:
    """The door mounts into FastAPI and Starlette, and answers there as by itself, without a redirect."""
    with uvicorn_running(make(AsgiDoor(app_functions()))) as server:
        answer = ask(server.port, visit("v3"), path=path)
        assert (answer.status, answer.content_type) == (200, OCTETS)
        assert answer_of("v3", answer.body).sent[0][:2] == ("example/front", CALLER[2])
        assert ask(server.port, method="GET", path=path).content_type == "application/json"


def test_mount_redirects() -> None:
    """A mount of Starlette redirects a path without its slash, which no runtime follows: the docs warn of it."""
    with uvicorn_running(mounted_in_starlette(AsgiDoor(app_functions()))) as server:
        assert ask(server.port, visit("v3"), path="/statefun").status == 307


def test_websocket() -> None:
    """A websocket is closed."""
    sent: list[object] = []

    async def send(message: object) -> None:
        sent.append(message)

    async def nothing() -> dict[str, object]:
        return {}

    door = AsgiDoor(app_functions())
    for kind in ("websocket", "another"):
        done: Awaitable[None] = door({"type": kind}, cast("Any", nothing), send)
        asyncio.run(cast("Any", done))
    assert sent == [{"type": "websocket.close", "code": 1000}]

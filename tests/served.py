"""Functions served by real servers on loopback, and a client that shows what came back.

Here: the app that the tests of the doors share, uvicorn in a thread, and one request over http.client.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import uvicorn

from statefun import Context, State, StatefulFunctions
from tests.peer import Wire, request, typed

__all__ = ["OCTETS", "Got", "app_functions", "ask", "call", "loopback", "uvicorn_running", "visit"]

OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Got:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The content type."""
        return self.headers["content-type"]


class Visits(State):
    """What is stored for each name."""

    visits: int = 0


def app_functions() -> StatefulFunctions:
    """Make an app: a greeter, one that fails, one that echoes, and an async one."""
    functions = StatefulFunctions()

    @functions.bind("example/greeter")
    def greeter(context: Context[Visits], message: str) -> None:
        context.state.visits += 1
        context.reply(f"Hello {message}, visit {context.state.visits}")

    @functions.bind("example/fails")
    def fails(context: Context, message: str) -> None:
        text = f"no {message} today"
        raise RuntimeError(text)

    @functions.bind("example/echo")
    def echo(context: Context, message: bytes) -> None:
        context.reply(message)

    return functions


CALLER = ("example", "front", "f1")


def visit(wire: Wire, *, name: str = "bob") -> bytes:
    """Return a request to the greeter."""
    text = typed("io.statefun.types/string", b"\x0a" + bytes([len(name)]) + name.encode())
    return request(wire, text, function="example/greeter", states={"visits": None}, caller=CALLER)


def call(function: str, typename: str = "io.statefun.types/string", value: bytes = b"\x0a\x03bob") -> bytes:
    """Return a request to another function."""
    return request("v3", typed(typename, value), function=function, caller=CALLER)


def ask(
    port: int,
    body: bytes | None = b"",
    *,
    method: str = "POST",
    path: str = "/statefun",
    headers: Mapping[str, str] | None = None,
    chunks: Any = None,
) -> Got:
    """Send one request to a port of this machine."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        sent = body if chunks is None else chunks
        connection.request(method, path, sent, {"Content-Type": OCTETS, **(headers or {})})
        return got(connection)


def got(connection: http.client.HTTPConnection) -> Got:
    """Read the answer that a connection waits for."""
    response = connection.getresponse()
    return Got(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def loopback() -> socket.socket:
    """Listen on a free port of this machine."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(100)
    return made


class Running(uvicorn.Server):
    """A server in a thread."""

    port = 0

    def on_loop(self, function: Callable[[], object]) -> None:
        """Call a function on the loop of the server."""
        self.loop.call_soon_threadsafe(function)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Remember the loop."""
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)


@contextlib.contextmanager
def uvicorn_running(app: Any, **options: Any) -> Generator[Running]:
    """Serve an ASGI app by uvicorn and httptools, off the main thread."""
    listener = loopback()
    config = uvicorn.Config(app, http="httptools", ws="none", lifespan="on", log_config=None, **options)
    server = Running(config)
    server.port = listener.getsockname()[1]
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        until(lambda: server.started)
        yield server
    finally:
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)

"""ASGI apps on sockets, by uvicorn.

Here: `listen` and `serve`. uvicorn is an extra, and is imported when something is served; signals are the session's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator

from statefun._http import ASGIApp, require
from statefun.errors import ConfigError, with_help

__all__ = ["listen", "serve"]

_BACKLOG = 1_024


def listen(host: str, port: int) -> socket.socket:
    """Open a socket to listen on; port 0 takes a free one. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named: without it an answer waits 40 ms
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        msg = f"port {port} of {host} cannot be listened on: {error.strerror}"
        raise ConfigError(with_help(msg, "another program may have it: choose another with --port")) from error
    sock.listen(_BACKLOG)
    sock.setblocking(False)  # noqa: FBT003 -- the socket module's own signature
    sock.set_inheritable(True)
    return sock


async def serve(app: ASGIApp, sock: socket.socket, over: asyncio.Event) -> None:
    """Serve an app until it is over; what is being answered then is answered. Raises ConfigError without the extra."""
    require("uvicorn", "run")
    require("httptools", "run")
    import uvicorn  # noqa: PLC0415 -- an extra

    class Server(uvicorn.Server):
        """A server that leaves signals alone."""

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None, None, None]:
            yield

    config = uvicorn.Config(
        app,
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=2_000,
        timeout_graceful_shutdown=2,
    )
    server = Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[sock]))
    try:
        waiting = asyncio.ensure_future(over.wait())
        await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        server.should_exit = True
        await serving
    finally:
        serving.cancel()

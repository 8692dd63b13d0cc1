"""An app as an ASGI application: POST a request, get the reply.

Here: `asgi`. A runtime tells by the status what to do: 4xx is the request's fault, 5xx the function's. What went wrong
is in the log, and never in the answer.
"""

from __future__ import annotations

import logging
from typing import cast

from statefun._http import ASGIApp, Receive, Scope, Send, answer
from statefun.errors import ConfigError, PeerError
from statefun.functions import StatefulFunctions
from statefun.handler import AsyncRequestReplyHandler

__all__ = ["asgi"]

log = logging.getLogger("statefun.serving")
LARGEST = 64 << 20


def asgi(functions: StatefulFunctions, *, path: str | None = None, largest: int = LARGEST) -> ASGIApp:
    """Return an ASGI application that serves functions, at any path or at one."""
    handler = AsyncRequestReplyHandler(functions)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            status, body = await _serve(handler, scope, receive, path, largest)
            await answer(send, status, body)

    return app


async def _serve(
    handler: AsyncRequestReplyHandler, scope: Scope, receive: Receive, path: str | None, largest: int
) -> tuple[int, object]:
    if path is not None and scope["path"] != path:
        return 404, {"error": "there is nothing here"}
    if scope["method"] != "POST":
        return 405, {"error": "requests of a runtime are POSTs"}
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return 400, {"error": "the body ended early"}
        part = cast("bytes", message.get("body", b""))
        size += len(part)
        if size > largest:
            return 413, {"error": f"a request has at most {largest:,} bytes"}
        parts.append(part)
        more = bool(message.get("more_body"))
    try:
        return 200, await handler(b"".join(parts))
    except (PeerError, ConfigError) as error:
        log.warning("a request was refused: %s", error)
        return 400 if isinstance(error, PeerError) else 500, {"error": type(error).__name__}
    except Exception:
        log.exception("a function failed")
        return 500, {"error": "the function failed"}


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        kind = cast("str", message["type"])
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return

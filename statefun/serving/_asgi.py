"""The door for ASGI: uvicorn and its like, FastAPI and Starlette.

Here: reading a request and writing the answer as ASGI has it, and the end of the door. Written for speed where a call
goes through: every request of a runtime does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import timedelta
from typing import Protocol, cast

from statefun._clock import wall_time
from statefun.errors import ConfigError, with_help
from statefun.functions import StatefulFunctions
from statefun.handler import AsyncRequestReplyHandler, RequestReplyHandler
from statefun.serving._desk import OCTETS, Answer, Desk
from statefun.serving._gate import CALL, IN_FLIGHT, Gate

__all__ = ["AsgiDoor", "AsyncServed"]

Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_TYPE = (b"content-type", OCTETS.encode())
_CLOSE = (b"connection", b"close")


class AsyncServed(Protocol):
    """What answers requests: an AsyncRequestReplyHandler, or what is wrapped around one."""

    @property
    def functions(self) -> StatefulFunctions:
        """What it serves."""
        ...

    def __call__(self, request: bytes, /) -> Awaitable[bytes]:
        """Answer one request."""
        ...


class AsgiDoor:
    """An ASGI app that serves functions: AsgiDoor(functions), or of a handler.

    `secret` is a segment that the path of every call must have. `in_flight` requests are worked on at once; others
    wait, before their bodies are read, for up to 3/4 of `call`, the timeout in module.yaml. `largest` bounds the body
    of a request; None does not. Raises ConfigError.
    """

    def __init__(
        self,
        served: StatefulFunctions | AsyncServed,
        *,
        secret: str | None = None,
        in_flight: int = IN_FLIGHT,
        call: timedelta = CALL,
        largest: int | None = None,
    ) -> None:
        handler = (
            AsyncRequestReplyHandler(served, clock=wall_time)
            if isinstance(served, StatefulFunctions)
            else _async(served)
        )
        self._handler: AsyncServed = handler
        self._desk = Desk(handler.functions, secret)
        self._gate = Gate(in_flight, call)
        self._largest = largest
        self._guarded = secret is not None
        self._headers: tuple[tuple[bytes, bytes], ...] = (_TYPE,)
        self.abandoned: int = 0
        """How many requests the server gave up before they were answered."""

    @property
    def in_flight(self) -> int:
        """How many requests are worked on."""
        return self._gate.in_flight

    def leave(self) -> None:
        """Say goodbye: no longer ready, and each answer closes its connection. Requests are still answered."""
        self._desk.ready = False
        self._headers = (_TYPE, _CLOSE)

    def lets_in(self, path: str) -> bool:
        """Tell whether a path has the secret, if there is one."""
        return self._desk.lets_in(path)

    async def drain(self) -> None:
        """Take no more requests (503), and wait until those in flight are answered."""
        self.leave()
        self._gate.close()
        await self._gate.until_empty()

    async def __call__(self, scope: MutableMapping[str, object], receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the server."""
        if scope["type"] != "http":
            await self._other(cast("str", scope["type"]), receive, send)
            return
        headers = cast("list[tuple[bytes, bytes]]", scope["headers"])
        from_page = False
        for name, _ in headers:
            if name == b"origin":
                from_page = True
        if scope["method"] != "POST" or self._guarded or from_page:
            answer = self._desk.answer(
                cast("str", scope["method"]), cast("str", scope["path"]), accept=_accept(headers), from_page=from_page
            )
            if answer is not None:
                await self.write(send, answer, head=scope["method"] == "HEAD")
                return
        if not await self._gate.enter():
            why = "it is leaving" if self._gate.closed else "too many requests are in flight"
            await self.write(send, self._desk.busy(why))
            return
        try:
            await self._call(receive, send)
        finally:
            self._gate.leave()

    async def _call(self, receive: Receive, send: Send) -> None:
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body = cast("bytes", message.get("body", b""))
        else:
            found = await self._body(message, receive)
            if found is None:
                return  # whoever sent it is gone
            body = found
        if self._largest is not None and len(body) > self._largest:
            await self.write(send, self._desk.too_large(self._largest))
            return
        try:
            reply = await self._handler(body)
        except Exception as error:  # noqa: BLE001 -- it is logged, and answered
            await self.write(send, self._desk.failed(error))
            return
        except asyncio.CancelledError:
            self.abandoned += 1
            raise
        length = (b"content-length", b"%d" % len(reply))
        await send({"type": "http.response.start", "status": 200, "headers": [*self._headers, length]})
        await send({"type": "http.response.body", "body": reply})

    async def _body(self, message: Message, receive: Receive) -> bytes | None:
        """Read a body that comes in parts, up to the limit if there is one; None if it ends early."""
        parts: list[bytes] = []
        size = 0
        while message["type"] == "http.request":
            part = cast("bytes", message.get("body", b""))
            parts.append(part)
            size += len(part)
            if not message.get("more_body") or (self._largest is not None and size > self._largest):
                return b"".join(parts)
            message = await receive()
        return None

    async def write(self, send: Send, answer: Answer, *, head: bool = False) -> None:
        """Send an answer that is no reply."""
        headers = [
            (b"content-type", answer.content_type.encode()),
            (b"content-length", b"%d" % len(answer.body)),
            *((name.encode(), value.encode()) for name, value in answer.headers),
            *self._headers[1:],
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else answer.body})

    async def _other(self, kind: str, receive: Receive, send: Send) -> None:
        if kind == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self.drain()
            await send({"type": "lifespan.shutdown.complete"})
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 1000})


def _async(served: AsyncServed) -> AsyncServed:
    found: object = served  # a checker knows better
    if isinstance(found, RequestReplyHandler):
        help = "give it the functions themselves, or an AsyncRequestReplyHandler"
        raise ConfigError(with_help("an ASGI server awaits the reply, and RequestReplyHandler does not let it", help))
    return served


def _accept(headers: list[tuple[bytes, bytes]]) -> str:
    return b",".join(value for name, value in headers if name == b"accept").decode("latin-1")

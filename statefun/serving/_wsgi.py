"""The door for WSGI: gunicorn and its like, Flask and Django.

Here: reading a request and writing the answer as WSGI has it. How many requests are in flight is the server's affair:
it is the number of its threads.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol, cast

from statefun._clock import wall_time
from statefun.functions import StatefulFunctions
from statefun.handler import RequestReplyHandler
from statefun.serving._desk import OCTETS, Answer, Desk

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIEnvironment

__all__ = ["Served", "WsgiDoor"]


class Served(Protocol):
    """What answers requests: a RequestReplyHandler, or what is wrapped around one."""

    @property
    def functions(self) -> StatefulFunctions:
        """What it serves."""
        ...

    def __call__(self, request: bytes, /) -> bytes:
        """Answer one request."""
        ...


class WsgiDoor:
    """A WSGI app that serves plain functions: WsgiDoor(functions), or of a handler.

    `secret` is a segment that the path of every call must have. Raises ConfigError, and
    BindError for an async function.
    """

    def __init__(self, served: StatefulFunctions | Served, *, secret: str | None = None) -> None:
        handler = RequestReplyHandler(served, clock=wall_time) if isinstance(served, StatefulFunctions) else served
        self._handler: Served = handler
        self._desk = Desk(handler.functions, secret)

    def leave(self) -> None:
        """Say goodbye: no longer ready. Requests are still answered."""
        self._desk.ready = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse, /) -> Iterable[bytes]:
        """Serve one request."""
        method = cast("str", environ["REQUEST_METHOD"])
        answer = self._desk.answer(
            method,
            f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}",
            accept=cast("str", environ.get("HTTP_ACCEPT", "")),
            from_page="HTTP_ORIGIN" in environ,
        ) or self._call(environ)
        headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body))), *answer.headers]
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", headers)
        return [b"" if method == "HEAD" else answer.body]

    def _call(self, environ: WSGIEnvironment) -> Answer:
        try:
            return Answer(200, OCTETS, self._handler(_body(environ)))
        except Exception as error:  # noqa: BLE001 -- it is logged, and answered
            return self._desk.failed(error)


def _body(environ: WSGIEnvironment) -> bytes:
    stream = cast("InputStream", environ["wsgi.input"])
    length = cast("str", environ.get("CONTENT_LENGTH") or "")
    if length:
        return stream.read(int(length))
    # chunked: only a server that says so ends the stream where the request ends
    return stream.read() if environ.get("wsgi.input_terminated") else b""

"""An app as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from statefun import Context, StatefulFunctions
from statefun._http import Scope
from statefun._proto import wire_v3_pb2
from statefun.serving import asgi


def functions() -> StatefulFunctions:
    """Return an app that fails when it is told to."""
    made = StatefulFunctions()

    @made.bind("t/f")
    def f(context: Context, message: str) -> None:
        if message == "bad":
            raise ValueError("secret")
        context.send(f.at("other"), message)

    return made


def request(text: str = "hi", function: str = "f") -> bytes:
    """Return a request of a runtime."""
    made = wire_v3_pb2.ToFunction()
    made.invocation.target.namespace, made.invocation.target.type, made.invocation.target.id = "t", function, "x"
    value = b"\x0a" + bytes([len(text)]) + text.encode()
    made.invocation.invocations.add().argument.CopyFrom(
        wire_v3_pb2.Value(typename="io.statefun.types/string", has_value=True, value=value)
    )
    return made.SerializeToString()


def post(body: bytes, *, method: str = "POST", path: str = "/statefun") -> tuple[int, str, bytes]:
    """Send a request; return status, content type and body."""
    scope: Scope = {"type": "http", "method": method, "path": path, "headers": []}
    sent: list[MutableMapping[str, object]] = []

    async def receive() -> MutableMapping[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, object]) -> None:
        sent.append(message)

    asyncio.run(asgi(functions(), path="/statefun", largest=1_000)(scope, receive, send))  # type: ignore[arg-type]  # it is a coroutine
    start: Any = sent[0]
    content: Any = sent[1]
    headers = dict(start["headers"])
    return start["status"], headers[b"content-type"].decode(), content["body"]


def test_a_reply() -> None:
    """A request is answered with the reply, as octets without any parameter."""
    status, kind, body = post(request())
    assert (status, kind) == (200, "application/octet-stream")
    reply = wire_v3_pb2.FromFunction.FromString(body).invocation_result
    assert reply.outgoing_messages[0].target.id == "other"


@pytest.mark.parametrize(
    ("body", "method", "path", "status"),
    [
        (b"\xff", "POST", "/statefun", 400),
        (request(function="nobody"), "POST", "/statefun", 400),
        (request("bad"), "POST", "/statefun", 500),
        (request(), "GET", "/statefun", 405),
        (request(), "POST", "/other", 404),
        (bytes(1_001), "POST", "/statefun", 413),
    ],
)
def test_refused(body: bytes, method: str, path: str, status: int) -> None:
    """What cannot be served has its status, and what went wrong inside is not told."""
    got, kind, text = post(body, method=method, path=path)
    assert (got, kind) == (status, "application/json")
    assert b"secret" not in text

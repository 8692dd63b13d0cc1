"""The door for AWS Lambda: API Gateway (REST and HTTP APIs), function URLs, load balancers.

Here: the three shapes of an event, and the rules of base64. What a Lambda is allowed to, its configuration says.

    event                                      method, path                    the answer's headers
    version "2.0": HTTP APIs, function URLs    requestContext.http, rawPath    headers
    version "1.0" or none: REST APIs           httpMethod, path                headers
    requestContext.elb: load balancers         httpMethod, path                headers or multiValueHeaders
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import threading
from collections.abc import Awaitable, Mapping
from typing import cast

from statefun._clock import wall_time
from statefun.errors import ConfigError, MalformedRequest, with_help
from statefun.functions import StatefulFunctions
from statefun.handler import AsyncRequestReplyHandler, RequestReplyHandler
from statefun.serving._asgi import AsyncServed
from statefun.serving._desk import OCTETS, Answer, Desk
from statefun.serving._wsgi import Served

__all__ = ["LambdaDoor"]

Event = Mapping[str, object]


class LambdaDoor:
    """A Lambda handler that serves functions, plain and async ones: LambdaDoor(functions).

    It may be given a handler of either kind instead, such as one that counts. `secret` is a segment that
    the path of every call must have. Raises ConfigError.
    """

    def __init__(self, served: StatefulFunctions | Served | AsyncServed, *, secret: str | None = None) -> None:
        handler = _handler_of(served) if isinstance(served, StatefulFunctions) else served
        self._handler: Served | AsyncServed = handler
        self._desk = Desk(handler.functions, secret)
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, event: Event, _context: object = None, /) -> dict[str, object]:
        """Serve one event."""
        method, path = _target(event)
        headers = _headers(event)
        answer = self._desk.answer(
            method, path, accept=headers.get("accept", ""), from_page="origin" in headers
        ) or self._call(event)
        return _response(event, answer, head=method == "HEAD")

    def _call(self, event: Event) -> Answer:
        try:
            reply = self._handler(_body(event))
            return Answer(200, OCTETS, reply if isinstance(reply, bytes) else self._awaited(reply))
        except Exception as error:  # noqa: BLE001 -- it is logged, and answered
            return self._desk.failed(error)

    def _awaited(self, reply: Awaitable[bytes]) -> bytes:
        """Wait for a reply on a loop that stays, as the clients of async functions want it."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="statefun", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(_await(reply), self._loop).result()


async def _await(reply: Awaitable[bytes]) -> bytes:
    return await reply


def _handler_of(functions: StatefulFunctions) -> RequestReplyHandler | AsyncRequestReplyHandler:
    if any(function.on_loop for function in functions):
        return AsyncRequestReplyHandler(functions, threads=0, clock=wall_time)
    return RequestReplyHandler(functions, clock=wall_time)


def _mapping(found: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}


def _target(event: Event) -> tuple[str, str]:
    http = _mapping(_mapping(event.get("requestContext")).get("http"))
    method, path = http.get("method", event.get("httpMethod")), event.get("rawPath", event.get("path"))
    if not isinstance(method, str) or not isinstance(path, str):
        help = "it comes from API Gateway, a function URL or a load balancer; others are not served"
        raise ConfigError(with_help("the event is no HTTP request", help))
    return method, path


def _headers(event: Event) -> dict[str, str]:
    several = {
        name: ",".join(cast("list[str]", values)) for name, values in _mapping(event.get("multiValueHeaders")).items()
    }
    single = {name: str(value) for name, value in _mapping(event.get("headers")).items()}
    return {name.lower(): value for name, value in {**several, **single}.items()}


def _body(event: Event) -> bytes:
    body = event.get("body")
    if not isinstance(body, str):
        return b""
    if event.get("isBase64Encoded"):
        try:
            return base64.b64decode(body, validate=True)
        except binascii.Error as error:
            msg = f"the body of the event is no base64: {error}"
            raise MalformedRequest(msg) from error
    if "\ufffd" in body:
        # not the runtime's fault, hence no 4xx: it may try again until the gateway is set right
        help = "set binaryMediaTypes of the REST API to */*"
        raise ConfigError(with_help("the gateway read the bytes of a request as text, and broke them", help))
    return body.encode()


def _response(event: Event, answer: Answer, *, head: bool) -> dict[str, object]:
    body = b"" if head else answer.body
    binary = answer.content_type == OCTETS
    made: dict[str, object] = {
        "statusCode": answer.status,
        "isBase64Encoded": binary,
        "body": base64.b64encode(body).decode() if binary else body.decode(),
    }
    headers = {"content-type": answer.content_type, **dict(answer.headers)}
    if "multiValueHeaders" in event and "elb" in _mapping(event.get("requestContext")):
        made["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
    else:
        made["headers"] = headers
    return made

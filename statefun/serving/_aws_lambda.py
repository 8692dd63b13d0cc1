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
from collections.abc import Callable, Mapping
from typing import cast

from statefun._clock import wall_time
from statefun.errors import ConfigError, MalformedRequest, with_help
from statefun.functions import StatefulFunctions
from statefun.handler import AsyncRequestReplyHandler, RequestReplyHandler
from statefun.serving._desk import OCTETS, Answer, Desk

__all__ = ["LambdaDoor"]

Event = Mapping[str, object]


class LambdaDoor:
    """A Lambda handler that serves functions, plain and async ones: handler = LambdaDoor(functions).

    `secret` is a segment that the path of every call must have. Raises ConfigError.
    """

    def __init__(self, functions: StatefulFunctions, *, secret: str | None = None) -> None:
        self._desk = Desk(functions, secret)
        self._handle = _handle_of(functions)

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
            return Answer(200, OCTETS, self._handle(_body(event)))
        except Exception as error:  # noqa: BLE001 -- it is logged, and answered
            return self._desk.failed(error)


def _handle_of(functions: StatefulFunctions) -> Callable[[bytes], bytes]:
    """Return what answers one request after the other; async functions keep one loop, as their clients want it."""
    if not any(function.is_async for function in functions):
        return RequestReplyHandler(functions, clock=wall_time)
    handler = AsyncRequestReplyHandler(functions, threads=0, clock=wall_time)
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="statefun", daemon=True).start()
    return lambda request: asyncio.run_coroutine_threadsafe(handler(request), loop).result()


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

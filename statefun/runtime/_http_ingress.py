"""The HTTP ingress: POST /<namespace>/<name>/<id>, answered when the message is committed.

Here: `HttpIngress`, an ASGI app. What a request carries is said by its content type:

    application/json; type=shop.Login    JSON for a message of that type; without the type where only one can be meant
    application/vnd.<typename>           the bytes of a message of that typename
    application/x-protobuf; type=...     the same
    text/plain                           text, for a function that takes str
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
from email.message import Message as Header
from typing import cast
from urllib.parse import unquote

from google.protobuf.message import DecodeError

from statefun import types
from statefun._http import Door, HttpError, Receive, Request, Scope, Send, answer
from statefun.runtime._driver import Driver, Full
from statefun.runtime._plans import Plan
from statefun.runtime._requests import argument
from statefun.runtime._store import StoreError
from statefun.runtime._values import Json, ValueProblem, Values, brief

__all__ = ["HttpIngress"]

REMEMBERED_MS = 24 * 3_600_000
_VENDOR = "application/vnd."
_BYTES = ("application/octet-stream", "application/x-protobuf", "application/protobuf")


@functools.lru_cache(256)
def _kind_of(content_type: str) -> tuple[str, str | None]:
    """Read a content type: what it is ("" for none), and its parameter `type`."""
    header = Header()
    header["content-type"] = content_type
    return header.get_content_type() if content_type else "", cast("str | None", header.get_param("type"))


class HttpIngress:
    """Takes messages over HTTP."""

    def __init__(self, driver: Driver, values: Values, door: Door) -> None:
        self._driver = driver
        self._values = values
        self._door = door
        self._now: dict[str, asyncio.Future[None]] = {}
        """Idempotency keys whose message is being committed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            status, body, headers = await self._take(await self._door.read(scope, receive))
        except HttpError as error:
            await answer(send, error.status, {"error": str(error)}, error.headers)
        except Full:
            await answer(send, 503, {"error": "there is no room for another message now"}, {"retry-after": "1"})
        except StoreError:
            await answer(send, 503, {"error": "the message could not be committed"}, {"retry-after": "10"})
        else:
            await answer(send, status, body, headers)

    async def _take(self, request: Request) -> tuple[int, Json, dict[str, str]]:
        if request.path == "/healthz":
            return 200, {"ok": True}, {}
        if request.method not in ("POST", "PUT"):
            raise HttpError(405, "send messages with POST", {"allow": "POST, PUT"})
        if self._driver.stopping:
            raise HttpError(503, "the runtime is stopping", {"retry-after": "1"})
        plan, id = self._target(request.path)
        typename, data = self._message(plan.typename, request)
        accepted = {"accepted": f"{plan.typename}/{id}"}
        key = request.headers.get("idempotency-key")
        if key is None:
            await self._driver.submit(plan, id, argument(typename, data, self._driver.engine.wire))
            return 202, accepted, {}
        return await self._once(f"{request.path} {key}", plan, id, typename, data)

    async def _once(
        self, key: str, plan: Plan, id: str, typename: str, data: bytes
    ) -> tuple[int, Json, dict[str, str]]:
        """Take a message once, however often it comes under its key within a day."""
        digest = hashlib.blake2b(typename.encode() + b"\0" + data, digest_size=12).hexdigest()
        if key in self._now:
            await asyncio.shield(self._now[key])
        known = self._driver.store.answer(key, self._driver.clock.now() - REMEMBERED_MS)
        accepted = {"accepted": f"{plan.typename}/{id}"}
        if known is not None:
            if known != digest:
                raise HttpError(422, "this Idempotency-Key came with another message before")
            return 202, accepted, {"idempotent-replayed": "true"}
        committed = self._driver.submit(
            plan, id, argument(typename, data, self._driver.engine.wire), answer=(key, digest)
        )
        self._now[key] = committed
        try:
            await asyncio.shield(committed)
        finally:
            del self._now[key]
        return 202, accepted, {}

    def _target(self, path: str) -> tuple[Plan, str]:
        parts = path.lstrip("/").split("/", 2)
        if len(parts) < 3:  # noqa: PLR2004 -- namespace, name, id
            raise HttpError(404, "the path is /<namespace>/<name>/<id>")
        namespace, name, id = map(unquote, parts)
        plan = self._driver.engine.plan(f"{namespace}/{name}")
        if plan is None:
            known = ", ".join(sorted(self._values.catalog.functions))
            raise HttpError(404, f"there is no function {f'{namespace}/{name}'!r}" + (f" ({known})" if known else ""))
        return plan, id

    # --- what it carries ---

    def _message(self, function: str, request: Request) -> tuple[str, bytes]:
        raw = request.headers.get("content-type", "")
        kind, named = _kind_of(raw)
        if raw.lower().startswith(_VENDOR):
            return self._bytes(function, raw[len(_VENDOR) :].partition(";")[0].strip(), request.body)
        if kind in _BYTES:
            if not named:
                raise HttpError(415, f"say the type of the message: {kind}; type=... ({self._accepted(function)})")
            return self._bytes(function, self._resolve(named), request.body)
        if kind == "text/plain":
            typename = types.STRING.typename
            self._check_accepted(function, typename)
            return typename, self._encode(typename, self._text(request.body))
        if kind in ("application/json", ""):
            return self._json(function, named, request.body)
        raise HttpError(415, f"{kind} is nothing that a message can be ({self._accepted(function)})")

    def _json(self, function: str, named: str | None, body: bytes) -> tuple[str, bytes]:
        typename = self._resolve(named) if named else self._only_type(function)
        self._check_accepted(function, typename)
        try:
            value = cast("Json", json.loads(body))
        except ValueError as error:
            raise HttpError(400, f"the body is no JSON: {error}") from None
        return typename, self._encode(typename, value)

    def _bytes(self, function: str, typename: str, body: bytes) -> tuple[str, bytes]:
        self._check_accepted(function, typename)
        cls = self._values.message_class(typename)
        if cls is not None:
            try:
                cls.FromString(body)
            except (DecodeError, UnicodeDecodeError):  # the latter in pure Python
                raise HttpError(400, f"the body is no {brief(typename)}") from None
        return typename, body

    @staticmethod
    def _text(body: bytes) -> str:
        try:
            return body.decode()
        except UnicodeDecodeError:
            raise HttpError(400, "the body is no UTF-8") from None

    def _encode(self, typename: str, value: Json) -> bytes:
        try:
            return self._values.encode(typename, value)
        except ValueProblem as error:
            raise HttpError(400, str(error)) from None

    def _resolve(self, name: str) -> str:
        try:
            return self._values.resolve(name)
        except ValueProblem as error:
            raise HttpError(415, str(error)) from None

    def _only_type(self, function: str) -> str:
        accepts = self._values.from_json(function)
        if len(accepts) != 1:
            raise HttpError(
                415, f"say the type of the message: application/json; type=... ({self._accepted(function)})"
            )
        return accepts[0]

    def _check_accepted(self, function: str, typename: str) -> None:
        known = self._values.catalog.functions.get(function)
        if known is None or known.catch_all or typename in known.accepts:
            return
        name = typename.rpartition("/")[2]
        if self._values.message_class(typename) is not None and any(
            self._values.catalog.messages.get(one) == name for one in known.accepts
        ):
            return
        raise HttpError(415, f"{function} does not take {brief(typename)} ({self._accepted(function)})")

    def _accepted(self, function: str) -> str:
        known = self._values.catalog.functions.get(function)
        if known is None:
            return "what it takes is not known"
        return "it takes " + ", ".join([*map(brief, known.accepts), *(["anything"] if known.catch_all else [])])

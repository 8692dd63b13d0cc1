"""The two doors of the StateFun playground, so that the public example apps run as they are.

Here: its ingress (any method, /<namespace>/<name>/<id>, `Content-Type: application/vnd.<typename>`) and its egress
(GET /<topic> takes one record away). Unlike the original they are on loopback, and a message is answered for when it is
committed.
"""

from __future__ import annotations

import json
from typing import cast
from urllib.parse import unquote

from statefun._http import Door, HttpError, Receive, Request, Scope, Send, answer
from statefun.runtime._driver import Driver, Full
from statefun.runtime._requests import argument
from statefun.runtime._store import RecordRow

__all__ = ["EGRESS", "PlaygroundEgress", "PlaygroundIngress"]

EGRESS = "io.statefun.playground/egress"
_RECORD = "io.statefun.playground/EgressRecord"
_VENDOR = "application/vnd."
_STRING = "io.statefun.types/string"
_PAGE = 1_000


class PlaygroundIngress:
    """Takes messages; their bytes are not looked at."""

    def __init__(self, driver: Driver, door: Door) -> None:
        self._driver = driver
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            await self._take(await self._door.read(scope, receive))
        except HttpError as error:
            await answer(send, error.status, {"error": str(error)}, error.headers)
        except Full:
            await answer(send, 503, {"error": "there is no room for another message now"}, {"retry-after": "1"})
        else:
            await answer(send, 200, b"")

    async def _take(self, request: Request) -> None:
        parts = request.path.lstrip("/").split("/", 2)
        if len(parts) < 3:  # noqa: PLR2004 -- namespace, name, id
            raise HttpError(404, "the path is /<namespace>/<name>/<id>")
        namespace, name, id = map(unquote, parts)
        plan = self._driver.engine.plan(f"{namespace}/{name}")
        if plan is None:
            raise HttpError(404, f"there is no function {f'{namespace}/{name}'!r}")
        kind = request.headers.get("content-type", "")
        typename = kind[len(_VENDOR) :].strip() if kind.startswith(_VENDOR) else _STRING
        await self._driver.submit(plan, id, argument(typename, request.body, self._driver.engine.wire))


class PlaygroundEgress:
    """Hands records out, each once, by topic."""

    def __init__(self, driver: Driver, topics: tuple[str, ...], door: Door) -> None:
        self._driver = driver
        self._topics = topics
        self._door = door
        positions = driver.store.positions()
        self._cursors = {topic: int(positions.get(self._name(topic), 0)) for topic in topics}

    @staticmethod
    def _name(topic: str) -> str:
        return f"out playground:{topic}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            request = await self._door.read(scope, receive)
            payload = await self._pop(unquote(request.path.strip("/")))
        except HttpError as error:
            await answer(send, error.status, {"error": str(error)}, error.headers)
            return
        if payload is None:
            await answer(send, 404, b"")
        else:
            await answer(send, 200, payload, {"content-type": "text/plain; charset=utf-8"})

    async def _pop(self, topic: str) -> bytes | None:
        if topic not in self._cursors:
            raise HttpError(405, f"there is no topic {topic!r} ({', '.join(self._topics)})")
        cursor = self._cursors[topic]
        while rows := self._driver.store.list_records(EGRESS, cursor, _PAGE):
            for row in rows:
                cursor = row.seq
                payload = _payload(row, topic)
                if payload is not None:
                    self._cursors[topic] = cursor
                    self._driver.engine.boxes.delta.positions[self._name(topic)] = str(cursor)
                    await self._driver.commit_soon()
                    return payload
        return None


def _payload(row: RecordRow, topic: str) -> bytes | None:
    """Return what a record of a topic holds; None for another's, or for what is no record of the playground."""
    if row.typename != _RECORD:
        return None
    try:
        record = cast("object", json.loads(row.value))
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    fields = cast("dict[str, object]", record)
    if fields.get("topic") != topic:
        return None
    payload = fields.get("payload", "")
    return payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()

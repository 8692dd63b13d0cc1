"""What every HTTP door of the package does before it looks at a request: hosts, origins, sizes.

Here: reading an ASGI request within bounds, and answering it. What is behind a door is not known here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import cast
from urllib.parse import urlsplit

__all__ = ["ASGIApp", "Door", "HttpError", "Receive", "Request", "Scope", "Send", "answer", "require"]

Scope = MutableMapping[str, object]
Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
LARGEST = 64 << 20


class HttpError(Exception):
    """A request is refused; the reason is for whoever sent it."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = dict(headers or {})


class Request:
    """One request, its body read."""

    __slots__ = ("body", "headers", "method", "path")

    def __init__(self, scope: Scope, body: bytes, headers: dict[str, str]) -> None:
        self.method = cast("str", scope["method"])
        raw = cast("bytes", scope.get("raw_path") or cast("str", scope["path"]).encode())
        self.path = raw.partition(b"?")[0].decode("ascii", "replace")
        """As it was sent, percent-encoded."""
        self.headers = headers
        self.body = body


class Door:
    """Lets requests in."""

    def __init__(self, hosts: Iterable[str] = (), largest: int = LARGEST) -> None:
        self._hosts = {*LOOPBACK, *hosts}
        self._largest = largest

    async def read(self, scope: Scope, receive: Receive) -> Request:
        """Read a request. Raises HttpError for one that may not come in."""
        headers = headers_of(scope)
        self._check_hosts(headers)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._largest:
            raise HttpError(413, f"a body has at most {self._largest:,} bytes")
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise HttpError(400, "the body ended early")
            part = cast("bytes", message.get("body", b""))
            size += len(part)
            if size > self._largest:
                raise HttpError(413, f"a body has at most {self._largest:,} bytes")
            parts.append(part)
            more = bool(message.get("more_body"))
        return Request(scope, b"".join(parts), headers)

    def _check_hosts(self, headers: Mapping[str, str]) -> None:
        """Refuse what a page of another site lets a browser send (DNS rebinding, cross-site requests)."""
        host = _hostname(headers.get("host", ""))
        if "*" not in self._hosts and host not in self._hosts:
            raise HttpError(421, f"this door does not answer for the host {host!r}")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            raise HttpError(403, f"pages of {origin} may not send to this door")


@functools.lru_cache(64)
def _hostname(host: str) -> str:
    return urlsplit(f"//{host}").hostname or ""


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the headers; of several with one name the last."""
    pairs = cast("list[tuple[bytes, bytes]]", scope["headers"])
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}


async def answer(
    send: Send,
    status: int,
    body: object,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Answer: bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode() + b"\n"
    kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
    fields = {"content-type": kind, "content-length": str(len(data)), **(headers or {})}
    pairs = [(name.encode(), value.encode("latin-1", "replace")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": data})


def require(module: str, extra: str, *, what: str | None = None) -> None:
    """Import what an extra brings, for `what`: the command of its name, by default. Raises ConfigError."""
    import importlib  # noqa: PLC0415 -- only who serves comes here

    from statefun.errors import ConfigError, with_help  # noqa: PLC0415 -- as above

    try:
        importlib.import_module(module)
    except ImportError as error:
        help = f"pip install 'statefun[{extra}]'"
        raise ConfigError(
            with_help(f"{what or f'`statefun {extra}`'} needs {module}, which is not installed", help)
        ) from error

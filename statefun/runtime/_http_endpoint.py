"""Endpoints over HTTP: functions in other processes, in any language, called as the real runtimes call them.

Here: `HttpEndpoint`, on aiohttp. Which function is called where is a `Route`; the two transports of the real runtimes
differ in what they retry and for how long. What a transport gives up on is the failure of one address here; there it
fails the job.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlsplit

from statefun._http import require
from statefun.errors import ConfigError, with_help
from statefun.runtime._plans import BATCH, FunctionSpec, StateSpec
from statefun.runtime._pump import CallError
from statefun.runtime._tls import Certificates

if TYPE_CHECKING:
    import aiohttp

__all__ = ["HttpEndpoint", "Route", "Transport"]

_OCTETS = "application/octet-stream"
_RETRIED_BY_OKHTTP = (408, 409, 420, 429, 499)
_SERVER_ERROR = 500
_LONGEST_WAIT_S = 5.0
_FOR_EVER_S = 1e9
_PART = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """How requests are sent, in seconds."""

    kind: Literal["okhttp", "async"] = "async"
    call: float = 120.0
    """For a request with all its attempts."""
    connect: float = 20.0
    """For a connection; of async with the wait for a free one."""
    read: float | None = None
    """For each part of an answer."""
    write: float | None = None
    """For each part of a request."""
    pool_size: int = 1_024
    pool_ttl: float | None = 15.0
    """How long an idle connection is kept; None: as long as the other side keeps it."""
    largest: int = 32 << 20
    """Bytes of a reply."""
    certificates: Certificates | None = None

    @property
    def first_wait(self) -> float:
        """Return the pause before the second attempt."""
        return 0.010 if self.kind == "okhttp" else 0.004


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a function, or every function of a namespace, is called."""

    namespace: str
    name: str | None
    """None: every function of the namespace."""
    url: str
    """With `{function.name}` for the name of the function; http, https, http+unix or https+unix."""
    transport: Transport = Transport()
    max_batch: int = BATCH
    states: tuple[StateSpec, ...] = ()
    """What module.yaml lists, in v2."""


class _Body:
    """The bytes of a request; large ones part by part, so that the loop goes on.

    Where a part has a limit, and it is not taken within it, the task that sends is cancelled.
    """

    def __init__(self, request: bytes, limit_s: float | None) -> None:
        self.is_late = False
        self._request = request
        self._limit_s = limit_s
        self._timer: asyncio.TimerHandle | None = None
        in_parts = len(request) > _PART
        self.data: bytes | AsyncIterator[bytes] = self._parts() if in_parts else request
        self.headers: dict[str, str] = {"Content-Length": str(len(request))} if in_parts else {}
        self._task = asyncio.current_task()

    async def _parts(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._request), _PART):
            self.end()
            if self._limit_s is not None:
                self._timer = asyncio.get_running_loop().call_later(self._limit_s, self._give_up)
            yield self._request[start : start + _PART]
        self.end()

    def _give_up(self) -> None:
        self.is_late = True
        if self._task is not None:
            self._task.cancel()

    def withdraw(self) -> bool:
        """Tell whether the cancellation was its own; if so, take it back."""
        if self.is_late and self._task is not None and sys.version_info >= (3, 11):
            self._task.uncancel()
        return self.is_late

    def end(self) -> None:
        """Wait for nothing more."""
        if self._timer is not None:
            self._timer.cancel()


class _Retry(Exception):
    """An attempt failed, and another may not."""


class HttpEndpoint:
    """Calls functions over HTTP."""

    def __init__(self, routes: Sequence[Route]) -> None:
        require("aiohttp", "run")
        for route in routes:
            _check(route)
        self._exact = {(route.namespace, route.name): route for route in routes if route.name is not None}
        self._spaces = {route.namespace: route for route in routes if route.name is None}
        made = {route.transport.certificates for route in routes} - {None}
        self._tls = {one: one.context() for one in made if one is not None}
        self._sessions: dict[tuple[Transport, str], aiohttp.ClientSession] = {}

    def find(self, namespace: str, name: str) -> FunctionSpec | None:
        """Return what the engine has to know about a function; None if no route leads to it."""
        route = self._route(namespace, name)
        if route is None:
            return None
        return FunctionSpec(typename=f"{namespace}/{name}", states=route.states, max_batch=route.max_batch)

    def _route(self, namespace: str, name: str) -> Route | None:
        return self._exact.get((namespace, name)) or self._spaces.get(namespace)

    async def call(self, typename: str, request: bytes) -> bytes:
        """Return the reply. Raises CallError when the transport gives up."""
        namespace, _, name = typename.rpartition("/")
        route = self._route(namespace, name)
        if route is None:
            raise CallError(f"no endpoint serves {typename}")
        transport = route.transport
        path, url = _target(route, name)
        ends = time.monotonic() + transport.call
        wait = transport.first_wait
        why: _Retry | None = None
        while True:
            try:
                return await _within(ends - time.monotonic(), self._post(transport, path, url, request))
            except asyncio.TimeoutError:
                late = f"{url} did not answer within {transport.call:g} s"
                raise CallError(late if why is None else _gave_up(url, why, transport)) from None
            except _Retry as error:
                why = error
                if time.monotonic() + wait >= ends:
                    raise CallError(_gave_up(url, why, transport)) from None
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)

    async def _post(self, transport: Transport, path: str, url: str, request: bytes) -> bytes:
        import aiohttp  # noqa: PLC0415 -- an extra
        from yarl import URL  # noqa: PLC0415 -- comes with it

        body = _Body(request, transport.write)
        try:
            async with self._session(transport, path).post(
                URL(url, encoded=True), data=body.data, headers=body.headers, allow_redirects=False
            ) as response:
                self._check_answer(transport, response)
                length = response.content_length
                if length is not None and length > transport.largest:
                    raise _Retry(f"a reply of {length:,} bytes is larger than {transport.largest:,}")
                parts: list[bytes] = []
                size = 0
                async for part in response.content.iter_any():
                    size += len(part)
                    if size > transport.largest:
                        raise _Retry(f"a reply is larger than {transport.largest:,} bytes")
                    parts.append(part)
                return b"".join(parts)
        except asyncio.CancelledError:
            if body.withdraw():
                raise _Retry(f"a part of the request was not taken within {transport.write:g} s") from None
            raise
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, asyncio.TimeoutError):
                raise _Retry("it took too long") from None
            raise _Retry(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from error
        finally:
            body.end()

    @staticmethod
    def _check_answer(transport: Transport, response: aiohttp.ClientResponse) -> None:
        status = response.status
        kinds = response.headers.get("Content-Type", "")
        okhttp = transport.kind == "okhttp"
        if not 200 <= status < 300:  # noqa: PLR2004 -- the range of success
            if okhttp and status < _SERVER_ERROR and status not in _RETRIED_BY_OKHTTP:
                raise CallError(f"it answered with HTTP {status}, which this transport does not retry")
            raise _Retry(f"it answered with HTTP {status}")
        right = kinds == _OCTETS if okhttp else _OCTETS in (one.strip().lower() for one in kinds.split(","))
        if not right:
            problem = f"it answered with the content type {kinds!r}, which must be {_OCTETS!r}"
            raise CallError(problem) if okhttp else _Retry(problem)

    def _session(self, transport: Transport, path: str) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415 -- an extra

        key = transport, path
        session = self._sessions.get(key)
        if session is None:
            connector: aiohttp.BaseConnector
            if path:
                connector = aiohttp.UnixConnector(path, limit=transport.pool_size)
            else:
                tls = True if transport.certificates is None else self._tls[transport.certificates]
                connector = aiohttp.TCPConnector(
                    limit=transport.pool_size, keepalive_timeout=transport.pool_ttl or _FOR_EVER_S, ssl=tls
                )
            okhttp = transport.kind == "okhttp"
            timeout = aiohttp.ClientTimeout(
                total=None, sock_connect=transport.connect, sock_read=transport.read,
                connect=None if okhttp else transport.connect,
            )  # fmt: skip
            headers = {"Content-Type": _OCTETS, "User-Agent": "statefun", **({} if okhttp else {"Accept": _OCTETS})}
            session = self._sessions[key] = aiohttp.ClientSession(
                connector=connector, timeout=timeout, headers=headers, cookie_jar=aiohttp.DummyCookieJar()
            )
        return session

    async def close(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()


async def _within(seconds: float, post: Coroutine[object, object, bytes]) -> bytes:
    """Await a reply, for so long. Raises TimeoutError."""
    if sys.version_info >= (3, 11):
        async with asyncio.timeout(seconds):
            return await post
    return await asyncio.wait_for(post, seconds)  # which makes a task of it: a tenth of a call


def _gave_up(url: str, why: _Retry, transport: Transport) -> str:
    return f"{url}: {why}, and so it went for {transport.call:g} s"


def _target(route: Route, name: str) -> tuple[str, str]:
    """Return the path of the unix socket ("" for TCP) and the URL of a function."""
    url = route.url.replace("{function.name}", name)
    scheme, _, rest = url.partition("://")
    if not scheme.endswith("+unix"):
        return "", url
    socket, _, behind = urlsplit(f"//{rest}").path.partition(".sock")
    # the real runtime sends what is behind the socket as one segment (facts: executed on 2.2.2)
    return f"{socket}.sock", f"http://unused/{quote(behind or '/', safe='')}"


def _check(route: Route) -> None:
    parts = urlsplit(route.url)
    if parts.scheme not in ("http", "https", "http+unix", "https+unix"):
        help = "e.g. http://localhost:8000/statefun or http+unix:///run/app/fn.sock/statefun"
        raise ConfigError(with_help(f"{route.url!r} is no URL of an endpoint", help))
    if parts.scheme.endswith("+unix") and ".sock" not in parts.path:
        raise ConfigError(f"{route.url!r}: the path of a unix socket has a part that ends in .sock")

"""Requests and replies written down: to look at, and to run again with `testing.replay`.

Here: the wrapper around a handler, the bounded files, and reading them back. Off unless somebody wraps; what is in the
files is what went over the wire, so `redact` decides what may be kept.

A file is JSONL: {"request": base64, "reply": base64}, or "error": text where there was no reply.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, cast, overload

from statefun.errors import ConfigError
from statefun.functions import StatefulFunctions

__all__ = ["Exchange", "Recorded", "Redact", "read", "record"]

_MIB = 1 << 20
A_co = TypeVar("A_co", bound="bytes | Awaitable[bytes]", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and what became of it."""

    request: bytes
    reply: bytes | None = None
    error: str | None = None
    """What was raised, where there is no reply."""


Redact = Callable[[Exchange], "Exchange | None"]
"""What is kept of an exchange; None keeps nothing of it."""


class Recorded(Protocol[A_co]):
    """A handler, plain or async."""

    @property
    def functions(self) -> StatefulFunctions:
        """What it serves."""
        ...

    def __call__(self, request: bytes, /) -> A_co:
        """Answer one request."""
        ...


class _Book:
    """The files of one process: `max_files` of up to `max_bytes` each, the oldest removed for the next."""

    def __init__(self, folder: Path, max_bytes: int, max_files: int, redact: Redact | None) -> None:
        if max_bytes < 1 or max_files < 1:
            msg = f"max_bytes and max_files are at least 1, not {max_bytes} and {max_files}"
            raise ConfigError(msg)
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._redact = redact
        self._lock = threading.Lock()
        self._paths: list[Path] = []
        self._number = 0
        self._size = 0

    def write(self, exchange: Exchange) -> None:
        """Keep what may be kept; an exchange that is larger than a file is left out."""
        kept = exchange if self._redact is None else self._redact(exchange)
        line = b"" if kept is None else _line(kept)
        if not line or len(line) > self._max_bytes:
            return
        with self._lock:
            if not self._paths or self._size + len(line) > self._max_bytes:
                self._next()
            with self._paths[-1].open("ab") as file:
                file.write(line)
            self._size += len(line)

    def _next(self) -> None:
        """Make a file that was not there, readable by its user only."""
        while len(self._paths) >= self._max_files:
            self._paths.pop(0).unlink(missing_ok=True)
        while True:
            self._number += 1
            path = self._folder / f"{os.getpid()}-{self._number:06}.jsonl"
            try:
                path.touch(0o600, exist_ok=False)
            except FileExistsError:  # of an earlier process with this number
                continue
            self._paths.append(path)
            self._size = 0
            return


class _Recording:
    def __init__(self, handler: Recorded[bytes | Awaitable[bytes]], book: _Book) -> None:
        self._handler = handler
        self._book = book

    @property
    def functions(self) -> StatefulFunctions:
        """What it serves."""
        return self._handler.functions

    def __call__(self, request: bytes, /) -> bytes | Awaitable[bytes]:
        """Let the handler answer one request, and write it down."""
        try:
            reply = self._handler(request)
        except Exception as error:
            self._failed(request, error)
            raise
        if isinstance(reply, bytes):
            self._book.write(Exchange(request=request, reply=reply))
            return reply
        return self._awaited(request, reply)

    async def _awaited(self, request: bytes, awaitable: Awaitable[bytes]) -> bytes:
        try:
            reply = await awaitable
        except Exception as error:
            self._failed(request, error)
            raise
        self._book.write(Exchange(request=request, reply=reply))
        return reply

    def _failed(self, request: bytes, error: Exception) -> None:
        self._book.write(Exchange(request=request, error=f"{type(error).__name__}: {error}"))


@overload
def record(
    handler: Recorded[bytes], folder: Path, *, max_bytes: int = ..., max_files: int = ..., redact: Redact | None = ...
) -> Recorded[bytes]: ...
@overload
def record(
    handler: Recorded[Awaitable[bytes]],
    folder: Path,
    *,
    max_bytes: int = ...,
    max_files: int = ...,
    redact: Redact | None = ...,
) -> Recorded[Awaitable[bytes]]: ...
def record(
    handler: Recorded[bytes] | Recorded[Awaitable[bytes]],
    folder: Path,
    *,
    max_bytes: int = 64 * _MIB,
    max_files: int = 4,
    redact: Redact | None = None,
) -> Recorded[bytes] | Recorded[Awaitable[bytes]]:
    """Wrap a handler, plain or async, so that requests and replies are written below `folder`.

    Each process writes files of its own, readable by its user only, and keeps the newest `max_files` of up to
    `max_bytes`. `redact` sees each exchange before it is written. Raises ConfigError.
    """
    made = _Recording(handler, _Book(folder, max_bytes, max_files, redact))
    return cast("Recorded[bytes] | Recorded[Awaitable[bytes]]", made)  # it gives back what the handler does


def read(path: Path) -> Iterator[Exchange]:
    """Yield what was recorded, from a file or every file of a folder. Raises ConfigError."""
    for file in sorted(path.glob("*.jsonl")) if path.is_dir() else [path]:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                yield _exchange(line, f"{file}:{number}")


def _line(exchange: Exchange) -> bytes:
    fields: dict[str, str] = {"request": base64.b64encode(exchange.request).decode()}
    if exchange.reply is not None:
        fields["reply"] = base64.b64encode(exchange.reply).decode()
    if exchange.error is not None:
        fields["error"] = exchange.error
    return json.dumps(fields).encode() + b"\n"


def _exchange(line: bytes, where: str) -> Exchange:
    try:
        fields: dict[str, str] = json.loads(line)
        reply = fields.get("reply")
        return Exchange(
            request=base64.b64decode(fields["request"], validate=True),
            reply=None if reply is None else base64.b64decode(reply, validate=True),
            error=fields.get("error"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{where} is no recorded exchange: {error!r}"
        raise ConfigError(msg) from error

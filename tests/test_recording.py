"""Requests and replies written down."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from statefun import AsyncRequestReplyHandler, RequestReplyHandler
from statefun.errors import ConfigError
from statefun.recording import Exchange, read, record
from tests.served import app_functions, call, visit


def test_plain(tmp_path: Path) -> None:
    """A plain handler answers as before, and each exchange is written down, failures too."""
    handler = record(RequestReplyHandler(app_functions()), tmp_path)
    reply = handler(visit("v3"))
    with pytest.raises(RuntimeError):
        handler(call("example/fails"))
    assert list(read(tmp_path)) == [
        Exchange(request=visit("v3"), reply=reply),
        Exchange(request=call("example/fails"), error="RuntimeError: no bob today"),
    ]
    assert "example/greeter" in handler.functions


def test_async(tmp_path: Path) -> None:
    """An async handler does, too."""
    handler = record(AsyncRequestReplyHandler(app_functions()), tmp_path)

    async def ask() -> bytes:
        with pytest.raises(RuntimeError):
            await handler(call("example/fails"))
        return await handler(visit("v2"))

    reply = asyncio.run(ask())
    failed, answered = read(tmp_path)
    assert (failed.error, answered.reply) == ("RuntimeError: no bob today", reply)


def test_bounded(tmp_path: Path) -> None:
    """Files have a size and a number; the oldest goes for the next; what is larger than a file is left out."""
    handler = record(RequestReplyHandler(app_functions()), tmp_path, max_bytes=500, max_files=2)
    for number in range(20):
        handler(visit("v3", name=f"n{number:03}"))
    handler(call("example/echo", "statefun.python/bytes", bytes(1000)))
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    assert all(0 < file.stat().st_size <= 500 for file in files)
    kept = list(read(tmp_path))
    assert b"n019" in kept[-1].request
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)


def test_another_process(tmp_path: Path) -> None:
    """A recording never writes into a file that is there."""
    first = record(RequestReplyHandler(app_functions()), tmp_path)
    first(visit("v3"))
    second = record(RequestReplyHandler(app_functions()), tmp_path)
    second(visit("v2"))
    first(visit("v3"))
    assert len(list(tmp_path.iterdir())) == 2
    assert len(list(read(tmp_path))) == 3


def test_redact(tmp_path: Path) -> None:
    """What may be kept is decided before it is written."""

    def redact(exchange: Exchange) -> Exchange | None:
        return None if b"bob" in exchange.request else replace(exchange, reply=b"")

    handler = record(RequestReplyHandler(app_functions()), tmp_path, redact=redact)
    assert handler(visit("v3", name="bob"))
    assert handler(visit("v3", name="eve"))
    assert list(read(tmp_path)) == [Exchange(request=visit("v3", name="eve"), reply=b"")]
    assert list(read(next(tmp_path.iterdir()))) == list(read(tmp_path))


@pytest.mark.parametrize("line", ["{", "{}", "[]", '{"request": "%"}', '{"request": "", "reply": 1}'])
def test_no_recording(tmp_path: Path, line: str) -> None:
    """A file that is no recording is refused, with its line."""
    file = tmp_path / "a.jsonl"
    file.write_text(line)
    with pytest.raises(ConfigError) as raised:
        list(read(file))
    assert str(raised.value).startswith(f"{file}:1 is no recorded exchange: ")


def test_bad_bounds(tmp_path: Path) -> None:
    """Bounds that let nothing in are refused."""
    with pytest.raises(ConfigError) as raised:
        record(RequestReplyHandler(app_functions()), tmp_path, max_files=0)
    assert str(raised.value) == "max_bytes and max_files are at least 1, not 67108864 and 0"

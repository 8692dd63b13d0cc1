"""What a line of the log says of the call that it is from, and that it costs nothing until somebody asks."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import pytest
from shop_pb2 import GreetRequest

from statefun import AsyncRequestReplyHandler, Context, RequestReplyHandler, StatefulFunctions, logs
from tests.peer import packed, request

log = logging.getLogger("tests.app")
GO = packed(GreetRequest(name="go"))
BATCH = request("v3", GO, GO, function="example/f", identity="bob")


@pytest.fixture
def written() -> Iterator[Callable[[], list[dict[str, object]]]]:
    """Return what gives the lines that were written, as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    handler.addFilter(logs.Fields())
    root = logging.getLogger()
    root.addHandler(handler)
    log.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    log.setLevel(logging.NOTSET)


def plain(_context: Context, message: GreetRequest) -> None:
    """Write a line."""
    log.info("hello %s", message.name)


async def awaiting(_context: Context, message: GreetRequest) -> None:
    """Write a line after a wait, in which other requests run."""
    await asyncio.sleep(0.01)
    log.info("hello %s", message.name)


def failing(_context: Context, _message: GreetRequest) -> None:
    """Fail."""
    raise ValueError("no")


def carrying(fn: Callable[..., object]) -> StatefulFunctions:
    """Bind a function, and have its calls noted."""
    functions = StatefulFunctions()
    functions.register("example/f", fn)  # type: ignore[type-var]  # it gives back nothing, or a coroutine
    logs.carry(functions)
    logs.carry(functions)
    return functions


def where(line: dict[str, object]) -> tuple[object, ...]:
    """Pick out where a line is from."""
    return tuple(line.get(name) for name in ("function", "id", "type", "batch"))


HERE = ("example/f", "bob", "type.googleapis.com/shop.GreetRequest", 2)


def test_a_plain_function(written: Callable[[], list[dict[str, object]]]) -> None:
    """A line inside a plain function says which call it is from; one outside does not."""
    RequestReplyHandler(carrying(plain))(BATCH)
    log.info("outside")
    first, second, outside = written()
    assert where(first) == where(second) == HERE
    assert first["invocation"] != second["invocation"]
    assert set(outside) == {"time", "level", "logger", "message"}
    assert (first["level"], first["logger"], first["message"]) == ("INFO", "tests.app", "hello go")


@pytest.mark.parametrize("fn", [plain, awaiting])
def test_requests_at_the_same_time(fn: Callable[..., object], written: Callable[[], list[dict[str, object]]]) -> None:
    """Async functions, and plain ones in the threads of the handler, have each the address of their own request."""
    handler = AsyncRequestReplyHandler(carrying(fn), threads=4)
    requests = [request("v3", GO, function="example/f", identity=str(number)) for number in range(8)]

    async def main() -> None:
        await asyncio.gather(*map(handler, requests))

    asyncio.run(main())
    assert sorted(str(line["id"]) for line in written()) == [str(number) for number in range(8)]


@pytest.mark.parametrize("fn", [failing, awaiting])
def test_a_failure_keeps_its_place(
    fn: Callable[..., object], written: Callable[[], list[dict[str, object]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is written with the exception, after the call, says where it was raised."""

    async def no_sleep(_seconds: float) -> None:
        raise ValueError("no")

    monkeypatch.setattr(asyncio, "sleep", no_sleep)
    handler = AsyncRequestReplyHandler(carrying(fn), threads=0)
    try:
        asyncio.run(handler(BATCH))
    except ValueError:
        log.exception("it failed")
    (line,) = written()
    assert where(line) == HERE
    assert "ValueError: no" in str(line["exception"])


def test_text() -> None:
    """For people, the fields stand at the end of the line, if there are any."""
    record = logging.LogRecord("a", logging.INFO, "f.py", 1, "hello", None, None)
    formatter = logs.TextFormatter("%(levelname)s %(message)s")
    assert formatter.format(record) == "INFO hello"
    record.statefun_function, record.statefun_id = "example/f", "bob"
    record.statefun_type, record.statefun_batch, record.statefun_invocation = "a.b/shop.Login", 3, "1f-a"
    assert formatter.format(record) == "INFO hello [example/f/bob a.b/shop.Login, batch of 3, 1f-a]"


def test_a_record_keeps_its_own(written: Callable[[], list[dict[str, object]]]) -> None:
    """What a line says of itself is not replaced: that of a dead letter, say."""

    def speaking(_context: Context, _message: GreetRequest) -> None:
        log.info("hello", extra={"statefun_id": "own"})

    RequestReplyHandler(carrying(speaking))(BATCH)
    assert [line["id"] for line in written()] == ["own", "own"]


def calls_of(functions: StatefulFunctions) -> int:
    """Count the calls of Python functions that a request takes."""
    handler = RequestReplyHandler(functions)
    handler(BATCH)
    count = 0

    def count_calls(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(count_calls)
    try:
        handler(BATCH)
    finally:
        sys.setprofile(None)
    return count


def quiet(_context: Context, _message: GreetRequest) -> None:
    """Do nothing."""


def test_no_cost_without_it() -> None:
    """Until somebody says carry, a request takes no call more: what is bound is what is called."""
    off = StatefulFunctions()
    off.register("example/f", quiet)
    assert off["example/f"].call is quiet
    before = calls_of(off)
    assert calls_of(carrying(quiet)) > before
    assert calls_of(off) == before

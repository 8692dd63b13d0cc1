"""Log lines that say which call they come from."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, cast

import pytest

from statefun import AsyncRequestReplyHandler, Context, RequestReplyHandler, StatefulFunctions, logs, skip
from statefun.errors import ConfigError
from tests.peer import BOTH, Wire, request, typed

log = logging.getLogger("app")


def app(seen: list[logs.Call | None]) -> StatefulFunctions:
    """Return functions that say what they are told of their call."""
    functions = StatefulFunctions(on_failure=skip)

    @functions.bind("t/plain")
    def plain(context: Context, message: str) -> None:
        seen.append(logs.current())
        log.warning("got %s", message)

    @functions.bind("t/waits")
    async def waits(context: Context, message: str) -> None:
        seen.append(logs.current())
        await asyncio.sleep(0)
        seen.append(logs.current())
        await asyncio.to_thread(lambda: seen.append(logs.current()))

    return functions


def asked(function: str, *texts: str, wire: Wire = "v3") -> bytes:
    """Return a request for bob with these messages."""
    values = [typed("io.statefun.types/string", b"\x0a" + bytes([len(text)]) + text) for text in map(str.encode, texts)]
    return request(wire, *values, function=function, identity="bob")


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Put the root logger back as it was."""
    made = logging.getLogger()
    before, level = made.handlers[:], made.level
    yield made
    made.handlers[:] = before
    made.setLevel(level)


@pytest.mark.parametrize("wire", BOTH)
@pytest.mark.parametrize("threads", [None, 0, 2])
def test_the_call(threads: int | None, wire: Wire) -> None:
    """A function's code is told its call: in the caller's thread, on the loop, and in a thread of the pool."""
    seen: list[logs.Call | None] = []
    functions = app(seen)
    logs.follow(functions)
    data = asked("t/plain", "a", "b", wire=wire)
    if threads is None:
        plain = StatefulFunctions()
        plain.register("t/plain", functions["t/plain"].fn)
        logs.follow(plain)
        RequestReplyHandler(plain)(data)
    else:
        asyncio.run(_ask(AsyncRequestReplyHandler(functions, threads=threads), data))
    first, second = cast("list[logs.Call]", seen)
    assert (first.function, first.id, first.type, first.batch_size) == ("t/plain", "bob", "io.statefun.types/string", 2)
    assert first.address == "t/plain/bob"
    assert first.invocation_id != second.invocation_id
    assert logs.current() is None


async def _ask(handler: AsyncRequestReplyHandler, data: bytes) -> None:
    await handler(data)
    assert logs.current() is None


def test_async() -> None:
    """What an async function awaits, and a thread that it starts, is told the same call."""
    seen: list[logs.Call | None] = []
    functions = app(seen)
    logs.follow(functions)
    asyncio.run(_ask(AsyncRequestReplyHandler(functions), asked("t/waits", "a")))
    assert len(seen) == 3
    assert seen[0] is not None
    assert seen[0] == seen[1] == seen[2]


def test_later() -> None:
    """Functions and middleware that come later are followed, too, and the call is known inside the middleware."""
    functions = StatefulFunctions()
    logs.follow(functions)
    seen: list[str] = []

    @functions.bind("t/f")
    def f(context: Context, message: str) -> None:
        seen.append(str(cast("logs.Call", logs.current()).address))

    @functions.middleware
    def around(context: Context, message: Any, proceed: Any) -> None:
        seen.append(str(cast("logs.Call", logs.current()).id))
        proceed()

    RequestReplyHandler(functions)(asked("t/f", "a"))
    assert seen == ["bob", "t/f/bob"]


def test_nobody_follows() -> None:
    """Without `follow` there is no call to be told."""
    seen: list[logs.Call | None] = []
    asyncio.run(_ask(AsyncRequestReplyHandler(app(seen)), asked("t/plain", "a")))
    assert seen == [None]


def test_json(root: logging.Logger) -> None:
    """A line is one JSON object with the call, the extra fields and the exception; outside of a call without it."""
    stream = io.StringIO()
    logs.configure("json", stream=stream)
    functions = StatefulFunctions(on_failure=skip)

    @functions.bind("t/f")
    def f(context: Context, message: str) -> None:
        log.warning("got %s", message, extra={"size": 3})
        raise ValueError(message)

    logs.follow(functions)
    RequestReplyHandler(functions)(asked("t/f", "ä"))
    log.warning("over")
    mine, failed, after = map(json.loads, stream.getvalue().splitlines())
    assert mine.pop("time").endswith("+00:00")
    number = mine.pop("invocation_id")
    assert number.count("-") == 2
    assert mine == {
        "level": "WARNING", "logger": "app", "message": "got ä", "size": 3,
        "function": "t/f", "id": "bob", "type": "io.statefun.types/string", "batch_size": 1,
    }  # fmt: skip
    assert failed["exception"].endswith("ValueError: ä")
    assert (failed["logger"], failed["function"], failed["id"], failed["batch_size"], failed["attempts"]) == (
        "statefun.failures", "t/f", "bob", 1, 1,
    )  # fmt: skip
    assert after.keys() == {"time", "level", "logger", "message"}


def test_text(root: logging.Logger) -> None:
    """A line of text has the address in brackets; outside of a call it has none."""
    stream = io.StringIO()
    logs.configure("text", stream=stream)
    functions = app([])
    logs.follow(functions)
    asyncio.run(_ask(AsyncRequestReplyHandler(functions), asked("t/plain", "a")))
    log.warning("over")
    inside, after = stream.getvalue().splitlines()
    assert inside.endswith(" WARNING app [t/plain/bob]: got a")
    assert after.endswith(" WARNING app: over")


def test_no_format() -> None:
    """A format that there is not is refused."""
    with pytest.raises(ConfigError) as raised:
        logs.configure(cast("logs.Format", "xml"))
    assert str(raised.value) == "a log's format is 'text' or 'json', not 'xml'"


PROFILED = """
import sys
{imported}
from statefun import Context, RequestReplyHandler, StatefulFunctions
from tests.test_logs import asked

functions = StatefulFunctions()

@functions.bind("t/f")
def f(context: Context, message: str) -> None:
    context.reply(message) if context.caller else None

handler = RequestReplyHandler(functions)
data = asked("t/f", "a", "b")
handler(data)
calls = []
sys.setprofile(lambda frame, event, arg: calls.append((event, frame.f_code.co_qualname, getattr(arg, "__name__", ""))))
handler(data)
sys.setprofile(None)
print(*calls, sep="\\n")
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="co_qualname is of Python 3.11")
def test_nothing_on_the_path() -> None:
    """Logs and metrics that are imported, and not asked for, add no call to a request; that they are asked for does."""
    follow = "import statefun.logs, statefun.functions as fs\nold = fs.StatefulFunctions.__init__\n"
    follow += "def init(self):\n    old(self)\n    statefun.logs.follow(self)\nfs.StatefulFunctions.__init__ = init"
    without, with_both, followed = (
        _printed(PROFILED.format(imported=imported))
        for imported in ("", "import statefun.logs, statefun.metrics", follow)
    )
    assert "('call', 'f', '')" in without
    assert with_both == without
    assert len(followed) > len(without)


def _printed(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()

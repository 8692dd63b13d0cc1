"""Functions in the process of the runtime: inline, awaited, in a thread; their limits, and what module.yaml says."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from statefun import Context, DeadLetter, MessageEgress, State, StatefulFunctions, dead_letter, value
from statefun._clock import VirtualClock, WallClock
from statefun.module import read
from statefun.runtime import Driver, Runtime
from statefun.runtime._endpoint import InProcess
from statefun.runtime._plans import FunctionSpec, StateSpec
from statefun.runtime._pump import CallError
from statefun.runtime._requests import argument
from statefun.testing import Harness
from tests.runtime.rig import V3, wrap

OUT = MessageEgress[str]("t/out")
STRING = "io.statefun.types/string"


def message(text: str) -> bytes:
    """Make a v3 request with one text for t/f."""
    asked = V3.ToFunction()
    asked.invocation.target.CopyFrom(V3.Address(namespace="t", type="f", id="a"))
    argument = asked.invocation.invocations.add().argument
    argument.typename, argument.has_value, argument.value = STRING, True, wrap(text.encode())
    return asked.SerializeToString()


def awaited(answer: bytes | Awaitable[bytes]) -> bytes:
    """Return the reply, which must not be there yet."""
    assert not isinstance(answer, bytes)

    async def wait() -> bytes:
        return await answer

    return asyncio.run(wait())


def app(seen: list[int], *, blocking: bool) -> StatefulFunctions:
    """Return an app that notes the thread it runs in."""
    functions = StatefulFunctions()

    @functions.bind("t/f", blocking=blocking)
    def f(context: Context, message: str) -> None:
        del context, message
        seen.append(threading.get_ident())

    return functions


def test_inline() -> None:
    """A plain function runs where it is called, and its reply is there at once."""
    seen: list[int] = []
    assert isinstance(InProcess(app(seen, blocking=False)).call("t/f", message("x")), bytes)
    assert seen == [threading.get_ident()]


def test_blocking() -> None:
    """One that is bound with blocking=True runs in a thread, and is awaited."""
    seen: list[int] = []
    awaited(InProcess(app(seen, blocking=True)).call("t/f", message("x")))
    (thread,) = seen
    assert thread != threading.get_ident()


@pytest.mark.parametrize("blocking", [False, True])
def test_an_async_middleware_around_a_plain_function(blocking: bool) -> None:
    """It makes the call one that is awaited; the function has its thread only if it blocks."""
    seen: list[int] = []
    functions = app(seen, blocking=blocking)

    @functions.middleware
    async def patient(context: object, message: object, proceed: Callable[[], Awaitable[None]]) -> None:
        del context, message
        await asyncio.sleep(0)
        await proceed()

    awaited(InProcess(functions).call("t/f", message("x")))
    assert [thread != threading.get_ident() for thread in seen] == [blocking]


def test_blocking_harms_nobody(tmp_path: Path) -> None:
    """While a function blocks in its thread plain ones are served; its effects come when it is done."""
    free = threading.Event()
    functions = StatefulFunctions()

    @functions.bind("t/blocks", blocking=True)
    def blocks(context: Context, message: str) -> None:
        free.wait(10)
        context.send_egress(OUT, message)

    @functions.bind("t/plain")
    def plain(context: Context, message: str) -> None:
        context.send_egress(OUT, message)

    async def go() -> tuple[object, object]:
        with Runtime.in_process(functions, tmp_path) as runtime:
            driver = Driver(runtime.pump, WallClock())
            running = asyncio.ensure_future(driver.run())
            for name, text in (("t/blocks", "blocked"), ("t/plain", "plain")):
                plan = runtime.engine.plan(name)
                assert plan is not None
                await driver.submit(plan, "a", argument(STRING, wrap(text.encode()), "v3"))
            while not (first := list(runtime.records("t/out"))):  # noqa: ASYNC110 -- the driver tells nobody
                await asyncio.sleep(0.01)
            free.set()
            driver.stop()
            await running
            return first, list(runtime.records("t/out"))

    assert asyncio.run(asyncio.wait_for(go(), 10)) == (["plain"], ["plain", "blocked"])


@pytest.mark.parametrize("stubborn", [False, True])
def test_the_limit_of_an_async_function(stubborn: bool) -> None:
    """An async function that takes longer is cancelled, and its call has failed; it may tidy up."""
    tidied: list[str] = []
    functions = StatefulFunctions()

    @functions.bind("t/f")
    async def f(context: Context, message: str) -> None:
        del context, message
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            if stubborn:
                await asyncio.sleep(0)
            tidied.append("up")
            raise

    with pytest.raises(CallError) as caught:
        awaited(InProcess(functions, timeout_s=0.05).call("t/f", message("x")))
    assert (str(caught.value), tidied) == ("the function took longer than 0.05 s", ["up"])


@pytest.mark.parametrize("is_async", [False, True])
def test_who_holds_the_loop(is_async: bool) -> None:
    """A function that holds the loop for a second is named while it does, once; one that waits for long is not."""
    told: list[object] = []
    functions = StatefulFunctions()

    def hold(message: str) -> None:
        until = time.monotonic() + 60
        while message == "hold" and not told and time.monotonic() < until:
            time.sleep(0.01)
        told.append(message)

    if is_async:

        @functions.bind("t/f")
        async def f(context: Context, message: str) -> None:
            del context
            await asyncio.sleep(1.3 if message == "wait" else 0.01)
            hold(message)

    else:

        @functions.bind("t/f")
        def g(context: Context, message: str) -> None:
            del context
            hold(message)

    inside = InProcess(functions, slow=lambda name, seconds: told.append((name, 1 < seconds < 2)))
    for text in ("hold", "wait"):
        answer = inside.call("t/f", message(text))
        if not isinstance(answer, bytes):
            awaited(answer)
    inside.close()
    assert told == [("t/f", True), "hold", "wait"]


def test_held_where_no_thread_could_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that held the loop is named at its end if nobody could look before: when C code kept the interpreter."""
    monkeypatch.setattr("statefun.runtime._watch._POLL_S", 10.0)
    monkeypatch.setattr("statefun.runtime._watch.HELD_S", 0.05)
    told: list[str] = []
    functions = StatefulFunctions()

    @functions.bind("t/f")
    def f(context: Context, message: str) -> None:
        del context
        time.sleep(float(message))

    inside = InProcess(functions, slow=lambda name, _seconds: told.append(name))
    inside.call("t/f", message("0.1"))
    inside.call("t/f", message("0"))
    inside.close()
    assert told == ["t/f"]


class Kept(State):
    """What expires in 2.x, where module.yaml says when."""

    n: int = value(default=0, expire_after_write=timedelta(hours=1))
    m: int = 0


MODULE = """\
version: "2.0"
module:
  meta: {type: remote}
  spec:
    functions:
      - function:
          meta: {kind: http, type: t/f}
          spec:
            endpoint: http://localhost:8000/
            maxNumBatchRequests: 7
            states:
              - name: n
                expireAfter: 1min
                expireMode: after-invoke
              - name: m
"""


def test_what_module_yaml_says(tmp_path: Path) -> None:
    """The size of batches, and in 2.x what expires when, are what the file says; without one, what the app declares."""
    (tmp_path / "module.yaml").write_text(MODULE)
    functions = StatefulFunctions()

    @functions.bind("t/f")
    def f(context: Context[Kept], message: str) -> None: ...

    named = InProcess(functions, wire="v2", module=read(str(tmp_path / "module.yaml")))
    minute = StateSpec(name="n", expire="after-call", expire_ms=60_000)
    assert named.find("t", "f") == FunctionSpec(typename="t/f", states=(minute, StateSpec(name="m")), max_batch=7)
    hour = StateSpec(name="n", expire="after-write", expire_ms=3_600_000)
    found = InProcess(functions, wire="v2").find("t", "f")
    assert found == FunctionSpec(typename="t/f", states=(hour, StateSpec(name="m")))
    assert InProcess(functions).find("t", "f") == FunctionSpec(typename="t/f")
    assert InProcess(functions).find("t", "g") is None


def test_the_clock() -> None:
    """The time of a dead letter is that of the clock which the endpoint was given."""
    functions = StatefulFunctions(on_failure=dead_letter(MessageEgress[DeadLetter]("t/dead")))

    @functions.bind("t/f")
    def f(_context: Context, message: str) -> None:
        raise ValueError(message)

    harness = Harness(functions)
    harness.advance(timedelta(days=3))
    harness.send(f.at("a"), "x")
    harness.run()
    (first,) = [record.value for record in harness.egress(MessageEgress[DeadLetter]("t/dead"))]
    harness.advance(timedelta(hours=1))
    harness.send(f.at("a"), "x")
    harness.run()
    second = harness.egress(MessageEgress[DeadLetter]("t/dead"))[-1].value
    assert first.time is not None
    assert second.time is not None
    assert second.time - first.time == timedelta(hours=1)
    assert first.time.tzinfo is timezone.utc


@pytest.mark.parametrize(
    ("now_ms", "told"), [(10**18, "9999-12-31T23:59:59.999000+00:00"), (-(10**18), "0001-01-01T00:00:00+00:00")]
)
def test_a_time_that_no_datetime_can_say(now_ms: int, told: str) -> None:
    """Records may have any time: where no datetime can say it, a dead letter leaves with the nearest one."""
    functions = StatefulFunctions(on_failure=dead_letter(MessageEgress[DeadLetter]("t/dead")))

    @functions.bind("t/f")
    def f(context: Context, message: str) -> None:
        raise ValueError(message)

    inside = InProcess(functions)
    inside.clock = VirtualClock(now_ms)
    reply = inside.call("t/f", message("x"))
    assert isinstance(reply, bytes)
    assert re.findall(rb'"time":"([^"]+)"', reply) == [told.encode()]

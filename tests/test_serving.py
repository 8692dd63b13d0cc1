"""What every door shares: the page, the limit of requests in flight. The doors themselves are in tests/serving."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from statefun import Context, StatefulFunctions, ValueSpec
from statefun.serving._gate import Gate
from statefun.serving._page import describe, html_of, json_of


def functions() -> StatefulFunctions:
    """Make an app with what a page can show."""
    made = StatefulFunctions()
    spec = ValueSpec("<seen>", int, expire_after_call=timedelta(seconds=2))

    @made.bind("example/<b>", states=[spec])
    def catches_all(context, message):  # type: ignore[no-untyped-def]  # noqa: ANN001 -- as in 2.x
        pass

    @made.bind("example/a")
    def takes(context: Context, message: int | str) -> None: ...

    return made


def test_json() -> None:
    """The page says which functions there are, what they take, what they store, and on which versions."""
    page = json.loads(json_of(describe(functions())))
    assert set(page) == {"statefun", "python", "protobuf", "protocols", "functions"}
    assert page["protocols"] == ["v2", "v3"]
    assert [one["function"] for one in page["functions"]] == ["example/<b>", "example/a"]
    assert page["functions"][0]["any"]
    assert page["functions"][0]["states"] == [
        {
            "name": "<seen>",
            "type": "io.statefun.types/long",
            "expire_after_write_ms": None,
            "expire_after_call_ms": 2000,
        }
    ]
    assert page["functions"][1]["accepts"] == ["io.statefun.types/long", "io.statefun.types/string"]


def test_html() -> None:
    """What a name holds is no HTML; one function is one function."""
    page = html_of(describe(functions())).decode()
    assert "<title>statefun: 2 stateful functions</title>" in page
    assert "<code>example/&lt;b&gt;</code>" in page
    assert "<code>anything else</code>" in page
    assert "<code>&lt;seen&gt;: io.statefun.types/long</code>" in page


def test_gate_in_order() -> None:
    """Places go to those who wait, in the order in which they came; one who gave up is passed over."""

    async def run() -> list[int]:
        gate = Gate(1)
        entered: list[int] = []

        async def enter(number: int) -> None:
            if await gate.enter():
                entered.append(number)

        assert await gate.enter()
        tasks = [asyncio.ensure_future(enter(number)) for number in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
        for _ in range(3):
            gate.leave()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        gate.leave()
        await gate.until_empty()
        assert gate.in_flight == 0
        return entered

    assert asyncio.run(run()) == [0, 2, 3]


def test_gate_cancelled_with_its_place() -> None:
    """A place that is given in the step in which its owner is cancelled is not lost."""

    async def run() -> int:
        gate = Gate(1)
        assert await gate.enter()
        task = asyncio.ensure_future(gate.enter())
        await asyncio.sleep(0)
        gate.leave()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return gate.in_flight

    assert asyncio.run(run()) == 0

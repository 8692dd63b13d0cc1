"""How many calls there were, how long they took, and what became of them."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from statefun import AsyncRequestReplyHandler, Context, MessageEgress, RequestReplyHandler, StatefulFunctions
from statefun.errors import ConfigError
from statefun.failures import DeadLetter, dead_letter
from statefun.metrics import measured
from tests.peer import request, typed
from tests.test_logs import asked

STRING = "io.statefun.types/string"
DEAD = MessageEgress[DeadLetter]("t/dead")


class Collected:
    """A meter, and what it shows."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.meter = MeterProvider(metric_readers=[self._reader], shutdown_on_exit=False).get_meter("test")

    def read(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """Return name -> attributes and value of each point; of a histogram the count and the sum."""
        data = self._reader.get_metrics_data()
        assert data is not None
        found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
        for metric in data.resource_metrics[0].scope_metrics[0].metrics:
            for point in metric.data.data_points:
                value = getattr(point, "value", None)
                shown = (getattr(point, "count", 0), getattr(point, "sum", 0)) if value is None else value
                found.setdefault(metric.name, []).append((dict(point.attributes or {}), shown))
        return found


def f(context: Context, message: str) -> None:
    """Fail for what is bad."""
    if message == "bad":
        raise ValueError(message)


def test_plain() -> None:
    """Calls, bytes, batches and seconds are counted by function and type."""
    functions, collected = StatefulFunctions(), Collected()
    functions.register("t/f", f)
    handler = measured(RequestReplyHandler(functions), collected.meter)
    data = asked("t/f", "a", "b")
    reply = handler(data)
    assert "t/f" in handler.functions
    with pytest.raises(ValueError, match=r"^bad"):
        handler(asked("t/f", "bad"))
    found = collected.read()
    seconds = found.pop("statefun.handler.duration")
    assert [(attributes, count) for attributes, (count, _) in seconds] == [({"function": "t/f"}, 2)]
    assert 0 < seconds[0][1][1] < 10
    size = len(data) + len(asked("t/f", "bad"))
    assert found == {
        "statefun.invocations": [({"function": "t/f", "type": STRING}, 3)],
        "statefun.failures": [({"function": "t/f", "type": STRING, "outcome": "raised"}, 1)],
        "statefun.request.bytes": [({"function": "t/f"}, size)],
        "statefun.reply.bytes": [({"function": "t/f"}, len(reply))],
        "statefun.in_flight": [({}, 0)],
        "statefun.batch.size": [({"function": "t/f"}, (2, 3))],
    }


@pytest.mark.parametrize("threads", [0, 2])
def test_async(threads: int) -> None:
    """An async handler is measured on the loop and in threads, and shows what is in flight."""
    functions, collected = StatefulFunctions(), Collected()
    inside: list[Any] = []

    @functions.bind("t/f")
    def seen(context: Context, message: str) -> None:
        inside.append(collected.read()["statefun.in_flight"])

    @functions.bind("t/g")
    async def g(context: Context, message: str) -> None:
        await asyncio.sleep(0)

    handler = measured(AsyncRequestReplyHandler(functions, threads=threads), collected.meter)

    async def ask() -> None:
        await handler(asked("t/f", "a"))
        await handler(asked("t/g", "a"))

    asyncio.run(ask())
    assert inside == [[({}, 1)]]
    found = collected.read()
    assert found["statefun.invocations"] == [
        ({"function": "t/f", "type": STRING}, 1),
        ({"function": "t/g", "type": STRING}, 1),
    ]
    assert found["statefun.in_flight"] == [({}, 0)]


def test_dead_letters() -> None:
    """Failures are counted by what became of them; dead letters for themselves, of undecodable messages, too."""
    functions, collected = StatefulFunctions(on_failure=dead_letter(DEAD, retries=1)), Collected()
    functions.register("t/f", f)
    handler = measured(RequestReplyHandler(functions), collected.meter)
    handler(asked("t/f", "bad"))
    handler(request("v3", typed("t/unknown", b"x"), function="t/f", identity="bob"))
    handler(asked("t/nobody", "a"))
    found = collected.read()
    assert found["statefun.failures"] == [
        ({"function": "t/f", "type": STRING, "outcome": "retried"}, 1),
        ({"function": "t/f", "type": STRING, "outcome": "dead letter"}, 1),
        ({"function": "t/f", "type": "other", "outcome": "dead letter"}, 1),
        ({"function": "other", "type": "other", "outcome": "dead letter"}, 1),
    ]
    assert found["statefun.dead_letters"] == [
        ({"function": "t/f", "type": STRING}, 1),
        ({"function": "t/f", "type": "other"}, 1),
        ({"function": "other", "type": "other"}, 1),
    ]


def test_bounded() -> None:
    """A catch-all function's types are one label, whatever arrives, and no id is ever one."""
    functions, collected = StatefulFunctions(), Collected()

    @functions.bind("t/all")
    def all_of_them(context: Context, message: AnyPb) -> None:
        pass

    handler = measured(RequestReplyHandler(functions), collected.meter)
    for number in range(50):
        handler(request("v3", typed(f"t/type{number}"), function="t/all", identity=f"id{number}"))
    found = collected.read()
    assert found["statefun.invocations"] == [({"function": "t/all", "type": "other"}, 50)]
    assert all(len(points) == 1 for points in found.values())


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OpenTelemetry the extra is named."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigError) as raised:
        measured(RequestReplyHandler(StatefulFunctions()))
    assert str(raised.value) == (
        "metrics need opentelemetry-api, which is not installed\n  help: pip install 'statefun[otel]'"
    )

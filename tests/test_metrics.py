"""What the measured handlers count, by which labels, and that nobody else pays for it."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from shop_pb2 import GreetRequest, Login

from statefun import (
    AsyncRequestReplyHandler,
    Context,
    DeadLetter,
    MessageEgress,
    RequestReplyHandler,
    StatefulFunctions,
    dead_letter,
    skip,
)
from statefun.errors import ConfigError, MalformedRequest
from statefun.metrics import MeasuredHandler, MeasuredPlainHandler
from tests.peer import packed, request, typed

GO = packed(GreetRequest(name="go"))
BAD = packed(GreetRequest(name="bad"))
DEAD = MessageEgress[DeadLetter]("example/dead")


def greet(_context: Context, message: GreetRequest | Login) -> None:
    """Fail for one name."""
    if isinstance(message, GreetRequest) and message.name == "bad":
        raise ValueError(message.name)


async def await_greet(context: Context, message: GreetRequest | Login) -> None:
    """Do the same, async."""
    await asyncio.sleep(0)
    greet(context, message)


class Measured:
    """An app that is measured, and what was measured."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self._provider = MeterProvider([self.reader])
        functions = StatefulFunctions()
        functions.register("example/raises", greet)
        functions.register("example/awaits", await_greet)
        functions.register("example/dead", greet, on_failure=dead_letter(DEAD))
        functions.register("example/skips", greet, on_failure=skip)
        self.meter = self._provider.get_meter("test")
        self.handler = MeasuredHandler(functions, meter=self.meter)

    def send(self, function: str, *messages: object) -> int:
        """Send a batch; return the length of the reply."""
        data = request("v3", *messages, function=function)  # type: ignore[arg-type]  # they are Any of protobuf
        return len(asyncio.run(self.handler(data)))

    def read(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Return the value of each instrument by its labels."""
        found: dict[str, dict[tuple[str, ...], float]] = {}
        data = self.reader.get_metrics_data()
        assert data is not None
        for metric in data.resource_metrics[0].scope_metrics[0].metrics:
            points = found.setdefault(metric.name.removeprefix("statefun."), {})
            for point in metric.data.data_points:
                labels = tuple(str(value) for _, value in sorted((point.attributes or {}).items()))
                points[labels] = float(point.value)  # type: ignore[union-attr]  # no other kind is made here
        return found


GREET, LOGIN = "shop.GreetRequest", "shop.Login"


def test_what_is_counted() -> None:
    """Messages by function and type; bytes, batches and seconds by function; requests in work."""
    app = Measured()
    data = request("v3", GO, GO, packed(Login()), function="example/raises")
    sent = app.send("example/raises", GO, GO, packed(Login()))
    app.send("example/awaits", GO)
    read = app.read()
    assert read["invocations"] == {
        ("example/raises", GREET): 2,
        ("example/raises", LOGIN): 1,
        ("example/awaits", GREET): 1,
    }
    assert read["received"]["example/raises",] == len(data)
    assert read["sent"]["example/raises",] == sent
    assert read["requests"] == {("example/raises", "2 to 9"): 1, ("example/awaits", "1"): 1}
    assert read["request.duration"]["example/raises",] > 0
    within = read["request.duration.bucket"]
    assert within["example/raises", "+Inf"] == 1
    assert within["example/raises", "0.0005"] <= within["example/raises", "60"] == 1
    assert read["in_flight"] == {(): 0}


@pytest.mark.parametrize("function", ["example/raises", "example/awaits"])
def test_failures(function: str) -> None:
    """A request that fails counts as one failure, of the message that made it fail, and as no invocation."""
    app = Measured()
    with pytest.raises(ValueError, match="bad"):
        app.send(function, packed(Login()), BAD)
    read = app.read()
    assert read["failures"] == {(function, GREET): 1}
    assert read.get("invocations", {}) == {}
    assert read["in_flight"] == {(): 0}


def test_given_up() -> None:
    """What left as a dead letter and what was skipped is counted apart, also what is of an unknown type."""
    app = Measured()
    app.send("example/dead", GO, BAD, BAD, typed("some/type"))
    app.send("example/skips", BAD)
    read = app.read()
    assert read["dead_letters"] == {("example/dead", GREET): 2, ("example/dead", "other"): 1}
    assert read["skipped"] == {("example/skips", GREET): 1}
    assert read["invocations"]["example/dead", GREET] == 3


def test_plain() -> None:
    """A measured plain handler counts the same, in all of its threads; with others of one meter, all are counted."""
    app = Measured()
    functions = StatefulFunctions()
    functions.register("example/plain", greet)
    handler = MeasuredPlainHandler(functions, meter=app.meter, wire="v3")
    good, bad = (request("v3", message, function="example/plain") for message in (GO, BAD))
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(handler, [good] * 200))) == 1
    with pytest.raises(ValueError, match="bad"):
        handler(bad)
    app.send("example/raises", GO)
    read = app.read()
    assert read["invocations"] == {("example/plain", GREET): 200, ("example/raises", GREET): 1}
    assert read["failures"] == {("example/plain", GREET): 1}
    assert read["received"]["example/plain",] == 200 * len(good) + len(bad)
    assert read["in_flight"] == {(): 0}


GLOBAL = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from statefun import Context, StatefulFunctions
from statefun.metrics import MeasuredPlainHandler
from tests.peer import request, typed

def handler(name):
    functions = StatefulFunctions()
    functions.register(name, lambda context, message: None)
    return MeasuredPlainHandler(functions)

handlers = {"a/one": handler("a/one"), "a/two": handler("a/two")}
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
handlers["a/three"] = handler("a/three")
for name, call in handlers.items():
    call(request("v3", typed("a/T"), function=name))
for metric in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics:
    if metric.name == "statefun.invocations":
        print(sorted((point.attributes["function"], point.value) for point in metric.data.data_points))
"""


def test_a_provider_that_is_set_late() -> None:
    """Handlers that were made before the global provider was set are counted with those made after."""
    ran = subprocess.run([sys.executable, "-c", GLOBAL], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("[('a/one', 1), ('a/three', 1), ('a/two', 1)]\n", "")


@pytest.mark.parametrize(("count", "label"), [(10, "10 to 99"), (100, "100 or more")])
def test_batches(count: int, label: str) -> None:
    """How large batches are is told in four steps."""
    app = Measured()
    app.send("example/raises", *[GO] * count)
    read = app.read()
    assert read["requests"] == {("example/raises", label): 1}
    assert read["invocations"] == {("example/raises", GREET): count}


def test_labels_are_bounded() -> None:
    """Ids, and types that no function declares, are no labels; a request that is none counts as a failure."""
    app = Measured()
    for number in range(20):
        app.send("example/skips", typed(f"some/type{number}"))
        asyncio.run(app.handler(request("v3", GO, function="example/raises", identity=str(number))))
    with pytest.raises(MalformedRequest):
        asyncio.run(app.handler(b"\xff"))
    read = app.read()
    assert read["invocations"] == {("example/skips", "other"): 20, ("example/raises", GREET): 20}
    assert read["failures"] == {("unknown", "unknown"): 1}


def calls_of(handler: AsyncRequestReplyHandler | RequestReplyHandler) -> int:
    """Count the calls of Python functions that a request takes."""
    data = request("v3", GO, function="example/f")
    count = 0

    def count_calls(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    def once() -> None:
        answer = handler(data)
        if not isinstance(answer, bytes):
            with pytest.raises(StopIteration):
                answer.__await__().__next__()

    once()
    sys.setprofile(count_calls)
    try:
        once()
    finally:
        sys.setprofile(None)
    return count


def calls_of_handlers() -> tuple[int, int]:
    """Count for both handlers that do not count."""
    return calls_of(RequestReplyHandler(bound())), calls_of(AsyncRequestReplyHandler(bound(), threads=0))


WITHOUT = """
import builtins, sys
taken = builtins.__import__
def importing(name, *rest):
    if name == "statefun.metrics" or name.startswith("opentelemetry"):
        raise ImportError(name)
    return taken(name, *rest)
builtins.__import__ = importing
sys.path[:0] = [".", "tests/protos"]
CODE
print(calls_of_handlers())
assert not [name for name in sys.modules if name.startswith("opentelemetry") or name == "statefun.metrics"]
"""


def test_no_cost_without_it() -> None:
    """A handler that does not count takes as many calls as in a process without OpenTelemetry and statefun.metrics."""
    Measured().send("example/raises", GO)
    here = [inspect.getsource(part) for part in (greet, calls_of, calls_of_handlers, bound)]
    code = "\n".join([
        "from __future__ import annotations", "from types import FrameType", "import pytest",
        "from shop_pb2 import GreetRequest, Login", "from tests.peer import packed, request",
        "from statefun import AsyncRequestReplyHandler, Context, RequestReplyHandler, StatefulFunctions",
        "GO = packed(GreetRequest(name='go'))", *here,
    ])  # fmt: skip
    code = code.removeprefix("from __future__ import annotations\n")
    script = "from __future__ import annotations" + WITHOUT.replace("CODE", code)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(calls_of_handlers())
    assert calls_of_handlers()[0] < calls_of(MeasuredPlainHandler(bound()))
    assert calls_of_handlers()[1] < calls_of(MeasuredHandler(bound(), threads=0))


@pytest.mark.parametrize("handler", [MeasuredHandler, MeasuredPlainHandler])
def test_without_the_extra(
    handler: type[MeasuredHandler | MeasuredPlainHandler], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without OpenTelemetry the error names the extra."""
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)
    with pytest.raises(ConfigError) as caught:
        handler(bound())
    assert str(caught.value).startswith("statefun.metrics needs opentelemetry.metrics, which is not installed")
    assert "pip install 'statefun[otel]'" in str(caught.value)


def bound() -> StatefulFunctions:
    """Bind one function."""
    functions = StatefulFunctions()
    functions.register("example/f", greet)
    return functions

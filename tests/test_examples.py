"""Each example runs, and does what it says."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import runpy
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp.test_utils
import pytest
import yaml
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

from statefun import KafkaEgress, StatefulFunctions, module
from tests.peer import BOTH, Runtime, Wire, answer_of, packed, request, typed

EXAMPLES = Path(__file__).parent.parent / "examples"
GREETER = EXAMPLES / "greeter"


def run_greeter(*arguments: str, stdin: bytes = b"") -> str:
    """Run the greeter as a script, and return what it printed."""
    quiet = ("-W", "ignore::RuntimeWarning")  # protobuf may run in pure Python
    command = (sys.executable, *quiet, str(GREETER / "greeter.py"), *arguments)
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout.decode()
    return done.stdout.decode()


def load(path: Path) -> dict[str, Any]:
    """Import a module of the examples, as their own tests do, or run it; return its names."""
    if path.parent != EXAMPLES:  # twice in one process, its types would be declared twice
        return vars(importlib.import_module(path.stem))
    return runpy.run_path(str(path))


def test_listed() -> None:
    """The README of the examples lists each of them."""
    listed = (EXAMPLES / "README.md").read_text()
    names = {path.name for path in EXAMPLES.iterdir() if not path.name.startswith(("_", ".", "README"))}
    assert {name for name in names if f"`{name}" not in listed} == set()


APPS = {
    **{f"{name}/{file}": f"{name}:functions" for name, file in (("greeter", "module.yaml"), ("shop", "module.yaml"))},
    "greeter/module-2.2.yaml": "greeter:functions",
    "quakes/module.yaml": "quakes:functions",
    "quakes/local.yaml": "quakes:functions",
}


def test_every_module_is_listed() -> None:
    """No module.yaml of the examples goes unchecked."""
    assert {path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.yaml")} == set(APPS)


@pytest.mark.parametrize("file", APPS)
def test_statefun_check(file: str) -> None:
    """`statefun check` has nothing to say of a module.yaml of the examples, warnings included."""
    path = EXAMPLES / file
    done = subprocess.run(
        [sys.executable, "-m", "statefun", "check", APPS[file], path.name, "--strict", "--quiet"],
        cwd=path.parent, env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"{path.name}: nothing wrong\n")


@pytest.mark.parametrize("runtime", ["2.2", "3.3", "kzm"])
@pytest.mark.parametrize(
    "file", ["aiohttp_app", "flask_app", "written_for_2x", "greeter/greeter", "quakes/quakes", "shop/shop"]
)
def test_a_module_can_be_written(file: str, runtime: module.Runtime) -> None:
    """The module.yaml that is written for an example, for each runtime, fits it."""
    found = load(EXAMPLES / f"{file}.py")
    (functions,) = {id(one): one for one in found.values() if isinstance(one, StatefulFunctions)}.values()
    written = module.generate(functions, runtime=runtime, endpoint="http://app:8000/statefun", kafka="kafka:9092")
    report = module.check(functions, module.read_text(written, runtime=runtime), endpoint="http://app:8000/statefun")
    assert report.errors == ()


def test_quakes_on_this_machine(tmp_path: Path) -> None:
    """The earthquakes run from their own module.yaml for this machine, and leave every alert in a file."""
    folder = tmp_path / "quakes"
    shutil.copytree(EXAMPLES / "quakes", folder, ignore=shutil.ignore_patterns(".statefun", "__pycache__"))
    words = "run quakes:functions --module local.yaml --clock records --exit-at-end --quiet --no-http"
    done = subprocess.run(
        [sys.executable, "-m", "statefun", *words.split()], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    alerts = [
        json.loads(line)["value"]["kind"] for line in (folder / ".statefun" / "alerts.jsonl").read_text().splitlines()
    ]
    assert Counter(alerts) == {"SWARM_BEGAN": 8, "SWARM_ENDED": 7, "STRONG": 9}


def test_greeter_answers_captured_requests() -> None:
    """The greeter answers what runtimes 2.2 and 3.3 have sent, and prints both so that a terminal can show it."""
    printed = run_greeter()
    assert printed.count(".bin: ") == len(list((GREETER / "requests").glob("*.bin")))
    assert max(map(len, printed.splitlines())) <= 80
    assert printed.count("Hello bob, visit 2") == 2, "once on each wire"


def test_greeter_answers_standard_input() -> None:
    """A request may come through a pipe."""
    request_bytes = (GREETER / "requests" / "v3-1-first-call.bin").read_bytes()
    assert run_greeter("-", stdin=request_bytes).splitlines() == [
        "-: 83 bytes",
        "  to       example/greeter/bob",
        '  message  GreetRequest(name: "bob")',
        "reply: 84 bytes",
        "  register visits: io.statefun.types/long",
        "  register device: io.statefun.types/string, for 24 h",
    ]


def test_greeter_modules() -> None:
    """The two module.yaml name the function, the egress and the states as the code does."""
    app = load(GREETER / "greeter.py")
    functions: StatefulFunctions = app["functions"]
    egress: KafkaEgress[Any] = app["GREETINGS"]
    (function,) = functions
    new = {document["kind"]: document["spec"] for document in yaml.safe_load_all((GREETER / "module.yaml").read_text())}
    topics = new["io.statefun.kafka.v1/ingress"]["topics"]
    assert {target for topic in topics for target in topic["targets"]} == {function.typename}
    assert {topic["valueType"] for topic in topics} == set(function.accepts)
    assert new["io.statefun.kafka.v1/egress"]["id"] == egress.typename

    old = yaml.safe_load((GREETER / "module-2.2.yaml").read_text())["module"]["spec"]
    spec = old["functions"][0]["function"]
    assert spec["meta"]["type"] == function.typename
    assert [state["name"] for state in spec["spec"]["states"]] == list(function.specs)
    assert [state.get("expireAfter") for state in spec["spec"]["states"]] == [None, "1d"]
    topics = old["ingresses"][0]["ingress"]["spec"]["topics"]
    assert {topic["typeUrl"] for topic in topics} == set(function.accepts)
    assert old["egresses"][0]["egress"]["meta"]["id"] == egress.typename


# --- served over HTTP ---

VISIT = typed("io.statefun.types/string", b"\x0a\x03bob")
CALLER = ("example", "front", "f1")


@pytest.mark.parametrize("wire", BOTH)
def test_flask(wire: Wire) -> None:
    """The Flask app answers a request with the bytes and the content type that a runtime wants."""
    app = load(EXAMPLES / "flask_app.py")["app"]
    body = request(wire, VISIT, function="example/greeter", states={"visits": None}, caller=CALLER)
    response = app.test_client().post("/statefun", data=body, content_type="application/octet-stream")
    assert (response.status_code, response.content_type) == (200, "application/octet-stream")
    assert [identity for _, identity, _ in answer_of(wire, response.data).sent] == ["f1"]


@pytest.mark.parametrize("wire", BOTH)
def test_aiohttp(wire: Wire) -> None:
    """The aiohttp app answers a request with the bytes and the content type that a runtime wants."""
    app = load(EXAMPLES / "aiohttp_app.py")["app"]
    body = request(wire, VISIT, function="example/greeter", states={"visits": None}, caller=CALLER)

    async def post() -> tuple[int, str, bytes]:
        async with aiohttp.test_utils.TestClient(aiohttp.test_utils.TestServer(app)) as client:
            response = await client.post("/statefun", data=body)
            return response.status, response.headers["Content-Type"], await response.read()

    status, content_type, reply = asyncio.run(post())
    assert (status, content_type) == (200, "application/octet-stream")
    assert [identity for _, identity, _ in answer_of(wire, reply).sent] == ["f1"]


# --- an app of 2.x, as it was ---


@pytest.fixture(params=BOTH)
def shop(request: pytest.FixtureRequest) -> Runtime:
    """Serve the app written for 2.2 on either wire; on v2 its module.yaml lists two states."""
    return Runtime(request.param, load(EXAMPLES / "written_for_2x.py")["functions"], listed=["count", "first"])


def test_app_of_2x_stores(shop: Runtime) -> None:
    """It counts, and remembers what came first."""
    for item in ("apple", "pear"):
        shop.send(packed(StringValue(value=item)), function="shop/cart")
    count, first = shop.state("count"), shop.state("first")
    assert count == packed(Int64Value(value=2))
    assert first == packed(StringValue(value="apple"))


def test_app_of_2x_sends(shop: Runtime) -> None:
    """It sends later, to another function and to Kafka, and deletes what it stored."""
    added = shop.send(packed(StringValue(value="apple")), function="shop/cart", identity="bob")
    assert [(ms, target, to) for ms, target, to, _, _ in added.delayed] == [(3_600_000, "shop/reminder", "bob")]
    paid = shop.send(packed(Int64Value(value=250)), function="shop/cart", identity="bob")
    assert paid.sent == [("shop/payments", "bob", packed(Int64Value(value=250)))]
    assert [egress for egress, _ in paid.egress] == ["shop/orders"]
    assert (shop.state("count"), shop.state("first")) == (None, None)


def test_app_of_2x_replies(shop: Runtime) -> None:
    """A function without a hint gets the packed message, and replies to its caller."""
    answer = shop.send(packed(Int64Value(value=250)), function="shop/payments", caller=("shop", "cart", "bob"))
    assert answer.sent == [("shop/cart", "bob", packed(StringValue(value="paid 250")))]


def test_the_shop_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the measured shop is called with is counted, and what left as a dead letter."""
    reader = InMemoryMetricReader()
    monkeypatch.setattr(metrics, "get_meter", MeterProvider([reader]).get_meter)
    app = load(EXAMPLES / "shop" / "measured.py")["app"]
    good, bad = (typed("type.googleapis.com/carts.AddItem", data) for data in (b"\x0a\x03tea\x10\x02", b"\x0a\x03tea"))
    data = request(
        "v3", good, bad, function="shop/cart", states=dict.fromkeys(["items", "sold_out", "coupon", "change"])
    )
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", b"application/octet-stream")]}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 200
    found = reader.get_metrics_data()
    assert found is not None
    numbers = {
        metric.name: [point.value for point in metric.data.data_points if isinstance(point, NumberDataPoint)]
        for metric in found.resource_metrics[0].scope_metrics[0].metrics
        if metric.name in ("statefun.invocations", "statefun.dead_letters")
    }
    assert numbers == {"statefun.invocations": [2], "statefun.dead_letters": [1]}

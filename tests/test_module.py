from __future__ import annotations

import importlib
import re
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from statefun import AsyncRequestReplyHandler, Context, RequestReplyHandler, StatefulFunctions
from statefun.module import FORMATS, RUNTIMES, ModuleError, _model, check, read, read_text
from statefun.module._components import KINDS
from statefun.module._fields import Record
from statefun.module._model import Pattern
from statefun.module._nodes import Mapping
from statefun.module._reading import Reading
from statefun.module._runtimes import reads

CORPUS = Path(__file__).parent / "module" / "corpus"


def test_components() -> None:
    """A file of components becomes endpoints, ingresses and egresses, with every default filled in."""
    module = read(CORPUS / "components" / "good-carts.yaml")

    carts, audit = module.endpoints
    assert (module.format, module.runtime, module.findings) == ("components", "3.3", ())
    assert carts.pattern == Pattern("shop.carts", None)
    assert carts.url_of("shop.carts/cart") == "https://carts.internal:8443/fn/cart"
    assert carts.transport == _model.AsyncTransport(
        call=timedelta(seconds=90),
        connect=timedelta(seconds=5),
        pool_ttl=timedelta(minutes=1),
        pool_size=256,
        payload_max_bytes=16777216,
        trust_cacerts="file:/etc/statefun/ca.pem",
        client_cert="file:/etc/statefun/client.crt",
        client_key="file:/etc/statefun/client.p8",
        client_key_password="/etc/statefun/client.pw",
    )
    assert audit.transport == _model.OkHttpTransport(
        call=timedelta(seconds=30),
        connect=timedelta(seconds=1),
        read=timedelta(seconds=20),
        write=timedelta(seconds=5),
    )
    (events,) = module.ingresses
    assert isinstance(events, _model.KafkaIngress)
    assert (events.id, events.group, events.start) == (
        "shop.io/cart-events", "carts-v4", _model.StartAt(type="group-offsets"),
    )  # fmt: skip
    assert [(topic.name, topic.type, topic.targets) for topic in events.topics] == [
        ("cart-events", "shop.types/CartEvent", ("shop.carts/cart", "shop.audit/trail"))
    ]
    assert events.properties == {"max.poll.records": "500"}
    receipts, clicks = module.egresses
    assert isinstance(receipts, _model.KafkaEgress)
    assert receipts.delivery == _model.ExactlyOnce(timeout=timedelta(minutes=10))
    assert isinstance(clicks, _model.KinesisEgress)
    assert clicks.region == _model.Region(type="custom-endpoint", id="us-east-1", endpoint="https://localhost:4567")
    assert clicks.credentials == _model.Credentials(type="basic", access_key_id="test", secret_access_key="test")
    assert "secret_access_key" not in repr(clicks)


def test_format_2() -> None:
    """A file of format 2.0 becomes the same model, with states."""
    module = read(CORPUS / "format-2.0" / "good-carts.yaml")

    (cart,) = module.endpoints
    assert cart.states is not None
    assert [(state.name, state.expire_after, state.mode) for state in cart.states] == [
        ("items", timedelta(hours=12), "after-write"),
        ("last_seen", timedelta(minutes=30), "after-invoke"),
        ("total", None, "after-invoke"),
    ]
    assert (cart.pattern, cart.max_num_batch_requests) == (Pattern("shop.carts", "cart"), 500)
    kafka, kinesis = module.ingresses
    assert isinstance(kafka, _model.KafkaIngress)
    assert kafka.start == _model.StartAt(
        type="specific-offsets", offsets=(("cart-events", 0, 120), ("cart-events", 1, 7))
    )
    assert isinstance(kinesis, _model.KinesisIngress)
    assert (kinesis.id, kinesis.region) == ("shop.io/clicks", _model.Region(type="specific", id="eu-west-1"))


def test_router() -> None:
    """A 2.x ingress whose records are parsed, and its router."""
    module = read(CORPUS / "format-2.0" / "good-router.yaml")

    (ingress,), (router,) = module.ingresses, module.routers
    assert isinstance(ingress, _model.ProtobufKafkaIngress)
    assert (ingress.id, ingress.topics, ingress.message_type) == ("shop/raw", ("orders",), "shop.Order")
    assert (router.ingress, router.target) == ("shop/raw", "shop/cart/{{$.id}}")


def test_playground() -> None:
    """The playground's kinds have fixed names, and are read by the embedded runtime's rules."""
    module = read(CORPUS / "components" / "playground.yaml")

    (ingress,), (egress,) = module.ingresses, module.egresses
    assert isinstance(ingress, _model.PlaygroundIngress)
    assert isinstance(egress, _model.PlaygroundEgress)
    assert (module.runtime, ingress.id, ingress.port) == ("embedded", "io.statefun.playground/ingress", 8090)
    assert (egress.id, egress.port, egress.topics) == ("io.statefun.playground/egress", 8091, ("greetings",))


def test_embedded() -> None:
    """The embedded runtime's own kinds."""
    module = read(CORPUS / "embedded" / "good.yaml")

    feed, more, stdin, http = module.ingresses
    assert isinstance(feed, _model.JsonlIngress)
    assert (feed.path, feed.follow, feed.type) == ("earthquakes.jsonl", False, "quakes/Record")
    assert feed.fields == _model.RecordFields(id="id", time="properties.time", time_unit="milliseconds")
    assert isinstance(more, _model.JsonlIngress)
    assert (more.follow, more.type, more.fields) == (True, None, None)
    assert isinstance(stdin, _model.JsonlIngress)
    assert (stdin.path, stdin.targets) == (None, ("quakes/router",))
    assert isinstance(http, _model.HttpIngress)
    assert (http.host, http.port) == ("127.0.0.1", 8080)
    alerts, out, kept = module.egresses
    assert isinstance(alerts, _model.JsonlEgress)
    assert alerts.path == "out/alerts.jsonl"
    assert isinstance(out, _model.StdoutEgress)
    assert isinstance(kept, _model.KeptEgress)
    assert (kept.retention, kept.records) == (timedelta(days=7), 10_000)


def test_kzm() -> None:
    """The continuation for Flink 2 knows record headers and invalid records, for an ingress and for a topic."""
    module = read(CORPUS / "components" / "kzm-keys.yaml", runtime="kzm")

    (ingress,) = module.ingresses
    assert isinstance(ingress, _model.KafkaIngress)
    assert (ingress.forward_headers, ingress.invalid_records) == (True, _model.InvalidRecords())
    (topic,) = ingress.topics
    assert (topic.forward_headers, topic.invalid_records) == (True, _model.InvalidRecords(type="fail"))


@pytest.mark.parametrize(
    ("runtime", "transport"),
    [("3.1", _model.OkHttpTransport()), ("3.2", _model.AsyncTransport()), ("3.3", _model.AsyncTransport())],
)
def test_default_transport(runtime: str, transport: object) -> None:
    """The HTTP client that an endpoint of kind v2 uses changed in 3.2."""
    text = "kind: io.statefun.endpoints.v2/http\nspec: {functions: shop/*, urlPathTemplate: 'http://shop/'}\n"
    module = read_text(text, runtime=runtime)  # type: ignore[arg-type]

    assert module.endpoints[0].transport == transport


def test_endpoint_of() -> None:
    """An entry for a function wins over one for its namespace, wherever it stands."""
    endpoint = "kind: io.statefun.endpoints.v1/http\nspec: {{functions: {0}, urlPathTemplate: 'http://{1}/'}}\n"
    module = read_text(f"{endpoint.format('shop/*', 'all')}---\n{endpoint.format('shop/cart', 'one')}")

    found = [module.endpoint_of(name) for name in ("shop/cart", "shop/other", "other/cart")]
    assert [endpoint and endpoint.url for endpoint in found] == ["http://one/", "http://all/", None]
    assert [str(endpoint.pattern) for endpoint in module.endpoints] == ["shop/*", "shop/cart"]


def test_lost() -> None:
    """A file that is not there is an error like any other."""
    with pytest.raises(ModuleError) as caught:
        read("nowhere/module.yaml")

    assert str(caught.value) == ("nowhere/module.yaml: error SF001: the file cannot be read: No such file or directory")


def test_unknown_runtime() -> None:
    """A name that is no runtime is refused before anything is read."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- the whole text is compared
        read_text("", runtime="4.0")  # type: ignore[arg-type]

    assert str(caught.value) == "'4.0' is no runtime: it is one of 2.0, 2.1, 2.2, 3.0, 3.1, 3.2, 3.3, kzm, embedded"


def test_silenced() -> None:
    """A code is silenced by a comment with a reason, which the module keeps."""
    module = read(CORPUS / "components" / "silenced.yaml")

    assert module.findings == ()
    assert module.silenced == {"SF103": "our deploy tool reads these keys"}


def test_record() -> None:
    """A value of another kind than the shape of its key makes is a mistake of this package, and not hidden."""
    record = Record(Mapping(1, 1, {}), (), Reading("module.yaml", "3.3", "components"), {"n": 1})

    with pytest.raises(TypeError, match="the shape of 'n' makes no str"):
        record.get("n", str)


def test_source() -> None:
    """A part of the model knows where it and each of its keys stand."""
    module = read(CORPUS / "components" / "good-small.yaml")

    source = module.endpoints[0].source
    assert source.place() == (3, 3, "[0].spec")
    assert source.place("urlPathTemplate") == (4, 20, "[0].spec.urlPathTemplate")
    assert source.place("transport", "call") == (3, 3, "[0].spec")
    assert source.text("functions") == "shop/*"
    assert source.text("transport", "call") == ""


def test_matrix() -> None:
    """The page of the documentation says which runtime reads which format, and knows which kind."""
    page = (Path(__file__).parent.parent / "docs" / "reference" / "module.md").read_text(encoding="utf-8")
    rows = [
        (f"format {name}" if name[0].isdigit() else name, [reads(one, name) for one in RUNTIMES]) for name in FORMATS
    ]
    rows += [(f"`{name}`", [one in kind.runtimes for one in RUNTIMES]) for name, kind in KINDS.items()]
    table = [f"| {name} | {' | '.join('yes' if cell else '-' for cell in cells)} |" for name, cells in rows]

    assert f"| | {' | '.join(RUNTIMES)} |\n|{'---|' * 10}\n" + "\n".join(table) in page


EXAMPLES = sorted((Path(__file__).parent.parent / "examples").rglob("module*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_examples(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module of each example fits its code."""
    monkeypatch.setattr(sys, "path", [str(file.parent), *sys.path])
    app = importlib.import_module(file.parent.name)

    assert str(check(app.functions, read(file))) == ""


def test_at_start_up() -> None:
    """A handler that is given a module refuses to be made where the app does not fit it."""
    functions = StatefulFunctions()

    @functions.bind("shop/cart")
    def cart(context: Context, message: bytes) -> None: ...

    good = read_text((CORPUS / "components" / "good-small.yaml").read_bytes())
    with pytest.raises(ModuleError) as caught:
        RequestReplyHandler(functions, module=good)

    assert re.sub(r"py:\d+", "py:1", str(caught.value)) == (
        "module.yaml:13:18: error SF310: [1].spec.topics[0].valueType: records of type 'shop.types/Order' go to"
        " 'shop/cart': test_at_start_up.<locals>.cart (test_module.py:1)\n  expected: one of statefun.python/bytes"
    )
    fits = "kind: io.statefun.endpoints.v2/http\nspec: {functions: shop/*, urlPathTemplate: 'http://shop/'}\n"
    AsyncRequestReplyHandler(functions, module=read_text(fits))

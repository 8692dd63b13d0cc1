from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, StringValue
from hypothesis import given, settings
from hypothesis import strategies as st

from statefun import (
    ConfigError,
    Context,
    FunctionRef,
    KafkaEgress,
    KinesisEgress,
    MessageEgress,
    State,
    StatefulFunctions,
    value,
)
from statefun.catalog import Catalog, CatalogEgress, CatalogFunction, CatalogReference, CatalogState, CatalogType
from statefun.module import Runtime, check, generate, read_text
from statefun.module._emit import emit
from statefun.module._model import AsyncTransport, ExactlyOnce, OkHttpTransport
from statefun.module._model import KafkaEgress as KafkaEgressEntry
from statefun.module._write import Transport

SHIPPING = FunctionRef[int]("depot/shipping")
RECEIPTS = KafkaEgress[str]("shop/receipts", topic="receipts")
CLICKS = KinesisEgress[str]("shop/clicks", stream="clicks")
TOTALS = MessageEgress[int]("shop/totals")
URL = "http://shop:8000/statefun"


class CartState(State):
    """One state that expires, and one that does not."""

    items: int = 0
    last: str | None = value(default=None, expire_after_call=timedelta(hours=12))


def app() -> StatefulFunctions:
    """Return an app of two functions, of which one is called by the other only."""
    functions = StatefulFunctions()

    @functions.bind("shop/stock")
    def stock(context: Context, message: StringValue) -> None:
        context.send_egress(CLICKS, "x", partition_key="k")

    @functions.bind("shop/cart")
    def cart(context: Context[CartState], message: int | StringValue | BytesValue) -> None:
        context.send(SHIPPING.at("x"), 5)
        context.send(stock.at("x"), StringValue())
        context.send_egress(RECEIPTS, "paid")
        context.send_egress(TOTALS, 1)

    return functions


COMPONENTS = """\
# yaml-language-server: $schema=module.schema.json
kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: http://shop:8000/statefun
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: depot/shipping
  urlPathTemplate: http://shipping.invalid/statefun
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: shop/kafka-in
  address: kafka:9092
  consumerGroupId: shop
  autoOffsetResetPosition: earliest
  startupPosition:
    type: group-offsets
  topics:
    - topic: cart-string-value
      valueType: type.googleapis.com/google.protobuf.StringValue
      targets:
        - shop/cart
    - topic: cart-bytes-value
      valueType: type.googleapis.com/google.protobuf.BytesValue
      targets:
        - shop/cart
---
kind: io.statefun.kinesis.v1/egress
spec:
  id: shop/clicks
  awsRegion:
    type: default
---
kind: io.statefun.kafka.v1/egress
spec:
  id: shop/receipts
  address: kafka:9092
"""
FORMAT_2 = """\
# yaml-language-server: $schema=module.schema.json
version: "2.0"
module:
  meta:
    type: remote
  spec:
    functions:
      - function:
          meta:
            kind: http
            type: shop/stock
          spec:
            endpoint: http://shop:8000/statefun
      - function:
          meta:
            kind: http
            type: shop/cart
          spec:
            endpoint: http://shop:8000/statefun
            states:
              - name: items
              - name: last
                expireAfter: 12h
                expireMode: after-invoke
      - function:
          meta:
            kind: http
            type: depot/shipping
          spec:
            endpoint: http://shipping.invalid/statefun
    ingresses:
      - ingress:
          meta:
            type: statefun.kafka.io/routable-protobuf-ingress
            id: shop/kafka-in
          spec:
            address: localhost:9092
            consumerGroupId: shop
            autoOffsetResetPosition: earliest
            startupPosition:
              type: group-offsets
            topics:
              - topic: cart-string-value
                typeUrl: type.googleapis.com/google.protobuf.StringValue
                targets:
                  - shop/cart
              - topic: cart-bytes-value
                typeUrl: type.googleapis.com/google.protobuf.BytesValue
                targets:
                  - shop/cart
    egresses:
      - egress:
          meta:
            type: statefun.kinesis.io/generic-egress
            id: shop/clicks
          spec:
            awsRegion:
              type: default
      - egress:
          meta:
            type: statefun.kafka.io/generic-egress
            id: shop/receipts
          spec:
            address: localhost:9092
"""
EMBEDDED = """\
# yaml-language-server: $schema=module.schema.json
kind: io.statefun.endpoints.v2/http
spec:
  functions: depot/shipping
  urlPathTemplate: http://shipping.invalid/statefun
---
kind: io.statefun.embedded.v1/http-ingress
spec:
  id: shop/http-in
---
kind: io.statefun.embedded.v1/kept-egress
spec:
  id: shop/clicks
---
kind: io.statefun.embedded.v1/kept-egress
spec:
  id: shop/receipts
---
kind: io.statefun.embedded.v1/kept-egress
spec:
  id: shop/totals
"""


def test_components() -> None:
    """For 3.3 it writes components: an entry a namespace, an ingress with a topic a type, and the egresses."""
    assert generate(app(), runtime="3.3", endpoint=URL, kafka="kafka:9092") == COMPONENTS


def test_format_2() -> None:
    """For 2.2 it writes format 2.0, with the states."""
    assert generate(app(), runtime="2.2", endpoint=URL) == FORMAT_2


def test_expirations_of_2_1() -> None:
    """For 2.1, which does not know modes, it writes none; 2.0 gets names only."""
    assert "expireAfter: 12h\n" in (text := generate(app(), runtime="2.1", endpoint=URL))
    assert "expireMode" not in text
    assert "            states:\n              - items\n              - last\n" in generate(
        app(), runtime="2.0", endpoint=URL
    )


def test_embedded() -> None:
    """For the embedded runtime it writes its own kinds, and no entry for the app's functions."""
    assert generate(app(), runtime="embedded", endpoint=URL) == EMBEDDED


def test_unix_socket() -> None:
    """A unix socket needs the okhttp transport."""
    text = generate(app(), runtime="3.3", endpoint="http+unix:///run/shop.sock")

    assert check(app(), read_text(text), endpoint="http+unix:///run/shop.sock").findings == ()


@pytest.mark.parametrize("transport", ["async", "okhttp"])
def test_transport(transport: Transport) -> None:
    """The transport is written where one can be chosen, and is what is read again."""
    read = read_text(generate(app(), runtime="3.3", endpoint=URL, transport=transport))

    kinds = {"async": AsyncTransport, "okhttp": OkHttpTransport}
    assert isinstance(read.endpoints[0].transport, kinds[transport])


def test_no_choice_of_transport() -> None:
    """Older runtimes have one transport: naming one is refused."""
    with pytest.raises(ConfigError) as caught:
        generate(app(), runtime="2.2", endpoint=URL, transport="async")

    assert str(caught.value) == "StateFun 2.2 has one transport, okhttp: none can be chosen\n  help: leave it out"


@pytest.mark.parametrize("runtime", ["2.0", "2.2", "3.0", "3.3"])
def test_exactly_once(runtime: Runtime) -> None:
    """What the Kafka egresses promise is written in a spelling that the runtime reads."""
    read = read_text(generate(app(), runtime=runtime, endpoint=URL, delivery="exactly-once"), runtime=runtime)

    deliveries = [egress.delivery for egress in read.egresses if isinstance(egress, KafkaEgressEntry)]
    assert deliveries == [ExactlyOnce(timeout=timedelta(minutes=10))]


def test_slashes() -> None:
    """A name that the format cannot have is refused."""
    functions = StatefulFunctions()

    @functions.bind("com/acme/cart")
    def cart(context: Context, message: int) -> None: ...

    with pytest.raises(ConfigError) as caught:
        generate(functions, runtime="3.3", endpoint=URL)

    assert str(caught.value) == (
        "'com/acme/*' has more than one slash, which StateFun 3.3 takes for no name\n"
        "  help: give its namespace dots instead of slashes"
    )
    assert check(functions, read_text(generate(functions, runtime="2.2", endpoint=URL))).findings == ()


def test_emit() -> None:
    """Text is quoted only where something else would be read."""
    text = emit({"a": ["x", "yes", "1.0", "", "a: b", "- x", "ä", "kafka:9092", "a:", "{b}"], "n": 5, "t": True})

    assert text == (
        'a:\n  - x\n  - "yes"\n  - "1.0"\n  - ""\n  - "a: b"\n  - "- x"\n  - "ä"\n  - kafka:9092\n  - "a:"\n  - "{b}"\n'
        "n: 5\nt: true\n"
    )
    assert (emit("x"), emit([]), emit({"a": {}}), emit({"f": False})) == ("x\n", "", "a: {}\n", "f: false\n")


names = st.from_regex(r"[a-z]{1,3}(\.[a-z]{1,2})?/[a-z]{1,3}(-[a-z]{1,2})?", fullmatch=True)
spans = st.sampled_from([timedelta(milliseconds=1), timedelta(seconds=90), timedelta(days=30)])
expirations = st.one_of(st.just(("none", None)), st.tuples(st.sampled_from(["after-write", "after-call"]), spans))
kinds = st.sampled_from(
    ["io.statefun.types/long", "type.googleapis.com/shop.Order", "type.googleapis.com/shop.Cart", "shop/Json"]
)
TEXT = CatalogType(typename="io.statefun.types/string")


@st.composite
def catalogs(draw: st.DrawFn) -> Catalog:
    """Return any app."""
    functions: list[CatalogFunction] = []
    for name in draw(st.lists(names, max_size=5, unique=True)):
        states = [
            CatalogState(name=state, type=TEXT, expiration=expiration, expire_after=span)  # type: ignore[arg-type]
            for state, (expiration, span) in draw(
                st.dictionaries(st.text("abc_", min_size=1, max_size=3), expirations, max_size=3)
            ).items()
        ]
        accepts = draw(st.lists(kinds, max_size=3, unique=True))
        functions.append(
            CatalogFunction(
                typename=name, where="f (app.py:1)", accepts=tuple(CatalogType(typename=one) for one in accepts),
                reads=tuple(accepts), catch_all=not accepts, states=tuple(states), by_name=(),
            )
        )  # fmt: skip
    bound = [function.typename for function in functions]
    used = st.lists(st.sampled_from(bound), max_size=2, unique=True) if bound else st.just([])
    egresses = draw(
        st.dictionaries(names, st.tuples(st.sampled_from(["kafka", "kinesis", "message"]), used), max_size=3)
    )
    references = draw(st.dictionaries(st.one_of(names, st.sampled_from(bound) if bound else names), used, max_size=4))
    return Catalog(
        functions=tuple(functions),
        egresses=tuple(
            CatalogEgress(typename=name, kind=kind, users=tuple(users))  # type: ignore[arg-type]
            for name, (kind, users) in egresses.items()
        ),
        references=tuple(
            CatalogReference(typename=name, accepts=(), catch_all=True, users=tuple(users))
            for name, users in references.items()
        ),
    )


@settings(deadline=None)
@given(catalogs(), st.sampled_from(["2.2", "3.0", "3.1", "3.2", "3.3", "kzm", "embedded"]))
def test_round_trip(catalog: Catalog, runtime: Runtime) -> None:
    """What is generated for an app is read without a word, and the check finds nothing."""
    text = generate(catalog, runtime=runtime, endpoint=URL)
    if not catalog.functions and "kind" not in text:
        return
    report = check(catalog, read_text(text, runtime=runtime), endpoint=URL)

    assert [str(finding) for finding in report.findings] == []

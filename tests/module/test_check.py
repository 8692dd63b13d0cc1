from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.wrappers_pb2 import StringValue

from statefun import (
    Context,
    FunctionRef,
    KafkaEgress,
    KinesisEgress,
    MessageEgress,
    State,
    StatefulFunctions,
    value,
)
from statefun.catalog import Catalog
from statefun.module import Report, Runtime, check, read_text

SHIPPING = FunctionRef[int | str]("shop/shipping")
RECEIPTS = KafkaEgress[str]("shop/receipts", topic="receipts")


class CartState(State):
    """One state that expires, and one that does not."""

    items: int = 0
    last: str | None = value(default=None, expire_after_write=timedelta(hours=12))


def app() -> StatefulFunctions:
    """Return an app with one function that has states, sends to another, and writes to Kafka."""
    functions = StatefulFunctions()

    @functions.bind("shop/cart")
    def cart(context: Context[CartState], message: int | StringValue) -> None:
        context.send(SHIPPING.at("x"), 5)
        context.send_egress(RECEIPTS, "paid")

    return functions


GOOD = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: http://shop:8000/statefun
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: shop/orders
  address: kafka:9092
  consumerGroupId: carts
  startupPosition: {type: earliest}
  topics:
    - topic: orders
      valueType: type.googleapis.com/google.protobuf.StringValue
      targets: [shop/cart]
---
kind: io.statefun.kafka.v1/egress
spec:
  id: shop/receipts
  address: kafka:9092
"""
GOOD_2 = """\
version: "2.0"
module:
  meta: {type: remote}
  spec:
    functions:
      - function:
          meta: {kind: http, type: shop/cart}
          spec:
            endpoint: http://shop:8000/statefun
            states:
              - name: items
              - {name: last, expireAfter: 12h, expireMode: after-write}
      - function:
          meta: {kind: http, type: shop/shipping}
          spec: {endpoint: "http://shipping:8000/statefun"}
    ingresses:
      - ingress:
          meta: {type: statefun.kafka.io/routable-protobuf-ingress, id: shop/orders}
          spec:
            address: kafka:9092
            consumerGroupId: carts
            startupPosition: {type: earliest}
            topics:
              - topic: orders
                typeUrl: com.acme/google.protobuf.StringValue
                targets: [shop/cart]
    egresses:
      - egress:
          meta: {type: statefun.kafka.io/generic-egress, id: shop/receipts}
          spec: {address: "kafka:9092"}
"""


def report(
    text: str, runtime: Runtime | None = None, functions: StatefulFunctions | None = None, **more: Any
) -> Report:
    """Check the app against a text."""
    return check(functions or app(), read_text(text, runtime=runtime), **more)


NOTE = (
    "module.yaml:14:36: note SF303: module.spec.functions[1].function.meta.type: 'shop/shipping' is served elsewhere: "
    "http://shipping:8000/statefun"
)


@pytest.mark.parametrize(("text", "runtime"), [(GOOD, None), (GOOD, "kzm"), (GOOD, "embedded"), (GOOD_2, "2.2")])
def test_good(text: str, runtime: Runtime | None) -> None:
    """Where everything fits, nothing is found."""
    assert str(report(text, runtime)) == ("" if text == GOOD else NOTE)


OTHER_ENTRY = "spec: {functions: shop/cart, urlPathTemplate: 'http://cart:8000/'}\n"
MORE_TOPICS = """\
    - topic: orders
      valueType: io.statefun.types/int
      targets: [shop/cart]
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: shop/more
  address: kafka:9092
  consumerGroupId: more
  startupPosition: {type: earliest}
  topics:
    - topic: orders
      valueType: io.statefun.types/long
      targets: [shop/cart]
"""
LINES = """\
---
kind: io.statefun.embedded.v1/jsonl-ingress
spec:
  id: a/b
  path: x.jsonl
  targets: [shop/cart, nowhere/x]
  valueType: shop/Order
"""
KAFKA_EGRESS = GOOD[GOOD.index("---\nkind: io.statefun.kafka.v1/egress") :]
KAFKA_INGRESS = GOOD[GOOD.index("---\nkind: io.statefun.kafka.v1/ingress") :]
PLAYGROUND = "---\nkind: io.statefun.playground.v1/egress\nspec: {port: 8091, topics: []}\n"
CLICKS = "---\nkind: io.statefun.kinesis.v1/egress\nspec: {id: shop/receipts}\n"
SECOND = "---\nkind: io.statefun.kafka.v1/egress\nspec: {id: shop/audit, address: kafka:9092}\n"
BOTH_STATES = """\
              - name: items
              - {name: last, expireAfter: 12h, expireMode: after-write}
"""
LAST = "{name: last, expireAfter: 12h, expireMode: after-write}"
SEMANTIC = "receipts\n  deliverySemantic: "
LIMITS = "8000/statefun\n  maxNumBatchRequests: 10\n  transport: {call: 5s}\n"
STRING = "type.googleapis.com/google.protobuf.StringValue"
LATEST = ("  startupPosition: {type: earliest}\n", "")
CASES: dict[str, tuple[str, list[tuple[str, str]], Runtime | None, dict[str, Any]]] = {
    "no entry": (GOOD, [("functions: shop/*", "functions: shp/cart")], None, {}),
    "an entry too many": (GOOD, [("functions: shop/*", "functions: shop/crt")], None, {}),
    "a namespace of others": (GOOD, [("functions: shop/*", "functions: audit/*")], None, {}),
    "a namespace at our URL": (
        GOOD, [("functions: shop/*", "functions: audit/*")], None, {"endpoint": "http://shop:8000/statefun/"},
    ),
    "a target that is not bound": (
        GOOD, [("targets: [shop/cart]", "targets: [shop/cart, shop/cat, other/x]")], None, {},
    ),
    "a type that the target does not take": (GOOD, [("protobuf.StringValue", "protobuf.BoolValue")], None, {}),
    "a type of another prefix": (GOOD, [("type.googleapis.com/google", "com.acme/google")], None, {}),
    "a wrapper": (GOOD, [(STRING, "io.statefun.types/long")], None, {}),
    "an egress of another name": (GOOD, [("id: shop/receipts", "id: shop/receipt")], None, {}),
    "an egress of another kind": (GOOD, [(KAFKA_EGRESS, CLICKS)], None, {}),
    "exactly once": (
        GOOD, [("receipts\n", f"{SEMANTIC}{{type: exactly-once, transactionTimeout: 20min}}\n")], None, {},
    ),
    "no guarantee": (GOOD, [("receipts\n", f"{SEMANTIC}{{type: none}}\n")], None, {}),
    "values": (GOOD, [LATEST, ("8000/statefun\n", LIMITS)], None, {}),
    "values, embedded": (GOOD, [LATEST, ("8000/statefun\n", LIMITS)], "embedded", {}),
    "zero": (GOOD, [("8000/statefun\n", "8000/statefun\n  transport: {call: 0s, connect: 0s}\n")], None, {}),
    "two types on one topic": (GOOD, [(KAFKA_EGRESS, MORE_TOPICS + KAFKA_EGRESS)], None, {}),
    "silenced by the caller": (
        GOOD, [("receipts\n", f"{SEMANTIC}{{type: none}}\n")], None, {"silence": {"SF324": "they may be lost"}},
    ),
    "two entries match": (
        GOOD, [(KAFKA_INGRESS, f"---\nkind: io.statefun.endpoints.v2/http\n{OTHER_ENTRY}{KAFKA_INGRESS}")], None, {},
    ),
    "an egress that nobody uses": (GOOD, [(KAFKA_EGRESS, SECOND + KAFKA_EGRESS)], None, {}),
    "a state that is not declared": (GOOD_2, [("- name: items", "- name: item")], None, {}),
    "no state at all": (GOOD_2, [(BOTH_STATES, "              []\n")], None, {}),
    "another mode": (GOOD_2, [("after-write", "after-invoke")], None, {}),
    "another expiration": (GOOD_2, [("12h", "30min")], None, {}),
    "no expiration": (GOOD_2, [(LAST, "name: last")], None, {}),
    "an expiration too many": (GOOD_2, [("- name: items", "- {name: items, expireAfter: 1d}")], None, {}),
    "one expiration for all": (GOOD_2, [(", expireMode: after-write", "")], "2.1", {}),
    "no such thing as an expiration": (
        GOOD_2,
        [('"2.0"', '"1.0"'), ("- name: items", "- items"), (f"- {LAST}", "- last\n              - old")],
        None, {},
    ),
    "a name that is missing": (
        GOOD_2, [('"2.0"', '"1.0"'), ("- name: items", "- item"), (f"- {LAST}", "- last")], None, {},
    ),
    "no ingress": (GOOD_2, [("    ingresses:", "    nothing:")], None, {}),
    "a function too few in 2.x": (GOOD_2, [("type: shop/cart", "type: shop/carts")], None, {}),
    "records of a file": (GOOD, [(KAFKA_EGRESS, LINES + KAFKA_EGRESS)], None, {}),
    "a playground": (GOOD, [(KAFKA_EGRESS, PLAYGROUND)], None, {}),
}  # fmt: skip
GOLDEN = Path(__file__).with_name("checks.txt")


def findings(name: str) -> str:
    """Return what is said in one case."""
    text, changes, runtime, more = CASES[name]
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return re.sub(r"test_check\.py:\d+", "app.py:1", str(report(text, runtime, **more)))


def golden() -> dict[str, str]:
    """Return what is to be said in each case."""
    sections = GOLDEN.read_text(encoding="utf-8").split("## ")[1:]
    return {section.partition("\n")[0]: section.partition("\n")[2].strip("\n") for section in sections}


@pytest.mark.parametrize("name", CASES)
def test_findings(name: str) -> None:
    """Each case is said in full, with its place and its help; `python tests/module/test_check.py` writes them anew."""
    assert findings(name) == golden()[name]


def test_cases() -> None:
    """The file has no section that is not tested."""
    assert list(golden()) == list(CASES)


def test_by_name() -> None:
    """Sends whose receiver is a text are counted and listed, as what is not checked."""
    functions = app()

    @functions.bind("shop/clerk")
    def clerk(context: Context, message: AnyPb) -> None:
        context.send("shop/audit", "x", message)
        context.pack_and_send_after(timedelta(seconds=1), "shop/later", "x", 5)

    (note,) = report(GOOD, functions=functions).notes
    assert str(note) == (
        "module.yaml: note SF330: 'shop/clerk' sends 2 times by name, which is not checked:"
        " send('shop/audit'), pack_and_send_after('shop/later')"
    )


def test_uses() -> None:
    """What the walk cannot see is named, and then checked like the rest."""
    functions = app()
    functions.uses(KinesisEgress[str]("shop/clicks", stream="clicks"), [FunctionRef[int]("other/thing")])
    functions.uses(MessageEgress[int]("shop/receipts"))

    assert str(report(GOOD, functions=functions)) == USED


USED = """\
module.yaml:19:3: error SF321: [2].spec: 'shop/receipts' is a Kafka egress, but the app sends to it as MessageEgress
  says: the first record fails the job
module.yaml: error SF320: the app sends to the egress 'shop/clicks', which is not there
  expected: an egress with the id 'shop/clicks'
  says: the first record fails the job
module.yaml: error SF325: the app sends to 'other/thing', which is served by no entry
  says: the first message to it fails the job"""


def test_silenced_for_nothing() -> None:
    """A code that nothing has any more need not be silenced."""
    report_ = report(f"# statefun: silence SF324 receipts may be lost\n# statefun: silence SF103 ours\n{GOOD}".replace(
        "  functions", "  owner: carts\n  functions"
    ))  # fmt: skip

    assert str(report_) == "module.yaml: note SF331: SF324 is silenced, and nothing has it any more"
    assert [finding.code for finding in report_.silenced] == ["SF103"]


def test_many_names() -> None:
    """Among many names the one that was meant is looked for where a part is the same, and quickly."""
    entry = "kind: io.statefun.endpoints.v2/http\nspec: {{functions: n{0}/cart, urlPathTemplate: 'http://x/'}}\n---\n"
    text = "".join(entry.format(number) for number in range(500)) + GOOD.replace(
        "targets: [shop/cart]", "targets: [shop/crt]"
    ).replace("functions: shop/*", "functions: shop/cart")
    target, *_ = report(text).findings

    assert (target.problem, target.did_you_mean) == ("the target 'shop/crt' is served by no entry", "'shop/cart'")


def test_catalog() -> None:
    """A catalog may stand in the place of the app."""
    assert check(Catalog.of(app()), read_text(GOOD)) == check(app(), read_text(GOOD))


def test_silenced() -> None:
    """What is silenced is kept apart, and not reported."""
    text = GOOD.replace("receipts\n", "receipts\n  deliverySemantic: {type: none}\n")
    found = report(f"# statefun: silence SF324 receipts may be lost\n{text}")

    assert (found.findings, [finding.code for finding in found.silenced]) == ((), ["SF324"])


if __name__ == "__main__":
    GOLDEN.write_text("".join(f"## {name}\n{findings(name)}\n\n" for name in CASES), encoding="utf-8")

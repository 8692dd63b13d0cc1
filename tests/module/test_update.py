from __future__ import annotations

import sys
from datetime import timedelta

import pytest

from statefun import ConfigError, Context, FunctionRef, KafkaEgress, State, StatefulFunctions, value
from statefun.catalog import Catalog
from statefun.module import check, read_text, update

SHIPPING = FunctionRef[int]("depot/shipping")
RECEIPTS = KafkaEgress[str]("shop/receipts", topic="receipts")
URL = "http://shop:8000/statefun"


class CartState(State):
    """States that expire, and one that does not."""

    items: int = 0
    seen: int = value(default=0, expire_after_write=timedelta(hours=1))
    last: str | None = value(default=None, expire_after_call=timedelta(hours=12))


def app() -> StatefulFunctions:
    """Return an app of one function."""
    functions = StatefulFunctions()

    @functions.bind("shop/cart")
    def cart(context: Context[CartState], message: bytes) -> None:
        context.send(SHIPPING.at("x"), 5)
        context.send_egress(RECEIPTS, "paid")

    return functions


def updated(text: str, functions: StatefulFunctions | None = None) -> str:
    """Return the text, updated, after the check found nothing in it."""
    functions = functions or app()
    changed = update(functions, text, read_text(text), endpoint=URL, kafka="kafka:9092")

    assert [str(one) for one in check(functions, read_text(changed), endpoint=URL).errors] == []
    assert update(functions, changed, read_text(changed), endpoint=URL, kafka="kafka:9092") == changed
    return changed


COMPONENTS = """\
# our module
kind: io.statefun.kafka.v1/ingress   # from the shop
spec:
    id: shop/orders
    address: kafka:9092
    consumerGroupId: carts
    startupPosition: {type: earliest}
    topics:
    - {topic: orders, valueType: statefun.python/bytes, targets: [shop/cart]}"""
ADDED = """
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/cart
  urlPathTemplate: http://shop:8000/statefun
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: depot/shipping
  urlPathTemplate: http://shipping.invalid/statefun
---
kind: io.statefun.kafka.v1/egress
spec:
  id: shop/receipts
  address: kafka:9092
"""


def test_components() -> None:
    """A file of components grows at its end, and is else left as it is, letter by letter."""
    assert updated(COMPONENTS) == COMPONENTS + ADDED


def test_trailing_separator() -> None:
    """An empty document at the end is used."""
    assert updated(f"{COMPONENTS}\n---\n") == COMPONENTS + ADDED


FORMAT_2 = """\
version: "2.0"   # for StateFun 2.2
module:
  meta:
    type: remote
  spec:
    functions:
      # the carts
      - function:
          meta:
            kind: http
            type: shop/cart
          spec:
            endpoint: 'http://shop:8000/statefun'
            states:
              - name: seen        # how often
                expireAfter: 60min
                expireMode: after-write
              - name: last
                expireAfter: 1h   # too short
            timeout: 30s
"""
CHANGED_2 = """\
version: "2.0"   # for StateFun 2.2
module:
  meta:
    type: remote
  spec:
    functions:
      # the carts
      - function:
          meta:
            kind: http
            type: shop/cart
          spec:
            endpoint: 'http://shop:8000/statefun'
            states:
              - name: seen        # how often
                expireAfter: 60min
                expireMode: after-write
              - name: last
                expireAfter: 12h  # too short
              - name: items
            timeout: 30s
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
            address: kafka:9092
            consumerGroupId: shop
            autoOffsetResetPosition: earliest
            startupPosition:
              type: group-offsets
            topics:
              - topic: cart
                typeUrl: statefun.python/bytes
                targets:
                  - shop/cart
    egresses:
      - egress:
          meta:
            type: statefun.kafka.io/generic-egress
            id: shop/receipts
          spec:
            address: kafka:9092
"""


def test_format_2() -> None:
    """A file with a version keeps its comments, its quotes and its order; states and expirations are mended."""
    assert updated(FORMAT_2) == CHANGED_2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# a\n\n  # b\n---\n", ""),
        ("%YAML 1.1\n# x\n--- # y\n", ""),
        ("\n\n", ""),
        ("", "...\n# after\n"),
        ("", "---\n# another document, which 2.2 does not read\nversion: '2.0'\n"),
        ("---\n", "--- # nothing\n"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_around_the_document(before: str, after: str, end: str) -> None:
    """What stands before and after the document stays, letter by letter, and so do the ends of the lines."""
    text = (before + FORMAT_2 + after).replace("\n", end)
    assert updated(text) == (before + CHANGED_2 + after).replace("\n", end)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "              - name: last",
            "\n              # before last\n    # oddly indented\n              - name: last",
        ),
        ("            timeout: 30s", "            # after the states\n            timeout: 30s   #no blank"),
        ("      # the carts", "      # the carts: " + "x" * 300),
        ("      # the carts", "      #\tKörbe 🛒 # twice"),
        ("type: shop/cart", 'type: "shop/cart"   # in quotes'),
        ("60min", "'60min'"),
        (
            "            timeout: 30s\n",
            "            timeout: 30s\n      # more\n    # no ingresses yet\n# the end\n",
        ),
    ],
)
def test_odd_comments(old: str, new: str) -> None:
    """Every comment and every quote stays on its line, wherever it stands; what is added stands apart."""
    text = FORMAT_2.replace(old, new)
    changed = updated(text).splitlines()
    for line in text.splitlines():
        assert line in changed or line.endswith("# too short")


def test_a_comment_that_would_be_lost() -> None:
    """Not every comment in brackets can be kept: nothing is changed then, and the error says where."""
    text = """\
# a file
---
version: "2.0"
module: {meta: {type: remote}, spec: {functions: [ # the carts
  {function: {meta: {kind: http, type: shop/cart}, spec: {endpoint: "http://shop:8000/statefun"}}} # one
]}}
"""
    with pytest.raises(ConfigError) as caught:
        updated(text)
    assert str(caught.value) == (
        "module.yaml:4: the comment '# the carts' would be lost\n"
        "  help: move it to a line of its own, outside of brackets"
    )


def test_format_1() -> None:
    """In format 1.0 the missing names are put in."""
    text = """\
version: "1.0"
module:
  meta: {type: remote}
  spec:
    functions:
    - function:
        meta: {kind: http, type: shop/cart}
        spec:
          endpoint: http://shop:8000/statefun
          states: [items]
"""
    none = text.replace("          states: [items]\n", "")
    assert "          states:\n          - items\n          - seen\n          - last\n" in update(
        app(), none, read_text(none), endpoint=URL, kafka="kafka:9092"
    )
    changed = update(app(), text, read_text(text), endpoint=URL, kafka="kafka:9092")

    assert "          states: [items, seen, last]\n" in changed
    assert "    - function:\n        meta:\n          kind: http\n          type: depot/shipping\n" in changed


def test_nothing_to_do() -> None:
    """A file in which nothing is missing is left as it is."""
    functions = StatefulFunctions()

    @functions.bind("shop/cart")
    def cart(context: Context[CartState], message: bytes) -> None: ...

    text = CHANGED_2.replace("12h  #", "12 hours #")
    assert update(functions, text, read_text(text), endpoint=URL, kafka="") == text
    catalog = Catalog(functions=())
    assert update(catalog, text, read_text(text), endpoint=URL, kafka="") == text


def test_without_ruamel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ruamel.yaml is missing, the error says how to get it."""
    monkeypatch.setitem(sys.modules, "ruamel.yaml", None)

    with pytest.raises(ConfigError) as caught:
        updated(FORMAT_2)

    assert str(caught.value) == (
        "a file with a version is changed by ruamel.yaml, which is not installed\n"
        "  help: pip install 'statefun[module]'"
    )

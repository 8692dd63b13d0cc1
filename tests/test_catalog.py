from __future__ import annotations

import functools
import types
from datetime import timedelta
from typing import Any

import pytest

from statefun import (
    Context,
    DeadLetter,
    FunctionRef,
    KafkaEgress,
    KinesisEgress,
    MessageEgress,
    State,
    StatefulFunctions,
    dead_letter,
    skip,
    value,
)
from statefun.catalog import Catalog, CatalogEgress, CatalogFunction, CatalogState

SHIPPING = FunctionRef[int | str]("shop/shipping")
RECEIPTS = KafkaEgress[str]("shop/receipts", topic="receipts")
CLICKS = KinesisEgress[str]("shop/clicks", stream="clicks")
NAMED = {"totals": [MessageEgress[int]("shop/totals")]}
AUDIT = "shop/audit"
EGRESSES, INNER = types.ModuleType("egresses"), types.ModuleType("egresses.inner")
vars(EGRESSES).update(INNER=INNER, OTHER=KafkaEgress[str]("shop/other", topic="other"))
vars(INNER)["LATE"] = KafkaEgress[str]("shop/late", topic="late")


class Own:
    """An egress of one's own."""

    typename = "shop/own"

    def record(self, value: int) -> int:
        """Return the value."""
        return value


OWN = Own()


class CartState(State):
    """States of every kind."""

    items: int = 0
    last: str | None = value(default=None, expire_after_write=timedelta(hours=12))
    seen: str | None = value(default=None, expire_after_call=timedelta(days=1))


def catalog(fn: Any) -> Catalog:
    """Return the catalog of an app with this one function."""
    functions = StatefulFunctions()
    functions.register("shop/cart", fn)
    return Catalog.of(functions)


def names(found: Catalog) -> list[str]:
    """Return the names of the egresses and references that were found."""
    return [one.typename for one in found.egresses] + [one.typename for one in found.references]


def helper(context: Context, default: object = OWN) -> None:
    """Send for another function."""
    context.send_egress(CLICKS, "x", partition_key="k")
    context.send(SHIPPING.at("x"), 5)


def test_function() -> None:
    """A function is listed with its types, its states and where it stands."""

    def cart(context: Context[CartState], message: int) -> None: ...

    (function,) = catalog(cart).functions
    assert function.typename == "shop/cart"
    assert function.where.startswith("test_function.<locals>.cart (test_catalog.py:")
    assert [known.typename for known in function.accepts] == ["io.statefun.types/long"]
    assert [(state.name, state.type.typename, state.expiration, state.expire_after) for state in function.states] == [
        ("items", "io.statefun.types/long", "none", None),
        ("last", "io.statefun.types/string", "after-write", timedelta(hours=12)),
        ("seen", "io.statefun.types/string", "after-call", timedelta(days=1)),
    ]
    assert [function.takes(name) for name in ("io.statefun.types/int", "io.statefun.types/string")] == [True, False]


def test_helpers() -> None:
    """What a helper of the same package uses is used by the function, its defaults too."""

    def cart(context: Context, message: int) -> None:
        helper(context)

    found = catalog(cart)
    assert names(found) == ["shop/clicks", "shop/own", "shop/shipping"]
    assert [(egress.kind, egress.destination, egress.users) for egress in found.egresses] == [
        ("kinesis", "clicks", ("shop/cart",)),
        ("other", "", ("shop/cart",)),
    ]


def test_closures_and_containers() -> None:
    """Closures are looked into, and lists and mappings."""
    local = (RECEIPTS, [SHIPPING])

    def cart(context: Context, message: int) -> None:
        _ = local, NAMED

    assert names(catalog(cart)) == ["shop/receipts", "shop/totals", "shop/shipping"]


def test_modules() -> None:
    """A name inside a module is found where the code spells it."""

    def cart(context: Context, message: int) -> None:
        _ = EGRESSES.INNER.LATE

    assert names(catalog(cart)) == ["shop/late"]


class Methods:
    """Functions that are methods."""

    def __init__(self) -> None:
        self.egress = RECEIPTS

    def cart(self, context: Context, message: int) -> None:
        """Use an attribute, a static method and a property."""
        self.send(context)
        _ = self.target

    @staticmethod
    def send(context: Context) -> None:
        """Send to Kinesis."""
        context.send_egress(CLICKS, "x", partition_key="k")

    @property
    def target(self) -> object:
        """Return whom to send to."""
        return SHIPPING


def test_methods() -> None:
    """The attributes of a method's object are looked at, and its class."""
    assert names(catalog(Methods().cart)) == ["shop/clicks", "shop/receipts", "shop/shipping"]


def test_partials_and_decorators() -> None:
    """Partials and decorated functions are taken apart."""

    def cart(egress: object, context: Context, message: int) -> None:
        helper(context)

    partial = functools.partial(cart, RECEIPTS)

    def plain(context: Context, message: int) -> None:
        helper(context)

    @functools.wraps(plain)
    def decorated(*arguments: Any) -> None:
        plain(*arguments)

    assert names(catalog(partial)) == ["shop/clicks", "shop/own", "shop/receipts", "shop/shipping"]
    assert names(catalog(decorated)) == ["shop/clicks", "shop/own", "shop/shipping"]


def test_bound_functions() -> None:
    """A bound function is a reference, and what it uses is not looked for under the one that sends to it twice."""
    functions = StatefulFunctions()

    @functions.bind("shop/clerk")
    def clerk(context: Context, message: int) -> None:
        context.send_egress(RECEIPTS, "x")

    @functions.bind("shop/cart")
    def cart(context: Context, message: int) -> None:
        context.send(clerk.at("x"), 5)

    found = Catalog.of(functions)
    assert [(reference.typename, reference.users) for reference in found.references] == [("shop/clerk", ("shop/cart",))]
    assert found.function("shop/clerk") is found.functions[0]
    assert found.function("shop/nobody") is None


def test_by_name() -> None:
    """Calls whose receiver is a text are listed, with the text where the code has it."""

    def cart(context: Context, message: int) -> None:
        name = f"shop/{message}"
        context.pack_and_send("shop/a", "x", 5)
        context.pack_and_send(AUDIT, "x", 5)
        context.pack_and_send(name, "x", 5)
        context.pack_and_send_after(timedelta(seconds=1), "shop/c", "x", 5)
        context.send(SHIPPING.at("shop/d"), 5)

        def later() -> None:
            context.pack_and_send_egress("shop/e", 5)

        later()

    (function,) = catalog(cart).functions
    assert sorted(function.by_name) == [
        "pack_and_send('shop/a')",
        "pack_and_send('shop/audit')",
        "pack_and_send(...)",
        "pack_and_send_after('shop/c')",
        "pack_and_send_egress('shop/e')",
    ]


def test_uses() -> None:
    """What is named with `uses` is there without a user."""
    functions = StatefulFunctions()
    functions.uses(RECEIPTS, [SHIPPING, (CLICKS,)])

    found = Catalog.of(functions)
    assert names(found) == ["shop/clicks", "shop/receipts", "shop/shipping"]
    assert {one.users for one in found.egresses} | {one.users for one in found.references} == {()}


@pytest.mark.parametrize("cls", [Catalog, CatalogEgress, CatalogFunction, CatalogState])
def test_frozen(cls: type) -> None:
    """A catalog is a value."""
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]


class Policy:
    """What happens to a message that fails."""

    def __init__(self, egress: object) -> None:
        self.egress = egress


Policy.__module__ = "statefun.failures"


def test_policies() -> None:
    """An egress that a registry or a bound function was given is found, also inside a policy of the SDK."""
    functions = StatefulFunctions()

    @functions.bind("shop/cart")
    def cart(context: Context, message: int) -> None: ...

    vars(functions)["dead_letter"] = RECEIPTS
    vars(cart)["on_failure"] = Policy(CLICKS)
    found = Catalog.of(functions)

    assert [(egress.typename, egress.users) for egress in found.egresses] == [
        ("shop/clicks", ("shop/cart",)),
        ("shop/receipts", ()),
    ]


def test_dead_letters() -> None:
    """The egress of dead letters is found, with the functions whose messages may leave through it."""
    functions = StatefulFunctions(on_failure=dead_letter(MessageEgress[DeadLetter]("shop/dead")))
    functions.register("shop/cart", _takes_int)
    functions.register("shop/till", _takes_int, on_failure=dead_letter(MessageEgress[DeadLetter]("shop/lost")))
    functions.register("shop/desk", _takes_int, on_failure=skip)

    assert [(egress.typename, egress.users) for egress in Catalog.of(functions).egresses] == [
        ("shop/dead", ("shop/cart",)),
        ("shop/lost", ("shop/till",)),
    ]


def _takes_int(context: Context, message: int) -> None: ...

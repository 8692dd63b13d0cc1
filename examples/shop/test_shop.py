"""The shop's tests, with nothing but the public test kit: one function at a time, and all of it as on a cluster."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from carts_pb2 import AddItem, Checkout, OrderPlaced, Reserve, Reserved, Restock
from shop import DEAD, ORDERS, PATIENCE, Cart, Coupon, Forgotten, Stock, cart, functions, stock

from statefun import Address, module, testing
from statefun.testing import Faults, Harness, MakeHarness, Record

MODULE = module.read(Path(__file__).parent / "module.yaml")


def test_adding_reserves_first() -> None:
    """What is added is asked for at the stock, and not in the cart yet."""
    context = testing.context(Cart(), address="shop/cart/ann")
    cart(context, AddItem(sku="tea", quantity=2))
    assert context.sent.to(stock.at("tea")) == [Reserve(quantity=2)]
    assert context.state == Cart()


def test_reserved_waits_an_hour() -> None:
    """What is reserved lies in the cart, and the cart is looked at again in an hour."""
    context = testing.context(Cart(items={"tea": 1}), address="shop/cart/ann")
    cart(context, Reserved(sku="tea", quantity=2))
    assert context.state == Cart(items={"tea": 3}, change=1)
    assert context.delayed == [testing.Delayed(context.address, Forgotten(1), delay=PATIENCE)]


def shopping(harness: Harness) -> None:
    """Two customers want tea, of which there is not enough for both; one has a coupon."""
    harness.send(stock.at("tea"), Restock(quantity=3))
    harness.run()
    for customer in ("ann", "bob"):
        harness.send(cart.at(customer), AddItem(sku="tea", quantity=2))
    harness.run()
    harness.send(cart.at("ann"), Coupon(percent=10))
    for customer in ("ann", "bob"):
        harness.send(cart.at(customer), Checkout(address="Here 1"))
    harness.run()


@pytest.mark.statefun_wire("v3", "v2")
def test_an_order(statefun_harness: MakeHarness) -> None:
    """Who comes first gets the tea, and the coupon counts once."""
    harness = statefun_harness(functions)
    shopping(harness)
    order = OrderPlaced(cart="ann", items={"tea": 2}, percent_off=10, address="Here 1")
    assert harness.egress(ORDERS) == [Record(order, key="ann", topic="orders")]
    assert harness.state(stock, "tea") == Stock(left=1)
    assert harness.state(cart, "ann") == Cart(change=2)
    assert harness.state(cart, "bob") == Cart(sold_out=["tea"])


def test_a_forgotten_cart() -> None:
    """A cart that is left alone for an hour lets its articles go."""
    harness = Harness(functions, MODULE)
    harness.send(stock.at("tea"), Restock(quantity=3))
    harness.run()
    harness.send(cart.at("ann"), AddItem(sku="tea", quantity=2))
    harness.run()
    assert harness.delayed.to(cart.at("ann")) == [Forgotten(1)]
    harness.advance(PATIENCE - timedelta(seconds=1))
    assert harness.state(cart, "ann").items == {"tea": 2}
    harness.advance(timedelta(seconds=1))
    assert harness.state(cart, "ann").items == {}
    assert harness.state(stock, "tea") == Stock(left=3)


@pytest.mark.statefun_wire("v3", "v2")
def test_what_nobody_can_make_sense_of(statefun_harness: MakeHarness) -> None:
    """A message that fails leaves as a dead letter with its bytes; the customer's other messages are handled."""
    harness = statefun_harness(functions)
    harness.send(stock.at("tea"), Restock(quantity=3))
    harness.run()
    bad = AddItem(sku="tea")
    harness.send(cart.at("ann"), bad)
    harness.send(cart.at("ann"), AddItem(sku="tea", quantity=2))
    harness.run()
    (record,) = harness.egress(DEAD)
    letter = record.value
    assert (record.key, letter.address, letter.text) == ("ann", Address("shop", "cart", "ann"), "how many of 'tea'?")
    assert AddItem.FromString(letter.payload) == bad
    assert harness.state(cart, "ann").items == {"tea": 2}


def test_a_coupon_expires() -> None:
    """A coupon is good for a week."""
    harness = Harness(functions)
    harness.send(cart.at("ann"), Coupon(percent=10))
    harness.advance(timedelta(days=6))
    assert harness.state(cart, "ann").coupon == Coupon(percent=10)
    harness.advance(timedelta(days=30))
    assert harness.state(cart, "ann").coupon is None


@pytest.mark.parametrize("seed", range(30))
def test_nothing_is_sold_twice(seed: int) -> None:
    """Whatever a cluster does, one of the two gets the tea, and none of it is lost."""
    harness = Harness(functions, faults=Faults(seed=seed))
    shopping(harness)
    (order,) = harness.egress(ORDERS)
    assert order.value.items == {"tea": 2}
    assert order.key in {"ann", "bob"}
    assert harness.state(stock, "tea") == Stock(left=1)

"""The tests of the orders, as a user writes them."""

from datetime import timedelta

from orders.app import AUDIT, PAYMENTS, PLACED, Audit, OrderState, orders
from orders_pb2 import Place, Placed
from payments_pb2 import Charge, Charged

from statefun import testing


def test_place() -> None:
    """What is placed is charged."""
    context = testing.context(address="acme/orders/o1", state=OrderState())
    orders(context, Place(order_id="o1", cents=500))
    assert context.sent.to(PAYMENTS) == [Charge(account="o1", cents=500)]
    assert context.state.attempts == 1


def test_paid() -> None:
    """What is paid is told to both egresses."""
    context = testing.context(OrderState(placed=Place(order_id="o1", cents=500)), caller="acme/payments/o1")
    orders(context, Charged(paid=True))
    assert context.egress.to(PLACED) == [Placed(order_id="o1")]
    assert [audit.cents for audit in context.egress.to(AUDIT)] == [500]
    assert context.egress.to(AUDIT) == [Audit("o1", 500)]


def test_not_paid() -> None:
    """What is not paid is charged again, later each time."""
    place = Place(order_id="o1", cents=500)
    context = testing.context(OrderState(placed=place, attempts=2), address="acme/orders/o1")
    orders(context, Charged(paid=False))
    assert context.delayed.to(orders.at("o1")) == [place]
    assert context.delayed[0].delay == timedelta(hours=2)

"""Orders: an app of its own, which knows the payments by name and by messages only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from orders_pb2 import Abandon, Place, Placed
from payments_pb2 import Charge, Charged
from typing_extensions import assert_never

from statefun import (
    Context,
    FunctionRef,
    KafkaEgress,
    RequestReplyHandler,
    State,
    StatefulFunctions,
    json_type,
    value,
)

functions = StatefulFunctions()

PAYMENTS = FunctionRef[Charge]("acme/payments")
CHARGE_AGAIN = "charge again"


@json_type("acme/Audit")
@dataclass(frozen=True)
class Audit:
    """What the audit log is told."""

    order_id: str
    cents: int


PLACED = KafkaEgress[Placed]("acme/placed", topic="placed")
AUDIT = KafkaEgress[Audit]("acme/audit", topic="audit")


class OrderState(State):
    """What is remembered of an order."""

    placed: Place | None = value(default=None, expire_after_write=timedelta(days=30))
    attempts: int = 0


@functions.bind("acme/orders")
def orders(context: Context[OrderState], message: Place | Abandon | Charged) -> None:
    """Charge what is placed, and tell the world when it is paid."""
    state = context.state
    match message:
        case Place():
            state.placed = message
            charge(context, message)
        case Abandon():
            state.placed = None
            context.cancel(CHARGE_AGAIN)
        case Charged():
            if state.placed is None:
                return
            if message.paid:
                order = state.placed
                context.send_egress(PLACED, Placed(order_id=order.order_id), key=order.order_id)
                context.send_egress(AUDIT, Audit(order.order_id, order.cents))
            else:
                later = timedelta(hours=state.attempts)
                context.send_after(later, orders.at(context.address.identity), state.placed, token=CHARGE_AGAIN)
        case _:
            assert_never(message)


def charge(context: Context[OrderState], order: Place) -> None:
    """Ask the payments for the money."""
    context.state.attempts += 1
    context.send(PAYMENTS.at(order.order_id), Charge(account=order.order_id, cents=order.cents))


handler = RequestReplyHandler(functions)

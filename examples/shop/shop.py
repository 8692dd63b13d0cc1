"""A shop: carts that reserve articles, stocks that count them, and orders that leave through Kafka.

A cart takes protobuf and JSON messages in one Union: what a customer does is protobuf, a coupon is JSON from the
marketing department. A cart that is left alone lets its articles go after an hour. What nobody can make sense of leaves
as a dead letter, and harms nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from carts_pb2 import AddItem, Checkout, OrderPlaced, Reserve, Reserved, Restock, SoldOut
from typing_extensions import assert_never

from statefun import Context, DeadLetter, KafkaEgress, State, StatefulFunctions, dead_letter, json_type, value

DEAD = KafkaEgress[DeadLetter]("shop/dead", topic="dead-letters")
functions = StatefulFunctions(on_failure=dead_letter(DEAD))

ORDERS = KafkaEgress[OrderPlaced]("shop/orders", topic="orders")
PATIENCE = timedelta(hours=1)


@json_type("shop/Coupon")
@dataclass(frozen=True)
class Coupon:
    """So many percent off the next order."""

    percent: int


@json_type("shop/Forgotten")
@dataclass(frozen=True)
class Forgotten:
    """A cart was left alone since this change of it."""

    change: int


class Cart(State):
    """What is in a cart."""

    items: dict[str, int] = value(default_factory=dict[str, int])
    sold_out: list[str] = value(default_factory=list[str])
    coupon: Coupon | None = value(default=None, expire_after_write=timedelta(days=7))
    change: int = 0


class Stock(State):
    """How many of an article there are."""

    left: int = 0


@functions.bind("shop/cart")
def cart(context: Context[Cart], message: AddItem | Checkout | Reserved | SoldOut | Coupon | Forgotten) -> None:
    """Keep a cart: what is added is reserved first."""
    state = context.state
    match message:
        case AddItem():
            if not message.quantity:
                raise ValueError(f"how many of {message.sku!r}?")
            context.send(stock.at(message.sku), Reserve(quantity=message.quantity))
        case Reserved():
            state.items[message.sku] = state.items.get(message.sku, 0) + message.quantity
            state.change += 1
            context.send_after(PATIENCE, cart.at(context.address.identity), Forgotten(state.change))
        case SoldOut():
            state.sold_out.append(message.sku)
        case Coupon():
            state.coupon = message
        case Checkout():
            check_out(context, message)
        case Forgotten():
            if message.change == state.change:
                empty(context)
        case _:
            assert_never(message)


def check_out(context: Context[Cart], message: Checkout) -> None:
    """Place the order, if there is anything to order."""
    state = context.state
    if not state.items:
        return
    order = OrderPlaced(cart=context.address.identity, items=state.items, address=message.address)
    if state.coupon is not None:
        order.percent_off = state.coupon.percent
        state.coupon = None
    context.send_egress(ORDERS, order, key=order.cart)
    state.items = {}
    state.change += 1


def empty(context: Context[Cart]) -> None:
    """Put everything back."""
    for sku, quantity in context.state.items.items():
        context.send(stock.at(sku), Restock(quantity=quantity))
    context.state.items = {}


@functions.bind("shop/stock")
async def stock(context: Context[Stock], message: Reserve | Restock) -> None:
    """Count an article: what is reserved is gone until it comes back."""
    state = context.state
    sku = context.address.identity
    match message:
        case Restock():
            state.left += message.quantity
        case Reserve():
            if message.quantity <= state.left:
                state.left -= message.quantity
                context.reply(Reserved(sku=sku, quantity=message.quantity))
            else:
                context.reply(SoldOut(sku=sku))
        case _:
            assert_never(message)

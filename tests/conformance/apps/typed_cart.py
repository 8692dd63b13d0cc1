"""The app of `cart_3.py` as users of our SDK write it; docs/howto/migrate-from-3.3.md shows both."""

# --- what the page shows ---

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from google.protobuf.wrappers_pb2 import StringValue

from statefun import Context, FunctionRef, KafkaEgress, State, StatefulFunctions, Type, json_type, types, value

functions = StatefulFunctions()

NOTE = types.protobuf(StringValue, typename="shop/google.protobuf.StringValue")
DAY = Type(
    "shop/day",
    date,
    encode=lambda day: day.isoformat().encode(),
    decode=lambda data: date.fromisoformat(data.decode()),
)
NOTES = FunctionRef[Annotated[StringValue, NOTE]]("shop/notes")
RECEIPTS = KafkaEgress[str]("shop/receipts", topic="receipts")


@json_type("shop/item")
@dataclass
class Item:
    sku: str
    count: int
    price: float


class Cart(State):
    items: Annotated[int, types.INT32] = 0
    total: Annotated[float, types.FLOAT32] = value(default=0.0, expire_after_write=timedelta(days=30))
    note: StringValue | None = value(default=None, type=NOTE)
    day: date | None = value(default=None, type=DAY, expire_after_call=timedelta(days=30))


@functions.bind("shop/cart")
def cart(context: Context[Cart], message: Item | StringValue | str) -> None:
    state, me = context.state, context.address.identity
    match message:
        case Item():
            if not state.items:
                context.send_after(timedelta(hours=1), cart.at(me), "remind", token="reminder-" + me)
            state.items += message.count
            state.total += message.count * message.price
            context.send(stock.at(message.sku), -message.count)
        case StringValue():
            state.note = message
            context.send(NOTES.at(me), message)
        case str() if message.startswith("deliver "):
            state.day = date.fromisoformat(message[8:])
        case "checkout":
            receipt = f"{state.items} items: {state.total:.2f}"
            context.send_egress(RECEIPTS, receipt, key=me)
            context.cancel("reminder-" + me)
            del state.items, state.total
            if context.caller is not None:
                context.reply(receipt)
        case _:  # the reminder
            pass


class Stock(State):
    left: Annotated[int, types.INT32] = 0


@functions.bind("shop/stock")
async def stock(context: Context[Stock], message: Annotated[int, types.INT32]) -> None:
    context.state.left += message

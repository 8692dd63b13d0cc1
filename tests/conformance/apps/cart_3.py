"""The app of docs/howto/migrate-from-3.3.md, as it was written for apache-flink-statefun 3.3.0.

`typed_cart.py` beside this file is the same app for our SDK.
"""
# mypy: ignore-errors
# pyright: basic, reportAttributeAccessIssue=false, reportCallIssue=false, reportOptionalMemberAccess=false

# --- what the page shows ---

from datetime import date, timedelta

from google.protobuf.wrappers_pb2 import StringValue

from statefun import (
    FloatType,
    IntType,
    StatefulFunctions,
    ValueSpec,
    kafka_egress_message,
    make_json_type,
    make_protobuf_type,
    message_builder,
    simple_type,
)

functions = StatefulFunctions()

ITEM = make_json_type("shop/item")
NOTE = make_protobuf_type(StringValue, namespace="shop")
DAY = simple_type(
    "shop/day",
    serialize_fn=lambda day: day.isoformat().encode(),
    deserialize_fn=lambda data: date.fromisoformat(data.decode()),
)


@functions.bind(
    "shop/cart",
    specs=[
        ValueSpec(name="items", type=IntType),
        ValueSpec(name="total", type=FloatType, expire_after_write=timedelta(days=30)),
        ValueSpec(name="note", type=NOTE),
        ValueSpec(name="day", type=DAY, expire_after_call=timedelta(days=30)),
    ],
)
def cart(context, message):
    storage, me = context.storage, context.address.id
    if message.is_type(ITEM):
        item = message.as_type(ITEM)
        if not storage.items:
            reminder = message_builder("shop/cart", me, str_value="remind")
            context.send_after(timedelta(hours=1), reminder, cancellation_token="reminder-" + me)
        storage.items = (storage.items or 0) + item["count"]
        storage.total = (storage.total or 0.0) + item["count"] * item["price"]
        context.send(message_builder("shop/stock", item["sku"], int_value=-item["count"]))
    elif message.is_type(NOTE):
        storage.note = message.as_type(NOTE)
        context.send(message_builder("shop/notes", me, value=storage.note, value_type=NOTE))
    elif message.is_string() and message.as_string().startswith("deliver "):
        storage.day = date.fromisoformat(message.as_string()[8:])
    elif message.is_string() and message.as_string() == "checkout":
        receipt = f"{storage.items or 0} items: {storage.total or 0.0:.2f}"
        context.send_egress(kafka_egress_message(typename="shop/receipts", topic="receipts", key=me, value=receipt))
        context.cancel_delayed_message("reminder-" + me)
        del storage.items
        del storage.total
        if context.caller is not None:
            context.send(message_builder(context.caller.typename, context.caller.id, str_value=receipt))


@functions.bind("shop/stock", specs=[ValueSpec(name="left", type=IntType)])
async def stock(context, message):
    context.storage.left = (context.storage.left or 0) + message.as_int()

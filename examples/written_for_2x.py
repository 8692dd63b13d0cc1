"""An app as it was written for the SDK of StateFun 2.2: no state is declared, and a few hints are all its types.

It runs without a change, on 2.x, whose module.yaml lists its states, and on 3.x, which is asked for them. Needs flask.

    python examples/written_for_2x.py
"""
# ruff: noqa: ANN001, ANN201, D103, UP007 -- it was written without types
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
# pyright: basic

import typing
from datetime import timedelta

from flask import Flask, make_response, request
from google.protobuf.any_pb2 import Any
from google.protobuf.wrappers_pb2 import Int64Value, StringValue

from statefun import RequestReplyHandler, StatefulFunctions, kafka_egress_record

functions = StatefulFunctions()


@functions.bind("shop/cart")
def cart(context, message: typing.Union[StringValue, Int64Value]):
    if isinstance(message, StringValue):
        add(context, message.value)
    else:
        pay(context, message.value)


def add(context, item):
    count = context.state("count").unpack(Int64Value)
    if not count:
        count = Int64Value()
    count.value += 1
    context.state("count").pack(count)
    if context["first"] is None:
        first = Any()
        first.Pack(StringValue(value=item))
        context["first"] = first
        context.pack_and_send_after(
            timedelta(hours=1), "shop/reminder", context.address.identity, StringValue(value=item)
        )


def pay(context, cents):
    del context["count"]
    del context["first"]
    context.pack_and_send("shop/payments", context.address.identity, Int64Value(value=cents))
    record = kafka_egress_record(topic="orders", key=context.address.identity, value=StringValue(value=str(cents)))
    context.pack_and_send_egress("shop/orders", record)


@functions.bind("shop/payments")
def payments(context, message):
    amount = Int64Value()
    if message.Is(Int64Value.DESCRIPTOR) and message.Unpack(amount):
        context.pack_and_reply(StringValue(value="paid " + str(amount.value)))


handler = RequestReplyHandler(functions)

app = Flask(__name__)


@app.route("/statefun", methods=["POST"])
def handle():
    response_data = handler(request.data)
    response = make_response(response_data)
    response.headers.set("Content-Type", "application/octet-stream")
    return response


if __name__ == "__main__":
    app.run()

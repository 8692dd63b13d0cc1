"""Payments: a second app beside the first, with a module of the same name."""

from __future__ import annotations

from payments_pb2 import Charge, Charged

from statefun import AsyncRequestReplyHandler, Context, StatefulFunctions, ValueSpec

functions = StatefulFunctions()

BALANCE = ValueSpec("balance", int, default=lambda: 1_000)


@functions.bind("acme/payments", states=[BALANCE])
async def payments(context: Context, message: Charge) -> None:
    """Take the money, if there is enough."""
    paid = message.cents <= context[BALANCE]
    if paid:
        context[BALANCE] -= message.cents
    context.reply(Charged(paid=paid))


handler = AsyncRequestReplyHandler(functions)

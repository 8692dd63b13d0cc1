"""The tests of the payments, as a user writes them."""

import asyncio

from payments.app import BALANCE, payments
from payments_pb2 import Charge, Charged

from statefun import Address, testing


def test_charge() -> None:
    """Money leaves the account, and the caller is told."""
    context = testing.context(caller="acme/orders/o1")
    asyncio.run(payments(context, Charge(cents=400)))
    assert context[BALANCE] == 600
    assert context.sent == [testing.Sent(Address("acme", "orders", "o1"), Charged(paid=True))]

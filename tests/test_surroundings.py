"""What the invocations of one batch share."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import GreetRequest

from statefun import Context, State
from statefun._surroundings import ENDED
from statefun.errors import ContextError
from tests.peer import BOTH, Wire, packed, run
from tests.refusals import refusal

GO = packed(GreetRequest())


class Counts(State):
    """A State to share."""

    visits: int = 0


@pytest.mark.parametrize("wire", BOTH)
def test_what_is_shared(wire: Wire) -> None:
    """Each message has a Context of its own; the State and the address are those of the batch."""
    contexts: list[Any] = []
    states: list[Any] = []
    addresses: list[Any] = []

    def f(context: Context[Counts], message: AnyPb) -> None:
        contexts.append(context)
        states.append(context.state)
        addresses.append(context.address)

    run(wire, f, GO, GO, GO)
    assert len(set(map(id, contexts))) == 3
    assert len(set(map(id, states))) == len(set(map(id, addresses))) == 1


def test_nothing_after_the_end() -> None:
    """Whatever a Context looks for after its invocation is not there any more."""
    text = "this context belongs to an invocation that has ended: what it would send or store now would be lost"
    for name in ("reply", "batch", "anything"):
        assert refusal(ContextError, functools.partial(getattr, ENDED, name)) == text

"""Random traffic that ends the same in whatever order it comes: walks among addresses, and sums that all add to.

A walk is one message at a time, among the five addresses of its group, so that what it does to their states has one
order. What walks send to other groups is added up, which has none.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

from google.protobuf.wrappers_pb2 import StringValue

from statefun import Context, KafkaEgress, State, StatefulFunctions, json_type

functions = StatefulFunctions()
GROUPS, MEMBERS = 10, 5
OUT = KafkaEgress[str]("wandering/out", topic="wandering-out")


@json_type("wandering/Walk")
@dataclass
class Walk:
    """The message that goes from address to address."""

    seed: int
    left: int


@json_type("wandering/Add")
@dataclass
class Add:
    """What is added to a sum; answered sometimes."""

    amount: int
    answer: bool = False


class Keeps(State):
    """What an address keeps."""

    visits: int = 0
    text: str | None = None
    ratio: float = 0.0
    total: int = 0
    added: int = 0


@functions.bind("wandering/place")
def place(context: Context[Keeps], message: StringValue | Walk | Add) -> None:
    """Take a step of a walk, add, or tell what is kept."""
    state = context.state
    match message:
        case Add():
            state.total += message.amount
            state.added += 1
            if message.answer:
                context.reply(Add(-message.amount // 2))
        case Walk():
            step(context, message)
        case _ if message.value == "tell":
            kept = (state.visits, state.text, state.ratio, state.total, state.added)
            context.send_egress(OUT, f"kept {kept}", key=context.address.identity)
        case _:
            seed, left = message.value.split()
            step(context, Walk(int(seed), int(left)))


def step(context: Context[Keeps], walk: Walk) -> None:
    """Do something at random to what is kept, send at random, and go on."""
    chance = random.Random(f"{walk.seed} {walk.left}")
    state, me = context.state, context.address.identity
    state.visits += 1
    change(state, chance)
    for _ in range(chance.choice((0, 0, 1, 3))):
        other = f"{chance.randrange(GROUPS)}-{chance.randrange(MEMBERS)}"
        add = Add(chance.randrange(100), answer=chance.random() < 0.3)
        context.send(place.at(other), add)
    if chance.random() < 0.2:
        token = f"{me} {walk.seed} {walk.left}"
        context.send_after(timedelta(minutes=10), place.at(me), Add(10**6), token=token)
        context.cancel(token)
    if chance.random() < 0.5:
        context.send_egress(OUT, f"{walk.left} {state.text}", key=me)
    if walk.left == 0:
        context.send_egress(OUT, f"arrived {state.visits}", key=me)
        return
    following = place.at(f"{me.partition('-')[0]}-{chance.randrange(MEMBERS)}")
    onward = Walk(walk.seed, walk.left - 1)
    if chance.random() < 0.3:
        context.send_after(timedelta(milliseconds=chance.randrange(30)), following, onward)
    else:
        context.send(following, onward)


def change(state: Keeps, chance: random.Random) -> None:
    """Write, change or delete."""
    match chance.randrange(4):
        case 0:
            state.text = f"t{chance.randrange(1000)}"
        case 1:
            del state.text
        case 2:
            state.ratio += chance.random()
        case _:
            del state.ratio

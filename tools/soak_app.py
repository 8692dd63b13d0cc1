"""The app under the soak (`soak.py`): what it does to every message can be held against what was sent.

`STATEFUN_SOAK_LEAK=1000` makes it keep 1,000 bytes for good at each message, so that the soak can be seen to fail.
"""

from __future__ import annotations

import os
from datetime import timedelta

from statefun import Context, DeadLetter, MessageEgress, State, StatefulFunctions, dead_letter

functions = StatefulFunctions()
DEAD = MessageEgress[DeadLetter]("soak/dead")
OUT = MessageEgress[str]("soak/out")
LEAK = int(os.environ.get("STATEFUN_SOAK_LEAK", "0"))
kept: list[bytearray] = []


class Count(State):
    """How many messages came, and the last texts, which change in place."""

    n: int = 0
    last: list[str] | None = None


@functions.bind("soak/greeter")
def greeter(context: Context[Count], message: str) -> None:
    """Count, remember, and answer."""
    state = context.state
    state.n += 1
    if state.last is None:
        state.last = []
    state.last = [*state.last[-3:], message]
    context.reply(f"{message} {state.n}")
    if LEAK:
        kept.append(bytearray(LEAK))


@functions.bind("soak/echo")
async def echo(context: Context, message: bytes) -> None:
    """Send back what came."""
    context.reply(message)


@functions.bind("soak/fails")
def fails(context: Context[Count], message: str) -> None:
    """Fail, after a change of the state."""
    context.state.n += 1
    raise ValueError(message)


@functions.bind("soak/buries", on_failure=dead_letter(DEAD, retries=1))
def buries(context: Context[Count], message: str) -> None:
    """Fail, and leave through the dead letters."""
    context.state.n += 1
    raise ValueError(message)


@functions.bind("soak/first")
def first(context: Context[Count], message: str) -> None:
    """Count, and pass on: at once, or later."""
    context.state.n += 1
    if LEAK:
        kept.append(bytearray(LEAK))
    if int(message) % 3:
        context.send(second.at(context.address.identity), message)
    else:
        context.send_after(timedelta(milliseconds=20), second.at(context.address.identity), message, token=message)


@functions.bind("soak/second")
async def second(context: Context[Count], message: str) -> None:
    """Count, and write."""
    context.state.n += 1
    context.send_egress(OUT, message)

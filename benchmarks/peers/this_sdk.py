"""This SDK, on both wires, written as its documentation has users write: typed state, unions, typed sends."""

from contestant import serve
from scenarios import ASYNC, OPS, SINK, Blob, Counter, Ping, Pong

from statefun import (
    AsyncRequestReplyHandler,
    Context,
    FunctionRef,
    RequestReplyHandler,
    State,
    StatefulFunctions,
    value,
)

Op0, Op1, Op2, Op3, Op4, Op5, Op6, Op7 = OPS
TO = FunctionRef[Pong](SINK)


class CounterState(State):
    """What the counters keep."""

    count: Counter = value(default_factory=Counter)


class SixteenStates(State):
    """What S4 keeps."""

    s00: Blob | None = None
    s01: Blob | None = None
    s02: Blob | None = None
    s03: Blob | None = None
    s04: Blob | None = None
    s05: Blob | None = None
    s06: Blob | None = None
    s07: Blob = value(default_factory=Blob)
    s08: Blob | None = None
    s09: Blob | None = None
    s10: Blob | None = None
    s11: Blob | None = None
    s12: Blob | None = None
    s13: Blob | None = None
    s14: Blob | None = None
    s15: Blob | None = None


sync_functions = StatefulFunctions()
async_functions = StatefulFunctions()


@sync_functions.bind("bench/counter")
def counter(context: Context[CounterState], message: Ping) -> None:
    """S1, S2."""
    count = context.state.count
    count.value += message.amount
    count.last = message.key
    context.send(TO.at(message.key), Pong(value=count.value, origin=message.key))


@sync_functions.bind("bench/union")
def union(context: Context[CounterState], message: Op0 | Op1 | Op2 | Op3 | Op4 | Op5 | Op6 | Op7) -> None:
    """S3."""
    count = context.state.count
    count.value += message.amount
    count.last = message.key
    context.send(TO.at(message.key), Pong(value=count.value, origin=message.key))


@sync_functions.bind("bench/states")
def states(context: Context[SixteenStates], message: Ping) -> None:
    """S4."""
    context.state.s07.n += message.amount


@async_functions.bind("bench/acounter")
async def acounter(context: Context[CounterState], message: Ping) -> None:
    """S5."""
    count = context.state.count
    count.value += message.amount
    count.last = message.key
    context.send(TO.at(message.key), Pong(value=count.value, origin=message.key))


@sync_functions.bind("bench/echo")
def echo(context: Context, message: Blob) -> None:
    """S6."""
    context.reply(message)


def build(scenario, wire, mode):  # noqa: ARG001
    """Return what answers a request."""
    functions = async_functions if scenario in ASYNC else sync_functions
    return (AsyncRequestReplyHandler if mode == "async" else RequestReplyHandler)(functions)


if __name__ == "__main__":
    serve(build)

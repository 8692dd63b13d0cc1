"""apache-flink-statefun 2.2.2: v2, type hints, messages packed in an Any."""

from typing import Union

import scenarios
from contestant import Unsupported, serve
from scenarios import SINK, TOUCHED, Blob, Counter, Ping, Pong

from statefun import AsyncRequestReplyHandler, RequestReplyHandler, StatefulFunctions


def functions():
    """Bind the functions of the scenarios."""
    bound = StatefulFunctions()

    @bound.bind("bench/counter")
    def counter(context, message: Ping):
        state = context.state("count").unpack(Counter)
        state.value += message.amount
        state.last = message.key
        context.state("count").pack(state)
        context.pack_and_send(SINK, message.key, Pong(value=state.value, origin=message.key))

    @bound.bind("bench/union")
    def union(context, message: Union[tuple(scenarios.OPS)]):  # noqa: UP007 -- 2.2.2 reads no other spelling
        state = context.state("count").unpack(Counter)
        state.value += message.amount
        state.last = message.key
        context.state("count").pack(state)
        context.pack_and_send(SINK, message.key, Pong(value=state.value, origin=message.key))

    @bound.bind("bench/states")
    def states(context, message: Ping):
        state = context.state(TOUCHED).unpack(Blob)
        state.n += message.amount
        context.state(TOUCHED).pack(state)

    @bound.bind("bench/acounter")
    async def acounter(context, message: Ping):
        state = context.state("count").unpack(Counter)
        state.value += message.amount
        state.last = message.key
        context.state("count").pack(state)
        context.pack_and_send(SINK, message.key, Pong(value=state.value, origin=message.key))

    @bound.bind("bench/echo")
    def echo(context, message: Blob):
        context.pack_and_reply(message)

    return bound


def build(scenario, wire, mode):
    """Return what answers a request."""
    if wire != "v2":
        raise Unsupported("2.x speaks v2 only")
    if (mode == "async") != (scenario in scenarios.ASYNC):
        raise Unsupported("each of its handlers takes one kind of functions")
    return (AsyncRequestReplyHandler if mode == "async" else RequestReplyHandler)(functions())


if __name__ == "__main__":
    serve(build)

"""The two workloads: W1 counts and writes a record, W2 does so with a hop."""

from __future__ import annotations

from bench_pb2 import Counter, Ping, Pong

from statefun import Context, KafkaEgress, State, StatefulFunctions

OUT = KafkaEgress[Pong]("bench/out", topic="totals")


class Totals(State):
    """What is kept for an address."""

    count: Counter | None = None


def w1() -> StatefulFunctions:
    """Decode, count in a state, one record out."""
    functions = StatefulFunctions()

    @functions.bind("bench/counter")
    def counter(context: Context[Totals], ping: Ping) -> None:
        state = context.state
        count = state.count or Counter()
        count.value += ping.amount
        count.last = ping.key
        state.count = count
        context.send_egress(OUT, Pong(value=count.value, origin=ping.key), key=ping.key)

    return functions


def w2() -> StatefulFunctions:
    """Do the same; a second function writes the record."""
    functions = StatefulFunctions()

    @functions.bind("bench/sink")
    def sink(context: Context, pong: Pong) -> None:
        context.send_egress(OUT, pong, key=context.address.identity)

    @functions.bind("bench/counter")
    def counter(context: Context[Totals], ping: Ping) -> None:
        state = context.state
        count = state.count or Counter()
        count.value += ping.amount
        count.last = ping.key
        state.count = count
        context.send(sink.at(ping.key), Pong(value=count.value, origin=ping.key))

    return functions

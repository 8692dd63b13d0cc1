"""What it costs that a failing message harms only itself: `on_failure=dead_letter(...)` beside `raise_`, none failing.

    python -m benchmarks.failures

The functions are those of S2 and S3 in `peers`, with the message that they keep there, and with an int in its place,
which cannot change in place. Both policies answer the same request in turn, on the same core; the number is the median
over the rounds of the one's CPU time to the other's.
"""

from __future__ import annotations

import os
import statistics
import sys
from typing import TYPE_CHECKING, Any

from benchmarks import own
from tools import peer_environments

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 60
CALLS = 30
LIMITS = {"a message": 1.16, "an int": 1.03, "nothing": 1.03}
"""What it may cost."""
STATES = ("a message", "an int", "nothing")


def functions(state: str, on_failure: Any) -> Any:
    """Return S2 and S3 as functions that keep their count in this kind of state."""
    from scenarios import OPS, SINK, Ping, Pong  # noqa: PLC0415 -- only there in the environment
    from this_sdk import CounterState, Op0, Op1, Op2, Op3, Op4, Op5, Op6, Op7  # noqa: PLC0415 -- as above

    from statefun import Context, FunctionRef, State, StatefulFunctions, value  # noqa: PLC0415 -- as above

    to: Any = FunctionRef[Pong](SINK)
    made = StatefulFunctions(on_failure=on_failure)
    assert len(OPS) == 8

    class IntState(State):
        count: int = value(default=0)

    def with_message(context, message):  # noqa: ANN001, ANN202
        count = context.state.count
        count.value += message.amount
        count.last = message.key
        context.send(to.at(message.key), Pong(value=count.value, origin=message.key))

    def with_int(context, message):  # noqa: ANN001, ANN202
        context.state.count += message.amount
        context.send(to.at(message.key), Pong(value=context.state.count, origin=message.key))

    def with_nothing(context, message):  # noqa: ANN001, ANN202
        context.send(to.at(message.key), Pong(value=message.amount, origin=message.key))

    fn, kept = {
        "a message": (with_message, Context[CounterState]),
        "an int": (with_int, Context[IntState]),
        "nothing": (with_nothing, Context),
    }[state]
    union = Op0 | Op1 | Op2 | Op3 | Op4 | Op5 | Op6 | Op7
    for name, message in (("bench/counter", Ping), ("bench/union", union)):
        fn.__annotations__ = {"context": kept, "message": message}
        made.register(name, fn)
    return made


def request(scenario: str, wire: str, state: str) -> bytes:
    """Return the bytes of a request with this kind of state."""
    data = own.request(scenario, wire)
    if state == "a message":
        return data
    classes = own.classes(wire)
    whole = classes["ToFunction"].FromString(data)
    del whole.invocation.state[:]
    if state == "an int":
        entry = whole.invocation.state.add(state_name="count")
        typename, value = "io.statefun.types/long", b"\x09\xe8\x03" + bytes(6)
        if wire == "v3":
            entry.state_value.typename, entry.state_value.has_value, entry.state_value.value = typename, True, value
        else:
            entry.state_value = classes["Value"](type_url=typename, value=value).SerializeToString()
    serialized: bytes = whole.SerializeToString()
    return serialized


def ratios(scenario: str, wire: str, state: str) -> list[float]:
    """Let both policies answer in turn; return the ratio of each round."""
    from statefun import DeadLetter, KafkaEgress, RequestReplyHandler, dead_letter, raise_  # noqa: PLC0415 -- as above

    dead: Any = KafkaEgress[DeadLetter]("bench/dead", topic="dead")
    handlers = [RequestReplyHandler(functions(state, policy)) for policy in (raise_, dead_letter(dead, retries=2))]
    data = request(scenario, wire, state)
    answers = {handler(data) for handler in handlers}
    assert len(answers) == 1, "the replies differ"
    cores: list[int | None] = [*sorted(os.sched_getaffinity(0))] if hasattr(os, "sched_getaffinity") else [None]
    found: list[float] = []
    for number in range(ROUNDS):
        core = cores[number % len(cores)]
        if core is not None:
            os.sched_setaffinity(0, {core})
        order: list[Callable[[bytes], bytes]] = handlers[:: -1 if number // len(cores) % 2 else 1]
        taken = {id(handler): own.cpu_seconds(handler, data, CALLS) for handler in order}
        found.append(taken[id(handlers[1])] / taken[id(handlers[0])])
    if cores[0] is not None:
        os.sched_setaffinity(0, {core for core in cores if core is not None})
    return sorted(found)


def main() -> int:
    """Measure and print the table; return 1 if a policy costs more than it may, above the noise of 5 %."""
    own.run_in(peer_environments.of_this_sdk(), __file__)
    print("| function | wire | what it keeps | dead_letter to raise_ | quartiles |\n| --- | --- | --- | ---: | ---: |")
    too_much = False
    for state in STATES:
        for scenario in ("S2", "S3"):
            for wire in ("v2", "v3"):
                found = ratios(scenario, wire, state)
                middle = statistics.median(found)
                low, high = found[len(found) // 4], found[len(found) * 3 // 4]
                print(f"| {scenario} | {wire} | {state} | {middle:.3f} | {low:.3f} to {high:.3f} |", flush=True)
                too_much = too_much or middle > LIMITS[state] + 0.05
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main())

"""How many bytes of memory does a resident address take, and a message that waits? By the resident set.

The address has an id of 12 bytes and a state of 25, the message is one of 55: what `throughput.py` sends.
python benchmarks/runtime/footprint.py [count]
"""

from __future__ import annotations

import gc
import multiprocessing
import sys
from pathlib import Path

sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent / "tests" / "protos")]
from bench_pb2 import Counter, Ping
from memory import resident

from statefun.runtime._boxes import Limits
from statefun.runtime._commands import Start
from statefun.runtime._engine import Engine, encode_state
from statefun.runtime._plans import FunctionSpec, StateSpec
from statefun.runtime._requests import argument

PING = "type.googleapis.com/bench.Ping"


def engine() -> Engine:
    """Return an engine that keeps everything in memory."""
    state = StateSpec(name="count", typename="type.googleapis.com/bench.Counter")
    spec = FunctionSpec(typename="bench/counter", states=(state,))
    limits = Limits(addresses=10**9, messages=10**9, mailbox=10**9)
    made = Engine(lambda _namespace, _name: spec, Start(), limits=limits)
    made.paged([], last=True)
    return made


def addresses(count: int) -> float:
    """Return the bytes of an idle address with a state."""
    made = engine()
    plan = made.plan("bench/counter")
    assert plan is not None
    gc.collect()
    before = resident()
    for number in range(count):
        name = f"user-{number:07d}"
        data = Counter(value=1_000_000 + number, last=name).SerializeToString() + b"\x1a\x03abc"
        made.boxes.at(plan, name).states = [encode_state(plan.cells[0], data)]
    return (resident() - before) * 2**20 / count


def messages(count: int) -> float:
    """Return the bytes of a message in a mailbox."""
    made = engine()
    plan = made.plan("bench/counter")
    assert plan is not None
    gc.collect()
    before = resident()
    for number in range(count):
        data = argument(PING, Ping(amount=1, key=f"user-{number:07d}").SerializeToString(), "v3")
        made.feed(plan, f"user-{number % 100:07d}", data)
    return (resident() - before) * 2**20 / count


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    for name, measure in (("a resident address", addresses), ("a waiting message", messages)):
        with multiprocessing.get_context("spawn").Pool(1) as fresh:
            print(f"{name}: {fresh.apply(measure, (count,)):.0f} bytes")

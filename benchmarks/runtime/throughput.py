"""How much CPU does an invocation cost, durable, from bytes to bytes? In microseconds, and in floors.

python benchmarks/runtime/throughput.py [w1|w2] [keys|all|random] [messages] [cache]
"""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent / "tests" / "protos")]
import apps
from bench_pb2 import Counter, Ping

from statefun._clock import WallClock
from statefun.runtime._assembly import Runtime
from statefun.runtime._boxes import Limits
from statefun.runtime._driver import Driver
from statefun.runtime._requests import argument


class Made:
    """An ingress of messages that were made beforehand."""

    name = "made"
    targets = ("bench/counter",)

    def __init__(self, records: Iterable[tuple[str, bytes]]) -> None:
        self._records: Iterator[tuple[str, bytes, None]] = ((name, data, None) for name, data in records)
        if isinstance(records, list):
            self._records = iter([(name, data, None) for name, data in records])  # not timed
        self._next: tuple[str, bytes, None] | None = None
        self.ended = False
        self.count = 0

    def open(self, position: str | None) -> None:
        """Begin."""

    def peek(self) -> tuple[str, bytes, None] | None:
        """Return the next."""
        if self._next is None:
            self._next = next(self._records, None)
            self.ended = self._next is None
        return self._next

    def take(self) -> None:
        """Take it."""
        self._next = None
        self.count += 1

    def read(self, most: int) -> list[tuple[str, bytes, None]]:
        """Take some."""
        found = list(itertools.islice(self._records, most))
        self.ended = len(found) < most
        self.count += len(found)
        return found

    def position(self) -> str:
        """Return how many were taken."""
        return str(self.count)

    def progress(self) -> tuple[int, int]:
        """Return how many were taken."""
        return self.count, 0

    def close(self) -> None:
        """Nothing to do."""


def ids(kind: str, count: int) -> list[int]:
    """Return the address of each message."""
    rnd = random.Random(1)  # noqa: S311 -- the same ids in every run
    if kind == "all":
        return list(range(count))
    if kind == "random":
        found = list(range(count))
        rnd.shuffle(found)
        return found
    return [rnd.randrange(int(kind)) for _ in range(count)]


def measure(workload: str, kind: str, count: int, cache: int = 50_000) -> float:
    """Return microseconds of CPU an invocation."""
    functions = apps.w1() if workload == "w1" else apps.w2()
    names = (f"user-{number:07d}" for number in ids(kind, count))
    typename = "type.googleapis.com/bench.Ping"
    messages = [(name, argument(typename, Ping(amount=1, key=name).SerializeToString(), "v3")) for name in names]
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        with Runtime.in_process(functions, folder, limits=Limits(addresses=cache)) as runtime:
            driver = Driver(runtime.pump, WallClock(), sources=[Made(messages)], exit_at_end=True)
            began = time.process_time()
            asyncio.run(driver.run())
            took = time.process_time() - began
            counted = [state.value for state in runtime.store.list_states("bench/counter", None, 0, None, 10**9)]
            assert sum(Counter.FromString(value).value for value in counted) == count
            assert driver.engine.effects.records == count
    finally:
        shutil.rmtree(folder)
    return took / count / (1 if workload == "w1" else 2) * 1e6


if __name__ == "__main__":
    workload, kind, count, cache = (sys.argv[1:] + ["w1", "1000", "200000", "50000"][len(sys.argv) - 1 :])[:4]
    best = min(measure(workload, kind, int(count), int(cache)) for _ in range(3))
    print(f"{workload} {kind:>6} {int(count):>9,} messages  {best:6.1f} us an invocation")

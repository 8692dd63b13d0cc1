"""How much memory do a million addresses of 100 B and a backlog of a million messages take? In MB, and what it costs.

python benchmarks/runtime/memory.py [addresses]
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent / "tests" / "protos")]
import apps
from bench_pb2 import Ping
from throughput import Made, ids

from statefun._clock import WallClock
from statefun.runtime._assembly import Runtime
from statefun.runtime._driver import Driver
from statefun.runtime._requests import argument


def resident() -> float:
    """Return the resident set in MB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def messages(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield a message for each address, in random order."""
    for number in ids("random", count):
        name = f"user-{number:07d}"
        yield (
            name,
            argument("type.googleapis.com/bench.Ping", Ping(amount=1, key=name + "x" * 70).SerializeToString(), "v3"),
        )


def main(count: int) -> None:
    """Fill, and empty a backlog."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        with Runtime.in_process(apps.w1(), folder) as runtime:
            driver = Driver(runtime.pump, WallClock(), sources=[Made(messages(count))], exit_at_end=True)
            began = time.process_time()
            asyncio.run(driver.run())
            took = (time.process_time() - began) / count * 1e6
            print(f"{count:,} addresses, each once: {took:.1f} us, {resident():.0f} MB resident")
            plan = runtime.engine.plan("bench/counter")
            assert plan is not None
            for number, (name, data) in enumerate(messages(count)):
                runtime.engine.feed(plan, name, data)
                if number % 1_000 == 0:
                    runtime.pump.commit()
            runtime.pump.commit()
            print(f"a backlog of {count:,}: {resident():.0f} MB resident, {runtime.engine.boxes.held:,} in memory")
            driver = Driver(runtime.pump, WallClock(), exit_at_end=True)
            began = time.process_time()
            asyncio.run(driver.run())
            took = (time.process_time() - began) / count * 1e6
            print(f"worked off: {took:.1f} us a message, {resident():.0f} MB resident")
            assert runtime.store.counts().waiting == 0
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)

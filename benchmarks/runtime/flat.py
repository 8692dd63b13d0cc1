"""Does a message of W1 cost the same after ten thousand messages and after ten million? In microseconds of CPU.

Each line is the cost of the messages since the line before, beside what the floor needs at that time.
python benchmarks/runtime/flat.py [messages]
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent / "tests" / "protos")]
import apps
import floor
from bench_pb2 import Ping
from throughput import Made, ids

from statefun._clock import WallClock
from statefun.runtime._assembly import Runtime
from statefun.runtime._driver import Driver
from statefun.runtime._requests import argument


def messages(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield messages for 1,000 addresses, and print at each power of ten what those since the last one cost."""
    names = [f"user-{number:07d}" for number in ids("1000", 10_000)]
    made = [
        (name, argument("type.googleapis.com/bench.Ping", Ping(amount=1, key=name).SerializeToString(), "v3"))
        for name in names
    ]
    done, after, first = 0, 10_000, 0.0
    while done < count:
        began = time.process_time()
        yield from itertools.islice(itertools.cycle(made), after - done)
        each = (time.process_time() - began) / (after - done) * 1e6
        least = min(floor.measure("w1", "1000", 20_000) for _ in range(3))
        ratio = each / least
        first = first or ratio
        print(f"{after:>12,} messages: {each:.1f} us, {ratio:.2f} floors, {ratio / first:.2f} of the first", flush=True)
        done, after = after, after * 10


def main(count: int) -> None:
    """Run once, to the end."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        with Runtime.in_process(apps.w1(), folder) as runtime:
            driver = Driver(runtime.pump, WallClock(), sources=[Made(messages(count))], exit_at_end=True)
            asyncio.run(driver.run())
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)

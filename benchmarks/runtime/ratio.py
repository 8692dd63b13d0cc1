"""How many floors does an invocation cost? The two in turn, in one process; the median of the ratios of the rounds.

python benchmarks/runtime/ratio.py [w1|w2|both] [keys|all|random] [messages] [rounds]
"""

from __future__ import annotations

import statistics
import sys

import floor
import throughput


def measure(workload: str, kind: str, count: int, rounds: int) -> tuple[float, float, float]:
    """Return the median ratio, and the least microseconds of CPU of an invocation, of the floor and of the runtime."""
    low: list[float] = []
    high: list[float] = []
    for number in range(rounds):
        pair = [(low, floor.measure), (high, throughput.measure)]
        for found, run in pair if number % 2 else reversed(pair):
            found.append(run(workload, kind, count))
    return statistics.median(b / a for a, b in zip(low, high, strict=True)), min(low), min(high)


if __name__ == "__main__":
    given = sys.argv[1:]
    which, kind, count, rounds = given + ["both", "1000", "30000", "9"][len(given) :]
    for workload in ("w1", "w2") if which == "both" else (which,):
        ratio, low, high = measure(workload, kind, int(count), int(rounds))
        print(
            f"{workload} {kind:>6} {int(count):>9,} messages  {high:5.1f} us an invocation, "
            f"floor {low:4.1f} us: {ratio:.2f} floors (median of {rounds})"
        )

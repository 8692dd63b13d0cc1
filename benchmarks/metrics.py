"""What it costs that calls are counted, and that log lines say their call, in CPU time of the server a request.

    python -m benchmarks.metrics [--rounds 11]

The servers, requests and clients are those of `serving`. Each observed server is compared with the one that does the
same unobserved, in the same round; the number is the median over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.serving import Contestant, functions, serve
from statefun import AsyncRequestReplyHandler, logs
from statefun.metrics import measured
from statefun.serving import AsgiDoor
from statefun.serving._prometheus import prometheus_meter

LIMIT = 1.25
"""What metrics may cost."""
THREADS = {"loop": 0, "threads": 32}
WHERE = {"loop": "on the loop", "threads": "in a thread"}


def plain(where: str) -> Any:
    """Return what observes nothing."""
    return AsgiDoor(AsyncRequestReplyHandler(functions, threads=THREADS[where]))


def counted(where: str) -> Any:
    """Return what counts its calls."""
    return AsgiDoor(measured(AsyncRequestReplyHandler(functions, threads=THREADS[where]), prometheus_meter()))


def followed(where: str) -> Any:
    """Return what knows its call."""
    logs.follow(functions)
    return plain(where)


KINDS: dict[str, Callable[[str], Any]] = {"plain": plain, "metrics": counted, "logs": followed}


def main() -> int:
    """Measure and print the table; return 1 if metrics cost more than they may."""
    parser = argparse.ArgumentParser(description="Measure what observing costs.")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        kind, _, where = given.serve[0].partition("-")
        serve(KINDS[kind](where), int(given.serve[1]))
        return 0
    running = {(kind, where): Contestant(f"{kind}-{where}", "benchmarks.metrics") for where in WHERE for kind in KINDS}
    times: dict[tuple[str, str], list[float]] = {key: [] for key in running}
    for _ in range(given.rounds):
        for key, contestant in running.items():
            times[key].append(contestant.measure()[0])
    for contestant in running.values():
        contestant.end()
    print("| a function | observed by | us of CPU a request | to unobserved | quartiles |")
    print("| --- | --- | ---: | ---: | ---: |")
    worst = 0.0
    for (kind, where), mine in times.items():
        ratios = sorted(one / other for one, other in zip(mine, times["plain", where], strict=True))
        middle, low, high = statistics.median(ratios), ratios[len(ratios) // 4], ratios[len(ratios) * 3 // 4]
        cpu = statistics.median(mine) * 1e6
        print(f"| {WHERE[where]} | {kind} | {cpu:.0f} | {middle:.2f} | {low:.2f} to {high:.2f} |")
        worst = max(worst, middle if kind == "metrics" else 0.0)
    return 1 if worst > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())

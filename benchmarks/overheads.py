"""What can be switched on, and what it costs: middleware, policies for messages that fail, recording. None fails.

    python -m benchmarks.overheads

All of them answer the same requests in one process, in turn: S1 and S2 of `peers` on v3, whose stored value is a
protobuf message. The number is the median over the rounds of the CPU time to that of the bare handler in the same
round. The bare handler stands there a second time: what it differs from itself by is noise, and less than that is none.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import failures, own
from tools import peer_environments

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 80
CALLS = {"S1": 1_000, "S2": 30}
AGAIN = "the bare handler, again"


def handlers(folder: Path) -> dict[str, Callable[[bytes], bytes]]:
    """Return what is measured; the first is the bare handler."""
    from statefun import (  # noqa: PLC0415 -- only there in the environment
        DeadLetter,
        KafkaEgress,
        RequestReplyHandler,
        dead_letter,
        raise_,
        skip,
    )
    from statefun.recording import record  # noqa: PLC0415 -- as above

    dead: Any = KafkaEgress[DeadLetter]("bench/dead", topic="dead")

    def handler(policy: Any = raise_, middleware: int = 0) -> Callable[[bytes], bytes]:
        made = failures.functions("a message", policy)
        for _ in range(middleware):

            @made.middleware
            def around(_context: Any, _message: Any, proceed: Any) -> None:
                proceed()

        return RequestReplyHandler(made)

    return {
        "the bare handler": handler(),
        AGAIN: handler(),
        "one middleware that does nothing": handler(middleware=1),
        "three of them": handler(middleware=3),
        "`on_failure=skip`": handler(skip),
        "`on_failure=dead_letter(EGRESS)`": handler(dead_letter(dead)),
        "`on_failure=dead_letter(EGRESS, retries=2)`": handler(dead_letter(dead, retries=2)),
        "`on_failure` of a function that decides": handler(lambda _error: skip),
        "recording": record(RequestReplyHandler(failures.functions("a message", raise_)), folder),
    }


def ratios(scenario: str, folder: Path) -> dict[str, list[float]]:
    """Let all of them answer in turn; return the ratios of each, sorted."""
    found = handlers(folder)
    data = own.request(scenario, "v3")
    assert len({handler(data) for handler in found.values()}) == 1, "the replies differ"
    bare = next(iter(found))
    taken: dict[str, list[float]] = {name: [] for name in found}
    for number in range(ROUNDS):
        order = list(found.items())[:: -1 if number % 2 else 1]
        for name, handler in order:
            taken[name].append(own.cpu_seconds(handler, data, CALLS[scenario]))
    return {
        name: sorted(mine / its for mine, its in zip(times, taken[bare], strict=True)) for name, times in taken.items()
    }


def cell(found: list[float], noise: float) -> str:
    """Write a ratio with its quartiles, or that there is none."""
    middle, low, high = statistics.median(found), found[len(found) // 4], found[len(found) * 3 // 4]
    if low <= 1 <= high or abs(middle - 1) <= noise:
        return f"none ({middle:.2f})"
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def main() -> int:
    """Measure, and print the table."""
    own.run_in(peer_environments.of_this_sdk(), __file__)
    with tempfile.TemporaryDirectory() as folder:
        measured = {scenario: ratios(scenario, Path(folder, scenario)) for scenario in CALLS}
    print("| beside the bare handler | S1, one message | S2, a batch of 100 |\n| --- | ---: | ---: |")
    for name in list(measured["S1"])[2:]:
        cells: list[str] = []
        for found in measured.values():
            again = found[AGAIN]
            noise = max(abs(statistics.median(again) - 1), again[len(again) * 3 // 4] - again[len(again) // 4])
            cells.append(cell(found[name], noise))
        print(f"| {name} | {cells[0]} | {cells[1]} |")
    for scenario, found in measured.items():
        again = found[AGAIN]
        quartiles = f"{again[len(again) // 4]:.2f} to {again[len(again) * 3 // 4]:.2f}"
        print(f"\n{scenario}, the bare handler to itself: {statistics.median(again):.2f}, quartiles {quartiles}.")
    print(f"\nLoad average at the end: {', '.join(f'{load:.1f}' for load in os.getloadavg())}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

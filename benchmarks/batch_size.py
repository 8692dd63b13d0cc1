"""What a message costs in batches of 1 to 10,000: the cost must not grow with the batch.

    python -m benchmarks.batch_size

The function is that of S1 and S2 in `peers` (read and write a state, send a message). A request has a cost of its own,
which a batch of one carries alone.
"""

from __future__ import annotations

import statistics
import sys

from benchmarks import own
from tools import peer_environments

SIZES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)
ROUNDS = 9


def main() -> int:
    """Measure and print the table; return 1 if a message costs a fifth more in the largest batch than in 100."""
    own.run_in(peer_environments.of_this_sdk(), __file__)
    print("| messages in the batch | v2: us a message | v3: us a message |\n| ---: | ---: | ---: |")
    grows = False
    costs: dict[str, dict[int, float]] = {"v2": {}, "v3": {}}
    for size in SIZES:
        for wire, cost in costs.items():
            handler, request = own.handler(), own.request("S2", wire, size)
            calls = max(1, 2_000 // size)
            times = [own.cpu_seconds(handler, request, calls) / calls / size for _ in range(ROUNDS)]
            cost[size] = statistics.median(times) * 1e6
        print(f"| {size:,} | {costs['v2'][size]:.2f} | {costs['v3'][size]:.2f} |", flush=True)
    for wire, cost in costs.items():
        ratio = cost[SIZES[-1]] / cost[100]
        print(f"\n{wire}: a message in a batch of {SIZES[-1]:,} costs {ratio:.2f} of one in a batch of 100.")
        grows = grows or ratio > 1.2
    return 1 if grows else 0


if __name__ == "__main__":
    sys.exit(main())

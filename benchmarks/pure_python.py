"""What protobuf's pure-Python backend costs this SDK, beside the usual one (upb): the ratio its warning speaks of.

python -m benchmarks.pure_python
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from benchmarks import own
from tools import peer_environments

SCENARIOS = {"S1": "1 message", "S2": "a batch of 100"}
ROUNDS = 9
_BACKEND = "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"


def measure() -> None:
    """Print the time of each scenario on each wire, with the backend of this process."""
    for scenario in SCENARIOS:
        for wire in ("v2", "v3"):
            handler, request = own.handler(), own.request(scenario, wire)
            calls = 500 if scenario == "S1" else 20
            own.cpu_seconds(handler, request, calls)
            print(statistics.median(own.cpu_seconds(handler, request, calls) / calls for _ in range(ROUNDS)))


def main() -> int:
    """Measure with both backends, in turn, and print the table."""
    if sys.argv[1:] == ["measure"]:
        own.run_in(peer_environments.of_this_sdk(), __file__)
        measure()
        return 0
    times: dict[str, list[float]] = {}
    for backend in ("upb", "python"):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.pure_python", "measure"],
            env={**os.environ, _BACKEND: backend, "PYTHONWARNINGS": "ignore"},
            cwd=own.ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        times[backend] = [float(line) for line in done.stdout.split()]
    print("| request | wire | upb: us | pure Python: us | ratio |\n| --- | --- | ---: | ---: | ---: |")
    rows = [(what, wire) for what in SCENARIOS.values() for wire in ("v2", "v3")]
    for (what, wire), fast, slow in zip(rows, times["upb"], times["python"], strict=True):
        print(f"| {what} | {wire} | {fast * 1e6:.1f} | {slow * 1e6:.1f} | {slow / fast:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

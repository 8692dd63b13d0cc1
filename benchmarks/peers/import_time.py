"""What `import statefun` costs, for each SDK: time and memory over a bare interpreter of the same environment.

    python -m benchmarks.peers.import_time [--rounds 21]

Whole processes are timed, one after the other in turn, each beside a bare one of its own environment; the ratio is
taken to the floor, `import google.protobuf.any_pb2`, in the same round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from tools import peer_environments

FLOOR = "protobuf's any_pb2 alone"
OURS = "statefun (this SDK)"
SUBJECTS = {
    "2.2.2 as pip resolves it, Python 3.11": "apache-2.2.2",
    "2.2.2 as pip resolves it, Python 3.10": "apache-2.2.2-py310",
    "2.2.2 forced onto upb": "apache-2.2.2-upb",
    "3.3.0 as pip resolves it, Python 3.11": "apache-3.3.0",
    "3.3.0 as pip resolves it, Python 3.10": "apache-3.3.0-py310",
    "3.3.0 forced onto upb": "apache-3.3.0-upb",
    "3.5.0": "flink-3.5.0",
}
TARGET = 1.6
UNWANTED = ("asyncio", "yaml", "sqlite3")
_PEAK = "\nprint([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"


def milliseconds(python: Path, code: str) -> float:
    """Return the wall time of a whole process."""
    started = time.perf_counter()
    run(python, code)
    return (time.perf_counter() - started) * 1e3


def run(python: Path, code: str) -> str:
    """Run code in a process of its own and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        [python, "-c", code], check=True, stdout=subprocess.PIPE, text=True, env=environment, cwd=python.parent
    ).stdout


def peak_mib(python: Path, code: str) -> float:
    """Return the peak of the resident memory of a process (not ru_maxrss, which starts with the parent's)."""
    return statistics.median(int(run(python, code + _PEAK)) for _ in range(5)) / 1024


def modules(python: Path, code: str) -> set[str]:
    """Return the modules that a process has loaded."""
    return set(run(python, code + "\nimport sys; print(*sys.modules)").split())


def subjects() -> dict[str, tuple[Path, str]]:
    """Return what is imported: name -> the interpreter and the statement."""
    found = {FLOOR: (peer_environments.environment("floor"), "import google.protobuf.any_pb2")}
    found[OURS] = (peer_environments.of_this_sdk(), "import statefun")
    for name, environment in SUBJECTS.items():
        try:
            found[name] = (peer_environments.environment(environment), "import statefun")
        except peer_environments.SetupError as error:  # noqa: PERF203 -- no Python 3.10, for example
            print(f"left out: {name}: {error}", file=sys.stderr)
    return found


def main() -> int:
    """Measure and print the table; return 1 if this SDK imports what it should not."""
    parser = argparse.ArgumentParser(description="Compare the cost of importing the Python SDKs.")
    parser.add_argument("--rounds", type=int, default=21)
    rounds: int = parser.parse_args().rounds
    imported = subjects()
    for python, code in imported.values():
        run(python, code)  # writes the .pyc files
    over: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds):
        names = list(imported)
        for name in names[::-1] if number % 2 else names:
            python, code = imported[name]
            over[name].append(-milliseconds(python, "pass") + milliseconds(python, code))
    print("| import | ms over bare | ratio to the floor | modules over bare | peak MiB over bare |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, (python, code) in imported.items():
        ratio = statistics.median(mine / floor for mine, floor in zip(over[name], over[FLOOR], strict=True))
        more = len(modules(python, code)) - len(modules(python, "pass"))
        memory = peak_mib(python, code) - peak_mib(python, "pass")
        mark = "**" if name == OURS else ""
        cells = [name, f"{statistics.median(over[name]):.1f}", f"{ratio:.2f}", str(more), f"{memory:.1f}"]
        print("| " + " | ".join(f"{mark}{cell}{mark}" for cell in cells) + " |", flush=True)
    print(f"\nTo reach: {TARGET} times the floor, without {', '.join(UNWANTED)}.")
    unwanted = modules(*imported[OURS]) & set(UNWANTED)
    if unwanted:
        print(f"`import statefun` loads {', '.join(sorted(unwanted))}.")
    return 1 if unwanted else 0


if __name__ == "__main__":
    sys.exit(main())

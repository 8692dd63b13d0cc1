"""The benchmark of the Python SDKs: every contestant answers the same requests, alternately with the floor.

    python -m benchmarks.peers                                  all of it, some 15 minutes
    python -m benchmarks.peers --quick --only statefun          this SDK against the floor, half a minute
    python -m benchmarks.peers --only statefun --also HEAD      the working tree against a commit of it

The environments are made when they are first needed. Only the standard library is used here.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools import peer_environments

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).parent
FLOOR = "FLOOR"
OURS = "statefun (this SDK)"
TARGETS = {
    "v2": {"S1": 1.3, "S2": 1.3, "S3": 1.3, "S4": 1.4, "S5": 1.3, "S6": 1.1},
    "v3": {"S1": 1.4, "S2": 1.3, "S3": 1.3, "S4": 1.9, "S5": 1.3, "S6": 1.1},
}
"""What this SDK wants to reach, as a ratio to the floor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """Who takes part: an adapter in an environment."""

    name: str
    python: Callable[[], Path]
    adapter: str
    arguments: tuple[str, ...] = ()
    wires: tuple[str, ...] = ("v2", "v3")
    mode: str = ""
    """ "sync" or "async" where it is not the scenario that decides."""
    environment: dict[str, str] = field(default_factory=dict)


def _in(environment: str) -> Callable[[], Path]:
    return lambda: peer_environments.environment(environment)


def _this_sdk(ref: str = "") -> Contestant:
    name = f"statefun at {ref}" if ref else OURS
    return Contestant(name=name, python=lambda: peer_environments.of_this_sdk(ref), adapter="this_sdk.py")


def contestants(refs: Sequence[str]) -> list[Contestant]:
    """Return who can take part; 3.x is timed as its documentation serves it, on a running loop."""
    two: dict[str, Any] = {"adapter": "sdk_2.py", "wires": ("v2",)}
    three: dict[str, Any] = {"adapter": "sdk_3.py", "wires": ("v3",), "mode": "async"}
    return [
        Contestant(name=FLOOR, python=_in("floor"), adapter="floor.py"),
        Contestant(name="parse and serialize only", python=_in("floor"), adapter="floor.py", arguments=("bytes",)),
        Contestant(name="FLOOR on Python 3.10", python=_in("floor-py310"), adapter="floor.py"),
        _this_sdk(),
        *map(_this_sdk, refs),
        Contestant(name="2.2.2 as pip resolves it, Python 3.11", python=_in("apache-2.2.2"), **two),
        Contestant(name="2.2.2 as pip resolves it, Python 3.10", python=_in("apache-2.2.2-py310"), **two),
        Contestant(name="2.2.2 forced onto upb", python=_in("apache-2.2.2-upb"), **two),
        Contestant(name="3.3.0 as pip resolves it, Python 3.11", python=_in("apache-3.3.0"), **three),
        Contestant(name="3.3.0 as pip resolves it, Python 3.10", python=_in("apache-3.3.0-py310"), **three),
        Contestant(name="3.3.0 forced onto upb", python=_in("apache-3.3.0-upb"), **three),
        Contestant(name="3.5.0", python=_in("flink-3.5.0"), **three),
        Contestant(name="3.5.0 through handle_sync", python=_in("flink-3.5.0"), **{**three, "mode": "sync"}),
    ]


SURROUNDINGS = {
    "PYTHONWARNINGS": "ignore",
    # What S6 would time otherwise: page faults, since glibc gives the memory of a large buffer back and takes it again;
    # and a memcpy that takes ten times as long on some AMD processors where the addresses differ by a little more than
    # a multiple of 4096 (glibc bug 30994): the layout of the heap decides.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "GLIBC_TUNABLES": f"glibc.cpu.x86_rep_movsb_threshold={1 << 30}",
}
"""The environment of every contestant."""


class Process:
    """A contestant at work."""

    def __init__(self, contestant: Contestant) -> None:
        self.name, self.wires, self.mode = contestant.name, contestant.wires, contestant.mode
        self._process = subprocess.Popen(
            [contestant.python(), HERE / contestant.adapter, *contestant.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **SURROUNDINGS, **contestant.environment},
        )
        self.versions = self.ask(op="hello")

    def ask(self, **command: object) -> dict[str, Any]:
        """Send a command and return the answer. Exits if the contestant failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "it died"}
        if "error" in answer:
            sys.exit(f"{self.name}: {answer['error']} ({command})")
        return answer

    def quit(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        self._process.stdin.write('{"op": "quit"}\n')
        self._process.stdin.close()
        self._process.wait(timeout=20)


@dataclass(frozen=True, slots=True)
class Row:
    """What one contestant took for one scenario on one wire."""

    scenario: str
    wire: str
    contestant: str
    ratio: float
    """The median over the rounds of CPU time to the floor's."""
    spread: tuple[float, float]
    """The quartiles of that."""
    us_per_request: float
    """The median CPU time; for scale only."""

    def __str__(self) -> str:
        low, high = self.spread
        ratio = f"{self.ratio:6.2f} [{low:.2f} {high:.2f}]"
        return f"{self.scenario} {self.wire} {ratio} {self.us_per_request:9.1f} us  {self.contestant}"


def measure(
    scenario: str, wire: str, contestants: Sequence[Contestant], rounds: int, slice_ms: float
) -> tuple[list[Row], list[Process]]:
    """Let the contestants answer a scenario in turn; return the rows, and who took part.

    Each is a new process: what an earlier scenario left in its memory makes a difference of up to 1.5 in S6.
    """
    field: list[Process] = []
    for contestant in contestants:
        if wire in contestant.wires:
            process = Process(contestant)
            mode = process.mode or ("async" if scenario in _facts()["ASYNC"] else "sync")
            answer = process.ask(op="prepare", scenario=scenario, wire=wire, mode=mode, slice_ms=slice_ms)
            if "unsupported" in answer:
                process.quit()
            else:
                field.append(process)
    cores: list[int | None] = [*sorted(os.sched_getaffinity(0))] if hasattr(os, "sched_getaffinity") else [None]
    taken: dict[str, list[float]] = {process.name: [] for process in field}
    for number in range(rounds):
        # every round on one core, the same for all: the cores of a shared machine differ by up to 1.6
        backwards = number // len(cores) % 2
        for process in field[::-1] if backwards else field:
            answer = process.ask(op="run", core=cores[number % len(cores)])
            taken[process.name].append(answer["cpu_ns"] / answer["calls"])
    rows: list[Row] = []
    for name, times in taken.items():
        ratios = sorted(mine / floor for mine, floor in zip(times, taken[FLOOR], strict=True))
        quartiles = (ratios[len(ratios) // 4], ratios[len(ratios) * 3 // 4])
        ratio = statistics.median(ratios)
        rows.append(Row(scenario, wire, name, ratio, quartiles, statistics.median(times) / 1e3))
    for process in field:
        process.quit()
    return rows, field


def _facts() -> dict[str, Any]:
    """Read the constants of scenarios.py, which imports protobuf, without importing it."""
    tree = ast.parse((HERE / "scenarios.py").read_text(encoding="utf-8"))
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("SCENARIOS", "ASYNC", "WIRES"):
                found[name] = ast.literal_eval(node.value)
    return found


def tables(rows: Sequence[Row], cell: Callable[[Row], str], title: str) -> str:
    """Write one table a wire, contestants by scenarios."""
    lines: list[str] = []
    for wire in dict.fromkeys(row.wire for row in rows):
        mine = [row for row in rows if row.wire == wire]
        names, columns = (
            list(dict.fromkeys(each)) for each in zip(*[(row.contestant, row.scenario) for row in mine], strict=True)
        )
        at = {(row.contestant, row.scenario): row for row in mine}
        lines += ["", f"| {wire}: {title} | {' | '.join(columns)} |", "| --- |" + " ---: |" * len(columns)]
        for name in names:
            cells = [cell(at[name, column]) if (name, column) in at else "" for column in columns]
            bold = "**" if name == OURS else ""
            lines.append(
                f"| {bold}{name}{bold} | " + " | ".join(f"{bold}{each}{bold}" if each else "" for each in cells) + " |"
            )
        if cell(mine[0]) == f"{mine[0].ratio:.2f}" and OURS in names:
            lines.append(f"| *to reach* | {' | '.join(f'*{TARGETS[wire][each]}*' for each in columns)} |")
    return "\n".join(lines[1:])


def _can_be_made(contestant: Contestant) -> bool:
    try:
        contestant.python()
    except peer_environments.SetupError as error:  # no Python 3.10, for example
        print(f"left out: {contestant.name}: {error}", file=sys.stderr)
        return False
    return True


def main() -> int:
    """Run the benchmark and print its tables."""
    facts = _facts()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description="Compare the Python SDKs.")
    parser.add_argument("--scenarios", default=",".join(facts["SCENARIOS"]), help="default: all")
    parser.add_argument("--wires", default=",".join(facts["WIRES"]))
    parser.add_argument(
        "--only", action="append", default=[], metavar="TEXT", help="whose name starts so; the floor always runs"
    )
    parser.add_argument("--also", action="append", default=[], metavar="COMMIT", help="this SDK at a commit, too")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--slice-ms", type=float, default=40)
    parser.add_argument("--quick", action="store_true", help="12 rounds of 15 ms")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    given = parser.parse_args()
    rounds, slice_ms = (12, 15.0) if given.quick else (given.rounds, given.slice_ms)
    chosen = [
        each
        for each in contestants(given.also)
        if each.name == FLOOR or not given.only or any(each.name.startswith(only) for only in given.only)
    ]
    ready = [each for each in chosen if _can_be_made(each)]
    rows: list[Row] = []
    versions: dict[str, dict[str, Any]] = {}
    for wire in given.wires.split(","):
        for scenario in given.scenarios.split(","):
            got, field = measure(scenario, wire, ready, rounds, slice_ms)
            rows += got
            versions |= {process.name: process.versions for process in field}
            for row in got:
                print(row, file=sys.stderr, flush=True)
    print("| contestant | Python | protobuf | its backend |\n| --- | --- | --- | --- |")
    for name, version in versions.items():
        print(f"| {name} | {' | '.join(version[each] for each in ('python', 'protobuf', 'backend'))} |")
    print("\n" + tables(rows, lambda row: f"{row.ratio:.2f}", "ratio to FLOOR, CPU time"))
    print("\n" + tables(rows, lambda row: f"{row.us_per_request:.1f}", "CPU microseconds a request"))
    if given.json:
        given.json.write_text(json.dumps([{**{f: getattr(row, f) for f in row.__slots__}} for row in rows], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""kill -9 at random points under load: every total is exact, every line is written once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from statefun.runtime._sqlite import SqliteStore
from statefun.types import INT64

ROOT = Path(__file__).parent.parent.parent
KILLS = int(os.environ.get("STATEFUN_KILLS", "8"))
"""In `make test`; `make test-all` sets it to 200."""
RECORDS = 3_000


def run(folder: Path) -> subprocess.Popen[bytes]:
    """Start the process."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.runtime.crash_app", str(folder)], cwd=ROOT, stderr=subprocess.PIPE
    )


def start_over(folder: Path) -> None:
    """Write the input of a round."""
    folder.mkdir()
    lines = [json.dumps({"id": str(n % 11), "value": n, "time": 1_000 + n // 2}) for n in range(RECORDS)]
    lines.append(json.dumps({"id": "end", "value": 1, "time": 100_000}))  # so that what is delayed becomes due
    (folder / "in.jsonl").write_text("\n".join(lines) + "\n")


def check(folder: Path) -> None:
    """Hold what came of a round against what went in."""
    numbers = [json.loads(line)["value"] for line in (folder / "out.jsonl").read_text().splitlines()]
    assert Counter(numbers) == Counter([str(n) for n in [*range(RECORDS), 1]])
    store = SqliteStore(folder / "data" / "statefun.db", read_only=True)
    counted = Counter({"t/first": 0, "t/second": 0})
    for row in store.list_states(None, None, 0, None, 1_000):
        counted[row.function] += INT64.decode(row.value)
    counts = store.counts()
    store.close()
    assert counted == {"t/first": RECORDS + 1, "t/second": RECORDS + 1}
    assert (counts.waiting, counts.delayed, counts.failing) == (0, 0, 0)


def test_kills(tmp_path: Path) -> None:
    """However often the process is killed, nothing is lost and nothing is doubled."""
    rnd = random.Random()  # noqa: S311 -- when to kill
    killed = rounds = 0
    folder = tmp_path / "0"
    start_over(folder)
    while killed < KILLS or rounds == 0:
        process = run(folder)
        try:
            _, errors = process.communicate(timeout=rnd.uniform(0.3, 1.2) if killed < KILLS else 100)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            _, errors = process.communicate()
            killed += 1
        assert not errors, errors.decode()
        if process.returncode == 0:
            check(folder)
            rounds += 1
            folder = tmp_path / str(rounds)
            start_over(folder)

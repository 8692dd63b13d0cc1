"""kill -9 at random points under load: every total is exact, every line is written once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from statefun.runtime._sqlite import SqliteStore
from statefun.types import INT64

ROOT = Path(__file__).parent.parent.parent
KILLS = int(os.environ.get("STATEFUN_KILLS", "12"))
RECORDS = 3_000


def run(folder: Path) -> subprocess.Popen[bytes]:
    """Start the process."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.runtime.crash_app", str(folder)], cwd=ROOT, stderr=subprocess.PIPE
    )


def test_kills(tmp_path: Path) -> None:
    """However often the process is killed, nothing is lost and nothing is doubled."""
    lines = [json.dumps({"id": str(n % 11), "value": n, "time": 1_000 + n // 2}) for n in range(RECORDS)]
    lines.append(json.dumps({"id": "end", "value": 1, "time": 100_000}))  # so that what is delayed becomes due
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n")
    rnd = random.Random()  # noqa: S311 -- when to kill
    killed = 0
    while killed < KILLS:
        process = run(tmp_path)
        time.sleep(rnd.uniform(0.3, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stderr is not None
        errors = process.stderr.read().decode()
        process.stderr.close()
        assert not errors, errors
        killed += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            break
    last = run(tmp_path)
    _, errors_at_end = last.communicate(timeout=100)
    assert last.returncode == 0, errors_at_end.decode()

    numbers = [json.loads(line)["value"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert Counter(numbers) == Counter([str(n) for n in [*range(RECORDS), 1]])
    store = SqliteStore(tmp_path / "data" / "statefun.db", read_only=True)
    counted = Counter({"t/first": 0, "t/second": 0})
    for row in store.list_states(None, None, 0, None, 1_000):
        counted[row.function] += INT64.decode(row.value)
    assert counted == {"t/first": RECORDS + 1, "t/second": RECORDS + 1}
    counts = store.counts()
    store.close()
    assert (counts.waiting, counts.delayed, counts.failing) == (0, 0, 0)

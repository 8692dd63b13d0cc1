"""A disk that fills up: a clear error, nothing that was committed is lost, and after room is made it goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from statefun.runtime._sqlite import SqliteStore
from statefun.types import INT64

ROOT = Path(__file__).parent.parent.parent
COUNT = 2_000
APP = """
from statefun import Context, MessageEgress, State, StatefulFunctions

functions = StatefulFunctions()
OUT = MessageEgress[str]("t/out")

class Seen(State):
    n: int = 0

@functions.bind("t/f")
def f(context: Context[Seen], message: str) -> None:
    context.state.n += 1
    context.send_egress(OUT, message)
"""
RUN = (
    f"{sys.executable} -m statefun run app --no-http --data small/data --write small/out.jsonl --read in.jsonl --to t/f"
    " --type string --exit-at-end --quiet"
)
TMPFS = f"""
mount -t tmpfs -o size=4m none small || exit 77
{RUN} 2> errors; echo $? > status
cp -r small/data before
mount -o remount,size=64m small
{RUN} 2> again; echo $? >> status
cp -r small/data small/out.jsonl kept
"""
LIMIT = f"""
(ulimit -f 2000; {RUN} 2> errors); echo $? > status
cp -r small/data before
{RUN} 2> again; echo $? >> status
cp -r small/data small/out.jsonl kept
"""


def counted(data: Path) -> tuple[int, int, int, int]:
    """Return how many messages were read, how many of them wait, and how many were counted and left as records."""
    store = SqliteStore(data / "statefun.db")
    rows = store.list_states(None, None, 0, None, 1_000)
    line = json.loads(store.positions()["in jsonl:in.jsonl"])["line"]
    counts = store.counts()
    store.close()
    return line, counts.waiting, sum(INT64.decode(row.value) for row in rows), counts.records


ALONE = TMPFS.replace("small/out.jsonl", "out.jsonl")
MOUNTS = ("unshare", "-rm", "bash", "-c")


@pytest.mark.parametrize(("script", "words"), [(TMPFS, MOUNTS), (ALONE, MOUNTS), (LIMIT, ("bash", "-c"))])
def test_full(tmp_path: Path, script: str, words: tuple[str, ...]) -> None:
    """It ends with the reason and what to do; what was committed is there, and the next run does the rest, once."""
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]} here")
    (tmp_path / "app.py").write_text(APP)
    text = "x" * 3_000
    lines = [json.dumps({"id": str(n % 7), "value": f"{n} {text}"}) for n in range(COUNT)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n")
    for name in ("small", "kept"):
        (tmp_path / name).mkdir()
    done = subprocess.run(
        [*words, script], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if words[0] == "unshare" and not (tmp_path / "status").exists():
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    said = (tmp_path / "errors").read_text().splitlines()
    assert ((tmp_path / "status").read_text().split(), done.stderr) == (["1", "0"], ""), said
    problem, help = said[-2:]
    assert problem in (
        "statefun run: small/data/statefun.db cannot be written: database or disk is full",
        "statefun run: small/data/statefun.db cannot be written: disk I/O error",
        "statefun run: small/out.jsonl cannot be written: No space left on device",
        "statefun run: small/out.jsonl cannot be written: File too large",
        "statefun run: small/data/control.json cannot be written: No space left on device",
    )
    assert help in (
        "  help: make room on the disk and start again: what was committed is there",
        "  help: is the disk full, or failing? What was committed is there: make room and start again",
        "  help: make room and start again: the records are kept",
        "  help: make room, or see who may write there: the commands reach the runtime by this file",
    )
    assert not any("Traceback" in line for line in said)
    line, waiting, messages, records = counted(tmp_path / "before")
    assert 0 < line < COUNT
    assert messages == records == line - waiting
    assert counted(tmp_path / "kept" / "data") == (COUNT, 0, COUNT, COUNT)
    out = (tmp_path / "kept" / "out.jsonl").read_text().splitlines()
    written = [json.loads(line)["value"].split()[0] for line in out]
    assert Counter(written) == Counter(map(str, range(COUNT)))

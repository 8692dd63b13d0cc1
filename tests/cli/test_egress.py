"""`statefun egress`, on a runtime that is stopped; on one that runs, tests/runtime/test_senders.py decides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from statefun import Context, StatefulFunctions
from statefun.cli import main
from statefun.runtime._assembly import Runtime
from statefun.runtime._outbox import PREFIX, Held, Mark, Progress

HELD = Progress(sent=3, tag="a", topic="t", pending=Mark(5, "b"), held=Held(why="mark lost", text="who knows", upto=5))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder in which two egresses have sent to Kafka; one is held."""
    functions = StatefulFunctions()

    @functions.bind("t/f")
    def f(context: Context, message: str) -> None: ...

    with Runtime.in_process(functions, tmp_path / "data") as runtime:
        delta = runtime.engine.take_delta()
        delta.positions[f"{PREFIX}t/held"] = HELD.to_json()
        delta.positions[f"{PREFIX}t/open"] = Progress(sent=7, tag="c", topic="t").to_json()
        runtime.store.commit(delta)
    return tmp_path / "data"


def rows(capsys: pytest.CaptureFixture[str], data: Path) -> list[dict[str, object]]:
    """Return what `ls` prints for programs."""
    capsys.readouterr()
    assert main(["egress", "ls", "--json", "--data", str(data)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_list(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    """Each egress that sends to Kafka is listed, with how far it is and what holds it up."""
    assert rows(capsys, data) == [
        {"egress": "t/held", "sent": 3, "waiting": 0, "held": "who knows"},
        {"egress": "t/open", "sent": 7, "waiting": 0, "held": ""},
    ]
    assert main(["egress", "ls", "--data", str(data)]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["egress", "sent", "waiting", "held"],
        ["t/held", "3", "0", "who", "knows"],
        ["t/open", "7", "0"],
    ]


@pytest.mark.parametrize("verb", ["confirm", "resend"])
def test_decide(capsys: pytest.CaptureFixture[str], data: Path, verb: str) -> None:
    """What is held waits for a decision, which the next run carries out."""
    assert main(["egress", verb, "t/held", "--data", str(data)]) == 0
    functions = StatefulFunctions()

    @functions.bind("t/f")
    def f(context: Context, message: str) -> None: ...

    with Runtime.in_process(functions, data) as runtime:
        progress = Progress.from_json(runtime.store.positions()[f"{PREFIX}t/held"])
    assert (progress.decision, progress.pending) == (verb, HELD.pending)


@pytest.mark.parametrize(
    ("egress", "text"),
    [
        ("t/open", "statefun egress: the egress 't/open' is not held\n"),
        ("t/none", "statefun egress: nothing was sent to Kafka through 't/none'\n"),
    ],
)
def test_nothing_to_decide(capsys: pytest.CaptureFixture[str], data: Path, egress: str, text: str) -> None:
    """Where nothing is held there is nothing to decide."""
    assert main(["egress", "resend", egress, "--data", str(data)]) == 1
    assert capsys.readouterr().err == text

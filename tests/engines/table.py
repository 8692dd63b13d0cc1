"""The table of docs/explanation/compatibility.md: what the tests have seen, runtime by runtime.

Here: how it is written. What was seen is collected in conftest.py, from the outcome of every test that has the mark
`feature`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.engines.served import ROOT
from tests.engines.ways import WAYS

__all__ = ["PAGE", "Seen", "render"]

PAGE = ROOT / "docs" / "explanation" / "compatibility.md"
HEAD = """\
# Compatibility

What was seen on real runtimes, by the tests in `tests/engines`: every "yes" is a test that has passed there, and they
fail where this page says anything else (`make engines`; `.venv/bin/python tools/on_engines.py --write` writes it anew).
The module.yaml of each column was written by `statefun module`, the functions were served by `statefun serve`, and the
records came from a real Kafka broker (4.3.1) and went there. On v2 the earthquakes came without those that make a
swarm: its end is a delayed message that can be cancelled, which v2 does not have.

StateFun 3.3.0 ran on Flink 1.16.2, StateFun 2.2.2 on Flink 1.11.3, both on Java 17 ([how](../howto/flink.md)). The
continuation on Flink 2 could not be had: that it is served rests on its documents, and is **unproven**.
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a test."""

    is_there: bool
    why_not: str = ""
    """Why a runtime does not have it."""


def render(seen: Mapping[tuple[str, str], Seen], order: Sequence[str]) -> str:
    """Write the page: a row a feature, in an order, and a column a way."""
    columns = [f"{way.runtime}, {way.transport}" for way in WAYS]
    lines = [HEAD, row("", columns), row("---", ["---"] * len(WAYS)), row("module.yaml", [way.format for way in WAYS])]
    lines.append(row("wire", [way.wire for way in WAYS]))
    notes: list[str] = []
    for feature in order:
        cells: list[str] = []
        for way in WAYS:
            one = seen.get((feature, way.id))
            if one is not None and not one.is_there and one.why_not not in notes:
                notes.append(one.why_not)
            cells.append("-" if one is None else "yes" if one.is_there else f"no ({notes.index(one.why_not) + 1})")
        lines.append(row(feature, cells))
    lines += ["", "-: not tried there.", *(f"({number}) {note}." for number, note in enumerate(notes, 1))]
    return "\n".join(lines) + "\n"


def row(first: str, cells: Sequence[str]) -> str:
    """Write a row of a table."""
    return f"| {' | '.join([first, *cells])} |"

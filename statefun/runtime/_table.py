"""Tables for people, as plain text that fits the terminal.

Here: `table`, and the rules of its cells. What is in them is the caller's affair.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence

__all__ = ["GAP", "cell", "fitting", "numeric", "table"]

GAP = "  "
_NARROWEST = 8
_SHORT = 20


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, width: int | None = None) -> str:
    """Lay out rows under headings; numbers to the right; the widest column gives way where the line is too long."""
    cells = [[cell(value) for value in row] for row in rows]
    right = numeric(headings, rows)
    lines = [list(headings), *cells]
    widths = fitting(lines, width or shutil.get_terminal_size((100, 24)).columns)
    return "\n".join(GAP.join(map(_fit, line, widths, right)).rstrip() for line in lines)


def fitting(lines: Sequence[Sequence[str]], limit: int, length: Callable[[str], int] = len) -> list[int]:
    """Return how wide each column is, so that no line is longer than the limit.

    The widest one gives way; last of all one whose cells are short and all of a length, as times are.
    """
    columns = [[length(text) for text in column] for column in zip(*lines, strict=True)]
    widths = [max(column) for column in columns]
    firm = [len(set(column[1:])) == 1 and column[1] <= _SHORT for column in columns]
    while sum(widths) + len(GAP) * (len(widths) - 1) > limit and max(widths) > _NARROWEST:
        wide = [at for at, width in enumerate(widths) if width > _NARROWEST]
        loose = [at for at in wide if not firm[at]]
        widths[max(loose or wide, key=widths.__getitem__)] -= 1
    return widths


def numeric(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> list[bool]:
    """Tell of each column whether it holds numbers only."""
    return [bool(rows) and all(isinstance(row[at], (int, float)) for row in rows) for at in range(len(headings))]


def cell(value: object) -> str:
    """Write a value on one line."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return " ".join(str(value).split())


def _fit(text: str, width: int, right: bool) -> str:  # noqa: FBT001 -- the last of three lists that are mapped over
    if len(text) > width:
        text = text[: width - 1] + "…"
    return text.rjust(width) if right else text.ljust(width)

"""Tables for people, as plain text that fits the terminal.

Here: `table`. What is in them is the caller's affair.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence

__all__ = ["table"]

_GAP = "  "
_NARROWEST = 8


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, width: int | None = None) -> str:
    """Lay out rows under headings; numbers to the right; the widest column gives way where the line is too long."""
    cells = [[_text(value) for value in row] for row in rows]
    right = [bool(rows) and all(isinstance(row[at], (int, float)) for row in rows) for at in range(len(headings))]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    limit = width or shutil.get_terminal_size((100, 24)).columns
    while sum(widths) + len(_GAP) * (len(widths) - 1) > limit and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    lines = [list(headings), *cells]
    return "\n".join(_GAP.join(map(_fit, line, widths, right)).rstrip() for line in lines)


def _text(value: object) -> str:
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

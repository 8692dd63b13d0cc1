"""A table where it is printed: by rich on a terminal, where rich is installed (extra `[cli]`), else as plain text.

Here: `print_table`. A pipe and a file get plain text, whatever is installed.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from typing import Literal

from statefun.runtime._table import GAP, cell, fitting, numeric, table

__all__ = ["print_table"]


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under headings; no line is wider than the terminal."""
    if not sys.stdout.isatty() or importlib.util.find_spec("rich") is None:
        print(table(headings, rows))
        return
    from rich.cells import cell_len  # noqa: PLC0415 -- an extra, and 40 ms
    from rich.console import Console  # noqa: PLC0415 -- as above
    from rich.table import Table  # noqa: PLC0415 -- as above
    from rich.text import Text  # noqa: PLC0415 -- as above

    console = Console()
    cells = [[cell(value) for value in row] for row in rows]
    widths = fitting([list(headings), *cells], console.width, cell_len)
    made = Table(box=None, pad_edge=False, padding=(0, len(GAP), 0, 0), header_style="bold")
    for heading, width, right in zip(headings, widths, numeric(headings, rows), strict=True):
        side: Literal["left", "right"] = "right" if right else "left"
        made.add_column(heading, justify=side, width=width, no_wrap=True, overflow="ellipsis")
    for row in cells:
        made.add_row(*map(Text, row))  # as it is: a value may hold rich's own marks
    console.print(made)

"""The table in the docs says what was seen; it runs last, and only after all the others (--table)."""

from __future__ import annotations

import pytest

from tests.engines.table import PAGE, render


def test_table(pytestconfig: pytest.Config, seen: tuple[dict[tuple[str, str], object], list[str]]) -> None:
    """docs/explanation/compatibility.md says of each runtime what its tests have just shown."""
    page = render(*seen)  # type: ignore[arg-type]  # conftest.py puts nothing else in
    if pytestconfig.getoption("--table") == "write":
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page

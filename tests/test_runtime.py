"""What the pages on the runtime promise; how it works is tested in tests/runtime."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tools import cli_reference

ROOT = Path(__file__).parent.parent
PAGES = ("guarantees", "differences")


def defined_in(path: Path) -> set[str]:
    """Return the names of the tests in a file, with their classes."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return found


@pytest.mark.parametrize("page", PAGES)
def test_each_line_has_its_test(page: str) -> None:
    """Each line of the tables of guarantees and differences names a test that exists."""
    text = (ROOT / "docs" / "explanation" / f"{page}.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 9
    for row in rows:
        named = re.search(r"`(tests/\S+\.py)::(\S+)` \|$", row)
        assert named, row
        assert named[2] in defined_in(ROOT / named[1]), row


def test_the_reference_of_the_commands() -> None:
    """The page on the commands is what the parsers say."""
    assert cli_reference.PAGE.read_text(encoding="utf-8") == cli_reference.render()

"""What the module reader refuses is refused by the runtimes too: they say of the corpus what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines import refusals

FEW = (
    "components/duplicates.yaml",
    "components/missing-value-type.yaml",
    "components/patterns.yaml",
    "components/placeholders.yaml",
    "yaml/aliases.yaml",
    "yaml/tab.yaml",
    "format-2.0/bad-ingress.yaml",
    "format-2.0/bad-positions.yaml",
    "format-2.0/good-carts.yaml",
)
REST = tuple(name for name in refusals.files() if name not in FEW)


@pytest.mark.parametrize("name", FEW)
def test_refusals(name: str, folder: Path) -> None:
    """A runtime says of a file what is recorded beside the corpus (facts 6, 7)."""
    assert refusals.ask(name, folder) == refusals.read()[name]


@pytest.mark.long
@pytest.mark.parametrize("name", REST)
def test_all_refusals(name: str, folder: Path) -> None:
    """The same of every other file."""
    assert refusals.ask(name, folder) == refusals.read()[name]

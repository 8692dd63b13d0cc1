from __future__ import annotations

import re
from pathlib import Path

from statefun._codes import CODES

PACKAGE = Path(__file__).parent.parent / "statefun"


def test_each_is_reported() -> None:
    """Every code is reported somewhere, and every code that is reported is explained."""
    sources = [path for path in PACKAGE.rglob("*.py") if path.name != "_codes.py"]
    used = {code for path in sources for code in re.findall(r'"(SF\d{3})"', path.read_text(encoding="utf-8"))}

    assert used == CODES.keys()


def test_each_is_explained() -> None:
    """Every code has a title without a full stop, and a text of whole sentences."""
    assert [code for code, found in CODES.items() if not re.fullmatch(r"\S.*[^.]", found.title)] == []
    assert [code for code, found in CODES.items() if not re.fullmatch(r"(?s)[^a-z ].*[.`]|`.*\.", found.text)] == []
    assert list(CODES) == sorted(CODES)

# ruff: noqa: E501 -- rows of a table
"""The codes are explained, and their page in the documentation is made from them.

`python tests/test_codes.py` writes the page anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from statefun._codes import CODES

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "findings.md"
HEAD = """\
# findings

What `statefun check` and `statefun lock` have to say, and what `ModuleError` and `LockError` hold.

| name | what it is |
|---|---|
| `Finding` | one thing that is wrong: `code`, `severity`, `file`, `line`, `column`, `path`, `problem`, `text`, `expected`, `did_you_mean`, `says` |
| `ModuleError` | a module.yaml that cannot be used; `findings` are all of them, `errors` those that are refused |
| `Severity` | `"error"`: refused by a runtime, at start or on the first message, or lost on restore; `"warning"`; `"note"` |

A finding is silenced by a comment in the module.yaml that gives the reason, unless a runtime refuses the file:

```
# statefun: silence SF345 the topic is new
```

A code never gets another meaning, and the number of one that is dropped is not used again.
"""
PARTS = {"SF0": "The file", "SF1": "What stands in it", "SF2": "Between two deployments", "SF3": "Beside the code"}


def page() -> str:
    """Return the page of the documentation."""
    return "\n".join([HEAD, *_sections()])


def _sections() -> Iterator[str]:
    for start, title in PARTS.items():
        yield f"## {title}\n"
        for code, found in CODES.items():
            if code.startswith(start):
                yield f"### {code}\n\n*{found.severity}*: {found.title}\n\n{found.text}\n"


def test_each_is_reported() -> None:
    """Every code is reported somewhere, and every code that is reported is explained."""
    sources = [path for path in (ROOT / "statefun").rglob("*.py") if path.name != "_codes.py"]
    used = {code for path in sources for code in re.findall(r'"(SF\d{3})"', path.read_text(encoding="utf-8"))}

    assert used == CODES.keys()


def test_each_is_explained() -> None:
    """Every code has a title without a full stop, and a text of whole sentences."""
    assert [code for code, found in CODES.items() if not re.fullmatch(r"\S.*[^.]", found.title)] == []
    assert [code for code, found in CODES.items() if not re.fullmatch(r"(?s)[^a-z ].*[.`]|`.*\.", found.text)] == []
    assert list(CODES) == sorted(CODES)


def test_page() -> None:
    """The page of the documentation says what the table says."""
    assert PAGE.read_text(encoding="utf-8") == page()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

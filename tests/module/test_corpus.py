"""Every file of the corpus says exactly what stands beside it.

`<name>.findings` is what the rules of the newest runtime of its format say, `<name>@<runtime>.findings` those of
another; an empty file means that there is nothing to say. `python tests/module/test_corpus.py` writes them anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from statefun.module import ModuleError, Runtime, read_text

CORPUS = Path(__file__).parent / "corpus"
EXPECTED = sorted(CORPUS.rglob("*.findings"))


def findings(file: Path, runtime: Runtime | None) -> str:
    """Return what is said of a file, or what is in it where nothing is."""
    try:
        module = read_text(file.read_bytes(), runtime=runtime, file=file.name)
    except ModuleError as error:
        return f"{error}\n"
    return "".join(f"{finding}\n" for finding in module.findings)


def split(expected: Path) -> tuple[Path, Runtime | None]:
    """Return the file that the findings are about, and by whose rules."""
    name, _, runtime = expected.stem.partition("@")
    return expected.with_name(f"{name}.yaml"), cast("Runtime | None", runtime or None)


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda path: str(path.relative_to(CORPUS)))
def test_findings(expected: Path) -> None:
    """Each finding is reported with its place, its path, its help and the runtime that says so; and nothing else."""
    file, runtime = split(expected)

    assert findings(file, runtime) == expected.read_text(encoding="utf-8")


def test_every_file_is_tested() -> None:
    """No file of the corpus is without its findings, and there are many."""
    files = {file.relative_to(CORPUS) for file in CORPUS.rglob("*.yaml")}

    assert files == {split(expected)[0].relative_to(CORPUS) for expected in EXPECTED}
    assert len(files) >= 60


if __name__ == "__main__":
    for file in sorted(CORPUS.rglob("*.yaml")):
        kept = [path for path in EXPECTED if split(path)[0] == file] or [file.with_suffix(".findings")]
        for path in kept:
            path.write_text(findings(*split(path)), encoding="utf-8")

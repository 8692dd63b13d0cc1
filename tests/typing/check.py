"""Checks what the public signatures promise, with five type checkers.

    python -m tests.typing.check               every checker
    python -m tests.typing.check mypy ty       only these
    python -m tests.typing.check --record      write down anew what ty and pyrefly miss

A line of `promises/*.py` that ends in `# E` must be refused by every checker, one that ends in `# E: mypy pyright` by
these; no other line may be refused. mypy, pyright and basedpyright gate. ty and pyrefly are young: where they disagree
is written down in misses.txt, and a difference that is not there fails.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SCRIPTS = Path(sysconfig.get_path("scripts"))
MISSES = "misses.txt"
GATING = ("mypy", "pyright", "basedpyright")
# What is said of the style of a line, and not of its types.
IGNORED = {
    "reportUnusedExpression",
    "reportUnusedVariable",
    "reportUnusedFunction",
    "reportUnusedClass",
    "reportUntypedFunctionDecorator",
    "reportUnusedCoroutine",
    "unused-coroutine",
}

Line = tuple[str, int]
"""A file, relative to `tests/typing`, and a line of it."""
Found = dict[Line, str]
"""What a checker says, line by line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A line on which a checker does not say what is expected."""

    line: Line
    text: str
    said: str
    """What the checker says of it; empty where it should have refused the line, and did not."""

    def __str__(self) -> str:
        kind = f"refused, and should not be: {self.said}" if self.said else "not refused, and should be"
        return f"{self.line[0]}:{self.line[1]}: {kind}\n    {self.text}"

    @property
    def recorded(self) -> str:
        """How misses.txt names it: without its number, which changes with the lines above."""
        return f"{'refused' if self.said else 'missed'} {self.line[0]}: {self.text}"


# --- the checkers ---


@dataclass(frozen=True, slots=True)
class Tree:
    """Where to check: the package in `root`, the promises below it."""

    root: Path

    @property
    def here(self) -> Path:
        """Return the folder of the type tests."""
        return self.root / "tests" / "typing"

    def files(self, *folders: str) -> list[str]:
        """List the promises of these folders, of all if none is named."""
        return [
            path.relative_to(self.here).as_posix()
            for folder in folders or ("promises", "promises312")
            for path in sorted((self.here / folder).glob("*.py"))
        ]

    def name(self, path: str) -> str:
        """Return the name of a file as `Line` has it."""
        absolute = Path(path) if Path(path).is_absolute() else self.here / path
        return absolute.relative_to(self.here).as_posix() if absolute.is_relative_to(self.here) else path

    def run(self, program: str, *arguments: str) -> str:
        """Run a checker of this environment in the folder of the type tests, and return what it printed."""
        command = (str(SCRIPTS / program), *arguments)
        environment = {**os.environ, "PYRIGHT_PYTHON_GLOBAL_NODE": "0", "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
        done = subprocess.run(command, cwd=self.here, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            message = f"{program} failed:\n{done.stdout}{done.stderr}"
            raise RuntimeError(message)
        return done.stdout


def collect(said: Iterator[tuple[str, int, str, str]], tree: Tree) -> Found:
    """Gather what a checker said, as (file, line, rule, text)."""
    found: Found = {}
    for path, number, rule, text in said:
        if rule not in IGNORED:
            line = tree.name(path), number
            found[line] = "; ".join(filter(None, (found.get(line, ""), f"{' '.join(text.split())} [{rule}]")))
    return found


def mypy(tree: Tree) -> Found:
    """Run mypy --strict: as the oldest Python, and the new syntax as a Python that has it."""

    def said() -> Iterator[tuple[str, int, str, str]]:
        for folder, version in (("promises", "3.10"), ("promises312", "3.12")):
            cache = tree.root / ".cache" / "typing" / "mypy"
            printed = tree.run(
                "mypy",
                "--output=json",
                f"--python-version={version}",
                f"--cache-dir={cache}",
                f"--python-executable={sys.executable}",
                *tree.files(folder),
            )
            for item in map(json.loads, printed.splitlines()):
                if item["severity"] == "error":
                    yield item["file"], item["line"], item["code"] or "error", item["message"]

    return collect(said(), tree)


def pyright(tree: Tree, program: str = "pyright") -> Found:
    """Run pyright, or basedpyright, in strict mode."""

    def said() -> Iterator[tuple[str, int, str, str]]:
        printed = json.loads(tree.run(program, "--outputjson", f"--pythonpath={sys.executable}", "-p", "."))
        for item in printed["generalDiagnostics"]:
            if item["severity"] == "error":
                yield item["file"], item["range"]["start"]["line"] + 1, item.get("rule", "error"), item["message"]

    return collect(said(), tree)


def basedpyright(tree: Tree) -> Found:
    """Run basedpyright in the strict mode of pyright."""
    return pyright(tree, "basedpyright")


def ty(tree: Tree) -> Found:
    """Run ty."""

    def said() -> Iterator[tuple[str, int, str, str]]:
        printed = tree.run(
            "ty",
            "check",
            f"--python={sys.prefix}",
            "--python-version=3.12",
            "--output-format=concise",
            "--extra-search-path=../..",
            "--extra-search-path=../protos",
            "--extra-search-path=../../examples/greeter",
            *tree.files(),
        )
        for line in printed.splitlines():
            if match := re.match(r"(\S+?):(\d+):\d+: error\[([\w-]+)\] (.*)", line):
                yield match[1], int(match[2]), match[3], match[4]

    return collect(said(), tree)


def pyrefly(tree: Tree) -> Found:
    """Run pyrefly."""

    def said() -> Iterator[tuple[str, int, str, str]]:
        printed = tree.run(
            "pyrefly",
            "check",
            "--output-format=json",
            f"--python-interpreter-path={sys.executable}",
            "--python-version=3.12",
            *tree.files(),
        )
        for item in json.loads(printed)["errors"]:
            if item["severity"] == "error":
                yield item["path"], item["line"], item["name"], item["description"]

    return collect(said(), tree)


CHECKERS: Mapping[str, Callable[[Tree], Found]] = {
    "mypy": mypy,
    "pyright": pyright,
    "basedpyright": basedpyright,
    "ty": ty,
    "pyrefly": pyrefly,
}


# --- what is expected ---


def expected(text: str, checker: str) -> bool:
    """Tell whether a checker must refuse this line."""
    marked = re.search(r"# E(?:: ([\w ]+))?$", text)
    if marked is None:
        return False
    named = (marked[1] or " ".join(CHECKERS)).split()
    assert set(named) <= set(CHECKERS), text
    return checker in named


def differences(tree: Tree, checker: str, found: Found) -> Iterator[Difference]:
    """Yield every line on which a checker does not say what is expected."""
    for name in tree.files():
        for number, text in enumerate((tree.here / name).read_text().splitlines(), 1):
            line = name, number
            if expected(text, checker) != (line in found):
                yield Difference(line=line, text=text.strip(), said=found.get(line, ""))


def promised(tree: Tree, checker: str) -> int:
    """Count the lines that a checker must refuse."""
    texts = [(tree.here / name).read_text() for name in tree.files()]
    return sum(expected(line, checker) for text in texts for line in text.splitlines())


def recorded(checker: str) -> set[str]:
    """Return what misses.txt says of a checker."""
    lines = (HERE / MISSES).read_text().splitlines()
    return {line.partition(" ")[2] for line in lines if line.partition(" ")[0] == checker}


def record(checkers: Sequence[str]) -> None:
    """Write misses.txt anew for these checkers; the others stay as they are."""
    kept = {name: recorded(name) for name in CHECKERS if name not in GATING}
    for name in checkers:
        kept[name] = {difference.recorded for difference in differences(Tree(ROOT), name, CHECKERS[name](Tree(ROOT)))}
    head = [line for line in (HERE / MISSES).read_text().splitlines() if line.startswith("#")]
    lines = [f"{name} {miss}" for name, misses in kept.items() for miss in sorted(misses)]
    (HERE / MISSES).write_text("\n".join([*head, "", *lines]) + "\n")


# --- running ---


def passes(checker: str) -> bool:
    """Run one checker over the promises, and say what it makes of them."""
    tree = Tree(ROOT)
    started = time.monotonic()
    found = list(differences(tree, checker, CHECKERS[checker](tree)))
    known = set[str]() if checker in GATING else recorded(checker)
    problems = [str(difference) for difference in found if difference.recorded not in known]
    problems += [f"no more: {gone}" for gone in sorted(known - {difference.recorded for difference in found})]
    counts = f"{promised(tree, checker)} lines to refuse, {len(known)} recorded misses"
    verdict = f"{len(problems)} differences" if problems else "ok"
    print(f"{checker}: {counts}: {verdict} ({time.monotonic() - started:.1f} s)")
    for problem in problems:
        print(f"  {problem}")
    if problems and checker not in GATING:
        print(f"  If {checker} has learnt or forgotten this: python -m tests.typing.check --record {checker}")
    return not problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, or record; return the exit status."""
    parser = argparse.ArgumentParser(description="Check what the public signatures promise.")
    parser.add_argument("checkers", nargs="*", metavar="CHECKER", help=", ".join(CHECKERS))
    parser.add_argument(
        "--record", action="store_true", help="write down anew what a checker that does not gate misses"
    )
    options = parser.parse_args(arguments)
    names: list[str] = options.checkers or list(CHECKERS)
    if unknown := set(names) - set(CHECKERS):
        parser.error(f"there is no checker {', '.join(sorted(unknown))}")
    if options.record:
        record([name for name in names if name not in GATING])
        return 0
    failed = [name for name in names if not passes(name)]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

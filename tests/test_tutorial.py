"""The pages of docs/tutorial are run, block by block, in an empty folder.

A fence that names a file makes that file; a ```diff block changes one. In a ```console block the lines behind `$` are
run by a shell, one after the other, and must print the lines below them, where `...` stands for anything: for a part of
a line, or, alone, for any lines. A command that ends in & goes on until `$ kill %1`. `pip install` is left out,
`curl -s` is done here, and port 8000 is a free one.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_docs import Block, blocks

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "tutorial").glob("*.md"))


class Tutorial:
    """A page that is being followed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._serving: subprocess.Popen[str] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = str(free.getsockname()[1])
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        python_path = os.pathsep.join([str(folder), str(ROOT)])
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))},
            "PATH": path, "PYTHONPATH": python_path, "COLUMNS": "120", "NO_COLOR": "1",
            "PYTEST_ADDOPTS": "-p no:cacheprovider -p no:xdist",
        }  # fmt: skip

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        kind, _, name = block.kind.partition(" ")
        if kind == "console":
            for command, printed in _commands(block.code):
                self._run(command, printed)
        elif kind == "diff":
            _change(self._folder / name, block.code)
        else:
            assert name, f"line {block.line}: a block without the name of a file"
            (self._folder / name).write_text(block.code.replace("127.0.0.1:8000", f"127.0.0.1:{self._port}"))

    def _run(self, command: str, printed: list[str]) -> None:
        command = command.replace("8000", self._port) if "--kafka" not in command else command
        if command.startswith("pip install "):
            return
        if command.startswith("mypy ") and shutil.which("mypy", path=self._environment["PATH"]) is None:
            return  # it is no part of what the tests of other versions of Python need
        if command.startswith("curl -s "):
            with urllib.request.urlopen(command.removeprefix("curl -s "), timeout=10) as answer:  # noqa: S310 -- ours
                out = answer.read().decode()
        elif command == "kill %1":
            status, out = self.end()
            assert status == 0, out
        elif command.endswith(" &"):
            self._serving = self._start(command.removesuffix(" &"))
            assert self._serving.stdout is not None
            out = "".join(self._serving.stdout.readline() for _ in printed)
        else:
            process = self._start(command)
            out, _ = process.communicate(timeout=60)
        shown = [line.replace(self._port, "8000").rstrip() for line in out.splitlines()]
        assert _fits(shown, printed), f"$ {command}\n" + "\n".join(shown)

    def _start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S602 -- as a reader does
            ("exec " if command.startswith("statefun serve") else "") + command,
            shell=True,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self) -> tuple[int, str]:
        """Stop what was started; return its exit status, and what it printed last."""
        serving, self._serving = self._serving, None
        if serving is None:
            return 0, ""
        serving.send_signal(signal.SIGTERM)
        out, _ = serving.communicate(timeout=30)
        return serving.returncode, out


def _commands(code: str) -> Iterator[tuple[str, list[str]]]:
    command, printed = "", list[str]()
    for line in code.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, printed
            command, printed = line[2:], []
        else:
            printed.append(line.rstrip())
    yield command, printed


def _fits(shown: list[str], printed: list[str]) -> bool:
    """Tell whether lines are those that a page shows."""
    lines = [r"(?:.*\n)*?" if line == "..." else f"{_pattern(line)}\n" for line in printed]
    return re.fullmatch("".join(lines), "".join(f"{line}\n" for line in shown if line)) is not None


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("..."))


def _change(file: Path, diff: str) -> None:
    """Make the change that a diff of lines that follow each other describes."""
    old = "".join(f"{line[1:]}\n" for line in diff.splitlines() if line[:1] != "+")
    new = "".join(f"{line[1:]}\n" for line in diff.splitlines() if line[:1] != "-")
    text = file.read_text()
    assert text.count(old) == 1, f"{file.name} does not hold once:\n{old}"
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.stem))
def test_tutorial(page: Path, tmp_path: Path) -> None:
    """Whoever does what a tutorial says sees what it says."""
    tutorial = Tutorial(tmp_path)
    try:
        for block in blocks(page):
            tutorial.follow(block)
    finally:
        tutorial.end()


def test_what_does_not_fit() -> None:
    """Lines that a page does not show are noticed, and so is one that is missing."""
    assert _fits(["a 1 b", "x", "y", "end"], ["a ... b", "...", "end"])
    assert not _fits(["a", "b"], ["a"])
    assert not _fits(["a"], ["a", "b"])
    assert not _fits([], ["a"])
    assert _fits(["a", ""], ["a"])

"""The shape of the project: what `ls` shows, and what no checker looks at."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "statefun"
LINES_OF_A_MODULE = 400
LINES_OF_A_FUNCTION = 50

# "<module>" or "<module>:<function>": why it is longer than the limit.
LONGER: dict[str, str] = {
    "statefun.runtime._scan:scan": "every reply goes through it, and a call for each effect costs a fifth of it",
}


def name_of(path: Path) -> str:
    """Return the dotted name of a module of the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


CONCEPTS = sorted(
    path.stem
    for path in PACKAGE.iterdir()
    if (path.suffix == ".py" and path.stem not in {"__init__", "__main__"}) or (path / "__init__.py").is_file()
)
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent.name != "_proto")


@pytest.mark.parametrize("concept", CONCEPTS)
def test_a_test_file(concept: str) -> None:
    """Each module of the package has one test file of its name; a package counts as one module."""
    assert (ROOT / "tests" / f"test_{concept.lstrip('_')}.py").is_file()


@pytest.mark.parametrize("concept", [concept for concept in CONCEPTS if not concept.startswith("_")])
def test_a_reference_page(concept: str) -> None:
    """Each public module has one page of reference."""
    assert (ROOT / "docs" / "reference" / f"{concept}.md").is_file()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module(path: Path) -> None:
    """Each module opens with what lives in it, and is short enough to be read at once."""
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "no docstring"
    too_long = {name: lines for name, lines in lengths(path, text) if name not in LONGER}
    assert too_long == {}


def test_the_longer_ones() -> None:
    """A reason to be longer is kept only for what is longer."""
    longer = {name for path in SOURCES for name, _ in lengths(path, path.read_text(encoding="utf-8"))}
    assert set(LONGER) <= longer


def test_hints_are_read_in_one_place() -> None:
    """No module but _hints evaluates a type hint."""
    users = [name_of(path) for path in SOURCES if "get_type_hints(" in path.read_text(encoding="utf-8")]
    assert users == ["statefun._hints"]


def test_the_core_does_no_io() -> None:
    """Every layer below the handler is held to the contract that forbids I/O, but the look at what is installed."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    layers = contracts["importlinter:contract:layers"]["layers"].split()
    below = {layer for layer in layers[layers.index("handler") :] if layer not in {"|", "_installation"}}
    held = {
        module.removeprefix("statefun.")
        for module in contracts["importlinter:contract:no-io"]["source_modules"].split()
    }
    assert below == held


def test_import_roots(pytestconfig: pytest.Config) -> None:
    """Each folder of protos is an import root for mypy and for the tests; the user's project names its own."""
    folders = {path.parent for top in ("tests", "examples") for path in (ROOT / top).rglob("*.proto")}
    folders.discard(ROOT / "tests" / "typing" / "user_project" / "protos")
    mypy = configparser.ConfigParser()
    mypy.read(ROOT / "mypy.ini")
    roots = {Path(root) for root in mypy["mypy"]["mypy_path"].replace("$MYPY_CONFIG_FILE_DIR", str(ROOT)).split(":")}
    assert folders - roots == set()
    assert folders - set(pytestconfig.getini("pythonpath")) == set()


@pytest.mark.parametrize("machine_path", ["/home/", "/root/", "/work/", "/Users/"])
def test_no_path_of_a_machine(machine_path: str) -> None:
    """No file of the project names a folder of the machine that it was written on."""
    this = Path(__file__).relative_to(ROOT).as_posix()
    found = [name for name, text in tracked() if machine_path in text and name != this]
    assert found == []


def test_no_host_to_install_from() -> None:
    """What installs and builds the project names no host: packages come from where pip is set up to look."""
    places = ("requirements/", "tools/", ".ci/", "Makefile", "pyproject.toml")
    host = re.compile(r"://(?!127\\?\.0)")  # this machine is none
    assert [name for name, text in tracked() if name.startswith(places) and host.search(text)] == []


def lengths(path: Path, text: str) -> Iterator[tuple[str, int]]:
    """Yield what is longer than its limit, with its lines."""
    lines = len(text.splitlines())
    if lines > LINES_OF_A_MODULE:
        yield name_of(path), lines
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > LINES_OF_A_FUNCTION:
                yield f"{name_of(path)}:{node.name}", lines


def tracked() -> Iterator[tuple[str, str]]:
    """Yield each text file that git tracks."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git repository")
    for name in filter(None, done.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            yield name, content.decode("utf-8", errors="replace")

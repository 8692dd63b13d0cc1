"""What the README and the pages of docs/ say is run.

A ```python block runs after the ones above it on its page. A ```text block right below it holds what it prints; below a
```python raises block, the error that it raises. In a ```console block, a line `$ python ...` is run and must print the
lines below it, and `$ make ...` must be a target; `$ statefun ...` is run in examples/greeter. A ```yaml block is a
module.yaml, and there must be nothing to say of it. Other blocks are not run.
"""

from __future__ import annotations

import ast
import configparser
import contextlib
import importlib
import io
import itertools
import re
import shlex
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from statefun import Context, FunctionRef, KafkaEgress, ValueSpec
from statefun.errors import DeclarationError
from statefun.module import read_text
from tests.peer import BOTH, Wire, typed
from tests.peer import run as run_function

ROOT = Path(__file__).parent.parent
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if page.parent.name != "tutorial"  # tests/test_tutorial.py follows those
]
KINDS = {"python", "python raises", "text", "console", "ini", "yaml", ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    line: int
    kind: str
    """What stands behind the fence."""
    code: str


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(line=text[: match.start()].count("\n") + 1, kind=match[1], code=match[2])


def without_blocks(page: Path) -> str:
    """Return the text of a page, its code left out."""
    return re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def page_name(page: Path) -> str:
    """Return how a test names a page."""
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """Make the module that a page runs in, at the root of the project.

    They all have the same name, so that a class of one page takes over the typename of its namesake on another.
    """
    monkeypatch.chdir(ROOT)
    made = sys.modules["page"] = types.ModuleType("page")
    yield made
    del sys.modules["page"]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_page(page: Path, module: types.ModuleType) -> None:
    """What a page shows happens."""
    found = list(blocks(page))
    assert {block.kind for block in found} <= KINDS
    for block, below in itertools.zip_longest(found, found[1:]):
        expected = below.code if below is not None and below.kind == "text" else ""
        if block.kind == "python":
            assert run(block, module) == expected, f"{page_name(page)}:{block.line}"
        elif block.kind == "python raises":
            with pytest.raises(Exception) as raised:  # noqa: PT011 -- the whole text is compared below
                run(block, module)
            assert shown(raised.value) == without_notes(expected), f"{page_name(page)}:{block.line}"
        elif block.kind == "console":
            check_console(block)
        elif block.kind == "yaml":
            assert read_text(block.code).findings == ()


def run(block: Block, module: types.ModuleType) -> str:
    """Run a block, call the tests that it defines, and return what it printed."""
    before = set(vars(module))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.code, "app.py", "exec"), vars(module))  # noqa: S102 -- that is what this file is for
        for name in vars(module).keys() - before:
            if name.startswith("test_"):
                vars(module)[name]()
    return printed.getvalue()


def shown(error: BaseException) -> str:
    """Write an error as a traceback ends; its notes (of Python 3.11 and later) are lines of their own."""
    return "".join(f"{line}\n" for line in (f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())))


def without_notes(expected: str) -> str:
    """Leave out what Python 3.10 does not have."""
    return expected if sys.version_info >= (3, 11) else re.sub(r"^statefun: .*\n", "", expected, flags=re.MULTILINE)


def check_console(block: Block) -> None:
    """Run the commands of a block that are Python's, and look that the others exist."""
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.code, re.MULTILINE):
        program, *arguments = shlex.split(command)
        if program == "python":
            quiet = (sys.executable, "-W", "ignore::RuntimeWarning")  # protobuf may run in pure Python
            done = subprocess.run((*quiet, *arguments), cwd=ROOT, capture_output=True, text=True, check=False)
            assert (done.stdout, done.stderr) == (output, ""), command
        elif program == "statefun":
            module = (sys.executable, "-W", "ignore::RuntimeWarning", "-m", "statefun")
            folder = ROOT / "examples" / "greeter"
            done = subprocess.run((*module, *arguments), cwd=folder, capture_output=True, text=True, check=False)
            assert done.stdout + done.stderr == output, command
        elif program == "make":
            assert set(arguments) <= set(targets), command
        else:
            assert program in {"pip", "curl"}, command


def test_first_screen() -> None:
    """The first screen of the README is examples/greeter, and what it says is refused, tests/typing has refused."""
    app, test, wrong, *_ = (block.code for block in blocks(ROOT / "README.md") if block.kind == "python")
    folder = ROOT / "examples" / "greeter"
    assert app in (folder / "greeter.py").read_text()
    assert test.partition("def test_")[2] in (folder / "test_greeter.py").read_text()
    promise = (ROOT / "tests" / "typing" / "promises" / "readme.py").read_text()
    assert promise.count("  # E\n") == wrong.count("  # ")
    assert promise.replace("  # E\n", "\n").endswith(f"{app}\n\n{wrong}")


APPS = ROOT / "tests" / "conformance" / "apps"


@pytest.mark.parametrize(
    ("page", "there", "here"),
    [("migrate-from-2.2", "sdk_2", "typed_2"), ("migrate-from-3.3", "cart_3", "typed_cart")],
)
def test_migrated_app(page: str, there: str, here: str) -> None:
    """The app of a page on migration is the one that is compared with the old SDK, before and after."""
    before, after = [
        block.code for block in blocks(ROOT / "docs" / "howto" / f"{page}.md") if block.kind in {"", "python"}
    ][:2]
    assert f"\n{before}" in (APPS / f"{there}.py").read_text()
    assert (APPS / f"{here}.py").read_text().endswith(f"\n{after}")


def test_types_of_3_3(module: types.ModuleType) -> None:
    """What the page on 3.3 says of a type there is the typename of the declaration here."""
    page = (ROOT / "docs" / "howto" / "migrate-from-3.3.md").read_text(encoding="utf-8")
    exec("from shop_pb2 import SeenCount\nfrom typing import Annotated\nfrom statefun import types", vars(module))  # noqa: S102 -- names of the table
    found = re.findall(r"^\| `\w+(?:\([^|]*\))?` \| `([^`]+)` \| `([^`]+)` \|$", page, re.MULTILINE)
    assert len(found) == 9  # all but JSON, whose cell is more than a hint
    for hint, typename in found[:-1]:
        declared = eval(hint, vars(module))  # noqa: S307 -- our own page
        assert ValueSpec("n", getattr(declared, "__metadata__", (declared,))[0]).type.typename == typename


def test_layers() -> None:
    """The page on the architecture has the layers of .importlinter, and a line for each module."""
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    layers = contracts["importlinter:contract:layers"]["layers"].strip()
    assert f"```ini\n{layers}\n```" in page
    modules = {path.stem for path in (ROOT / "statefun").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert {name for name in modules - {"__init__", "__pycache__"} if f"\n| `{name}` |" not in page} == set()


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "reference").glob("*.md")), ids=page_name)
def test_reference_is_whole(page: Path) -> None:
    """A page of the reference names every public name of its module."""
    text = page.read_text(encoding="utf-8")
    public: list[str] = importlib.import_module(f"statefun.{page.stem}").__all__
    assert [name for name in public if not re.search(rf"`[^`]*\b{name}\b", text)] == []


def test_links() -> None:
    """Every link to a file of the project leads to one."""
    for page in (*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "examples" / "README.md"):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", without_blocks(page)):
            assert "://" in target or (page.parent / target).exists(), f"{page_name(page)}: {target}"


def test_index() -> None:
    """The index has every page of docs/, once."""
    index = ROOT / "docs" / "README.md"
    targets = re.findall(r"\]\(([^)#]+)\)", index.read_text(encoding="utf-8"))
    listed = [(index.parent / target).resolve() for target in targets]
    assert len(listed) == len(set(listed))
    assert {page_name(page) for page in PAGES if page not in listed} == {"docs/README.md"}


# --- the tables of docs/reference/types.md ---

TYPES = ROOT / "docs" / "reference" / "types.md"


@pytest.fixture
def names(module: types.ModuleType) -> dict[str, Any]:
    """Run the first block of the page, which makes the classes that its tables name."""
    run(next(blocks(TYPES)), module)
    return vars(module)


def class_of(example: object) -> Any:
    """Return the class of an example; as a hint, which a checker would not take it for."""
    return type(example)


def rows(number: int, names: dict[str, Any]) -> Iterator[tuple[str, Any, list[str]]]:
    """Yield the rows of a table: the first cell, the evaluated example in the second one, the cells after it."""
    bodies = re.findall(r"^\|[^\n]*\n\|[-|]+\|\n((?:\|[^\n]*\n)+)", TYPES.read_text(encoding="utf-8"), re.MULTILINE)
    for line in bodies[number].splitlines():
        what, example, *cells = (cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|")))
        yield what, eval(example.strip("`"), names), [cell.strip("`") for cell in cells]  # noqa: S307 -- our own page


def yes_or_no(generic: Any, hint: object) -> str:
    """Tell whether a subscript takes a hint."""
    try:
        generic[hint]
    except DeclarationError:
        return "no"
    return "yes"


@pytest.mark.parametrize("wire", BOTH)
def test_table_of_types(wire: Wire, names: dict[str, Any]) -> None:
    """Each value has the typename and the bytes of the table, stored and sent, on both wires, and is read back."""
    hint: Any = None
    for what, example, (typename, literal, *uses) in rows(0, names):
        if what:
            hint = class_of(example)
            if what.startswith("`"):
                hint = eval(what.strip("`"), names)  # noqa: S307 -- our own page
            assert uses == [yes_or_no(FunctionRef, hint), yes_or_no(KafkaEgress, hint), "yes"], what
        spec: ValueSpec[Any, Any] = ValueSpec("n", getattr(hint, "__metadata__", (hint,))[0])
        data = ast.literal_eval(literal)

        def write(context: Context, _message: Any, example: Any = example, spec: ValueSpec[Any, Any] = spec) -> None:
            context[spec] = example
            if yes_or_no(FunctionRef, class_of(example)) == "yes":
                context.pack_and_send("x/y", "z", example, type=spec.type)

        def read(context: Context, _message: Any, example: Any = example, spec: ValueSpec[Any, Any] = spec) -> None:
            assert context[spec] == example

        answer = run_function(wire, write, typed("x/y"), specs=[spec])
        written = [value for _, value in answer.mutations] + [message for *_, message in answer.sent]
        # part by part: an Any of pure-Python protobuf cannot be compared if its type is unknown
        assert {(value.type_url, value.value) for value in written if value is not None} == {(typename, data)}, what
        run_function(wire, read, typed("x/y"), specs=[spec], states={"n": typed(typename, data)})


def test_table_of_json(names: dict[str, Any]) -> None:
    """Each field of a dataclass is the JSON of the table, and is read back."""
    exec("from datetime import datetime; from decimal import Decimal", names)  # noqa: S102 -- two names of the standard library
    hints: dict[type, Any] = {list: list[str], type(None): int | None}
    for what, example, (text,) in rows(1, names):
        hint: Any = types.GenericAlias(list, (hints.get(class_of(example), class_of(example)),))
        found = ValueSpec("n", hint).type
        assert found.encode([example]) == f"[{text}]".encode(), what
        assert found.decode(f"[{text}]".encode()) == [example], what

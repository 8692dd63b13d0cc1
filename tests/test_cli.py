# ruff: noqa: ISC004, E501 -- whole texts, as they are printed
"""The commands check, module and lock: what they print, and how they end."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from statefun import __version__
from statefun.cli import COMMANDS, command, main

APP = """\
from statefun import Context, State, StatefulFunctions

functions = StatefulFunctions()


class CartState(State):
    n: int = 0


@functions.bind("shop/cart")
def cart(context: Context[CartState], message: bytes | int) -> None: ...
"""
MODULE = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: http://shop:8000/
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: shop/orders
  address: localhost:9092
  consumerGroupId: shop
  startupPosition: {type: earliest}
  topics:
    - topic: cart
      valueType: statefun.python/bytes
      targets: [shop/cart]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with an app and a module that fits it, in which the commands are run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "shop_app", raising=False)
    (tmp_path / "shop_app.py").write_text(APP)
    (tmp_path / "module.yaml").write_text(MODULE)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Return the exit status of a command, and what it printed."""
    sys.modules.pop("shop_app", None)
    status = main(words)
    out, err = capsys.readouterr()
    return status, out, err


def change(file: Path, old: str, new: str) -> None:
    """Replace something in a file."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


WRONG = """\
module.yaml:15:16: error SF312: [1].spec.topics[0].targets: the target 'shop/crt' is bound to no function
  did you mean: 'shop/cart'
  says: every record of it fails
"""


def test_check(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A module that fits is said to; one that does not is refused."""
    assert run(capsys, "check", "shop_app:functions") == (0, "", "module.yaml: nothing wrong\n")

    change(folder / "module.yaml", "[shop/cart]", "[shop/crt]")
    assert run(capsys, "check", "shop_app:functions", "module.yaml") == (1, WRONG, "module.yaml: 1 error\n")


def test_check_the_file_alone(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Without an app the file is read, by the rules of a runtime."""
    change(folder / "module.yaml", "[shop/cart]", "[shop/crt]")
    assert run(capsys, "check") == (0, "", "module.yaml: nothing wrong\n")
    assert run(capsys, "check", "module.yaml", "--runtime", "2.2") == (
        1,
        "module.yaml:1:1: error SF110: [0]: StateFun 2.2 reads no components: it wants one document with version and"
        ' module\n  expected: version: "2.0"\n  says: StateFun 2.2: Unable to find a module type\n',
        "module.yaml: 1 error\n",
    )


def test_check_warnings(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Warnings are printed, and fail with --strict; notes are printed unless they are not wanted."""
    change(folder / "module.yaml", "  functions: shop/*\n", "  functions: shop/*\n  owner: carts\n")
    other = "---\nkind: io.statefun.endpoints.v2/http\nspec: {functions: other/x, urlPathTemplate: 'http://x/'}\n"
    (folder / "module.yaml").write_text((folder / "module.yaml").read_text() + other)

    status, out, err = run(capsys, "check", "shop_app:functions")
    assert (status, err, len(out.splitlines())) == (0, "module.yaml: 1 warning\n", 2)
    status, out, err = run(capsys, "check", "shop_app:functions", "--strict", "--quiet")
    assert (status, out) == (
        1,
        "module.yaml:4:3: warning SF103: [0].spec.owner: an endpoint has no key 'owner': it is ignored\n",
    )


def test_check_formats(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Findings are printed for programs and for GitHub."""
    change(folder / "module.yaml", "[shop/cart]", "[shop/crt]")

    assert run(capsys, "check", "shop_app:functions", "--format", "github") == (
        1,
        "::error file=module.yaml,line=15,col=16,title=SF312::[1].spec.topics[0].targets: the target 'shop/crt' is bound"
        " to no function%0A  did you mean: 'shop/cart'%0A  says: every record of it fails\n",
        "",
    )
    _, out, _ = run(capsys, "check", "shop_app", "--json")
    assert json.loads(out) == {
        "code": "SF312",
        "severity": "error",
        "file": "module.yaml",
        "line": 15,
        "column": 16,
        "path": "[1].spec.topics[0].targets",
        "problem": "the target 'shop/crt' is bound to no function",
        "text": "shop/crt",
        "expected": "",
        "did_you_mean": "'shop/cart'",
        "says": "every record of it fails",
    }
    status, out, _ = run(capsys, "check", "no,where.yaml", "--format", "github")
    assert (status, out) == (
        1,
        "::error file=no%2Cwhere.yaml,title=SF001::the file cannot be read: No such file or directory\n",
    )


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    """A code is explained."""
    assert run(capsys, "check", "--explain", "SF304") == (
        0,
        "SF304 (note): two entries match\n\nAn entry of one function wins over that of its namespace.\n",
        "",
    )
    assert run(capsys, "check", "--explain", "SF000") == (
        1,
        "",
        "statefun check: 'SF000' is no code of a finding\n  help: docs/reference/findings.md lists them\n",
    )


def test_module(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A module is printed, or written where nothing is yet; then it passes the check."""
    endpoint = ("--endpoint", "http://shop:8000/")
    status, out, _ = run(capsys, "module", "shop_app:functions", *endpoint, "--kafka", "kafka:9092")
    assert (status, out.splitlines()[:2], "address: kafka:9092" in out) == (
        0,
        ["# yaml-language-server: $schema=module.schema.json", "kind: io.statefun.endpoints.v2/http"],
        True,
    )
    assert run(capsys, "module", "shop_app:functions", *endpoint, "--output", "new.yaml", "--runtime", "2.2") == (
        0,
        "new.yaml: written\n",
        "",
    )
    assert run(capsys, "check", "shop_app:functions", "new.yaml")[::2] == (0, "new.yaml: nothing wrong\n")
    assert run(capsys, "module", "shop_app:functions", *endpoint, "--output", "new.yaml") == (
        1,
        "",
        "statefun module: new.yaml is there already\n  help: --update new.yaml puts in what is missing\n",
    )
    assert run(capsys, "module", "shop_app:functions") == (
        1,
        "",
        "statefun module: where is the app deployed?\n  help: --endpoint http://my-app:8000/statefun\n",
    )


def test_update(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A file is brought up to the app."""
    words = ("module", "shop_app:functions", "--endpoint", "http://shop:8000/", "--update", "module.yaml")
    assert run(capsys, *words) == (0, "module.yaml: nothing to change\n", "")

    (folder / "module.yaml").write_text(MODULE[MODULE.index("---\n") + 4 :])
    assert run(capsys, *words) == (0, "module.yaml: changed\n", "")
    assert run(capsys, "check", "shop_app:functions")[0] == 0


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """The schema is printed."""
    status, out, _ = run(capsys, "module", "schema")

    assert (status, json.loads(out)["title"]) == (0, "module.yaml of Stateful Functions")


def test_lock(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A lock is written once, and then changed only where nothing is lost, or with a reason."""
    assert run(capsys, "lock", "shop_app:functions", "--check") == (
        1, "", "statefun lock: there is no statefun.lock\n  help: statefun lock shop_app:functions\n",
    )  # fmt: skip
    assert run(capsys, "lock", "shop_app:functions") == (0, "", "statefun.lock: written\n")
    assert run(capsys, "lock", "shop_app:functions", "--check") == (0, "", "")

    change(folder / "shop_app.py", "    n: int = 0\n", "    n: int = 0\n    more: int = 0\n")
    new_state = "statefun.lock: note SF216: shop/cart more: a new state\n"
    assert run(capsys, "lock", "shop_app:functions", "--check") == (
        1, new_state, "statefun.lock is not up to date: statefun lock shop_app:functions\n",
    )  # fmt: skip
    assert run(capsys, "lock", "shop_app:functions") == (0, new_state, "statefun.lock: written\n")

    change(folder / "shop_app.py", "    n: int = 0\n", "")
    gone = (
        "statefun.lock: error SF202: shop/cart n: the state is gone: what it holds is lost, and not found under another"
        " name\n  expected: declare it again\n"
    )
    assert run(capsys, "lock", "shop_app:functions", "--check") == (1, gone, "")
    assert run(capsys, "lock", "shop_app:functions", "--accept", "SF203", "--why", "x") == (
        1,
        gone,
        "statefun lock: SF203 was accepted, but no change has it\n"
        'statefun lock: refused; to make the change all the same: --accept CODE --why "..."\n',
    )
    assert run(capsys, "lock", "shop_app:functions", "--accept", "SF202", "--why", "never read") == (
        0, gone, "statefun.lock: written\n",
    )  # fmt: skip
    assert run(capsys, "lock", "shop_app:functions", "--accept", "SF202", "--why", "again") == (
        1,
        "",
        "statefun lock: SF202 was accepted, but no change has it\n",
    )
    assert '"why": "never read"' in (folder / "statefun.lock").read_text()
    assert run(capsys, "lock", "shop_app:functions", "--check") == (0, "", "")
    assert run(capsys, "lock", "shop_app:functions", "--accept", "SF202") == (
        1,
        "",
        'statefun lock: --accept and --why go together\n  help: --accept SF202 --why "the state was never read"\n',
    )


@pytest.mark.parametrize(
    ("app", "message"),
    [
        (
            "shop_app.py",
            "'shop_app.py' names no app\n  help: write module:functions, e.g. app:functions for app.py",
        ),
        (
            "a/b:functions",
            "'a/b:functions' names no app\n  help: write module:functions, e.g. app:functions for app.py",
        ),
        ("shop_app:cart", "'shop_app:cart' is no StatefulFunctions\n  help: what could be meant: shop_app:functions"),
        ("json:x", "'json:x' is no StatefulFunctions\n  help: what could be meant: none is in it"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_no_app(app: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An app that is not there is refused, with what could be meant."""
    status, out, err = run(capsys, "lock", app)

    assert (status, out, err) == (1, "", f"statefun lock: {message}\n")


def test_nothing_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command the help is printed, and the command line was wrong."""
    status, out, err = run(capsys)

    assert (status, out) == (2, "")
    assert all(f"  {name:<12}{line}" in err for name, line in COMMANDS.items())
    with pytest.raises(SystemExit) as caught:
        main(["nonsense"])
    assert caught.value.code == 2


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is printed."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])

    assert (caught.value.code, capsys.readouterr().out) == (0, f"statefun {__version__}\n")


def test_as_a_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m statefun` is the same program."""
    monkeypatch.setattr(sys, "argv", ["statefun", "--version"])
    with pytest.raises(SystemExit):
        runpy.run_module("statefun", run_name="__main__")

    assert capsys.readouterr().out == f"statefun {__version__}\n"


def test_hooks() -> None:
    """Each hook for pre-commit runs a command that there is."""
    hooks = yaml.safe_load((Path(__file__).parent.parent / ".pre-commit-hooks.yaml").read_text())

    assert [hook["entry"].split()[:2] for hook in hooks] == [["statefun", "check"], ["statefun", "lock"]]


def test_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command whose output nobody reads any more ends quietly, and so does the flush at the end."""
    turned: list[int] = []

    def pipe(_args: object) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(command("check"), "run", pipe)

    def turn(_null: int, old: int) -> None:
        turned.append(old)

    monkeypatch.setattr("os.dup2", turn)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1)

    assert (main(["check"]), turned) == (0, [1])


def test_folder_at_hand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """The app is imported from the folder at hand, though Python does not look there by itself."""
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(folder)])

    assert run(capsys, "check", "shop_app")[0] == 0


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a command without a traceback."""

    def interrupt(_args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command("check"), "run", interrupt)

    assert main(["check"]) == 130


@pytest.mark.parametrize("name", ["check", "lock", "module"])
def test_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command says what it takes."""
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])

    assert (caught.value.code, capsys.readouterr().out[:16]) == (0, f"usage: statefun {name}"[:16])


def test_version_is_quick() -> None:
    """The version is printed without importing yaml, nor any command."""
    code = "import sys, statefun.cli as cli\ntry: cli.main(['--version'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    version, modules = out.splitlines()
    assert version.startswith("statefun ")
    assert not {"yaml", "statefun.module", "statefun.cli.check"} & set(modules.split())
    assert subprocess.run([sys.executable, "-m", "statefun", "--version"], capture_output=True, check=True).stdout


def test_pipe_closed() -> None:
    """A reader that has seen enough ends the command quietly."""
    command_line = f"{sys.executable} -m statefun module schema | head -1"
    done = subprocess.run(command_line, shell=True, capture_output=True, text=True, check=True)  # noqa: S602 -- a pipe

    assert (done.stdout, done.stderr) == ("{\n", "")

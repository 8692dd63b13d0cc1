"""An app named on the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from statefun._loading import LoadError, load_app

APP = "from statefun import StatefulFunctions\nfunctions = StatefulFunctions()\nother = StatefulFunctions()\n"
BOUND = APP + "@functions.bind('example/f')\ndef f(context, message: str): ...\n"
DECORATED = 4 if sys.version_info >= (3, 11) else 5  # the line where a decorator is called: 3.10 says that of `def`
MODULE = "module {} --endpoint http://localhost/"
HELP = "\n  help: write module:functions, e.g. app:functions for app.py"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder at hand; what is imported from it is forgotten at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("loaded_app", "loaded_broken", "loaded_single", "loaded_part", "loaded_bad"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "loaded_app.py").write_text(BOUND)
    (tmp_path / "loaded_single.py").write_text(BOUND.replace("other = StatefulFunctions()", ""))
    (tmp_path / "loaded_broken.py").write_text("import not_there_at_all\n")
    return tmp_path


def test_load() -> None:
    """module:functions is imported from the folder at hand; the only registry of a module needs no name."""
    assert next(iter(load_app("loaded_app:functions"))).typename == "example/f"
    assert next(iter(load_app("loaded_single"))).typename == "example/f"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("app.py:functions", "'app.py:functions' names no app" + HELP),
        ("", "'' names no app" + HELP),
        ("nowhere:functions", "there is no module 'nowhere' in {folder}\n  help: run it where the app is"),
        (
            "loaded_app:handler",
            (
                "'loaded_app:handler' is no StatefulFunctions\n"
                "  help: what could be meant: loaded_app:functions, loaded_app:other"
            ),
        ),
        ("loaded_app:other", "loaded_app:other binds no function"),
    ],
)
def test_refused(name: str, text: str, folder: Path) -> None:
    """What names no app is an error that says what could be meant."""
    with pytest.raises(LoadError) as raised:
        load_app(name)
    assert str(raised.value) == text.format(folder=folder)


TRACEBACK = "\n  help: the whole traceback: {python} -c 'import loaded_broken'"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("import not_there", "loaded_broken.py:1: ModuleNotFoundError: No module named 'not_there'" + TRACEBACK),
        ("\nfrom json import nothing", "loaded_broken.py:2: ImportError: cannot import name 'nothing' from 'json'"),
        ("\n\n1 / 0", "loaded_broken.py:3: ZeroDivisionError: division by zero" + TRACEBACK),
        ("import sys\nsys.exit(3)", "loaded_broken.py:2: SystemExit: 3" + TRACEBACK),
        ("import json\n\njson.loads('[')", "loaded_broken.py:3: JSONDecodeError: Expecting value"),
        ("import loaded_part", "loaded_part.py:2: AssertionError" + TRACEBACK),
        ("import loaded_bad", "loaded_bad.py:1: SyntaxError: "),
        (
            BOUND.replace("example/f", "f"),
            f"loaded_broken.py:{DECORATED}: BindError: cannot bind 'f' to f (loaded_broken.py:4): ",
        ),
    ],
)
def test_broken(source: str, text: str, folder: Path) -> None:
    """An app that raises when it is imported is one error, with the line of the app where it did."""
    (folder / "loaded_broken.py").write_text(source + "\n")
    (folder / "loaded_part.py").write_text("\nassert False\n")
    (folder / "loaded_bad.py").write_text("print(\n")
    with pytest.raises(LoadError) as raised:
        load_app("loaded_broken:functions")
    expected = "loaded_broken cannot be imported: " + text.format(python=Path(sys.executable).name)
    assert str(raised.value)[: len(expected)] == expected
    assert expected.count("help") == 0 or str(raised.value).count("help: ") == 1


def test_broken_elsewhere(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where nothing of the folder at hand was on the way, the line is of the code that raised."""
    other = tmp_path_factory.mktemp("other")
    (other / "loaded_broken.py").write_text("raise OSError\n")
    (folder / "loaded_broken.py").unlink()
    sys.path.append(str(other))
    with pytest.raises(LoadError) as raised:
        load_app("loaded_broken:functions")
    assert str(raised.value).startswith(
        f"loaded_broken cannot be imported: {other}/loaded_broken.py:1: OSError\n  help: "
    )


@pytest.mark.parametrize("words", ["check {} module.yaml", "run {} --no-http", "serve {}", "lock {}", MODULE])
def test_every_command_says_it(words: str, folder: Path) -> None:
    """Each command that takes an app ends with status 1, and says where the app is broken: no traceback."""
    entry = "kind: io.statefun.endpoints.v2/http\nspec: {functions: example/*, urlPathTemplate: http://localhost/}\n"
    (folder / "module.yaml").write_text(entry)
    done = subprocess.run(
        [sys.executable, "-m", "statefun", *words.format("loaded_broken:functions").split()],
        capture_output=True, text=True, timeout=60, check=False, cwd=folder,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    name, help = words.split(maxsplit=1)[0], TRACEBACK.format(python=Path(sys.executable).name)
    error = "loaded_broken.py:1: ModuleNotFoundError: No module named 'not_there_at_all'"
    assert done.stderr == f"statefun {name}: loaded_broken cannot be imported: {error}{help}\n"

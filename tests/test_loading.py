"""An app named on the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from statefun._loading import LoadError, load_app

APP = "from statefun import StatefulFunctions\nfunctions = StatefulFunctions()\nother = StatefulFunctions()\n"
BOUND = APP + "@functions.bind('example/f')\ndef f(context, message: str): ...\n"
HELP = "\n  help: write module:functions, e.g. app:functions for app.py"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder at hand; what is imported from it is forgotten at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("loaded_app", "loaded_broken", "loaded_single"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "loaded_app.py").write_text(BOUND)
    (tmp_path / "loaded_single.py").write_text(BOUND.replace("other = ", "_ = "))
    (tmp_path / "loaded_broken.py").write_text("import not_there_at_all\n")
    return tmp_path


def test_load() -> None:
    """module:functions is imported from the folder at hand; the only registry of a module needs no name."""
    app = load_app("loaded_app:functions")
    assert next(iter(app.functions)).typename == "example/f"
    assert any(value is app.functions for value in app.around)


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


def test_broken() -> None:
    """What the app itself fails to import is its own error."""
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        load_app("loaded_broken:functions")

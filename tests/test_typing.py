"""What the public signatures promise, by five type checkers, and what a user's project sees of them (tests/typing)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.typing.mutations import MUTATIONS, Mutation, pattern

ROOT = Path(__file__).parent.parent
SCRIPTS = Path(sysconfig.get_path("scripts"))
pytestmark = pytest.mark.skipif(not (SCRIPTS / "pyrefly").exists(), reason="the type checkers are not installed")


def run(
    program: str | Path, *arguments: str, cwd: Path = ROOT, python_path: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program, and return what it printed."""
    environment = {
        **os.environ,
        "PYTHONPATH": python_path,
        "PYRIGHT_PYTHON_GLOBAL_NODE": "0",
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
    }
    command = (program, *arguments)
    return subprocess.run(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


@pytest.mark.parametrize("checker", ["mypy", "pyright", "basedpyright", "ty", "pyrefly"])
def test_promises(checker: str) -> None:
    """A checker refuses the lines that are marked, and no others; ty and pyrefly miss what is written down."""
    done = run(sys.executable, "-m", "tests.typing.check", checker)
    assert done.returncode == 0, done.stdout


@pytest.mark.timeout(600)
def test_mutations() -> None:
    """The promises notice a broken signature (`make test-all` breaks them all)."""
    done = run(
        sys.executable, "-m", "tests.typing.mutations", "at() is too wide", "state is Any", "Kafka takes numbers"
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS)
def test_mutations_apply(mutation: Mutation) -> None:
    """Each mutation breaks something that the package still has."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "statefun").rglob("*.py")]
    assert any(re.search(pattern(mutation.old), text) for text in texts), mutation.old


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Copy the user's project out of this one, so that it finds the package as it is installed."""
    return Path(shutil.copytree(ROOT / "tests" / "typing" / "user_project", tmp_path / "project"))


MYPY = (SCRIPTS / "mypy", f"--python-executable={sys.executable}")
PYRIGHT = (SCRIPTS / "pyright", f"--pythonpath={sys.executable}", "-p", ".")


@pytest.mark.parametrize("command", [MYPY, PYRIGHT], ids=["mypy", "pyright"])
def test_user_project(command: tuple[str | Path, ...], project: Path) -> None:
    """Two apps with protos of their own are clean under mypy --strict and pyright strict, side by side."""
    done = run(*map(str, command), cwd=project)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("command", [MYPY, PYRIGHT], ids=["mypy", "pyright"])
def test_user_project_is_refused(command: tuple[str | Path, ...], project: Path) -> None:
    """Its mistakes are refused: the types of the installed package reach it."""
    with (project / "orders" / "app.py").open("a") as app:
        app.write('\n\ndef wrong(context: Context) -> None:\n    context.send(PAYMENTS.at("1"), Place())\n')
    done = run(*map(str, command), cwd=project)
    assert done.returncode == 1, done.stdout
    assert "Charge" in done.stdout


def test_user_project_runs(project: Path) -> None:
    """Its unit tests pass."""
    options = ("--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:xdist", "-c", "mypy.ini")
    tests = ("orders/tests.py", "payments/tests.py")
    done = run(sys.executable, "-m", "pytest", *options, *tests, cwd=project, python_path=f".{os.pathsep}protos")
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout

"""What an import of the package brings with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import statefun


def imported(code: str) -> set[str]:
    """Return the modules that are there after some code ran in a process of its own."""
    command = [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_what_is_not_imported() -> None:
    """An import of statefun costs what it needs: nothing of I/O, loops, threads, YAML or JSON libraries."""
    expensive = {
        "asyncio",
        "concurrent.futures",
        "importlib.metadata",
        "inspect",
        "msgspec",
        "pydantic",
        "socket",
        "sqlite3",
        "statefun.testing",
        "typing_extensions",
        "unittest",
        "yaml",
    }
    assert imported("import statefun") & (expensive - imported("import google.protobuf.any_pb2")) == set()


def test_protobuf_in_any_order() -> None:
    """It is the same whether protobuf was imported first or not."""
    assert "statefun.handler" in imported("import google.protobuf.any_pb2, statefun")
    assert "statefun.handler" in imported("import statefun, google.protobuf.any_pb2")


def test_all() -> None:
    """Every public name is there, once, in order, and documented where it is defined."""
    assert statefun.__all__ == sorted(set(statefun.__all__), key=str)
    for name in statefun.__all__:
        assert getattr(statefun, name).__doc__, name


@pytest.mark.parametrize("name", ["testing", "errors", "types"])
def test_submodules(name: str) -> None:
    """The modules that an app uses by name can be imported from the package."""
    assert f"statefun.{name}" in imported(f"from statefun import {name}")

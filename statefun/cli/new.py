"""`statefun new`: make a small typed app, with its proto, its tests and its module.yaml."""

from __future__ import annotations

import argparse
from pathlib import Path

from statefun.cli import Subparsers
from statefun.cli._scaffold import make_app

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("new", help="make a small typed app", description=__doc__)
    top.add_argument("name", metavar="NAME", help="its name: a folder, a module and a namespace")
    top.add_argument("--in", dest="parent", type=Path, default=Path(), metavar="DIR", help="where the folder goes (.)")
    return top


def run(args: argparse.Namespace) -> int:
    """Make it, and say what to do next."""
    for path in make_app(args.name, args.parent):
        print(path)
    print(f"next: cd {args.parent / args.name}, pytest, statefun serve app:functions")
    return 0

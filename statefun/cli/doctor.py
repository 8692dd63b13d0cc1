"""`statefun doctor`: look for what is wrong with the installation and a data folder."""

from __future__ import annotations

import argparse
import sqlite3
import sys

from google.protobuf import __version__ as protobuf

from statefun._installation import foreign_distributions, is_pure_python
from statefun.cli import Subparsers
from statefun.cli._data import Data, add_data

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser(
        "doctor", help="look for what is wrong with the installation and a data folder", description=__doc__
    )
    add_data(top, as_json=False)
    return top


def run(args: argparse.Namespace) -> int:
    """Check the file, and say what somebody should look at; return 1 if there is anything."""
    slow = " in pure Python, 8 to 12 times slower: install a wheel of it" if is_pure_python() else ""
    print(f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}, protobuf {protobuf}{slow}")
    foreign = [
        f"the distribution {name!r} has the same import name: pip uninstall {name} && "
        "pip install --force-reinstall statefun"
        for name in foreign_distributions()
    ]
    print("".join(f"{line}\n" for line in foreign), end="")
    data = Data(args.data)
    found = [f"damaged: {text}" for text in data.store.check()]
    counts = data.store.counts()
    if counts.failing:
        found.append(f"{counts.failing:,} addresses fail: `statefun failures ls` says why")
    if counts.skipped:
        found.append(f"{counts.skipped:,} messages were skipped: `statefun failures ls --skipped`")
    known = set(data.values.catalog.functions)
    gone = {row.function for row in data.store.list_messages(None, None, 10_000)} - known if known else set[str]()
    found += [f"messages wait for {name}, which the app does not have" for name in sorted(gone)]
    print("\n".join(found) if found else f"{args.data} is sound.")
    return 1 if found or foreign else 0

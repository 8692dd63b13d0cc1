"""`statefun reset`: forget everything in a data folder."""

from __future__ import annotations

import argparse

from statefun.cli import Subparsers
from statefun.cli._data import add_data
from statefun.runtime._assembly import DATABASE
from statefun.runtime._lock import lock_folder

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("reset", help="forget everything in a data folder", description=__doc__)
    add_data(top, as_json=False)
    return top


def run(args: argparse.Namespace) -> int:
    """Delete the file; other files of the folder stay."""
    if not (args.data / DATABASE).exists():
        print(f"There is no data in {args.data}.")
        return 0
    with lock_folder(args.data):
        for suffix in ("", "-wal", "-shm"):
            (args.data / f"{DATABASE}{suffix}").unlink(missing_ok=True)
    print(f"The data in {args.data} is gone.")
    return 0

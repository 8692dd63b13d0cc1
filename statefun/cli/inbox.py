"""`statefun inbox`: list the messages that wait."""

from __future__ import annotations

import argparse

from statefun.cli import Subparsers
from statefun.cli._data import Data, add_data, address_or_function, print_rows

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("inbox", help="list the messages that wait", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="<verb>")
    ls = verbs.add_parser("ls", help="list messages", description="List the messages that wait, the oldest first.")
    ls.add_argument("target", nargs="?", type=address_or_function, metavar="FUNCTION[/ID]", help="only those for this")
    add_data(ls, limit=True)
    return top


def run(args: argparse.Namespace) -> int:
    """List them."""
    data = Data(args.data)
    function, id = args.target or (None, None)
    rows = [
        {"seq": row.seq, "to": f"{row.function}/{row.id}", **data.message(row.message)}
        for row in data.store.list_messages(function, id, args.limit)
    ]
    return print_rows(args, ["seq", "to", "caller", "type", "value"], rows, "No message waits.")

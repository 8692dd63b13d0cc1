"""`statefun delayed`: list, fire and cancel delayed messages."""

from __future__ import annotations

import argparse

from statefun.cli import Subparsers
from statefun.cli._data import Data, add_data, address_or_function, change, print_rows

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("delayed", help="list, fire and cancel delayed messages", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="<verb>")
    ls = verbs.add_parser("ls", help="list them", description="List delayed messages, the next one first.")
    ls.add_argument("target", nargs="?", type=address_or_function, metavar="FUNCTION[/ID]", help="only those for this")
    add_data(ls, limit=True)
    for verb, line in (("fire", "deliver a delayed message now"), ("cancel", "take a delayed message back")):
        one = verbs.add_parser(verb, help=line, description=f"{line.capitalize()}.")
        one.add_argument("seq", type=int, metavar="SEQ", help="its number in the list")
        add_data(one, as_json=False)
    return top


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    if args.verb != "ls":
        change(args.data, f"delayed.{args.verb}", seq=args.seq)
        return 0
    data = Data(args.data)
    function, id = args.target or (None, None)
    rows = [
        {
            "seq": one.seq,
            "due": one.due,
            "to": f"{name}/{one.id}",
            **data.message(one.message),
            "token": one.token or None,
        }
        for one, name in data.store.list_delayed(function, id, args.limit)
    ]
    return print_rows(args, ["seq", "due", "to", "type", "value", "token"], rows, "No message is delayed.")

"""`statefun failures`: list, show, retry and skip what fails."""

from __future__ import annotations

import argparse
import json

from statefun.cli import Subparsers
from statefun.cli._data import Data, add_data, address, change, print_rows, shown_time

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("failures", help="list, show, retry and skip what fails", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="<verb>")
    ls = verbs.add_parser("ls", help="list failing addresses", description="List the addresses that fail.")
    ls.add_argument("--skipped", action="store_true", help="list the messages that were skipped instead")
    add_data(ls, limit=True)
    for verb, line in (
        ("show", "print the error, the message and the state of a failing address"),
        ("retry", "try a failing address again now"),
        ("skip", "take the message away that an address fails at; it is kept among the skipped"),
    ):
        one = verbs.add_parser(verb, help=line, description=f"{line[0].upper()}{line[1:]}.")
        one.add_argument("target", type=address, metavar="FUNCTION/ID", help="the address")
        add_data(one, as_json=verb == "show")
    return top


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    if args.verb == "ls":
        return _skipped(args) if args.skipped else _list(args)
    function, id = args.target
    if args.verb == "show":
        return _show(args, function, id)
    change(args.data, f"failures.{args.verb}", function=function, id=id)
    if args.verb == "skip":
        print("Skipped; `statefun failures ls --skipped` lists it.")
    return 0


def _list(args: argparse.Namespace) -> int:
    rows = [
        {
            "address": f"{name}/{row.id}",
            "attempts": row.attempts,
            "retry": row.retry_at,
            "error": row.error,
            "seq": row.seq,
        }
        for row, name in Data(args.data).store.list_failures()[: args.limit]
    ]
    return print_rows(args, ["address", "attempts", "retry", "error"], rows, "Nothing fails.")


def _skipped(args: argparse.Namespace) -> int:
    data = Data(args.data)
    rows = [
        {
            "seq": row.seq,
            "address": f"{name}/{row.id}",
            "at": row.at,
            "error": row.error,
            **data.message(row.message),
        }
        for row, name in data.store.list_skipped(args.limit)
    ]
    return print_rows(args, ["seq", "address", "at", "value", "error"], rows, "No message was skipped.")


def _show(args: argparse.Namespace, function: str, id: str) -> int:
    data = Data(args.data)
    for row, name in data.store.list_failures():
        if (name, row.id) != (function, id):
            continue
        message = data.store.message(row.seq)
        states = {
            state.name: data.state(state.typename, state.value)
            for state in data.store.list_states(function, id, data.now(), None, 1_000)
        }
        shown = {
            "address": f"{function}/{id}",
            "attempts": row.attempts,
            "first": row.first_at,
            "retry": row.retry_at,
            "error": row.error,
            "detail": row.detail,
            "message": None if message is None else data.message(message),
            "state": states,
        }
        if args.json:
            print(json.dumps(shown, ensure_ascii=False))
            return 0
        print(f"{function}/{id} failed {row.attempts} times since {shown_time(row.first_at)}")
        print(f"next attempt: {shown_time(row.retry_at)}\nerror: {row.error}\n")
        print(f"message: {json.dumps(shown['message'], ensure_ascii=False, indent=2)}")
        print(f"state: {json.dumps(states, ensure_ascii=False, indent=2)}")
        if row.detail:
            print(f"\n{row.detail.rstrip()}")
        return 0
    print(f"{function}/{id} is not failing")
    return 1

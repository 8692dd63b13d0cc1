"""`statefun state`: list, read, set and remove states."""

from __future__ import annotations

import argparse
import json

from statefun.cli import Subparsers
from statefun.cli._data import Data, add_data, address, address_or_function, change, json_value, print_rows

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("state", help="list, read, set and remove states", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="<verb>")
    ls = verbs.add_parser("ls", help="list states", description="List states, one a line.")
    ls.add_argument("target", nargs="?", type=address_or_function, metavar="FUNCTION[/ID]", help="only those of this")
    ls.add_argument("id", nargs="?", metavar="ID", help="the id, if it is not written behind the function")
    add_data(ls, limit=True)
    get = verbs.add_parser("get", help="print one value", description="Print one value as JSON.")
    get.add_argument("target", type=address, metavar="FUNCTION/ID", help="the address")
    get.add_argument("name", metavar="STATE", help="the state")
    add_data(get, as_json=False)
    put = verbs.add_parser("set", help="give a state a value", description="Give a state a value.")
    put.add_argument("target", type=address, metavar="FUNCTION/ID", help="the address")
    put.add_argument("name", metavar="STATE", help="the state")
    put.add_argument("value", type=json_value, metavar="JSON", help="the value")
    put.add_argument("--type", help="its type, where the app does not say it")
    add_data(put, as_json=False)
    rm = verbs.add_parser("rm", help="delete states", description="Delete a state of an address, or all of them.")
    rm.add_argument("target", type=address, metavar="FUNCTION/ID", help="the address")
    rm.add_argument("name", nargs="?", metavar="STATE", help="only this state")
    add_data(rm, as_json=False)
    return top


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    if args.verb == "ls":
        function, id = args.target or (None, None)
        return _list(args, function, args.id if id is None else id)
    function, id = args.target
    if args.verb == "get":
        return _get(args, function, id)
    if args.verb == "set":
        change(args.data, "state.set", function=function, id=id, name=args.name, type=args.type, value=args.value)
    else:
        change(args.data, "state.rm", function=function, id=id, name=args.name)
    return 0


def _list(args: argparse.Namespace, function: str | None, id: str | None) -> int:
    data = Data(args.data)
    rows = [
        {
            "function": row.function,
            "id": row.id,
            "state": row.name,
            "value": data.state(row.typename, row.value),
            "expires": row.expires_at,
            "type": row.typename,
        }
        for row in data.store.list_states(function, id, data.now(), None, args.limit)
    ]
    headings = ["function", "id", "state", "value"]
    if any(row["expires"] for row in rows):
        headings.append("expires")
    return print_rows(args, headings, rows, "There is no state.")


def _get(args: argparse.Namespace, function: str, id: str) -> int:
    data = Data(args.data)
    for row in data.store.list_states(function, id, data.now(), None, args.limit if "limit" in args else 1_000):
        if row.name == args.name:
            value = data.state(row.typename, row.value)
            print(json.dumps(value, ensure_ascii=False, indent=2))
            return 0
    print(f"{function}/{id} has no state {args.name!r}")
    return 1

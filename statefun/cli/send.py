"""`statefun send`: send a message to an address."""

from __future__ import annotations

import argparse

from statefun.cli import Subparsers
from statefun.cli._data import add_data, address, change, json_value

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("send", help="send a message to an address", description=__doc__)
    top.add_argument("target", type=address, metavar="FUNCTION/ID", help="the address")
    top.add_argument("value", type=json_value, metavar="JSON", help="the message")
    top.add_argument("--type", help="its type, where the function takes several")
    add_data(top, as_json=False)
    return top


def run(args: argparse.Namespace) -> int:
    """Send it; it is committed when the command ends."""
    function, id = args.target
    change(args.data, "send", function=function, id=id, type=args.type, value=args.value)
    return 0

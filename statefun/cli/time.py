"""`statefun time`: show the time of a runtime, and move it on."""

from __future__ import annotations

import argparse
import re

from statefun.cli import Subparsers
from statefun.cli._data import Data, add_data, change, shown_time

__all__ = ["add_parser", "run"]

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("time", help="show the time of a runtime, and move it on", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="<verb>")
    now = verbs.add_parser("now", help="print it", description="Print the time of the runtime.")
    add_data(now, as_json=False)
    advance = verbs.add_parser("advance", help="move it on", description="Move time on: what becomes due is delivered.")
    advance.add_argument("by", type=duration, metavar="DURATION", help="e.g. 90s, 15min, 3h, 2d")
    add_data(advance, as_json=False)
    return top


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    if args.verb == "advance":
        change(args.data, "time.advance", ms=args.by)
    print(shown_time(Data(args.data).now()))
    return 0


def duration(text: str) -> int:
    """Read "3h" as milliseconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ms|s|m|min|h|d)", text.strip())
    if not found:
        msg = f"{text!r} is no duration: a number and ms, s, min, h or d"
        raise argparse.ArgumentTypeError(msg)
    return int(float(found[1]) * _UNITS[found[2]])

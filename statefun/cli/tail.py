"""`statefun tail`: show the records that egresses were given."""

from __future__ import annotations

import argparse
import json
import time

from statefun.cli import Subparsers
from statefun.cli._data import Data, add_data
from statefun.runtime._values import brief

__all__ = ["add_parser", "run"]

_POLL_S = 0.2


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("tail", help="show the records that egresses were given", description=__doc__)
    top.add_argument("egress", nargs="?", metavar="EGRESS", help="only those of this egress")
    top.add_argument("-f", "--follow", action="store_true", help="go on with those that come")
    top.add_argument("-n", "--last", type=int, default=20, metavar="N", help="begin with the last N (20)")
    add_data(top)
    return top


def run(args: argparse.Namespace) -> int:
    """Print them."""
    data = Data(args.data)
    last = 0
    rows = data.store.last_records(args.egress, args.last)
    while True:
        for row in rows:
            value = data.values.decode(row.typename, row.value, row.egress)
            if args.json:
                shown = {"seq": row.seq, "egress": row.egress, "type": row.typename, "value": value}
                print(json.dumps(shown, ensure_ascii=False), flush=args.follow)
            else:
                named = "" if args.egress else f"{row.egress}  "
                print(f"{row.seq:>6}  {named}{brief(row.typename).rpartition('.')[2]}  ", end="")
                print(json.dumps(value, ensure_ascii=False), flush=args.follow)
            last = row.seq
        if not args.follow:
            return 0
        time.sleep(_POLL_S)
        rows = data.store.list_records(args.egress, last, 1_000)

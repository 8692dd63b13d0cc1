"""`statefun egress`: list what goes to Kafka and what is held, and decide about it."""

from __future__ import annotations

import argparse

from statefun.cli import Subparsers
from statefun.cli._data import Data, add_data, change, print_rows
from statefun.runtime._outbox import all_progress
from statefun.runtime._values import Json

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("egress", help="list what goes to Kafka, and decide about what is held")
    top.description = __doc__
    verbs = top.add_subparsers(dest="verb", required=True, metavar="<verb>")
    ls = verbs.add_parser("ls", help="list the egresses that send to Kafka")
    ls.description = (
        "List the egresses that send to Kafka: how far they are, how many records wait, what holds them up."
    )
    add_data(ls)
    for verb, line in (
        ("resend", "send again what is held: it may be in Kafka twice then"),
        ("confirm", "take what is held as sent: it may be missing in Kafka then"),
    ):
        one = verbs.add_parser(verb, help=line, description=f"{line[0].upper()}{line[1:]}.")
        one.add_argument("egress", metavar="EGRESS", help="the id of the egress in module.yaml")
        add_data(one, as_json=False)
    return top


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    if args.verb == "ls":
        return _list(args)
    change(args.data, "egress.decide", egress=args.egress, decision=args.verb)
    return 0


def _list(args: argparse.Namespace) -> int:
    store = Data(args.data).store
    rows: list[dict[str, Json]] = []
    for egress, progress in all_progress(store.positions()).items():
        waiting = store.count_records(egress, progress.sent)
        rows.append({"egress": egress, "sent": progress.sent, "waiting": waiting, "held": progress.why_held})
    return print_rows(args, ["egress", "sent", "waiting", "held"], rows, "Nothing was sent to Kafka yet.")

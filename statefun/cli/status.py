"""`statefun status`: say how much there is of everything."""

from __future__ import annotations

import argparse
import dataclasses
import json

from statefun.cli import Subparsers
from statefun.cli._data import Data, add_data, shown_time
from statefun.runtime._control import is_running
from statefun.runtime._outbox import all_progress

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("status", help="say how much there is of everything", description=__doc__)
    add_data(top)
    return top


def run(args: argparse.Namespace) -> int:
    """Print it."""
    data = Data(args.data)
    counts = dataclasses.asdict(data.store.counts())
    running = is_running(args.data)
    known = all_progress(data.store.positions())
    held = {egress: progress.why_held for egress, progress in known.items() if progress.held is not None}
    facts = {"running": running, "now": data.now(), "wire": data.wire, **counts, "held": held}
    if args.json:
        print(json.dumps(facts))
        return 0
    print(
        f"{'A runtime works' if running else 'No runtime works'} in {args.data}; its time is {shown_time(data.now())}."
    )
    for name, count in counts.items():
        print(f"{name:>9}  {count:,}")
    print(f"functions  {', '.join(sorted(data.values.catalog.functions)) or '-'}")
    for egress, why in held.items():
        print(f"egress {egress} is held: {why} (statefun egress resend|confirm {egress})")
    return 0

"""`statefun lock`: write down what must not change between two deployments, or refuse what did."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from statefun._loading import APP_HELP, load_app
from statefun.catalog import Catalog
from statefun.cli import Subparsers
from statefun.cli._print import FORMATS, show_findings
from statefun.errors import ConfigError
from statefun.lock import Lock, LockError, compare, decide

__all__ = ["add_parser", "run"]

NOTES = """\
exit status: 0 the lock is written, or with --check: up to date; 1 a change is refused, or with --check: the lock is
not up to date; 2 the command line is wrong
"""


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser(
        "lock", help="write down what must not change between two deployments", description=__doc__, epilog=NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    top.add_argument("app", metavar="APP", help=APP_HELP)
    top.add_argument("--file", type=Path, default=Path("statefun.lock"), metavar="FILE", help="(statefun.lock)")
    top.add_argument("--check", action="store_true", help="write nothing, and fail where the app differs from the lock")
    top.add_argument("--accept", action="append", default=[], metavar="CODE", help="make a change that is refused")
    top.add_argument("--why", metavar="TEXT", help="the reason, which the lock keeps")
    top.add_argument("--format", choices=FORMATS, default="text", help="how it is printed (text)")
    top.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    return top


def run(args: argparse.Namespace) -> int:
    """Compare, print what changed, and write the file."""
    if bool(args.accept) != bool(args.why):
        raise ConfigError('--accept and --why go together\n  help: --accept SF202 --why "the state was never read"')
    new = Lock.of(Catalog.of(load_app(args.app)))
    old = Lock.read(args.file.read_text(encoding="utf-8"), file=str(args.file)) if args.file.exists() else None
    if args.check:
        return _check(args, old, new)
    changes = () if old is None else compare(old, new, file=str(args.file))
    show_findings(changes, args.format)
    try:
        made = new if old is None else decide(old, new, dict.fromkeys(args.accept, args.why or ""), file=str(args.file))
    except LockError as error:
        for code in error.unused:
            print(f"statefun lock: {code} was accepted, but no change has it", file=sys.stderr)
        if error.findings:
            print('statefun lock: refused; to make the change all the same: --accept CODE --why "..."', file=sys.stderr)
        return 1
    args.file.write_text(made.text(), encoding="utf-8")
    print(f"{args.file}: written", file=sys.stderr)
    return 0


def _check(args: argparse.Namespace, old: Lock | None, new: Lock) -> int:
    if old is None:
        raise ConfigError(f"there is no {args.file}\n  help: statefun lock {args.app}")
    changes = compare(old, new, file=str(args.file))
    show_findings(changes, args.format)
    if (old.functions, old.types) == (new.functions, new.types):
        return 0
    if not any(change.severity == "error" for change in changes):
        print(f"{args.file} is not up to date: statefun lock {args.app}", file=sys.stderr)
    return 1

"""`statefun proto`: generate the protobuf modules and stubs of an app."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from statefun.cli import Subparsers
from statefun.cli._protoc import differing, generate, protos_below

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("proto", help="generate the protobuf modules and stubs of an app", description=__doc__)
    top.add_argument("protos", nargs="*", type=Path, metavar="PROTO", help="relative to the root (all below it)")
    top.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the folder that imports start from (.)")
    top.add_argument("--check", action="store_true", help="write nothing; status 1 if anything would change")
    return top


def run(args: argparse.Namespace) -> int:
    """Generate, or compare."""
    root: Path = args.root
    protos: list[Path] = args.protos or protos_below(root)
    found = differing(root, protos) if args.check else generate(root, protos)
    for path in found:
        print(f"{'differs' if args.check else 'written'}: {root / path}")
    if args.check and found:
        print("run `statefun proto`, and commit the result", file=sys.stderr)
    return 1 if args.check and found else 0

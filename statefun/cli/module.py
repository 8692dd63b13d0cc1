"""`statefun module`: write a module.yaml for an app, or change one; `statefun module schema` prints its schema."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from statefun._loading import APP_HELP, load_app
from statefun.cli import Subparsers
from statefun.errors import ConfigError
from statefun.module import RUNTIMES, generate, json_schema, read, update
from statefun.module._write import DELIVERIES, TRANSPORTS

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("module", help="write a module.yaml for an app", description=__doc__)
    top.add_argument("app", metavar="APP", help=f"{APP_HELP}; or schema")
    top.add_argument("--runtime", choices=RUNTIMES, help="for which runtime it is (3.3)")
    top.add_argument("--endpoint", metavar="URL", help="where the app is deployed")
    top.add_argument("--kafka", metavar="ADDRESS", default="localhost:9092", help="the brokers (localhost:9092)")
    top.add_argument("--transport", choices=TRANSPORTS, help="how the runtime calls (3.1 and later; its default)")
    top.add_argument("--delivery", choices=DELIVERIES, help="what the Kafka egresses promise (at-least-once)")
    target = top.add_mutually_exclusive_group()
    target.add_argument("--output", type=Path, metavar="FILE", help="write it there, where nothing is yet")
    target.add_argument("--update", type=Path, metavar="FILE", help="put into this file what is missing in it")
    return top


def run(args: argparse.Namespace) -> int:
    """Print the module, or write it into a file."""
    if args.app == "schema":
        print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return 0
    if args.endpoint is None:
        raise ConfigError("where is the app deployed?\n  help: --endpoint http://my-app:8000/statefun")
    functions = load_app(args.app)
    if args.update is not None:
        # as it is: without this, the ends of its lines would be others
        module = read(args.update, runtime=args.runtime)
        text = args.update.read_bytes().decode("utf-8-sig")
        changed = update(functions, text, module, endpoint=args.endpoint, kafka=args.kafka)
        if changed != text:
            args.update.write_bytes(changed.encode())
        print(f"{args.update}: {'changed' if changed != text else 'nothing to change'}")
        return 0
    text = generate(
        functions, runtime=args.runtime or "3.3", endpoint=args.endpoint, kafka=args.kafka,
        transport=args.transport, delivery=args.delivery,
    )  # fmt: skip
    if args.output is None:
        print(text, end="")
    elif args.output.exists():
        raise ConfigError(f"{args.output} is there already\n  help: --update {args.output} puts in what is missing")
    else:
        args.output.write_text(text, encoding="utf-8")
        print(f"{args.output}: written")
    return 0

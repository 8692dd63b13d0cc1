"""`statefun run`: run an app on this machine, durably."""

from __future__ import annotations

import argparse
from pathlib import Path

from statefun.cli import INTERRUPTED, Subparsers, port
from statefun.runtime._retention import RECORDS
from statefun.runtime._running import ReadFile, RunOptions, run_app

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("run", help="run an app on this machine, durably", description=__doc__)
    top.add_argument(
        "app", metavar="APP", help="module:functions, or a module.yaml whose endpoints are called over HTTP"
    )
    top.add_argument("--module", type=Path, metavar="FILE", help="a module.yaml that says the ingresses and egresses")
    top.add_argument("--data", type=Path, default=Path(".statefun"), metavar="DIR", help="the data folder (.statefun)")
    top.add_argument("--host", default="127.0.0.1", help="where HTTP messages are taken (127.0.0.1)")
    top.add_argument("--port", type=port, default=8080, help="and on which port; 0 takes a free one (8080)")
    top.add_argument("--no-http", action="store_true", help="take no HTTP messages")
    top.add_argument("--read", metavar="FILE", help="read a JSONL file, - for standard input")
    top.add_argument("--to", metavar="FUNCTION", help="the function that its records go to")
    top.add_argument("--type", help="the type of its records, where the lines do not say it")
    top.add_argument("--id-field", metavar="NAME", help="its lines are foreign records: the field that is the id")
    top.add_argument("--time-field", metavar="NAME", help="and the field that is the time")
    top.add_argument(
        "--time-unit", choices=("iso", "seconds", "milliseconds"), default="iso", help="how that field is written (iso)"
    )
    top.add_argument("--follow", action="store_true", help="wait for more at the end of the file")
    top.add_argument("--write", type=Path, metavar="FILE", help="write every record to a JSONL file, exactly once")
    top.add_argument("--clock", choices=("wall", "records"), default="wall", help="where the time comes from (wall)")
    top.add_argument("--exit-at-end", action="store_true", help="end when all input is read and handled")
    top.add_argument(
        "--wire",
        choices=("v2", "v3"),
        help="the protocol that functions are called in (what module.yaml says, else v3)",
    )
    top.add_argument(
        "--stub-kafka", type=Path, metavar="DIR", help="read and write JSONL files instead of Kafka topics"
    )
    top.add_argument("--keep", type=int, default=RECORDS, metavar="N", help="records that stay readable (100000)")
    top.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help="how long a call of an async function or an endpoint may take (what module.yaml says, else 60)",
    )
    top.add_argument("--reload", action="store_true", help="start anew when a source file changes")
    top.add_argument(
        "--log-format",
        choices=("text", "json"),
        help="write lines of the log with the call that they are from (as text, without it)",
    )
    top.add_argument("--metrics", type=port, metavar="PORT", help="count, for Prometheus, which reads it on that port")
    top.add_argument("--quiet", action="store_true", help="do not print the records")
    return top


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        msg = f"{text} is no time that a call may take"
        raise argparse.ArgumentTypeError(msg)
    return seconds


def run(args: argparse.Namespace) -> int:
    """Run it until Ctrl-C, or to the end of the input."""
    read = None
    if args.read is not None:
        read = ReadFile(
            path=None if args.read == "-" else Path(args.read),
            to=args.to,
            type=args.type,
            id_field=args.id_field,
            time_field=args.time_field,
            time_unit=args.time_unit,
            follow=args.follow,
        )
    options = RunOptions(
        app=args.app, module=args.module, data=args.data, host=args.host, port=None if args.no_http else args.port,
        read=read, write=args.write, clock=args.clock, exit_at_end=args.exit_at_end, wire=args.wire,
        stub_kafka=args.stub_kafka, keep=args.keep, timeout=args.timeout, reload=args.reload, quiet=args.quiet,
        log_format=args.log_format, metrics=args.metrics,
    )  # fmt: skip
    return INTERRUPTED if run_app(options) else 0

"""`statefun serve`: serve an app's functions over HTTP."""

from __future__ import annotations

import argparse
import sys

from statefun.cli import Subparsers, port
from statefun.serving._server import ServeOptions, serve

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser(
        "serve",
        help="serve an app's functions over HTTP",
        description=f"{__doc__} A secret for the path of every call comes from the variable STATEFUN_SECRET.",
    )
    top.add_argument("app", metavar="APP", help="module:functions")
    top.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    top.add_argument("--port", type=port, default=8000, help="and on which port; 0 takes a free one (8000)")
    top.add_argument("--uds", metavar="PATH", help="listen on a unix socket instead")
    top.add_argument("--workers", type=int, default=1, metavar="N", help="processes (1)")
    top.add_argument("--ssl-certfile", metavar="FILE", help="the certificate, for https")
    top.add_argument("--ssl-keyfile", metavar="FILE", help="and its key")
    top.add_argument("--ssl-ca-certs", metavar="FILE", help="let in only clients with a certificate of one of these")
    top.add_argument("--in-flight", type=int, default=1024, metavar="N", help="requests worked on at once (1024)")
    top.add_argument(
        "--call", type=float, default=60, metavar="S", help="the `call` timeout of module.yaml, seconds (60)"
    )
    top.add_argument("--threads", type=int, default=32, metavar="N", help="threads for plain functions; 0: none (32)")
    top.add_argument(
        "--linger",
        type=float,
        default=2,
        metavar="S",
        help="seconds from SIGTERM, which ends readiness, to the end of listening (2)",
    )
    top.add_argument(
        "--grace", type=int, default=30, metavar="S", help="seconds that requests in flight have then (30)"
    )
    top.add_argument("--module", metavar="FILE", help="a module.yaml that the app must fit; or nothing is served")
    top.add_argument(
        "--log-format",
        choices=("text", "json"),
        help="write lines of the log with the call that they are from (as text, without it)",
    )
    top.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="warning",
        help="which lines are written (warning)",
    )
    top.add_argument(
        "--metrics",
        metavar="WHERE",
        help="count, for Prometheus, which reads it on a port of its own (9100), or on a path (/metrics)",
    )
    top.add_argument("--record", metavar="DIR", help="write requests and replies to files there")
    return top


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    options = ServeOptions(
        app=args.app, host=args.host, port=args.port, uds=args.uds, workers=args.workers,
        certfile=args.ssl_certfile, keyfile=args.ssl_keyfile, ca_certs=args.ssl_ca_certs,
        in_flight=args.in_flight, call=args.call, threads=args.threads,
        linger=args.linger, grace=args.grace, record=args.record, module=args.module,
        log_format=args.log_format, log_level=args.log_level, metrics=args.metrics,
    )  # fmt: skip
    serve(options, lambda line: print(f"statefun: {line}", file=sys.stderr, flush=True))
    return 0

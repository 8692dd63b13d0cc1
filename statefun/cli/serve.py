"""`statefun serve`: serve an app's functions over HTTP."""

from __future__ import annotations

import argparse
import logging
import sys

from statefun._http import require
from statefun.cli import Subparsers
from statefun.cli._apps import APP_HELP, load
from statefun.serving import asgi

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("serve", help="serve an app's functions over HTTP", description=__doc__)
    top.add_argument("app", metavar="APP", help=APP_HELP)
    top.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    top.add_argument("--port", type=int, default=8000, help="the port; 0 takes a free one (8000)")
    top.add_argument("--path", help="answer at this path only")
    return top


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; requests that are being answered then are answered."""
    require("uvicorn", "run")
    require("httptools", "run")
    import uvicorn  # noqa: PLC0415 -- an extra

    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    app = asgi(load(args.app), path=args.path)
    uvicorn.run(
        app, host=args.host, port=args.port, http="httptools", access_log=False, server_header=False,
        timeout_graceful_shutdown=10,
    )  # fmt: skip
    return 0

"""Fetch, start and stop the real runtimes and a real broker: Java and Maven are all they need.

python -m engines fetch                                     the jars of all
python -m engines start kafka                               prints the address of the broker
python -m engines start flink-3.3 --module module.yaml      prints the URL of the job's REST API
python -m engines stop                                      whatever runs, and what it has written
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import cast

from engines.broker import Broker
from engines.errors import EngineError
from engines.flink import FlinkEngine, Job, JobOptions, newest_checkpoint
from engines.jars import ENGINES, cache, fetch
from engines.processes import stop


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    args = parser().parse_args(arguments)
    try:
        match args.command:
            case "fetch":
                for engine in args.engine or ENGINES:
                    began = time.monotonic()
                    print(f"{engine}: {fetch(engine)} ({time.monotonic() - began:.1f} s)")
            case "start":
                start(args)
            case _:
                for engine in args.engine or ENGINES:
                    end(folder_of(args, engine), keep=args.keep)
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Say what the command line may be."""
    top = argparse.ArgumentParser(
        prog="python -m engines", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    fetching = commands.add_parser("fetch", help="fetch the jars")
    starting = commands.add_parser("start", help="start one, and print its address when it serves")
    stopping = commands.add_parser("stop", help="end what runs, and delete what it has written")
    fetching.add_argument("engine", nargs="*", metavar="ENGINE", help=f"{', '.join(ENGINES)} (all)")
    starting.add_argument("engine", choices=ENGINES, help="which")
    stopping.add_argument("engine", nargs="*", metavar="ENGINE", help=f"{', '.join(ENGINES)} (all)")
    for command in (starting, stopping):
        command.add_argument("--data", type=Path, metavar="DIR", help="where it keeps its data (below the cache)")
    starting.add_argument("--port", type=int, metavar="N", help="the broker's port (a free one)")
    starting.add_argument("--module", type=Path, metavar="FILE", help="the module.yaml that a job deploys")
    starting.add_argument(
        "--restore", metavar="DIR", help="a checkpoint or savepoint to go on from; latest: the newest in --data"
    )
    starting.add_argument("--parallelism", type=int, default=1, metavar="N", help="of a job (1)")
    starting.add_argument(
        "-D", dest="settings", action="append", default=[], metavar="NAME=VALUE", help="a setting of Flink or Kafka"
    )
    stopping.add_argument("--keep", action="store_true", help="leave its data where they are")
    return top


def folder_of(args: argparse.Namespace, engine: str) -> Path:
    """Return the folder of an engine's data."""
    return cast("Path | None", args.data) or cache() / "run" / engine


def start(args: argparse.Namespace) -> None:
    """Start an engine, and print its address."""
    folder = folder_of(args, args.engine)
    settings = dict(cast("tuple[str, str]", setting.partition("=")[::2]) for setting in args.settings)
    if args.engine == "kafka":
        print(Broker.start(folder, port=args.port, settings=settings).address)
        return
    if args.module is None:
        raise EngineError(
            f"{args.engine} needs a module.yaml\n"
            "  help: --module module.yaml, which `statefun module APP --endpoint URL` writes"
        )
    options = JobOptions(engine=cast("FlinkEngine", args.engine), parallelism=args.parallelism, settings=settings)
    restore = newest_checkpoint(folder) if args.restore == "latest" else args.restore and Path(args.restore)
    print(Job.start(folder, args.module, options, restore=restore).address)


def end(folder: Path, *, keep: bool) -> None:
    """End what runs in a folder, and delete the folder."""
    stop(folder)
    if not keep and (folder / "log").exists():  # a folder of ours
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

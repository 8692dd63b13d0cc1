"""The command line: `statefun <command>`.

Here: the table of commands, and `main`. A command is one module of this package with two functions: `add_parser`, which
says what it takes, and `run`, which calls one typed function and prints. Only the module of the command that was asked
for is imported.

Exit status: 0 done; 1 it could not be done, or something is wrong with what was looked at; 2 the command line is wrong;
130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Protocol, cast

__all__ = ["COMMANDS", "Subparsers", "command", "main", "parser", "port"]

COMMANDS: dict[str, str] = {
    "new": "make a small typed app",
    "proto": "generate the protobuf modules and stubs of an app",
    "run": "run an app on this machine, durably",
    "send": "send a message to an address",
    "tail": "show the records that egresses were given",
    "state": "list, read, set and remove states",
    "inbox": "list the messages that wait",
    "delayed": "list, fire and cancel delayed messages",
    "failures": "list, show, retry and skip what fails",
    "deadletters": "list and show dead letters, and send their messages again",
    "egress": "list what goes to Kafka, and decide about what is held",
    "time": "show the time of a runtime, and move it on",
    "status": "say how much there is of everything",
    "doctor": "look for what is wrong with the installation and a data folder",
    "reset": "forget everything in a data folder",
    "check": "compare a module.yaml with the code that it deploys",
    "module": "write a module.yaml for an app",
    "lock": "write down what must not change between two deployments",
    "serve": "serve an app's functions over HTTP",
}
"""Each command with its line of help."""
INTERRUPTED = 130

Subparsers = argparse._SubParsersAction  # noqa: SLF001 -- argparse has no public name for what add_subparsers returns


_PORTS = 65_536


def port(text: str) -> int:
    """Read a port, for argparse; 0 takes a free one."""
    if not (text.isdecimal() and int(text) < _PORTS):
        msg = f"{text} is no port: 0 to {_PORTS - 1}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


class Command(Protocol):
    """A module of this package."""

    def add_parser(self, subparsers: Subparsers[argparse.ArgumentParser], /) -> argparse.ArgumentParser:
        """Say what the command takes."""
        ...

    def run(self, args: argparse.Namespace, /) -> int:
        """Do it; return the exit status."""
        ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words[0] if words and words[0] in COMMANDS else None
    try:
        args = parser([name] if name else []).parse_args(words)
        if name is None:
            parser([]).print_help(sys.stderr)
            return 2
        return command(name).run(args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from statefun.errors import StatefunError  # noqa: PLC0415 -- `--help` and `--version` need no package

        if not isinstance(error, StatefunError):
            raise
        print(f"statefun {name}: {error}", file=sys.stderr)
        return 1


def command(name: str) -> Command:
    """Import the module of a command."""
    return cast("Command", importlib.import_module(f"statefun.cli.{name}"))


def parser(names: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser with these commands in full, and the others by their line of help."""
    top = argparse.ArgumentParser(
        prog="statefun",
        description="Work with apps of typed stateful functions.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n" + "\n".join(f"  {name:<12}{line}" for name, line in COMMANDS.items()),
        usage="statefun [-h] [--version] <command> ...",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version")
    top.add_argument(
        "--print-completion", action=_Completion, metavar="SHELL", choices=("bash", "zsh"),
        help="print what makes a shell complete these commands: bash or zsh",
    )  # fmt: skip
    if names:
        subparsers = top.add_subparsers(metavar="<command>", help=argparse.SUPPRESS, prog="statefun")
        for name in names:
            command(name).add_parser(subparsers)
    else:
        top.add_argument("command", nargs="?", choices=[*COMMANDS], metavar="<command>", help=argparse.SUPPRESS)
    return top


class _Completion(argparse.Action):
    """Prints a script for a shell; every command is imported for that only."""

    def __call__(self, parser: argparse.ArgumentParser, _namespace: object, shell: object, *_: object) -> None:
        from statefun.cli._completion import completion  # noqa: PLC0415 -- as below
        from statefun.errors import StatefunError  # noqa: PLC0415 -- as below

        try:
            print(completion(globals()["parser"]([*COMMANDS]), str(shell)))
        except StatefunError as error:
            parser.exit(1, f"statefun: {error}\n")
        parser.exit()


class _Version(argparse.Action):
    """Prints the version; the package is imported for that only."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from statefun import __version__  # noqa: PLC0415 -- as above

        print(f"statefun {__version__}")
        parser.exit()

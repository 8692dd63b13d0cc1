"""What makes a shell complete the words of a command line, written by shtab (extra `[cli]`).

Here: `completion`, the script of a shell.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import cast

from statefun.cli import Subparsers
from statefun.errors import ConfigError, with_help

__all__ = ["SHELLS", "completion"]

SHELLS = ("bash", "zsh")
_FILES = ("FILE", "PATH", "PROTO")
_FOLDERS = ("DIR",)


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the script that completes a parser's words. Raises ConfigError without shtab."""
    try:
        import shtab  # noqa: PLC0415 -- an extra
    except ImportError as error:
        help = "pip install 'statefun[cli]'"
        raise ConfigError(with_help("--print-completion needs shtab, which is not installed", help)) from error
    for action in _actions(parser):
        complete = shtab.FILE if action.metavar in _FILES else shtab.DIRECTORY if action.metavar in _FOLDERS else None
        if complete is not None:
            action.complete = complete  # type: ignore[attr-defined]  # where shtab looks for it
    return shtab.complete(parser, shell=shell)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 -- argparse has no public way to them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 -- the same
            action.help = "a command"  # shtab leaves out what has none
            for one in cast("Subparsers[argparse.ArgumentParser]", action).choices.values():
                yield from _actions(one)
        else:
            yield action

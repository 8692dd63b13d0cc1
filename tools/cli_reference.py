"""Writes docs/reference/cli.md from the parsers of the commands, or says that it differs.

python tools/cli_reference.py writes it; with --check nothing is written, and the exit status is 1 if it differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from statefun.cli import COMMANDS, Subparsers, command

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"
HEAD = """\
# cli

Generated from the parsers by `tools/cli_reference.py`; do not edit.

`statefun <command>`; `statefun <command> --help` says the same as this page. Exit status: 0 done; 1 it could not be
done, or something is wrong with what was looked at; 2 the command line is wrong; 130 stopped by Ctrl-C. An app that
raises when it is imported is 1: the error names the line of the app. With `--json` a command prints one JSON object a
line, whose fields stay what they are.

Tables fit the terminal. The extra `cli` (`pip install 'statefun[cli]'`) brings rich, which lays them out on a terminal,
and shtab: `statefun --print-completion bash` (or zsh) prints what makes a shell complete commands, options and files:

```console
statefun --print-completion bash > ~/.local/share/bash-completion/completions/statefun
```

| name | what it is |
|---|---|
| `COMMANDS` | each command with its line of help |
| `main` | runs a command, and returns its exit status |
| `command` | imports the module of a command |
| `parser` | makes the parser |
| `Subparsers` | what a command adds its parser to |
"""


def main(arguments: list[str]) -> int:
    """Write the page, or with --check compare; return the exit status."""
    text = render()
    if "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        print("docs/reference/cli.md differs from the parsers: run tools/cli_reference.py", file=sys.stderr)
        return 1
    return 0


def render() -> str:
    """Return the page."""
    parts = [HEAD]
    for name, line in COMMANDS.items():
        top = argparse.ArgumentParser()
        parser = command(name).add_parser(top.add_subparsers())
        parts.append(f"## {name}\n\n{line[0].upper()}{line[1:]}.\n")
        parts += section(f"statefun {name}", parser)
    return "\n".join(parts)


def section(words: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the table of a command, and those of its verbs."""
    rows: list[str] = []
    for action in parser._actions:  # noqa: SLF001 -- argparse has no public way to them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 -- the same
            for verb, one in cast("Subparsers[argparse.ArgumentParser]", action).choices.items():
                described = (one.description or "").strip().partition("\n")[0]
                yield f"### {words.removeprefix('statefun ')} {verb}\n\n{described}\n"
                yield from section(f"{words} {verb}", one)
        elif "--help" not in action.option_strings and action.help is not argparse.SUPPRESS:
            rows.append(f"| `{named(action)}` | {(action.help or '').replace('|', chr(92) + '|')} |")
    if rows:
        yield "\n".join([f"| `{words}` | |", "|---|---|", *rows]) + "\n"


def named(action: argparse.Action) -> str:
    """Return an option or argument as it is written."""
    chosen = f"{{{','.join(map(str, action.choices))}}}" if action.choices else action.dest.upper()
    value = str(action.metavar or chosen)
    if not action.option_strings:
        return f"[{value}]" if action.nargs == "?" else value
    option = ", ".join(action.option_strings)
    return option if action.nargs == 0 else f"{option} {value}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`statefun check`: compare a module.yaml with the code that it deploys."""

from __future__ import annotations

import argparse
import sys

from statefun._codes import CODES
from statefun._loading import APP_HELP, load_app
from statefun.cli import Subparsers
from statefun.cli._print import FORMATS, show_findings
from statefun.errors import ConfigError
from statefun.findings import Finding, ModuleError
from statefun.module import RUNTIMES, check, read

__all__ = ["add_parser", "run"]

NOTES = """\
exit status: 0 nothing is refused; 1 something is (with --strict, or a warning); 2 the command line is wrong

A finding is silenced in the file, with the reason: # statefun: silence SF345 the topic is new
"""


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser(
        "check", help="compare a module.yaml with the code that it deploys", description=__doc__, epilog=NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    top.add_argument("app", metavar="APP", nargs="?", help=f"{APP_HELP}; without it, the file alone is read")
    top.add_argument("module", metavar="FILE", nargs="?", default="module.yaml", help="the file (module.yaml)")
    top.add_argument("--runtime", choices=RUNTIMES, help="whose rules hold (the newest release that reads the format)")
    top.add_argument("--endpoint", metavar="URL", help="where the app is deployed: entries with this URL are its own")
    top.add_argument("--strict", action="store_true", help="fail on warnings, too")
    top.add_argument("--quiet", action="store_true", help="print no notes")
    top.add_argument("--format", choices=FORMATS, default="text", help="how it is printed (text)")
    top.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    top.add_argument("--explain", metavar="CODE", help="print what a code means, and nothing else")
    return top


def run(args: argparse.Namespace) -> int:
    """Print what was found."""
    if args.explain is not None:
        return _explain(args.explain)
    if args.app is not None and args.app.endswith((".yaml", ".yml")):
        args.app, args.module = None, args.app
    findings, notes = _look(args)
    show_findings([*findings, *(() if args.quiet else notes)], args.format)
    bad = [finding for finding in findings if finding.severity == "error" or args.strict]
    if args.format == "text":
        print(_summary(findings, args.module), file=sys.stderr)
    return 1 if bad else 0


def _look(args: argparse.Namespace) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Return what is wrong, and what is worth knowing."""
    try:
        module = read(args.module, runtime=args.runtime)
    except ModuleError as error:
        return error.findings, ()
    if args.app is None:
        return module.findings, ()
    report = check(load_app(args.app), module, endpoint=args.endpoint)
    return report.findings, report.notes


def _summary(findings: tuple[Finding, ...], file: str) -> str:
    if not findings:
        return f"{file}: nothing wrong"
    errors = sum(finding.severity == "error" for finding in findings)
    counts = [(errors, "error"), (len(findings) - errors, "warning")]
    parts = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts if count]
    return f"{file}: {', '.join(parts)}"


def _explain(code: str) -> int:
    found = CODES.get(code)
    if found is None:
        raise ConfigError(f"{code!r} is no code of a finding\n  help: docs/reference/findings.md lists them")
    print(f"{code} ({found.severity}): {found.title}\n\n{found.text}")
    return 0

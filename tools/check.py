"""Runs every check that a change must pass, in order, and says how long each took.

    python tools/check.py             all of them
    python tools/check.py mypy tests  only these

A failing check does not stop the ones after it; what it printed follows its line.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(sysconfig.get_path("scripts"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One command and what it proves."""

    name: str
    claim: str
    command: tuple[str, ...]
    shown: bool = False
    """Whether its output is shown while it runs, and not only if it fails."""


def script(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command for a program of this environment."""
    return (str(SCRIPTS / name), *arguments)


CHECKS = (
    Check(name="ruff", claim="no rule is broken", command=script("ruff", "check", "--quiet")),
    Check(name="format", claim="the code is formatted", command=script("ruff", "format", "--check", "--quiet")),
    Check(name="mypy", claim="mypy --strict is content", command=script("mypy", "--no-error-summary")),
    Check(name="pyright", claim="pyright strict is content", command=script("pyright", "--warnings")),
    Check(name="basedpyright", claim="basedpyright strict is content", command=script("basedpyright", "--warnings")),
    Check(
        name="verifytypes",
        claim="every public name is typed in full",
        command=script("pyright", "--verifytypes", "statefun", "--ignoreexternal"),
    ),
    Check(name="imports", claim="modules import downwards only (.importlinter)", command=script("lint-imports")),
    Check(
        name="protos",
        claim="the generated code is what the protos say",
        command=(sys.executable, "tools/generate_protos.py", "--check"),
    ),
    Check(
        name="tests",
        claim="the tests pass and cover the package",
        command=(sys.executable, "-m", "pytest", "--numprocesses=auto", "--quiet", "--cov", "--cov-report=term"),
        shown=True,
    ),
)


def main(names: list[str]) -> int:
    """Run the checks of these names, or all; return 1 if one failed."""
    if unknown := set(names) - {check.name for check in CHECKS}:
        print(f"There is no check {', '.join(sorted(unknown))}; there are {', '.join(c.name for c in CHECKS)}.")
        return 2
    chosen = [check for check in CHECKS if not names or check.name in names]
    failed = [check.name for number, check in enumerate(chosen, 1) if not passes(check, f"[{number}/{len(chosen)}]")]
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


def passes(check: Check, number: str) -> bool:
    """Run one check and report it in one line, with its output if it failed."""
    heading = f"{number} {check.name}: {check.claim}"
    print(heading, end="\n" if check.shown else " ... ", flush=True)
    started = time.monotonic()
    done = subprocess.run(
        check.command,
        cwd=ROOT,
        env=environment(),
        stdout=None if check.shown else subprocess.PIPE,
        stderr=None if check.shown else subprocess.STDOUT,
        text=True,
        check=False,
    )
    verdict = "failed" if done.returncode else "ok"
    print(f"{heading if check.shown else ''} {verdict} ({time.monotonic() - started:.1f} s)".lstrip(), flush=True)
    if done.returncode and not check.shown:
        print(done.stdout, flush=True)
    return done.returncode == 0


def environment() -> dict[str, str]:
    """Return the environment of a check: the checkers look for packages beside this interpreter."""
    return {
        **os.environ,
        "PATH": os.pathsep.join((str(SCRIPTS), os.environ.get("PATH", ""))),
        "VIRTUAL_ENV": sys.prefix,
        # The node of the locked wheel, not whichever the machine may have; and no look for a newer pyright.
        "PYRIGHT_PYTHON_GLOBAL_NODE": "0",
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

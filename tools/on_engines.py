"""Runs tests/engines: fetches the real runtimes and a broker, and starts them. `make engines`, `make engines-all`.

    python tools/on_engines.py            what is worth its minutes at every change
    python tools/on_engines.py --all      also the long tests
    python tools/on_engines.py --strict   fail, and do not skip, where there is Java and not all that is needed
    python tools/on_engines.py --write    write docs/explanation/compatibility.md anew

Without Java or Maven it says so in one line, and is content.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from engines import ENGINES, EngineError, fetch, missing_tools  # noqa: E402  # found by the line above


def main(arguments: list[str]) -> int:
    """Run the tests; return the exit status."""
    known = {"--all", "--strict", "--write"}
    own = [argument for argument in arguments if argument in known]
    if missing := missing_tools():
        print(f"engines: SKIPPED, since this machine has no {' and no '.join(missing)}", flush=True)
        return int("--strict" in own and "Java" not in missing)
    for engine in ENGINES:
        began = time.monotonic()
        try:
            fetch(engine)
        except EngineError as error:
            print(f"engines: {error}", file=sys.stderr)
            return 1
        print(f"engines: {engine} is there ({time.monotonic() - began:.1f} s)", flush=True)
    marks = () if "--all" in own else ("-m", "not long")
    rest = [argument for argument in arguments if argument not in known]
    table = ("tests/engines", "--table", "write" if "--write" in own else "check")
    command = (sys.executable, "-m", "pytest", "--no-cov", "--durations=15", *marks, *(rest or table))
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

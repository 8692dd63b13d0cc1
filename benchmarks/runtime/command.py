"""What does `statefun --version` cost over `import statefun`? In milliseconds of CPU; the median of the rounds.

python benchmarks/runtime/command.py [rounds]
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

IMPORT = [sys.executable, "-c", "import statefun"]
VERSION = [sys.executable, "-c", "import sys; from statefun.cli import main; sys.exit(main(['--version']))"]


def cpu(command: list[str]) -> float:
    """Return the milliseconds of CPU of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    cpu(IMPORT), cpu(VERSION)
    pairs = [(cpu(IMPORT), cpu(VERSION)) for _ in range(rounds)]
    least, most = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    over = statistics.median(version - imported for imported, version in pairs)
    print(f"import statefun {least:.0f} ms, statefun --version {most:.0f} ms: {over:.0f} ms more")

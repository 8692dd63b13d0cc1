"""Runs every benchmark and writes their tables into README.md, with the machine that they ran on.

python -m benchmarks [NAME ...]     peers import_time batch_size payload pure_python (default: all)
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent / "README.md"
BENCHMARKS = {
    "peers": "benchmarks.peers",
    "import_time": "benchmarks.peers.import_time",
    "batch_size": "benchmarks.batch_size",
    "payload": "benchmarks.payload",
    "pure_python": "benchmarks.pure_python",
}


def output_of(module: str) -> str:
    """Run a benchmark and return what it printed; one that missed its target (status 1) has printed its table, too."""
    done = subprocess.run([sys.executable, "-m", module], stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        done.check_returncode()
    return done.stdout


def machine() -> str:
    """Say what this machine is, and how busy it was."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    libc = " ".join(platform.libc_ver())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{os.cpu_count()} cores of {', '.join(sorted(models)) or platform.processor()}, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release().partition('-')[0]}, {libc}. "
        f"Load average at the end: {load}."
    )


def write(name: str, text: str) -> None:
    """Put a text between its two marks in README.md."""
    content = README.read_text(encoding="utf-8")
    marks = f"<!-- {name} -->", f"<!-- /{name} -->"
    pattern = re.compile(f"{re.escape(marks[0])}.*?{re.escape(marks[1])}", re.DOTALL)
    content, count = pattern.subn(lambda _: f"{marks[0]}\n{text.strip()}\n{marks[1]}", content)
    if count != 1:
        raise ValueError(f"{README} has no place for {name}")
    README.write_text(content, encoding="utf-8")


def main() -> int:
    """Run what is asked for."""
    for name in sys.argv[1:] or BENCHMARKS:
        print(name, file=sys.stderr, flush=True)
        write(name, output_of(BENCHMARKS[name]))
    write("machine", machine())
    return 0


if __name__ == "__main__":
    sys.exit(main())

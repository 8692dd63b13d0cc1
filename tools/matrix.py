"""Runs the tests where users run the package: on every CPython of this machine, and on every line of protobuf.

    python tools/matrix.py            both
    python tools/matrix.py pythons    each CPython that is found, with the locked versions of requirements/test.txt
    python tools/matrix.py protobufs  the oldest protobuf 5, protobuf 6, and the pure-Python backend of the newest

CPythons are looked for on PATH and among the versions that pyenv holds. Environments are kept under `.cache`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
CACHE = ROOT / ".cache"
OLDEST = 10  # 3.10
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
PYTEST = ("-m", "pytest", "--numprocesses=auto", "--quiet")


def main(names: list[str]) -> int:
    """Run the rows of the matrix that are named; return 1 if the tests failed on one."""
    rows = {"pythons": pythons, "protobufs": protobufs}
    if unknown := set(names) - set(rows):
        print(f"There is no {', '.join(sorted(unknown))}; there are {', '.join(rows)}.")
        return 2
    failed = [where for name in names or rows for where, passed in rows[name]() if not passed]
    if failed:
        print(f"FAILED on {', '.join(failed)}")
    return 1 if failed else 0


def pythons() -> Iterator[tuple[str, bool]]:
    """Run the tests on every CPython of this machine, oldest first."""
    for version, python in sorted(interpreters().items()):
        name = "CPython {}.{}".format(*version)
        yield name, passes(name, interpreter_with_tests(python), {})


def protobufs() -> Iterator[tuple[str, bool]]:
    """Run the tests of this environment with another protobuf before its own, and with the pure-Python backend."""
    for line in ("protobuf-5", "protobuf-6"):
        requirements = REQUIREMENTS / f"{line}.txt"
        version = pinned(requirements, "protobuf")
        yield (
            f"protobuf {version}",
            passes(f"protobuf {version}", sys.executable, {"PYTHONPATH": str(folder(requirements))}),
        )
    newest = pinned(REQUIREMENTS / "test.txt", "protobuf")
    name = f"protobuf {newest} in pure Python"
    # tests/test_installation.py asserts the warning; in the output of programs that other tests start it is noise
    quiet = "ignore:protobuf runs without its compiled part:RuntimeWarning"
    variables = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python", "PYTHONWARNINGS": quiet}
    yield name, passes(name, sys.executable, variables)


def passes(name: str, python: str | Path, variables: dict[str, str]) -> bool:
    """Run the tests; say on what, and how long they took."""
    print(f"== {name}", flush=True)
    started = time.monotonic()
    done = subprocess.run((python, *PYTEST), cwd=ROOT, env={**os.environ, **variables}, check=False)
    print(f"== {name}: {'failed' if done.returncode else 'ok'} ({time.monotonic() - started:.1f} s)", flush=True)
    return done.returncode == 0


def interpreters() -> dict[tuple[int, int], str]:
    """Return the newest CPython of each minor version that the package supports."""
    found: dict[tuple[int, int, int], str] = {}
    for candidate in candidates():
        if version := version_of(candidate):
            found.setdefault(version, candidate)
    return {(major, minor): found[major, minor, micro] for major, minor, micro in sorted(found)}


def candidates() -> Iterator[str]:
    """Yield what may be an interpreter: by its name on PATH, and in pyenv's folders."""
    yield sys.executable
    for folder_name in os.environ.get("PATH", "").split(os.pathsep):
        names = Path(folder_name).glob("python3.*") if Path(folder_name).is_dir() else ()
        yield from (str(path) for path in sorted(names) if re.fullmatch(r"python3\.\d+", path.name))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from (str(path) for path in sorted(pyenv.glob("versions/*/bin/python3")))


def version_of(candidate: str) -> tuple[int, int, int] | None:
    """Return the version of a CPython that the package supports; None for anything else."""
    program = "import sys; print(sys.implementation.name, *sys.version_info[:3])"
    done = subprocess.run((candidate, "-c", program), capture_output=True, text=True, check=False)
    name, *version = done.stdout.split() or [""]
    if done.returncode or name != "cpython":
        return None
    major, minor, micro = map(int, version)
    return (major, minor, micro) if (major, minor) >= (3, OLDEST) else None


def interpreter_with_tests(python: str) -> Path:
    """Return the interpreter of an environment with the test requirements and this package."""
    requirements = REQUIREMENTS / "test.txt"
    version = version_of(python)
    home = CACHE / "pythons" / ".".join(map(str, version or ()))
    inside = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not fresh(home, requirements, ROOT / "pyproject.toml"):
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run((python, "-m", "venv", home), check=True)
        subprocess.run((inside, *PIP, "--no-deps", "--require-hashes", "-r", requirements), check=True)
        subprocess.run((inside, *PIP, "--no-deps", "--no-build-isolation", "--editable", ROOT), check=True)
        stamp(home, requirements, ROOT / "pyproject.toml")
    return inside


def folder(requirements: Path) -> Path:
    """Return a folder that holds what `requirements` pins, to stand before an environment's own packages."""
    home = CACHE / requirements.stem
    if not fresh(home, requirements):
        shutil.rmtree(home, ignore_errors=True)
        target = ("--target", home, "--no-deps", "--require-hashes", "-r", requirements)
        subprocess.run((sys.executable, *PIP, *target), check=True)
        stamp(home, requirements)
    return home


def pinned(requirements: Path, name: str) -> str:
    """Return the version of `name` in a locked file."""
    found = re.search(rf"^{name}==(\S+)", requirements.read_text(), re.MULTILINE)
    if found is None:
        message = f"{requirements} does not pin {name}"
        raise LookupError(message)
    return found[1]


def fresh(home: Path, *made_from: Path) -> bool:
    """Say whether `home` was made, to its end, from these files as they are now."""
    path = home / "made-from"
    return path.is_file() and path.read_text() == digest(*made_from)


def stamp(home: Path, *made_from: Path) -> None:
    """Write down what `home` was made from."""
    (home / "made-from").write_text(digest(*made_from))


def digest(*files: Path) -> str:
    """Return what tells these files from others."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Makes the virtual environments in which the published SDKs run, beside this one: they all claim the name `statefun`.

Each environment holds what a hashed file under `tools/peers/` pins, and is made once, below `.cache/peers`. The
conformance recorder and the benchmarks take their interpreters from here. Nothing but the standard library is needed.

    python tools/peer_environments.py [NAME ...]     make these (default: all) and print their interpreters
    python tools/peer_environments.py --lock         resolve tools/peers/*.in anew into the hashed files
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "tools" / "peers"
CACHE = ROOT / ".cache" / "peers"
PACKAGE = ROOT / "statefun"


class SetupError(Exception):
    """An environment cannot be made here, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One virtual environment to make."""

    python: str
    """The CPython that it is made with, as "3.11"."""
    requirements: str
    """The file under tools/peers that it is installed from, without its ending."""
    without_dependencies: str = ""
    """A requirement whose own requirements are not obeyed; from the file of this name, only its own package."""
    also: str = ""
    """Another such file that is installed: what it is served with."""
    finish: Callable[[Path], None] | None = None
    """What is left to do, given the interpreter."""


def site_packages(python: Path) -> Path:
    """Return where the environment of an interpreter keeps its packages."""
    return Path(run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip())


def rebuild_generated_code(python: Path) -> None:
    """Let the 2.2.2 SDK load on a protobuf newer than it asks for: its own descriptors, given to today's builder."""
    dump = (
        "import base64, importlib, json, pkgutil, statefun\n"
        "names = [m.name for m in pkgutil.iter_modules(statefun.__path__) if m.name.endswith('_pb2')]\n"
        "found = {n: importlib.import_module('statefun.' + n).DESCRIPTOR.serialized_pb for n in sorted(names)}\n"
        "print(json.dumps({n: base64.b64encode(data).decode() for n, data in found.items()}))\n"
    )
    descriptors = json.loads(run(environment("apache-2.2.2"), "-c", dump))
    for name, descriptor in descriptors.items():
        module = (
            "from google.protobuf import any_pb2, descriptor_pool\n"
            "from google.protobuf.internal import builder\n"
            f"DESCRIPTOR = descriptor_pool.Default().AddSerializedFile({base64.b64decode(descriptor)!r})\n"
            "builder.BuildMessageAndEnumDescriptors(DESCRIPTOR, globals())\n"
            f"builder.BuildTopDescriptorsAndMessages(DESCRIPTOR, {'statefun.' + name!r}, globals())\n"
        )
        (site_packages(python) / "statefun" / f"{name}.py").write_text(module, encoding="utf-8")


ENVIRONMENTS = {
    "floor": Environment(python="3.11", requirements="protobuf"),
    "floor-py310": Environment(python="3.10", requirements="protobuf"),
    # as pip resolves them: protobuf 3.20 has compiled wheels up to Python 3.10 only, and is pure Python on 3.11
    "apache-2.2.2": Environment(python="3.11", requirements="apache-2.2.2"),
    "apache-2.2.2-py310": Environment(python="3.10", requirements="apache-2.2.2"),
    "apache-3.3.0": Environment(python="3.11", requirements="apache-3.3.0"),
    "apache-3.3.0-py310": Environment(python="3.10", requirements="apache-3.3.0"),
    "flink-3.5.0": Environment(python="3.11", requirements="flink-3.5.0"),
    # against their own requirement: the SDKs of Apache on the protobuf of today
    "apache-2.2.2-upb": Environment(
        python="3.11", requirements="protobuf", without_dependencies="apache-2.2.2", finish=rebuild_generated_code
    ),
    "apache-3.3.0-upb": Environment(python="3.11", requirements="protobuf", without_dependencies="apache-3.3.0"),
    "apache-3.3.0-served": Environment(python="3.11", requirements="apache-3.3.0", also="aiohttp"),
    "apache-3.3.0-upb-served": Environment(
        python="3.11", requirements="protobuf", without_dependencies="apache-3.3.0", also="aiohttp"
    ),
}


@functools.cache
def environment(name: str) -> Path:
    """Return the interpreter of an environment; make it if there is none yet. Raises SetupError."""
    wanted = ENVIRONMENTS[name]
    python = find_python(wanted.python)
    parts = (wanted.requirements, wanted.without_dependencies, wanted.also)
    files = [REQUIREMENTS / f"{part}.txt" for part in parts if part]
    digest = _digest([name, python, *(path.read_text(encoding="utf-8") for path in files)])
    return _made(CACHE / name, digest, lambda home: _make(wanted, python, home))


@functools.cache
def of_this_sdk(ref: str = "") -> Path:
    """Return an interpreter that has this SDK: the working tree as it is at the first call, or a commit of it.

    The package is copied, not installed, so that no build tool is needed; it is compiled like an installed one.
    """
    wanted = Environment(python="3.11", requirements="protobuf")
    python = find_python(wanted.python)
    sources = _sources(ref)
    requirements = (REQUIREMENTS / "protobuf.txt").read_text(encoding="utf-8")
    home = CACHE / ("statefun" + (f"-{re.sub(r'[^0-9A-Za-z.]+', '-', ref)}" if ref else ""))
    binary = _made(home, _digest([python, requirements]), lambda home: _make(wanted, python, home))
    target = site_packages(binary) / "statefun"
    shutil.rmtree(target, ignore_errors=True)
    for path, content in sources.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(content)
    run(binary, "-m", "compileall", "-q", target)
    return binary


def _sources(ref: str) -> dict[str, bytes]:
    if not ref:
        files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {path.relative_to(PACKAGE).as_posix(): path.read_bytes() for path in files}
    names = run("git", "ls-tree", "-r", "--name-only", f"{ref}:statefun").split()
    return {
        name: subprocess.run(
            ["git", "show", f"{ref}:statefun/{name}"],  # noqa: S607
            cwd=ROOT, stdout=subprocess.PIPE, check=True,
        ).stdout
        for name in names
    }  # fmt: skip


def _made(home: Path, digest: str, make: Callable[[Path], None]) -> Path:
    binary = home / "bin" / "python"
    stamp = home / "made-from"
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == digest):
        shutil.rmtree(home, ignore_errors=True)
        make(home)
        stamp.write_text(digest, encoding="utf-8")
    return binary


def _make(wanted: Environment, python: str, home: Path) -> None:
    print(f"making {home.relative_to(ROOT)}", file=sys.stderr)
    run(python, "-m", "venv", home)
    binary = home / "bin" / "python"
    install = (binary, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r")
    run(*install, REQUIREMENTS / f"{wanted.requirements}.txt")
    if wanted.also:
        run(*install, REQUIREMENTS / f"{wanted.also}.txt")
    if wanted.without_dependencies:
        own = home / "own-requirement.txt"
        own.write_text(_first_requirement(REQUIREMENTS / f"{wanted.without_dependencies}.txt"), encoding="utf-8")
        run(*install, own)
    if wanted.finish is not None:
        wanted.finish(binary)


def _first_requirement(path: Path) -> str:
    """Return the SDK's own entry of a hashed file, without those it depends on."""
    text = path.read_text(encoding="utf-8")
    found = re.search(r"^(apache-|flink-)[^\n]*\\\n( +--hash[^\n]*\n)+", text, re.MULTILINE)
    if found is None:
        message = f"{path} holds no SDK"
        raise SetupError(message)
    return found.group(0).rstrip().removesuffix("\\")


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def find_python(version: str) -> str:
    """Return a CPython of this minor version: on the path, or among those that pyenv keeps. Raises SetupError."""
    for candidate in _pythons(version):
        probe = "import sys; print('%d.%d' % sys.version_info[:2])"
        try:
            done = subprocess.run([candidate, "-c", probe], capture_output=True, text=True, check=False)
        except OSError:
            continue
        if done.stdout.strip() == version:
            return str(Path(candidate).resolve()) if "/" in candidate else candidate
    message = f"this needs a Python {version}, and there is none on the path"
    raise SetupError(message)


def _pythons(version: str) -> Iterator[str]:
    yield sys.executable
    yield f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python"), reverse=True))


def lock() -> None:
    """Write the hashed files anew from tools/peers/*.in, with the uv that requirements/lock.txt pins."""
    home = CACHE / "lock"
    pinned = ROOT / "requirements" / "lock.txt"
    digest = _digest([pinned.read_text(encoding="utf-8")])
    uv = _made(home, digest, _make_lock).with_name("uv")
    for source in sorted(REQUIREMENTS.glob("*.in")):
        run(
            uv, "pip", "compile", "--quiet", "--generate-hashes", "--python-version", "3.10", "--no-annotate",
            "--custom-compile-command", "python tools/peer_environments.py --lock",
            source.relative_to(ROOT), "--output-file", source.with_suffix(".txt").relative_to(ROOT),
        )  # fmt: skip


def _make_lock(home: Path) -> None:
    run(sys.executable, "-m", "venv", home)
    pinned = ROOT / "requirements" / "lock.txt"
    run(home / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", pinned)


def run(*command: str | os.PathLike[str]) -> str:
    """Run a command at the root of the tree and return what it printed. Raises SetupError if it fails."""
    line = [os.fspath(part) for part in command]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{done.stdout}{done.stderr}\nThis failed: {' '.join(line)}"
        raise SetupError(message)
    return done.stdout


def main() -> int:
    """Make the environments named, or resolve the requirements; return the exit status."""
    parser = argparse.ArgumentParser(description="Make the environments of the published SDKs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(ENVIRONMENTS)} (default: all)")
    parser.add_argument("--lock", action="store_true", help="resolve tools/peers/*.in into the hashed files")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in ENVIRONMENTS]:
        parser.error(f"there is no environment {', '.join(unknown)}")
    try:
        if given.lock:
            lock()
            return 0
        for name in given.names or ENVIRONMENTS:
            print(f"{name}: {environment(name)}")
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Writes the generated protobuf modules and their stubs, or says which of them differ from what is committed.

Two pinned environments do the work: an old protoc, so that the gencode asks for no newer runtime than the SDK's floor,
and mypy-protobuf, which needs a newer runtime than that protoc. Both are made once, from the hashed files under
`requirements/`, into `.cache/codegen`. This file itself needs nothing but the standard library.

    python tools/generate_protos.py           write
    python tools/generate_protos.py --check   write nothing; exit 1 and name the files that differ
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "codegen"
PACKAGE = Path("statefun/_proto")
# Every folder below these that holds protos is an import root of its own, as in a user's project.
PROJECTS = (Path("tests"), Path("examples"))
NEWEST_PROTOC_PYTHON = (3, 13)  # the pinned protoc is published for CPython up to here


class CodegenError(Exception):
    """The code cannot be generated here, and why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Generate into the tree, or with --check compare; return the exit status."""
    parser = argparse.ArgumentParser(description="Generate the protobuf modules and stubs.")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 if anything differs")
    check: bool = parser.parse_args(arguments).check
    try:
        with tempfile.TemporaryDirectory() as folder:
            generate(Path(folder))
            different = sorted(differences(Path(folder)))
            if not check:
                update(Path(folder), different)
    except CodegenError as error:
        print(error, file=sys.stderr)
        return 1
    for path in different:
        print(f"{'differs' if check else 'written'}: {path.as_posix()}")
    if check and different:
        print("Run `make protos` and commit the result.", file=sys.stderr)
    return 1 if check and different else 0


def import_roots() -> dict[Path, list[Path]]:
    """Return the folders that protoc searches, each with the protos to generate from it."""
    roots = {Path(): sorted(path.relative_to(ROOT) for path in (ROOT / PACKAGE).glob("*.proto"))}
    for project in PROJECTS:
        for path in sorted((ROOT / project).rglob("*.proto")):
            roots.setdefault(path.parent.relative_to(ROOT), []).append(path.relative_to(ROOT))
    return roots


def generate(target: Path) -> None:
    """Write every module and stub below `target`, at the place it has in the tree."""
    protoc = environment("codegen-protoc", protoc_python())
    plugin = environment("codegen-stubs", sys.executable).with_name("protoc-gen-mypy")
    if sys.platform == "win32":
        plugin = plugin.with_suffix(".exe")
    for folder, protos in import_roots().items():
        out = target / folder
        out.mkdir(parents=True, exist_ok=True)
        run(
            protoc,
            "-m",
            "grpc_tools.protoc",
            f"--plugin=protoc-gen-mypy={plugin}",
            f"--proto_path={folder}",
            f"--python_out={out}",
            f"--mypy_out=quiet:{out}",
            *(path.as_posix() for path in protos),
        )


def differences(generated: Path) -> Iterator[Path]:
    """Yield the paths whose content, or existence, differs between the tree and `generated`."""
    wanted = set(outputs(generated))
    committed = set(outputs(ROOT))
    yield from wanted ^ committed
    for path in wanted & committed:
        if (generated / path).read_bytes() != (ROOT / path).read_bytes():
            yield path


def outputs(base: Path) -> Iterator[Path]:
    """Yield every generated file below `base`, relative to it."""
    for folder in (PACKAGE, *PROJECTS):
        for pattern in ("*_pb2.py", "*_pb2.pyi"):
            yield from (path.relative_to(base) for path in (base / folder).rglob(pattern))


def update(generated: Path, paths: Sequence[Path]) -> None:
    """Copy `paths` into the tree and delete those that nothing generates any more."""
    for path in paths:
        if (generated / path).exists():
            shutil.copyfile(generated / path, ROOT / path)
        else:
            (ROOT / path).unlink()


def environment(name: str, python: str) -> Path:
    """Return the interpreter of the environment that holds requirements/`name`.txt; make it if there is none yet."""
    requirements = ROOT / "requirements" / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes() + os.path.realpath(python).encode()).hexdigest()
    home = CACHE / name
    binary = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = home / "made-from"
    if stamp.is_file() and stamp.read_text() == digest:
        return binary
    shutil.rmtree(home, ignore_errors=True)
    run(python, "-m", "venv", home)
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", "-r")
    run(binary, *install, requirements)
    stamp.write_text(digest)
    return binary


def protoc_python() -> str:
    """Return an interpreter that the pinned protoc is published for: this one if it will do."""
    if sys.version_info[:2] <= NEWEST_PROTOC_PYTHON:
        return sys.executable
    for minor in range(NEWEST_PROTOC_PYTHON[1], 9, -1):
        if found := shutil.which(f"python3.{minor}"):
            return found
    newest = ".".join(map(str, NEWEST_PROTOC_PYTHON))
    message = (
        f"The pinned protoc (requirements/codegen-protoc.txt) is published for CPython up to {newest}, "
        f"and this is {sys.version.split()[0]}. Put a python{newest} on PATH."
    )
    raise CodegenError(message)


def run(*command: str | os.PathLike[str]) -> None:
    """Run `command` at the root of the tree; its output is shown only if it fails."""
    words = [os.fspath(part) for part in command]
    done = subprocess.run(
        words,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        message = f"{done.stdout}\nThis failed: {' '.join(words)}"
        raise CodegenError(message)


if __name__ == "__main__":
    sys.exit(main())

"""`statefun proto`: generate the protobuf modules and stubs of an app."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from statefun.cli import Subparsers
from statefun.errors import ConfigError, with_help

__all__ = ["add_parser", "generate", "run"]


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("proto", help="generate the protobuf modules and stubs of an app", description=__doc__)
    top.add_argument("folder", type=Path, nargs="?", default=Path(), metavar="DIR", help="where the protos are (.)")
    top.add_argument("--out", type=Path, metavar="DIR", help="where the modules go (beside the protos)")
    return top


def run(args: argparse.Namespace) -> int:
    """Generate them, and name what was written."""
    for path in generate(args.folder, args.out or args.folder):
        print(path)
    return 0


def generate(folder: Path, out: Path) -> Sequence[Path]:
    """Run protoc and mypy-protobuf over a folder's protos. Raises ConfigError."""
    protos = sorted(path for path in folder.rglob("*.proto") if not any(part.startswith(".") for part in path.parts))
    if not protos:
        raise ConfigError(f"there is no .proto in {folder}")
    plugin = shutil.which("protoc-gen-mypy", path=str(Path(sys.executable).parent)) or shutil.which("protoc-gen-mypy")
    if importlib.util.find_spec("grpc_tools") is None or plugin is None:
        help = "pip install 'statefun[proto]'"
        raise ConfigError(with_help("this needs grpcio-tools and mypy-protobuf, which are not installed", help))
    out.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "grpc_tools.protoc", f"--plugin=protoc-gen-mypy={plugin}", f"--proto_path={folder}",
        f"--python_out={out}", f"--mypy_out=quiet:{out}", *map(str, protos),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"protoc refused it:\n{done.stderr.strip()}")
    made = [out / path.relative_to(folder).with_name(f"{path.stem}_pb2.py") for path in protos]
    return [one for path in made for one in (path, path.with_suffix(".pyi"))]

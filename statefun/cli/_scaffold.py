"""A new app, from the files under `template/`.

Here: `make_app`, and how the generated module of its proto is written without protoc: the name of the app is the only
difference between two of them. What `statefun proto` generates from the same proto is equal, byte for byte.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
from pathlib import Path

from statefun.errors import ConfigError, with_help

__all__ = ["make_app"]

_TEMPLATE = Path(__file__).with_name("template")
_NAME = "MYAPP"
_ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t", '"': r"\"", "'": r"\'", "\\": r"\\"}


def make_app(name: str, parent: Path) -> list[Path]:
    """Write a small app into a new folder of this name; return its files. Raises ConfigError."""
    folder = parent / name
    if folder.exists():
        msg = with_help(f"{folder} is there already", "name another app, or remove it")
        raise ConfigError(msg)
    _check_name(name)
    folder.mkdir(parents=True)
    made: list[Path] = []
    for template in sorted(_TEMPLATE.glob("*.txt")):
        file_name = template.name.removesuffix(".txt")
        path = folder / re.sub(r"^app(?=\.proto|_pb2)", name, file_name)
        text = template.read_text(encoding="utf-8")
        if file_name == "app_pb2.py":
            text = _moved(text, name)
        path.write_text(text.replace(_NAME, name), encoding="utf-8")
        made.append(path)
    return made


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", name) or keyword.iskeyword(name):
        msg = with_help(f"{name!r} is no name for an app", "lower case letters, digits and _, e.g. myapp")
        raise ConfigError(msg)
    taken = {"app", "test_app"}
    if name in taken or importlib.util.find_spec(name) is not None:
        msg = with_help(f"{name!r} is the name of another module", "name the app otherwise")
        raise ConfigError(msg)


def _moved(text: str, name: str) -> str:
    """Put the name into the serialized descriptor, and move the offsets behind it."""
    head = f"\n{chr(len(name) + len('.proto'))}{name}.proto\x12{chr(len(name))}{name}"
    shift = 2 * (len(name) - len(_NAME))
    text = re.sub(r"@(\d+)", lambda found: str(int(found[1]) + shift), text, flags=re.ASCII)
    return text.replace("HEAD", _escaped(head))


def _escaped(text: str) -> str:
    r"""Escape as protoc does: after a \x.., what could be a digit of it is escaped, too."""
    parts: list[str] = []
    for char in text:
        after_hex = bool(parts) and parts[-1].startswith(r"\x")
        if char in _ESCAPES:
            parts.append(_ESCAPES[char])
        elif not char.isprintable() or (after_hex and char in "0123456789abcdefABCDEF"):
            parts.append(f"\\x{ord(char):02x}")
        else:
            parts.append(char)
    return "".join(parts)

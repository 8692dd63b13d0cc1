"""YAML text out of dicts and lists, as a person would write it.

Here: that, and nothing else: block style, two spaces, quotes only where Jackson would read something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from statefun.module._nodes import Kind, resolve

__all__ = ["Value", "emit"]

Value = str | int | bool | Sequence["Value"] | Mapping[str, "Value"]

_PLAIN = re.compile(r"[A-Za-z0-9_/.][A-Za-z0-9_/.:{}@%+*-]*")


def emit(value: Value) -> str:
    """Write a document."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Value) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _entry(_scalar(key), below)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            first, *rest = _lines(item) if _is_filled(item) else [_scalar(item)]
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _entry(key: str, value: Value) -> Iterator[str]:
    if not _is_filled(value):
        yield f"{key}: {_scalar(value)}"
        return
    yield f"{key}:"
    yield from (f"  {line}" for line in _lines(value))


def _is_filled(value: Value) -> bool:
    return isinstance(value, (Mapping, Sequence)) and not isinstance(value, str) and bool(value)


def _scalar(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        return "{}" if isinstance(value, Mapping) else "[]"
    is_plain = _PLAIN.fullmatch(value) and not value.endswith(":") and resolve(value, plain=True) is Kind.TEXT
    return value if is_plain else json.dumps(value, ensure_ascii=False)

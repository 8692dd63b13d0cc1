"""Values as a person reads them, in one line or in many.

Here: `show`, the text of a value with every message in it decoded, and `compare`, two of them side by side.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.message import Message

from statefun.address import Address
from statefun.state import State

__all__ = ["Shown", "compare", "concerns", "show"]

_WIDE = 100
_NAMES: dict[type, tuple[str, str]] = {tuple: ("(", ")"), set: ("{", "}"), frozenset: ("{", "}")}


class Shown:
    """A dataclass whose repr is what `show` says."""

    __slots__ = ()

    def __repr__(self) -> str:
        return show(self)


def show(value: object) -> str:
    """Write a value in one line, as the code that makes it."""
    parts = _parts(value)
    if parts is None:
        return repr(value)
    before, members, after = parts
    return f"{before}{', '.join(f'{name}{show(member)}' for name, member in members)}{after}"


def compare(left: object, right: object) -> list[str]:
    """Write two values in lines, with marks where they differ: - on the left only, + on the right only."""
    return [line.rstrip("\n") for line in difflib.ndiff(list(_lines(left)), list(_lines(right))) if line[:1] != "?"]


def concerns(value: object) -> bool:
    """Tell whether this is about such values: one of them, or a list or dict with one."""
    if isinstance(value, (Shown, State, Message)):
        return True
    if isinstance(value, (list, tuple)):
        return any(map(concerns, cast("Sequence[object]", value)))
    return isinstance(value, dict) and any(map(concerns, cast("Mapping[object, object]", value).values()))


Members = list[tuple[str, object]]


def _parts(value: Any) -> tuple[str, Members, str] | None:
    """Take a value apart: what stands before its members, they, and what stands after; None if it has none."""
    if isinstance(value, Address):
        return None
    if isinstance(value, AnyPb):
        return "Any(", [("type_url=", value.type_url), ("value=", value.value)], ")"
    if isinstance(value, Message):
        return f"{type(value).__name__}(", [(f"{field.name}=", _field(found)) for field, found in value.ListFields()], ")"
    if isinstance(value, State):
        names = type(value).__statefun_state__.names
        return f"{type(value).__qualname__}(", [(f"{name}=", getattr(value, name)) for name in names], ")"
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and _has_plain_repr(value):
        fields = [field.name for field in dataclasses.fields(value) if field.repr]
        return f"{type(value).__qualname__}(", [(f"{name}=", getattr(value, name)) for name in fields], ")"
    if isinstance(value, list):
        return "[", [("", member) for member in cast("list[object]", value)], "]"
    if value.__class__ in _NAMES:
        before, after = _NAMES[value.__class__]
        return before, [("", member) for member in value], ",)" if before == "(" and len(value) == 1 else after
    if value.__class__ is dict:
        return "{", [(f"{show(key)}: ", member) for key, member in value.items()], "}"
    return None


def _field(value: Any) -> object:
    """Return a field of a message as a plain value: repeated ones as a list, maps as a dict."""
    if isinstance(value, (str, bytes, Message)):
        return value
    if hasattr(value, "items"):
        return dict(value.items())
    return list(cast("Iterable[object]", value)) if hasattr(value, "__len__") else value


def _has_plain_repr(value: object) -> bool:
    """Tell whether its repr is the one that dataclass made (or ours), and not one of its own."""
    own: Any = type(value).__repr__
    return own is Shown.__repr__ or getattr(own, "__qualname__", "").startswith("__create_fn__") or hasattr(
        own, "__wrapped__"
    )


def _lines(value: object, name: str = "", indent: str = "", end: str = "") -> Iterator[str]:
    line = f"{indent}{name}{show(value)}{end}"
    parts = _parts(value)
    if parts is None or not parts[1] or (len(line) <= _WIDE and not isinstance(value, (list, Shown))):
        yield line
        return
    before, members, after = parts
    yield f"{indent}{name}{before}"
    for label, member in members:
        yield from _lines(member, label, f"{indent}    ", ",")
    yield f"{indent}{after}{end}"

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

from statefun.state import State

__all__ = ["Shown", "compare", "concerns", "show"]

_WIDE = 100
"""From here on a value is written in lines."""


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
Parts = tuple[str, Members, str]
"""What stands before the members of a value, they, and what stands after."""


def _parts(value: object) -> Parts | None:
    """Take a value apart; None if there is nothing in it that would not be read in its repr."""
    if isinstance(value, (list, tuple, dict, set, frozenset)):
        return _of_container(cast("Container", value))
    members = _fields(value)
    return None if members is None else (f"{_class_name(value)}(", members, ")")


def _class_name(value: object) -> str:
    """Name the class of a value: that of a nested message with what it stands in, on every protobuf."""
    if isinstance(value, Message):
        package = value.DESCRIPTOR.file.package
        return value.DESCRIPTOR.full_name.removeprefix(f"{package}." if package else "")
    return type(value).__qualname__


def _fields(value: object) -> Members | None:
    found: Any = value  # the fields of an object of whatever class
    if isinstance(value, AnyPb):
        return [("type_url=", value.type_url), ("value=", value.value)]
    if isinstance(value, Message):
        return [(f"{field.name}=", _field(member)) for field, member in value.ListFields()]
    if isinstance(value, State):
        return [(f"{name}=", getattr(found, name)) for name in type(value).__statefun_state__.names]
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and _has_plain_repr(value):
        return [(f"{field.name}=", getattr(found, field.name)) for field in dataclasses.fields(value) if field.repr]
    return None


Container = list[object] | tuple[object, ...] | dict[object, object] | set[object] | frozenset[object]


def _of_container(value: Container) -> Parts | None:
    if isinstance(value, dict):
        return "{", [(f"{show(key)}: ", member) for key, member in value.items()], "}"
    members: Members = [("", member) for member in value]
    if isinstance(value, list):
        return "[", members, "]"
    if isinstance(value, (set, frozenset)) or hasattr(value, "_fields"):
        return None  # in no order to compare; a named tuple has a repr of its own
    return "(", members, ",)" if len(members) == 1 else ")"


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
    return own is Shown.__repr__ or hasattr(own, "__wrapped__")  # dataclass wraps it against recursion


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

"""A YAML document as the runtimes see it: mappings, sequences and scalars, each with its place in the file.

Here: the nodes, and what an untagged scalar is to Jackson, which reads the file in every Apache runtime. How a file
becomes nodes is in `_yaml`.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

__all__ = ["Entry", "Kind", "Mapping", "Node", "Scalar", "Sequence", "describe", "resolve", "shorten", "whole_number"]


class Kind(enum.Enum):
    """What a scalar is; the value is how it is called in a text."""

    TEXT = "a text"
    WHOLE = "a number"
    REAL = "a decimal number"
    FLAG = "a truth value"
    NULL = "nothing"
    BINARY = "binary data"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, a number, a truth value or nothing."""

    line: int
    column: int
    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values; of a key that stands twice, the last one, as Jackson reads it."""

    line: int
    column: int
    entries: dict[str, Entry]

    def get(self, key: str) -> Node | None:
        """Return the value of a key."""
        entry = self.entries.get(key)
        return None if entry is None else entry.value


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    line: int
    column: int
    items: list[Node]


Node = Scalar | Mapping | Sequence

# SnakeYAML's implicit resolvers (org.yaml.snakeyaml.resolver.Resolver), in the order in which they are tried.
MOST_DIGITS = 100
LONGEST = 60
"""How much of a text is printed."""
_FLAG = re.compile(
    r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
)
_WHOLE = re.compile(
    r"[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+",
)
_REAL = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|\.[0-9_]+(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
)
_NULLS = frozenset(("", "~", "null", "Null", "NULL", " "))
_FIRST = frozenset("-+.0123456789yYnNtTfFoO~ ")
_TAGS = {
    "tag:yaml.org,2002:binary": Kind.BINARY,
    "tag:yaml.org,2002:float": Kind.REAL,
    "tag:yaml.org,2002:null": Kind.NULL,
}


def resolve(text: str, *, plain: bool, tag: str | None = None) -> Kind:
    """Say what a scalar is to Jackson: `yes` a truth value, `1:30` and a date a text, `1_000` a number."""
    if tag == "tag:yaml.org,2002:int":
        return Kind.WHOLE if _WHOLE.fullmatch(text) else Kind.TEXT
    if tag == "tag:yaml.org,2002:bool":
        return Kind.FLAG if text.casefold() in ("true", "false", "yes", "no", "on", "off", "y", "n") else Kind.TEXT
    if tag is not None and tag != "!":
        return _TAGS.get(tag, Kind.TEXT)
    if not plain or (text and text[0] not in _FIRST):
        return Kind.TEXT
    if _FLAG.fullmatch(text):
        return Kind.FLAG
    if _WHOLE.fullmatch(text):
        return Kind.WHOLE
    if _REAL.fullmatch(text):
        return Kind.REAL
    return Kind.NULL if text in _NULLS else Kind.TEXT


def whole_number(text: str) -> int:
    """Return the number that a scalar of kind WHOLE is: `0x10`, `010` and `0b11` as Jackson since 2.12 reads them.

    Of one with more digits than any number of a module, only the first: it is too large all the same.
    """
    digits = text.replace("_", "").lstrip("+")
    sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits)
    digits = digits[:MOST_DIGITS]
    if digits.startswith(("0x", "0b")):
        return sign * int(digits[2:] or "0", 16 if digits[1] == "x" else 2)
    return sign * int(digits, 8 if len(digits) > 1 and digits.startswith("0") else 10)


def describe(node: Node) -> str:
    """Say what stands there, in a text: "the number 1.0", "a list"."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if node.kind is Kind.NULL:
        return "nothing"
    if node.kind is Kind.BINARY:
        return "binary data"
    article = {Kind.TEXT: "the text", Kind.FLAG: "the truth value"}.get(node.kind, "the number")
    text = shorten(node.text)
    return f"{article} {text!r}" if node.kind is Kind.TEXT else f"{article} {text}"


def shorten(text: str) -> str:
    """Return a text as it is printed, cut off where it is long."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."

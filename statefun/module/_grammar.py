"""What may stand in a module.yaml, as shapes: one value each, read with its faults or drawn as JSON Schema.

Here: the shapes of single values and of lists. Mappings are in `_fields`. Which key has which shape is in the module
of each kind; what the runtimes do with a value is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from statefun.findings import Path
from statefun.module._durations import EXAMPLE, parse_duration
from statefun.module._nodes import MOST_DIGITS, Kind, Node, Scalar, Sequence, describe, shorten, whole_number
from statefun.module._reading import Reading
from statefun.module._runtimes import Runtime

__all__ = ["Choice", "Flag", "Items", "Schema", "Shape", "Span", "Text", "Whole"]

Schema = dict[str, object]
T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1
_OLD_JACKSON = frozenset[Runtime](("2.0", "2.1", "2.2", "3.0", "3.1"))


class Shape(Protocol[T_co]):
    """What may stand in one place."""

    def read(self, node: Node, path: Path, reading: Reading) -> T_co | None:
        """Return the value, or None if it is faulty, which is then reported."""
        ...

    def schema(self) -> Schema:
        """Return the same as JSON Schema."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text."""

    what: str
    """What it is, as a text of what is expected."""
    strict: bool = True
    """Whether a number or a truth value is refused, which Jackson's data binding takes for its text."""
    check: Callable[[str], str] | None = None
    """Returns what is wrong with the text, or ""."""
    pattern: str = ""
    """The same as a regular expression, as far as one can say it."""
    code: str = "SF105"
    says: str | Callable[[str], str] = ""
    """What a runtime says to a text that fails the check; <s> stands for the text."""
    clean: Callable[[str], str] | None = None
    """Makes the value out of the text."""

    def read(self, node: Node, path: Path, reading: Reading) -> str | None:
        """Return the text."""
        text = text_of(node, strict=self.strict)
        if text is None:
            wrong_type(self.what, "not a string" if self.strict else "", node, path, reading)
            return None
        problem = self.check(text) if self.check else ""
        if problem:
            says = self.says if isinstance(self.says, str) else self.says(text)
            reading.report(self.code, node, path, problem, expected=self.what, says=says.replace("<s>", text))
            return None
        return self.clean(text) if self.clean else text

    def schema(self) -> Schema:
        """Return it as JSON Schema."""
        # no number is what a pattern wants: it is a name, a URL or a date
        kinds: Schema = {"type": "string" if self.strict or self.pattern else ["string", "number", "boolean"]}
        return {**kinds, **({"pattern": self.pattern} if self.pattern else {}), "description": self.what}


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole number."""

    what: str
    least: int | None = None
    most: int = INT_MAX
    strict: bool = True
    """Whether a text of digits is refused, which Jackson's data binding takes for its number."""
    says: str = ""
    """What a runtime says to a number that is too small."""
    empty: int | None = None
    """The number that nothing is taken for; None: nothing is refused."""

    def read(self, node: Node, path: Path, reading: Reading) -> int | None:
        """Return the number."""
        number = _as_read_by(reading.runtime, node, number_of(node, strict=self.strict))
        if self.empty is not None and isinstance(node, Scalar) and node.kind is Kind.NULL:
            reading.report("SF123", node, path, f"nothing is read as {self.empty}", expected=self.what)
            return self.empty
        if number is None:
            says = "not an integer" if self.most == INT_MAX else "not a long"
            wrong_type(f"a whole number: {self.what}", says if self.strict else "", node, path, reading)
            return None
        low = -self.most - 1 if self.least is None else self.least
        if not low <= number <= self.most:
            says = self.says if number < low else ""
            problem = f"{shorten(str(number))} is not between {low} and {self.most}"
            reading.report("SF107", node, path, problem, expected=self.what, says=says)
            return None
        return number

    def schema(self) -> Schema:
        """Return it as JSON Schema."""
        low = -self.most - 1 if self.least is None else self.least
        schema: Schema = {"type": "integer", "minimum": low, "maximum": self.most, "description": self.what}
        if self.strict:
            return schema
        schema["type"] = "number"  # what stands after the point is cut off
        texts: list[Schema] = [{"type": "string", "pattern": "^[-+]?[0-9]+$"}]
        if self.empty is not None:
            texts.append({"type": "null"})
        return {"anyOf": [schema, *texts], "description": self.what}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A truth value."""

    what: str

    def read(self, node: Node, path: Path, reading: Reading) -> bool | None:
        """Return the truth value."""
        if isinstance(node, Scalar) and node.kind is Kind.FLAG:
            return node.text.casefold() in ("true", "yes", "on", "y")
        wrong_type(self.what, "", node, path, reading)
        return None

    def schema(self) -> Schema:
        """Return it as JSON Schema."""
        return {"type": "boolean", "description": self.what}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A duration."""

    strict: bool = True
    """Whether it must be a text: a number is no duration to the older readers."""
    zero: str = ""
    """What a runtime says to zero; empty where zero is taken."""

    def read(self, node: Node, path: Path, reading: Reading) -> timedelta | None:
        """Return the duration."""
        text = text_of(node, strict=self.strict)
        if text is None:
            says = f"Wrong type for key {pointer(path)} not a string" if self.strict else ""
            hint = repr(f"{node.text}ms") if isinstance(node, Scalar) and node.kind is Kind.WHOLE else ""
            reading.report(
                "SF102", node, path, f"{describe(node)} is no duration",
                expected=f"{EXAMPLE}, in quotes if it is digits only" if hint else EXAMPLE,
                did_you_mean=hint, says=says,
            )  # fmt: skip
            return None
        try:
            span = parse_duration(text)
        except ValueError as fault:
            reading.report("SF106", node, path, str(fault), expected=EXAMPLE)
            return None
        if self.zero and not span:
            reading.report("SF107", node, path, f"{text!r} is zero", expected="more than zero", says=self.zero)
            return None
        return span

    def schema(self) -> Schema:
        """Return it as JSON Schema."""
        pattern = (r"^(?!\s*0+\s*[^0-9]*$)" if self.zero else "^") + (
            r"\s*[0-9]+\s*([dD]|[dD][aA][yY][sS]?|[hH]|[hH][oO][uU][rR][sS]?|[mM]|[mM][iI][nN]"
            r"|[mM][iI][nN][uU][tT][eE][sS]?|[sS]|[sS][eE][cC][sS]?|[sS][eE][cC][oO][nN][dD][sS]?"
            r"|[mM][sS]|[mM][iI][lL][lL][iI]([sS]|[sS][eE][cC][oO][nN][dD][sS]?)?"
            r"|[µμ][sS]|[mM][iI][cC][rR][oO]([sS]|[sS][eE][cC][oO][nN][dD][sS]?)?"
            r"|[nN][sS]|[nN][aA][nN][oO]([sS]|[sS][eE][cC][oO][nN][dD][sS]?)?)?\s*$"
        )
        text: Schema = {"type": "string", "pattern": pattern, "description": EXAMPLE}
        number: Schema = {"type": "integer", "minimum": 1 if self.zero else 0}
        return text if self.strict else {"anyOf": [text, number], "description": EXAMPLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]
    fold: bool = False
    """Whether upper and lower case are the same."""
    strict: bool = True
    says: str = ""
    """What a runtime says to another word; <s> stands for it."""
    code: str = "SF104"
    hints: Mapping[str, str] = field(default_factory=dict[str, str])
    """What was meant by words of other versions."""

    @property
    def what(self) -> str:
        """What is expected."""
        return self.words[0] if len(self.words) == 1 else "one of " + ", ".join(self.words)

    def read(self, node: Node, path: Path, reading: Reading) -> str | None:
        """Return the word, as it stands in `words`."""
        what = self.what
        text = text_of(node, strict=self.strict)
        if text is None:
            wrong_type(what, "not a string" if self.strict else "", node, path, reading)
            return None
        word = text.lower() if self.fold else text
        if word in self.words:
            return word
        near = self.hints.get(text) or reading.near(text, self.words)
        near = near if near in self.words else reading.near(text, self.words)
        reading.report(
            self.code, node, path, f"{text!r} is not known here", expected=what,
            did_you_mean=quote(near), says=self.says.replace("<s>", text),
        )  # fmt: skip
        return None

    def schema(self) -> Schema:
        """Return it as JSON Schema."""
        if not self.fold:
            return {"enum": list(self.words)}
        words = ["".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in word) for word in self.words]
        return {"type": "string", "pattern": f"^({'|'.join(words)})$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Items(Generic[T]):
    """A list."""

    of: Shape[T]
    what: str
    least: int = 0
    says: str = ""
    """What a runtime says to a list that is too short."""

    def read(self, node: Node, path: Path, reading: Reading) -> tuple[T, ...] | None:
        """Return the values; None if one of them is faulty."""
        if not isinstance(node, Sequence):
            wrong_type(self.what, "not a list", node, path, reading)
            return None
        if len(node.items) < self.least:
            reading.report("SF124", node, path, "the list is empty", expected=self.what, says=self.says)
            return None
        values = [self.of.read(item, (*path, index), reading) for index, item in enumerate(node.items)]
        good = tuple(value for value in values if value is not None)
        return good if len(good) == len(values) else None

    def schema(self) -> Schema:
        """Return it as JSON Schema."""
        least: Schema = {"minItems": self.least} if self.least else {}
        return {"type": "array", "items": self.of.schema(), **least, "description": self.what}


def text_of(node: Node, *, strict: bool) -> str | None:
    """Return the text of a scalar as a runtime gets it, or None if it gets none."""
    if not isinstance(node, Scalar) or node.kind in (Kind.NULL, Kind.BINARY):
        return None
    return node.text if node.kind is Kind.TEXT or not strict else None


def number_of(node: Node, *, strict: bool) -> int | None:
    """Return the number that a scalar is, or None."""
    if not isinstance(node, Scalar):
        return None
    if node.kind is Kind.WHOLE:
        return whole_number(node.text)
    if not strict and node.kind is Kind.TEXT and re.fullmatch(r"[-+]?[0-9]{1,20}", node.text):
        return int(node.text)
    if not strict and node.kind is Kind.REAL and re.fullmatch(r"[-+]?[0-9]{1,15}\.[0-9]*|[0-9]{1,9}e[0-9]", node.text):
        return int(float(node.text))  # Jackson cuts off what stands after the point
    return None


def _as_read_by(runtime: Runtime, node: Node, number: int | None) -> int | None:
    """Return what a number with a base is to Jackson before 2.12: `0x10` a text, and `010` ten."""
    if number is None or runtime not in _OLD_JACKSON or not isinstance(node, Scalar):
        return number
    digits = node.text.replace("_", "").lstrip("+-")
    if digits[:2] in ("0x", "0b"):
        return None
    return int(node.text.replace("_", "")[:MOST_DIGITS]) if node.kind is Kind.WHOLE else number


def quote(word: str) -> str:
    """Return a word in quotes, and nothing for none."""
    return repr(word) if word else ""


def pointer(path: Path) -> str:
    """Write a path as the JSON pointer that the runtimes print: it begins at the list's item, or at the spec."""
    start = max(index for index, part in enumerate(path) if isinstance(part, int)) + 1
    parts = path[start:]
    if start == 1 and parts[:1] == ("spec",):
        parts = parts[1:]
    if parts[:2] == ("module", "spec"):
        parts = parts[2:]
    return "/" + "/".join(str(part) for part in parts)


def wrong_type(what: str, says: str, node: Node, path: Path, reading: Reading) -> None:
    """Report that something else stands where a value of some kind belongs."""
    hint = ""
    if isinstance(node, Scalar) and node.kind in (Kind.WHOLE, Kind.REAL, Kind.FLAG) and says == "not a string":
        hint = f'"{node.text}", in quotes'
    reading.report(
        "SF102", node, path, f"{describe(node)} stands here", expected=what, did_you_mean=hint,
        says=f"Wrong type for key {pointer(path)} {says}" if says.startswith("not ") else says,
    )  # fmt: skip

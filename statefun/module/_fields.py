"""Mappings of a module.yaml, as shapes: their keys, which of them must be there, and what they make.

Here: `Fields`, a mapping with known keys that makes a part of the model; `Tagged`, which looks at a key `type` first;
`Pairs`, the runtimes' way to write properties. Which mappings there are is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from statefun.findings import Path
from statefun.module._grammar import LONG_MAX, Schema, Shape, number_of, pointer, quote, text_of, wrong_type
from statefun.module._nodes import Entry, Mapping, Node, Scalar, Sequence, describe, shorten
from statefun.module._reading import Reading, Source
from statefun.module._runtimes import RUNTIMES, Runtime

__all__ = ["Field", "Fields", "Pairs", "Record", "Tagged"]

T = TypeVar("T")
V = TypeVar("V")

EVERY = frozenset(RUNTIMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A key of a mapping."""

    name: str
    of: Shape[Any]
    needed: bool = False
    says: str | None = None
    """What a runtime says where it is missing; None: what the strict readers say."""
    runtimes: frozenset[Runtime] = EVERY
    """Those that know the key; to the others it is as unknown as any other key."""
    others: tuple[str, ...] = ()
    """What it is called in other formats."""
    hint: str = ""
    """What to do instead, where no runtime of the format knows it."""


@dataclass(frozen=True, slots=True)
class Record:
    """The values of a mapping that was read without fault."""

    node: Mapping
    path: Path
    reading: Reading
    values: dict[str, object]

    def get(self, name: str, kind: type[V]) -> V:
        """Return a value that must be there."""
        value = self.values[name]
        if not isinstance(value, kind):
            raise TypeError(f"the shape of {name!r} makes no {kind.__name__}")
        return value

    def find(self, name: str, kind: type[V]) -> V | None:
        """Return a value, or None where the key is missing."""
        return self.get(name, kind) if name in self.values else None

    def every(self, name: str, kind: type[V]) -> tuple[V, ...]:
        """Return the values of a list, none where the key is missing."""
        values = cast("tuple[object, ...]", self.values.get(name, ()))  # Items makes tuples only
        return tuple(value for value in values if isinstance(value, kind))

    def pairs(self, name: str) -> dict[str, str]:
        """Return properties, none where the key is missing."""
        return cast("dict[str, str]", self.values.get(name, {}))  # Pairs makes nothing else

    def source(self) -> Source:
        """Return where it stands."""
        return self.reading.source(self.node, self.path)

    def report(self, code: str, name: str, problem: str, **more: str) -> None:
        """Report a fault of the value of a key, or of the mapping where the key is missing."""
        below = self.node.get(name)
        if below is None:
            self.reading.report(code, self.node, self.path, problem, **more)
        else:
            self.reading.report(code, below, (*self.path, name), problem, **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields(Generic[T]):
    """A mapping with known keys."""

    what: str
    """What it is: "a topic"."""
    fields: tuple[Field, ...]
    make: Callable[[Record], T]
    """Makes the value; it may report faults that concern more than one key."""
    tag: str | None = None
    """A key that was read already, by `Tagged`."""

    def read(self, node: Node, path: Path, reading: Reading) -> T | None:
        """Return what `make` makes of the mapping."""
        if not isinstance(node, Mapping):
            needed = [field.name for field in self.fields if field.needed and field.says is None]
            says = f"missing key {pointer((*path, needed[0]))}" if needed else ""
            wrong_type(f"a mapping: {self.what}", says, node, path, reading)
            return None
        known = {field.name: field for field in self.fields if reading.runtime in field.runtimes}
        values: dict[str, object] = {}
        faulty = False
        for name, entry in node.entries.items():
            field = known.get(name)
            if field is None:
                if name != self.tag:
                    self._unknown(entry, path, known, reading)
                continue
            value = field.of.read(entry.value, (*path, name), reading)
            faulty = faulty or value is None
            values[name] = value
        missing = [field for field in known.values() if field.needed and field.name not in values]
        for field in missing:
            self._missing(field, node, path, reading)
        return None if faulty or missing else self.make(Record(node, path, reading, values))

    def _unknown(self, entry: Entry, path: Path, known: dict[str, Field], reading: Reading) -> None:
        name = entry.key.text
        others = [field for field in self.fields if field.name == name]
        at = (*path, name)
        if others:
            readers = ", ".join(runtime for runtime in RUNTIMES if runtime in others[0].runtimes)
            problem = f"{reading.name} does not know the key {name!r} of {self.what} and ignores it"
            expected = others[0].hint or f"the key is known to {readers}"
            reading.report("SF122", entry.key, at, problem, expected=expected)
            return
        near = quote(reading.near(name, known))
        reading.report("SF103", entry.key, at, f"{self.what} has no key {name!r}: it is ignored", did_you_mean=near)

    def _missing(self, field: Field, node: Mapping, path: Path, reading: Reading) -> None:
        known = {other.name for other in self.fields}
        near = next((name for name in field.others if name in node.entries), "")
        near = near or reading.near(field.name, (name for name in node.entries if name not in known))
        says = f"missing key {pointer((*path, field.name))}" if field.says is None else field.says
        what = getattr(field.of, "what", "")
        reading.report(
            "SF101", node, path, f"{self.what} without {field.name!r}", text="", expected=what,
            did_you_mean=f"{near!r} in line {node.entries[near].key.line}" if near else "", says=says,
        )  # fmt: skip

    def schema(self) -> Schema:
        """Return it as JSON Schema."""
        properties = {field.name: field.of.schema() for field in self.fields if field.runtimes}
        needed = [field.name for field in self.fields if field.needed]
        schema: Schema = {"type": "object", "title": self.what, "properties": properties}
        return {**schema, "required": needed} if needed else schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged(Generic[T]):
    """A mapping whose other keys depend on the word under one key, `type` mostly."""

    what: str
    cases: dict[str, Fields[T]]
    key: str = "type"
    fold: bool = False
    strict: bool = True
    default: str | None = None
    """The word that counts where the key is missing; None: it must be there."""
    says: str = ""
    """What a runtime says to another word; <s> stands for it."""

    def read(self, node: Node, path: Path, reading: Reading) -> T | None:
        """Return what the case makes of it."""
        if not isinstance(node, Mapping):
            says = f"missing key {pointer((*path, self.key))}" if self.strict and self.default is None else ""
            wrong_type(f"a mapping: {self.what}", says, node, path, reading)
            return None
        case = self._case(node, path, reading)
        return None if case is None else case.read(node, path, reading)

    def _case(self, node: Mapping, path: Path, reading: Reading) -> Fields[T] | None:
        what = f"one of {', '.join(self.cases)}"
        tag = node.get(self.key)
        if tag is None and self.default is not None:
            return self.cases[self.default]
        if tag is None:
            says = f"missing key {pointer((*path, self.key))}" if self.strict else "NullPointerException"
            problem = f"{self.what} without {self.key!r}"
            reading.report("SF101", node, path, problem, text="", expected=what, says=says)
            return None
        word = text_of(tag, strict=self.strict)
        at = (*path, self.key)
        if word is None:
            wrong_type(what, "not a string" if self.strict else "", tag, at, reading)
            return None
        case = self.cases.get(word.lower() if self.fold else word)
        if case is None:
            reading.report(
                "SF104", tag, at, f"{word!r} is not known here", expected=what,
                did_you_mean=quote(reading.near(word, self.cases)), says=self.says.replace("<s>", word),
            )  # fmt: skip
        return case

    def schema(self) -> Schema:
        """Return it as JSON Schema."""
        tests: list[Schema] = []
        for word, case in self.cases.items():
            schema = case.schema()
            needed = [] if word == self.default else [self.key]
            required = [*needed, *cast("list[str]", schema.get("required", []))]  # Fields.schema made it
            tag = _word(word, fold=self.fold)
            tests.append({**schema, "properties": {**properties_of(schema), self.key: tag}, "required": required})
        return {"description": self.what, "anyOf": tests}


def properties_of(schema: Schema) -> Schema:
    """Return the properties of the schema of a mapping."""
    return cast("Schema", schema["properties"])  # Fields.schema made it


def _word(word: str, *, fold: bool) -> Schema:
    if not fold:
        return {"const": word}
    return {"type": "string", "pattern": "^" + "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in word) + "$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Properties as the runtimes write them: a list of mappings with one key each."""

    what: str = 'a list of mappings with one key each: "- max.poll.records: 500"'
    whole: bool = False
    """Whether the values are numbers of 64 bits, and must be."""
    strict: bool = True

    def read(self, node: Node, path: Path, reading: Reading) -> dict[str, str] | None:
        """Return the properties as texts; of a key that stands twice, the last one."""
        if not isinstance(node, Sequence):
            wrong_type(self.what, "not a key-value list", node, path, reading)
            return None
        pairs: dict[str, str] = {}
        faulty = False
        for index, item in enumerate(node.items):
            at = (*path, index)
            if not isinstance(item, Mapping) or not item.entries:
                problem = f"{describe(item)} stands here"
                reading.report(
                    "SF115", item, at, problem, expected="a mapping with one key",
                    says=f"Wrong type for key {pointer(path)} not a key-value list" if self.strict else "",
                )  # fmt: skip
                faulty = True
                continue
            first, *rest = item.entries.values()
            for entry in rest:
                problem = f"only the first key of a mapping is read here: {entry.key.text!r} is ignored"
                reading.report("SF123", entry.key, (*at, entry.key.text), problem, expected="a list item of its own")
            faulty = not self._pair(first, at, pairs, reading) or faulty
        return None if faulty else pairs

    def _pair(self, entry: Entry, at: Path, pairs: dict[str, str], reading: Reading) -> bool:
        value, path = entry.value, (*at, entry.key.text)
        number = number_of(value, strict=self.strict) if self.whole else None
        if self.whole and number is None:
            says = f"value for key-value pair at {entry.key.text} is not a long" if self.strict else ""
            problem = f"{describe(value)} stands here"
            reading.report("SF102", value, path, problem, expected="a whole number", says=says)
            return False
        if number is not None and not -LONG_MAX <= number <= LONG_MAX:
            problem = f"{shorten(str(number))} does not fit into 64 bits"
            reading.report("SF107", value, path, problem, expected="a whole number")
            return False
        if not isinstance(value, Scalar):
            problem = f"{describe(value)} becomes an empty text here"
            reading.report("SF123", value, path, problem, expected="a text or a number")
        text = value.text if isinstance(value, Scalar) else ""
        pairs[entry.key.text] = text if number is None else str(number)
        return True

    def schema(self) -> Schema:
        """Return it as JSON Schema."""
        item: Schema = {"type": "object", "minProperties": 1}
        if self.whole and self.strict:
            item["additionalProperties"] = {"type": "integer", "minimum": 0}
        return {"type": "array", "items": item, "description": self.what}

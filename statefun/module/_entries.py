"""Items of the lists of formats 1.0 to 3.0: `{ingress: {meta: {type, id}, spec: ...}}`.

Here: that nesting, once; the kind in `meta` says what the spec is. Which lists there are is in `_legacy`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

from statefun.findings import Path
from statefun.module._dialect import Dialect, to_pattern
from statefun.module._fields import Field, Fields, Record, properties_of
from statefun.module._grammar import Choice, Schema, Text, quote, wrong_type
from statefun.module._nodes import Entry, Kind, Mapping, Node, Scalar
from statefun.module._reading import Reading, Source

__all__ = ["FunctionEntry", "NamedEntry", "PlainEntry"]

_NAMES = {
    "kafka ingress": (
        "statefun.kafka.io/routable-protobuf-ingress", "io.statefun.kafka/ingress", "io.statefun.kafka.v1/ingress",
    ),
    "kafka egress": ("statefun.kafka.io/generic-egress", "io.statefun.kafka/egress", "io.statefun.kafka.v1/egress"),
    "kinesis ingress": (
        "statefun.kinesis.io/routable-protobuf-ingress", "io.statefun.kinesis/ingress",
        "io.statefun.kinesis.v1/ingress",
    ),
    "kinesis egress": (
        "statefun.kinesis.io/generic-egress", "io.statefun.kinesis/egress", "io.statefun.kinesis.v1/egress",
    ),
}  # fmt: skip
"""What the kinds are called in 2.x, in 3.0 and in components."""


class _Entry(ABC):
    """An item of a list."""

    kind_key = "type"
    fold = False

    def __init__(self, how: Dialect, word: str, kinds: dict[str, Fields[Any]]) -> None:
        self.what = f"a mapping with the key {word!r}"
        self._how = how
        self._word = word
        self._kinds = kinds
        self._meta = Fields(what=f"the meta of the {word}", fields=self._meta_fields(), make=lambda record: record)

    @abstractmethod
    def _meta_fields(self) -> tuple[Field, ...]:
        """Return the keys of `meta`."""

    @abstractmethod
    def _named(self, part: Any, meta: Record, source: Source) -> Any:
        """Return the part with what `meta` says of it."""

    def _kind(self) -> Field:
        index = {"1.0": 0, "2.0": 0, "3.0": 1, "components": 2}[self._how.format]
        hints = {name: names[index] for names in _NAMES.values() for name in names}
        words = Choice(words=tuple(self._kinds), fold=self.fold, code="SF108", hints=hints)
        return Field(name=self.kind_key, of=words, needed=True)

    def read(self, node: Node, path: Path, reading: Reading) -> Any:
        """Return the part of the model that the item describes."""
        if not isinstance(node, Mapping):
            wrong_type(self.what, "", node, path, reading)
            return None
        body, at = node.get(self._word), (*path, self._word)
        if not isinstance(body, Mapping):
            self._no_body(node, body, path, reading)
            return None
        _others(node, (self._word,), f"an item with {self._word!r}", path, reading)
        _others(body, ("meta", "spec"), f"the {self._word}", at, reading)
        meta = self._below(body, "meta", at, reading)
        spec = self._below(body, "spec", at, reading)
        read = None if meta is None else self._meta.read(meta, (*at, "meta"), reading)
        kind = self._kind_of(meta)
        if spec is None or kind is None:
            return None
        part = self._kinds[kind].read(spec, (*at, "spec"), reading)
        return None if part is None or read is None else self._named(part, read, reading.source(body, at))

    def _kind_of(self, meta: Node | None) -> str | None:
        """Return the kind, though another key of `meta` may be faulty: the spec is read all the same."""
        node = meta.get(self.kind_key) if isinstance(meta, Mapping) else None
        if not isinstance(node, Scalar):
            return None
        kind = node.text.lower() if self.fold else node.text
        return kind if kind in self._kinds and node.kind is Kind.TEXT else None

    def _below(self, body: Mapping, key: str, path: Path, reading: Reading) -> Node | None:
        node = body.get(key)
        if node is None:
            near = reading.near(key, (name for name in body.entries if name not in ("meta", "spec")))
            pointer = f"/{self._word}/{'meta/' + self.kind_key if key == 'meta' else 'spec'}"
            reading.report(
                "SF101", body, path, f"the {self._word} without {key!r}", text="", says=f"missing key {pointer}",
                did_you_mean=f"{near!r} in line {body.entries[near].key.line}" if near else "",
            )  # fmt: skip
        return node

    def _no_body(self, node: Mapping, body: Node | None, path: Path, reading: Reading) -> None:
        says = f"missing key /{self._word}/meta/{self.kind_key}"
        beside = [name for name in ("meta", "spec") if name in node.entries]
        hint = f"indent {' and '.join(map(repr, beside))} under {self._word!r}" if beside else ""
        if body is not None and not hint:
            wrong_type("a mapping with meta and spec", "", body, (*path, self._word), reading)
            return
        if not hint:
            near = reading.near(self._word, node.entries)
            hint = f"{near!r} in line {node.entries[near].key.line}" if near else ""
        problem = f"an item without anything under {self._word!r}"
        reading.report("SF101", node, path, problem, text="", expected=self.what, did_you_mean=hint, says=says)

    def schema(self) -> Schema:
        """Return it as JSON Schema."""
        cases: list[Schema] = []
        for kind, shape in self._kinds.items():
            word: Schema = {"const": kind}
            if self.fold:
                word = {"type": "string", "pattern": "^" + "".join(f"[{c}{c.upper()}]" for c in kind) + "$"}
            meta = self._meta.schema()
            meta["properties"] = {**properties_of(meta), self.kind_key: word}
            body: Schema = {
                "type": "object", "properties": {"meta": meta, "spec": shape.schema()}, "required": ["meta", "spec"],
            }  # fmt: skip
            cases.append(body)
        return {"type": "object", "properties": {self._word: {"anyOf": cases}}, "required": [self._word]}


class PlainEntry(_Entry):
    """An endpoint: its meta has a kind, and no name."""

    kind_key = "kind"

    def __init__(self, how: Dialect, word: str, kinds: dict[str, Fields[Any]]) -> None:
        self.fold = how.fold
        super().__init__(how, word, kinds)

    def _meta_fields(self) -> tuple[Field, ...]:
        return (self._kind(),)

    def _named(self, part: Any, meta: Record, source: Source) -> Any:  # noqa: ARG002 -- it has no name
        return replace(part, source=source)


class NamedEntry(_Entry):
    """An ingress or an egress: its meta has a type and an id."""

    def _meta_fields(self) -> tuple[Field, ...]:
        name = self._how.name(f"the name of the {self._word}", "shop.io/orders", strict=True)
        return (self._kind(), Field(name="id", of=name, needed=True))

    def _named(self, part: Any, meta: Record, source: Source) -> Any:
        return replace(part, id=meta.get("id", str), source=source)


class FunctionEntry(_Entry):
    """A function: its meta has a kind, and its name as the type."""

    kind_key = "kind"
    fold = True

    def _meta_fields(self) -> tuple[Field, ...]:
        name = Text(
            what='the name of the function: "<namespace>/<name>", e.g. "shop/cart"',
            check=self._how.name("", "").check,
            pattern="^.+/[^/]+$",
            says="<s> does not conform to the <namespace>/<name> format",
        )
        return (self._kind(), Field(name="type", of=name, needed=True))

    def _named(self, part: Any, meta: Record, source: Source) -> Any:
        return replace(part, pattern=to_pattern(meta.get("type", str)), source=source)


def _others(node: Mapping, known: tuple[str, ...], what: str, path: Path, reading: Reading) -> None:
    for name, entry in node.entries.items():
        if name not in known:
            _ignored(entry, known, what, path, reading)


def _ignored(entry: Entry, known: tuple[str, ...], what: str, path: Path, reading: Reading) -> None:
    name = entry.key.text
    near = quote(reading.near(name, known))
    reading.report("SF103", entry.key, (*path, name), f"{what} has no key {name!r}: it is ignored", did_you_mean=near)

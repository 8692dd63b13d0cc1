"""Bytes become nodes: the only place that imports yaml.

Here: libyaml's events (or PyYAML's own, where libyaml is missing) made into nodes, within bounds of size, depth and
count, so that no file of any kind takes long or much. Nothing is constructed from a tag, and an alias is never
followed: Jackson reads `*name` as the text "name", so it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from statefun.findings import Path
from statefun.module._nodes import Entry, Kind, Mapping, Node, Scalar, Sequence, resolve

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "Fault", "parse"]

MAX_BYTES = 10 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 250_000
"""Four times what a file of 40,000 lines holds; it bounds the memory of the worst one."""
MAX_FAULTS = 1_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Only its parser is used: the events of libyaml, where PyYAML was built with it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the YAML itself; line and column count from 1."""

    code: str
    line: int
    column: int
    path: Path
    problem: str
    text: str = ""


@dataclass(slots=True)
class _Frame:
    """A mapping or a sequence that is not yet closed."""

    node: Mapping | Sequence
    key: Scalar | None = None
    """The key whose value comes next."""
    name: str = ""
    """The key whose value came last, or comes next."""
    seen: dict[str, int] = field(default_factory=dict[str, int])
    """The line of each key so far."""


class _TooMuch(Exception):
    """The file is beyond a bound."""


def parse(data: bytes) -> tuple[list[Node | None], list[Fault]]:
    """Return the documents of a file, None for an empty one, and all that is wrong with the YAML itself.

    No document is returned where reading had to stop.
    """
    text = _decode(data)
    if isinstance(text, Fault):
        return [], [text]
    builder = _Builder()
    try:
        loader = _LOADER(text)  # which checks the text for characters that YAML does not allow
        while loader.check_event():
            builder.feed(loader.get_event())
    except _TooMuch:
        return [], builder.faults
    except yaml.YAMLError as fault:
        return [], [*builder.faults, _fault_of(fault, text)]
    return builder.documents, builder.faults


def _decode(data: bytes) -> str | Fault:
    if len(data) > MAX_BYTES:
        return Fault("SF002", 0, 0, (), f"the file holds more than {MAX_BYTES:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        column = fault.start - data.rfind(b"\n", 0, fault.start)
        wrong = data[fault.start : fault.start + 1].hex().upper()
        return Fault("SF003", line, column, (), f"the byte 0x{wrong} is not UTF-8")


def _fault_of(fault: yaml.YAMLError, text: str) -> Fault:
    if isinstance(fault, yaml.MarkedYAMLError):
        mark = fault.problem_mark or fault.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        problem = ", ".join(str(part) for part in (fault.context, fault.problem) if part)
        if mark and text[mark.index : mark.index + 1] == "\t":
            problem = "a tab where YAML takes spaces only"
        return Fault("SF004", line, column, (), f"this is not YAML: {problem}")
    position = getattr(fault, "position", 0)  # a ReaderError: a character that YAML does not allow
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return Fault("SF004", line, column, (), "this is not YAML: it holds a character that YAML does not allow")


class _Builder:
    """Takes the events one by one."""

    def __init__(self) -> None:
        self.documents: list[Node | None] = []
        self.faults: list[Fault] = []
        self._stack: list[_Frame] = []
        self._count = 0
        self._skipping = 0  # depth of a key that is a list or a mapping: reported, and left out
        self._feeds: dict[type[yaml.Event], Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._mapping,
            yaml.SequenceStartEvent: self._sequence,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
        }

    def feed(self, event: yaml.Event) -> None:
        """Take the next event."""
        handle = self._feeds.get(type(event))
        if handle is not None:
            handle(event)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        mark: Any = event.start_mark
        kind = resolve(event.value, plain=event.implicit[0], tag=event.tag)
        node = Scalar(mark.line + 1, mark.column + 1, event.value, kind)
        if event.anchor is not None:
            self._anchor(event)
        frame = self._stack[-1] if self._stack else None
        if not self._skipping and frame is not None and frame.key is None and isinstance(frame.node, Mapping):
            self._key(frame, node, plain=event.implicit[0])
        else:
            self._add(node)

    def _key(self, frame: _Frame, key: Scalar, *, plain: bool) -> None:
        frame.key, frame.name = key, key.text
        if plain and key.text == "<<":
            self._fault("SF008", key, "the merge key '<<' merges nothing: the runtimes read it as a key of that name")
        elif key.text in frame.seen:
            self._fault(
                "SF010", key,
                f"the key {key.text!r} stands here a second time, after line {frame.seen[key.text]}: the last is read",
            )  # fmt: skip
        frame.seen[key.text] = key.line

    def _mapping(self, event: yaml.MappingStartEvent) -> None:
        mark: Any = event.start_mark
        self._open(event, Mapping(mark.line + 1, mark.column + 1, {}))

    def _sequence(self, event: yaml.SequenceStartEvent) -> None:
        mark: Any = event.start_mark
        self._open(event, Sequence(mark.line + 1, mark.column + 1, []))

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, node: Mapping | Sequence) -> None:
        if event.anchor is not None:
            self._anchor(event)
        frame = self._stack[-1] if self._stack else None
        if len(self._stack) + self._skipping >= MAX_DEPTH:
            self._fault("SF005", node, f"nested more than {MAX_DEPTH} deep")
            raise _TooMuch
        if self._skipping:
            self._skipping += 1
        elif frame is not None and frame.key is None and isinstance(frame.node, Mapping):
            self._fault("SF009", node, "a list or a mapping cannot be a key")
            self._skipping = 1
        else:
            self._add(node)
            self._stack.append(_Frame(node))

    def _close(self, event: yaml.Event) -> None:
        if self._skipping:
            self._skipping -= 1
            if not self._skipping:  # its value is left out, too
                mark: Any = event.start_mark
                self._stack[-1].name = "?"
                self._stack[-1].key = Scalar(mark.line + 1, mark.column + 1, "?", Kind.BINARY)
        else:
            self._stack.pop()

    def _alias(self, event: yaml.AliasEvent) -> None:
        mark: Any = event.start_mark
        node = Scalar(mark.line + 1, mark.column + 1, f"*{event.anchor}", Kind.TEXT)
        problem = f"the alias *{event.anchor} stands for nothing: the runtimes read it as the text {event.anchor!r}"
        frame = self._stack[-1] if self._stack else None
        if not self._skipping and frame is not None and frame.key is None and isinstance(frame.node, Mapping):
            frame.key, frame.name = node, node.text
            self._fault("SF007", node, problem)
        else:
            self._fault("SF007", node, problem)
            self._add(node)

    def _anchor(self, event: yaml.ScalarEvent | yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        mark: Any = event.start_mark
        place = Scalar(mark.line + 1, mark.column + 1, f"&{event.anchor}", Kind.TEXT)
        self._fault("SF007", place, f"the anchor &{event.anchor} names nothing: no runtime follows an alias to it")

    def _add(self, node: Node) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            self._fault("SF006", node, f"more than {MAX_NODES:,} values")
            raise _TooMuch
        if self._skipping:
            return
        if not self._stack:
            empty = isinstance(node, Scalar) and node.kind is Kind.NULL
            self.documents.append(None if empty else node)
            return
        frame = self._stack[-1]
        if isinstance(frame.node, Sequence):
            frame.node.items.append(node)
            return
        key, frame.key = frame.key, None
        if key is not None and key.kind is not Kind.BINARY:
            frame.node.entries[key.text] = Entry(key, node)

    def _fault(self, code: str, node: Node, problem: str) -> None:
        text = node.text if isinstance(node, Scalar) else ""
        self.faults.append(Fault(code, node.line, node.column, tuple(self._path()), problem, text))
        if len(self.faults) == MAX_FAULTS:
            raise _TooMuch

    def _path(self) -> Iterator[str | int]:
        yield len(self.documents) - bool(self._stack)
        for frame in self._stack:
            if isinstance(frame.node, Sequence):
                yield len(frame.node.items) - (frame is not self._stack[-1])
            elif frame.key is not None or frame is not self._stack[-1]:
                yield frame.name

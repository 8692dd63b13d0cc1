"""What Kafka topics and Kinesis streams have in common: the type of their records and where these go.

Here: one entry under `topics` or `streams`, and the date at which a fresh start begins.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from statefun.findings import Path
from statefun.module._dialect import Dialect
from statefun.module._fields import Field, Fields, Record
from statefun.module._grammar import Items, Schema, Shape, Text, text_of, wrong_type
from statefun.module._model import InvalidRecords, Topic
from statefun.module._nodes import Node, Sequence, describe
from statefun.module._reading import Reading

__all__ = ["Targets", "start_date", "topics_of", "topics_shape"]

DATE = 'a date like "2024-05-01 00:00:00.000 +0000" (yyyy-MM-dd HH:mm:ss.SSS Z)'
DATE_SAYS = (
    "Unable to parse date string for startup position: <s>; the date should conform to the pattern "
    "yyyy-MM-dd HH:mm:ss.SSS Z"
)
_DATE = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]) ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3} "
    r"[+-]((0[0-9]|1[0-7])[0-5][0-9]|1800)",
)


class Targets:
    """A list of names; the older readers leave out what is no text, without a word."""

    def __init__(self, how: Dialect) -> None:
        self.what = 'a list of functions: ["shop/cart"]'
        self._names = how.name("a function", "shop/cart")
        self._drops = how.strict

    def read(self, node: Node, path: Path, reading: Reading) -> tuple[str, ...] | None:
        """Return the names."""
        if not isinstance(node, Sequence):
            wrong_type(self.what, "not a list" if self._drops else "", node, path, reading)
            return None
        names: list[str] = []
        faulty = False
        for index, item in enumerate(node.items):
            at = (*path, index)
            if self._drops and text_of(item, strict=True) is None:
                problem = f"{describe(item)} is no text: it is left out without a word"
                reading.report("SF123", item, at, problem, expected=self._names.what)
                continue
            name = self._names.read(item, at, reading)
            if name is None:
                faulty = True
            else:
                names.append(name)
        if not names and not faulty:
            reading.report("SF126", node, path, "no target: every record is read and dropped", expected=self.what)
        return None if faulty else tuple(names)

    def schema(self) -> Schema:
        """Return it as JSON Schema."""
        item = {} if self._drops else self._names.schema()
        if self._drops:
            item = {"anyOf": [self._names.schema(), {"not": {"type": "string"}}]}
        return {"type": "array", "items": item, "description": self.what}


def topics_shape(how: Dialect, word: str, product: str, more: tuple[Field, ...] = ()) -> Shape[tuple[Topic, ...]]:
    """Return the shape of `topics` or `streams`; `word` is the key of the name."""
    says = None if how.strict else "NullPointerException"
    value_type = Text(what=_type_what(how), check=_bad_type)
    topic = Fields(
        what=f"a {word}",
        fields=(
            Field(name=word, of=how.text(f"the name of the {word}"), needed=True, says=says),
            Field(name=how.type_key, of=value_type, needed=True, says=says, others=("typeUrl", "valueType")),
            # 2.x and 3.0 take a missing list for an empty one
            Field(name="targets", of=Targets(how), needed=not how.strict, says=says),
            *more,
        ),
        make=_make(how, word),
    )
    what = f"a list of {word}s with {word}, {how.type_key} and targets"
    empty = f"Routing config for routable {product} ingress cannot be empty."
    return Items(of=topic, what=what, least=1, says=empty)


def topics_of(record: Record, key: str, word: str) -> tuple[Topic, ...]:
    """Return the topics of an ingress; of two of one name, the last one, as the runtimes read it."""
    topics: dict[str, Topic] = {}
    for topic in record.every(key, Topic):
        if topic.name in topics:
            line = topics[topic.name].source.place(word)[0]
            place, path = topic.source.node, topic.source.path
            problem = f"the {word} {topic.name!r} stands here a second time, after line {line}: the last one is read"
            record.reading.report("SF127", place, path, problem, text=topic.name)
        topics[topic.name] = topic
    return tuple(topics.values())


def start_date(*, strict: bool) -> Text:
    """Return the shape of the date at which a fresh start begins."""
    return Text(what=DATE, strict=strict, check=_bad_date, pattern=f"^{_DATE.pattern}$", code="SF111", says=DATE_SAYS)


def _make(how: Dialect, word: str) -> Callable[[Record], Topic]:
    def make(record: Record) -> Topic:
        if "targets" not in record.values:
            record.report("SF126", "", f"a {word} without 'targets': every record is read and dropped", text="")
        return Topic(
            name=record.get(word, str),
            type=record.get(how.type_key, str),
            targets=record.every("targets", str),
            forward_headers=record.find("forwardHeaders", bool),
            invalid_records=record.find("invalidRecordHandling", InvalidRecords),
            source=record.source(),
        )

    return make


def _type_what(how: Dialect) -> str:
    example = "type.googleapis.com/shop.Order" if how.type_key == "typeUrl" else "shop.types/Order"
    return f'the typename that every record gets, e.g. "{example}"'


def _bad_type(text: str) -> str:
    return "" if text else "the type is empty"


def _bad_date(text: str) -> str:
    return "" if _DATE.fullmatch(text) else f"{text!r} is no date that the runtimes can read"

"""One line, one record: the schema of JSONL files, in and out.

Here: a line into a message, a record into a line. A line of ours is an object with

    id       the id of the address (text)
    type     the typename of the value, or its short name; not needed where the ingress says it
    value    the value as JSON; or base64: its bytes
    time     when it happened: ISO 8601, or milliseconds since 1970; for --clock records
    key, headers    kept by those that have them (Kafka); read past by the others

A foreign line is mapped by `RecordFields`: which of its fields are the id, the type and the time.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from json.scanner import make_scanner
from typing import cast

from google.protobuf.message import DecodeError

from statefun._primitives import VARINTS
from statefun.errors import ConfigError
from statefun.module._model import RecordFields
from statefun.runtime._json_text import dump, quoted
from statefun.runtime._plans import Wire, value_prefix
from statefun.runtime._requests import argument
from statefun.runtime._store import RecordRow
from statefun.runtime._values import Json, ValueProblem, Values, brief

__all__ = ["BadLine", "LineReader", "LineWriter"]


Make = Callable[[Json], bytes]
"""Makes the encoded argument of a value. Raises ValueProblem."""
Write = Callable[[bytes], str]
"""Writes the bytes of a record as a line, without its newline."""
_KAFKA_SHAPE = {"topic", "value"}
_scan = make_scanner(cast("make_scanner", json.JSONDecoder()))  # what `json.loads` calls in the end; its stub is wrong


class BadLine(ConfigError, ValueError):
    """A line of a JSONL file is no record."""


OURS = RecordFields(id="id", type="type", time="time", value="value")


class LineReader:
    """Makes messages of lines: (id, encoded argument, time)."""

    def __init__(self, values: Values, wire: Wire, *, type: str | None, fields: RecordFields | None) -> None:
        self._values = values
        self._wire: Wire = wire
        self._type = None if type is None else values.resolve(type)
        self._fields = fields
        self._makers: dict[str, Make] = {}
        self._make = None if self._type is None else self._maker(self._type)

    def read(self, line: bytes) -> tuple[str, bytes, int | None]:
        """Read one line. Raises BadLine."""
        try:
            text = line.decode()
            record, end = _scan(text, 0)
            if end != len(text):
                record = _loads(line)
        except (ValueError, StopIteration):
            record = _loads(line)
        if not isinstance(record, dict):
            raise BadLine(f"it is {json.dumps(record)[:40]}, and must be an object")
        mapping = cast("dict[str, Json]", record)
        try:
            return self._read(mapping) if self._fields is None else self._read_foreign(mapping, self._fields)
        except ValueProblem as error:
            raise BadLine(str(error)) from error

    def _read(self, record: dict[str, Json]) -> tuple[str, bytes, int | None]:
        """Read a line of ours, which nearly all are: what is below, without the paths."""
        make = self._make
        if make is not None and len(record) == 2:  # noqa: PLR2004 -- an id and a value, so nothing to ask for but them
            try:
                id, value = record["id"], record["value"]
            except KeyError:
                return self._read_foreign(record, OURS)
            if isinstance(id, str):
                return id, make(value), None
        id, named, time = record.get("id"), record.get("type"), record.get("time")
        if not isinstance(id, str) or "base64" in record or not (named is None or isinstance(named, str)):
            return self._read_foreign(record, OURS)
        if named is not None:
            make = self._makers.get(named) or self._maker(self._values.resolve(named), named)
        if make is None:
            return self._read_foreign(record, OURS)
        return id, make(record.get("value")), None if time is None else _time(time, OURS)

    def _maker(self, typename: str, named: str | None = None) -> Make:
        """Return what makes an encoded argument of a value: what a typename leads to is looked up once."""
        values, wire = self._values, self._wire
        fast, prefix = values.fast_encoder(typename), value_prefix(typename, wire)

        def make(value: Json) -> bytes:
            data = fast(value)
            if not data:
                return argument(typename, values.encode(typename, value), wire)
            return prefix + VARINTS[len(data)] + data

        if named is not None:
            self._makers[named] = make
        return make

    def _read_foreign(self, record: dict[str, Json], fields: RecordFields) -> tuple[str, bytes, int | None]:
        id = _at(record, fields.id)
        if id.__class__ is int:
            id = str(id)
        if not isinstance(id, str):
            raise BadLine(f"its {fields.id!r} is to be the id, and is {json.dumps(id)}")
        named = _at(record, fields.type) if fields.type else None
        typename = self._values.resolve(named) if isinstance(named, str) else self._type
        if typename is None:
            raise BadLine(f"it does not say its type: give {fields.type or 'type'!r}, or the type of all lines")
        time = _time(_at(record, fields.time), fields) if fields.time else None
        if fields.value == "value" and "base64" in record:
            data = _base64(record["base64"])
        else:
            value = record if fields.value is None else _at(record, fields.value)
            data = self._values.encode(typename, value)
        return id, argument(typename, data, self._wire), time


class LineWriter:
    """Makes lines of records."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._writers: dict[tuple[str, str], Write] = {}

    def lines(self, rows: Sequence[RecordRow]) -> bytes:
        """Write records, a line each."""
        writers = self._writers
        lines: list[str] = []
        for _, egress, typename, value in rows:
            write = writers.get((egress, typename)) or self._writer(egress, typename)
            try:
                lines.append(write(value))
            except (ValueError, DecodeError):  # it is shown as well as it can be
                lines.append(self._line(egress, typename, value))
        lines.append("")
        return "\n".join(lines).encode()

    def _writer(self, egress: str, typename: str) -> Write:
        """Return what writes most records of a kind, and raises for the others."""
        write = self._values.kafka_writer(typename, egress) or self._message_writer(typename)
        made = self._writers[egress, typename] = write or functools.partial(self._line, egress, typename)
        return made

    def _message_writer(self, typename: str) -> Write | None:
        cls = self._values.own_message(typename)
        if cls is None or {field.json_name for field in cls.DESCRIPTOR.fields} >= _KAFKA_SHAPE:
            return None
        head, write = f'{{"type":{quoted(brief(typename))},"value":', self._values.message_writer(cls)
        return lambda data: f"{head}{write(data)}}}"

    def _line(self, egress: str, typename: str, data: bytes) -> str:
        """Write any record."""
        value = self._values.decode(typename, data, egress)
        line: dict[str, Json] = {"type": brief(typename), "value": value}
        if isinstance(value, dict):
            shown = cast("dict[str, Json]", value)
            line = shown if shown.keys() >= _KAFKA_SHAPE else line  # a Kafka record: topic, key, headers, value
        return dump(line)


def _loads(line: bytes) -> Json:
    try:
        return cast("Json", json.loads(line))
    except ValueError as error:
        raise BadLine(f"it is no JSON: {error}") from error


def _base64(text: Json) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError as error:
        raise BadLine(f"its 'base64' is none: {error}") from error


def _at(record: dict[str, Json], path: str) -> Json:
    found = cast("Json", record)
    for name in path.split("."):
        found = cast("dict[str, Json]", found).get(name) if isinstance(found, dict) else None
    return found


def _time(value: Json, fields: RecordFields) -> int | None:
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value * 1_000) if fields.time_unit == "seconds" else int(value)
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            raise BadLine(f"its {fields.time!r} is no time: {value!r}") from None
        at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
        return int(at.timestamp() * 1_000)
    raise BadLine(f"its {fields.time!r} is no time: {json.dumps(value)}")

"""The kinds of the embedded runtime, `io.statefun.embedded.v1/...`: files, standard input and output, HTTP.

Here: their keys, as docs/reference/module.md describes them. What the runtime does with them is its own.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, cast

from statefun.module._dialect import Dialect
from statefun.module._fields import Field, Fields, Record
from statefun.module._grammar import Choice, Flag, Items, Span, Text, Whole
from statefun.module._model import HttpIngress, JsonlEgress, JsonlIngress, KeptEgress, RecordFields, StdoutEgress

__all__ = ["http_ingress", "jsonl_egress", "jsonl_ingress", "kept_egress", "stdin_ingress", "stdout_egress"]

PATH = Text(what="the path of a file, relative to the module.yaml", check=lambda text: "" if text else "an empty path")
FIELD = Text(what="the name of a field; a dot goes one level down", check=lambda text: "" if text else "an empty name")


def http_ingress(how: Dialect) -> Fields[HttpIngress]:
    """Return the shape of the ingress that takes `POST /<namespace>/<name>/<id>`."""
    return Fields(
        what="an HTTP ingress",
        fields=(
            _id(how, "ingress"),
            Field(name="host", of=Text(what="the address to listen on, 127.0.0.1 if not said")),
            Field(name="port", of=Whole(what="a port number", least=0, most=65535)),
        ),
        make=lambda record: HttpIngress(
            id=record.get("id", str),
            host=record.find("host", str) or "127.0.0.1",
            port=record.find("port", int),
            source=record.source(),
        ),
    )


def jsonl_ingress(how: Dialect) -> Fields[JsonlIngress]:
    """Return the shape of the ingress that reads a file of JSON lines."""
    file = (
        Field(name="path", of=PATH, needed=True, says=""),
        Field(name="follow", of=Flag(what="true: wait for more at the end of the file")),
    )
    return _lines(how, "a JSONL ingress", file)


def stdin_ingress(how: Dialect) -> Fields[JsonlIngress]:
    """Return the shape of the ingress that reads JSON lines from standard input."""
    return _lines(how, "a standard input ingress", ())


def jsonl_egress(how: Dialect) -> Fields[JsonlEgress]:
    """Return the shape of the egress that writes a file of JSON lines."""
    return Fields(
        what="a JSONL egress",
        fields=(_id(how, "egress"), Field(name="path", of=PATH, needed=True, says="")),
        make=lambda record: JsonlEgress(id=record.get("id", str), path=record.get("path", str), source=record.source()),
    )


def stdout_egress(how: Dialect) -> Fields[StdoutEgress]:
    """Return the shape of the egress that writes to standard output."""
    return Fields(
        what="a standard output egress",
        fields=(_id(how, "egress"),),
        make=lambda record: StdoutEgress(id=record.get("id", str), source=record.source()),
    )


def kept_egress(how: Dialect) -> Fields[KeptEgress]:
    """Return the shape of the egress whose records are kept, for `statefun tail`."""
    zero = "a record must be kept for some time"
    return Fields(
        what="a kept egress",
        fields=(
            _id(how, "egress"),
            Field(name="retention", of=Span(strict=False, zero=zero)),
            Field(name="records", of=Whole(what="how many records are kept", least=1)),
        ),
        make=lambda record: KeptEgress(
            id=record.get("id", str),
            retention=record.find("retention", timedelta),
            records=record.find("records", int),
            source=record.source(),
        ),
    )


def _id(how: Dialect, what: str) -> Field:
    return Field(name="id", of=how.name(f"the name of the {what}", "shop.io/orders", strict=True), needed=True, says="")


def _lines(how: Dialect, what: str, more: tuple[Field, ...]) -> Fields[JsonlIngress]:
    target = how.name("a function", "shop/cart", strict=True)
    return Fields(
        what=what,
        fields=(
            _id(how, "ingress"),
            *more,
            Field(name="targets", of=Items(of=target, what='a list of functions: ["shop/cart"]'), needed=True, says=""),
            Field(name="valueType", of=how.name("the typename of every record", "shop.types/Order", strict=True)),
            Field(name="fields", of=_record_fields()),
        ),
        make=_make_lines,
    )


def _make_lines(record: Record) -> JsonlIngress:
    fields = record.find("fields", RecordFields)
    value_type = record.find("valueType", str)
    if fields is not None and fields.type is None and value_type is None:
        problem = "no record says its type: neither 'valueType' nor 'fields.type' is there"
        record.report("SF128", "fields", problem, text="", expected="one of the two")
    if fields is not None and fields.type is not None and value_type is not None:
        record.report(
            "SF128", "valueType", "both 'valueType' and 'fields.type' say the type", expected="one of the two"
        )
    return JsonlIngress(
        id=record.get("id", str),
        path=record.find("path", str),
        follow=record.find("follow", bool) or False,
        targets=record.every("targets", str),
        type=value_type,
        fields=fields,
        source=record.source(),
    )


def _record_fields() -> Fields[RecordFields]:
    units = ("iso", "seconds", "milliseconds")
    return Fields(
        what="the fields of a record",
        fields=(
            Field(name="id", of=FIELD, needed=True, says=""),
            Field(name="type", of=FIELD),
            Field(name="time", of=FIELD),
            Field(name="timeUnit", of=Choice(words=units)),
            Field(name="value", of=FIELD),
        ),
        make=lambda record: RecordFields(
            id=record.get("id", str),
            type=record.find("type", str),
            time=record.find("time", str),
            time_unit=cast("Literal['iso', 'seconds', 'milliseconds']", record.find("timeUnit", str) or "iso"),
            value=record.find("value", str),
        ),
    )

"""All formats as one JSON Schema, for editors.

Here: the shapes of the reader, drawn. What concerns more than one key is not in it: that is for `statefun check`.
"""

from __future__ import annotations

from statefun.module._components import KINDS, shape_of
from statefun.module._grammar import Schema
from statefun.module._legacy import legacy_shape
from statefun.module._runtimes import FORMATS

__all__ = ["json_schema"]


def json_schema() -> Schema:
    """Return the schema of one document, by the rules of the embedded runtime, which knows every key."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "module.yaml of Stateful Functions",
        "description": "One document of a module: a component (StateFun 3.1 and later), or a file with a version.",
        "type": ["object", "null"],
        "if": {"anyOf": [{"required": ["version"]}, {"required": ["module"]}], "not": {"required": ["kind"]}},
        "then": _versions(),
        "else": _components(),
    }


def _versions() -> Schema:
    formats = [format for format in FORMATS if format != "components"]
    cases: list[Schema] = [
        {
            "if": {"properties": {"version": {"const": format}}, "required": ["version"]},
            "then": legacy_shape(format, "embedded").schema(),
        }
        for format in formats
    ]
    return {"properties": {"version": {"enum": formats}}, "required": ["version", "module"], "allOf": cases}


def _components() -> Schema:
    cases: list[Schema] = [
        {
            "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
            "then": {"properties": {"spec": shape_of(kind, "embedded").schema()}},
        }
        for kind in KINDS
    ]
    filled: Schema = {"properties": {"kind": {"enum": list(KINDS)}}, "required": ["kind", "spec"], "allOf": cases}
    return {"if": {"type": "object"}, "then": filled}

"""The schema and the reader agree: on every file of the corpus, and on what is made from the schema's own words."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from statefun.module import ModuleError, _yaml, json_schema, read_text
from statefun.module._nodes import Kind, Mapping, Node, Scalar, whole_number

CORPUS = Path(__file__).parent / "corpus"
SCHEMA = json_schema()
VALIDATOR: Any = jsonschema.Draft7Validator(SCHEMA)
MORE = {
    "SF007": "anchors are YAML's affair",
    "SF008": "the same",
    "SF009": "the same",
    "SF011": "a schema is about one document",
    "SF016": "a comment",
    "SF114": "two documents, or two entries",
    "SF116": "two keys",
    "SF117": "one key or another",
    "SF118": "a key, or a property",
    "SF119": "the same",
    "SF120": "two keys",
    "SF121": "two keys",
    "SF125": "a name that is reserved in some releases",
    "SF128": "two keys",
    "SF129": "a kind that is declared, and useless",
}
"""What a schema does not say, and why."""
ALMOST = {
    "components/exactly-once": "a text of digits, and a zero in a unit",
    "components/positions": "the key of an offset",
}
"""Files in which a schema sees most faults, but not each."""


def to_json(node: Node | None) -> object:
    """Return a node as Jackson reads it."""
    if node is None:
        return None
    if isinstance(node, Mapping):
        return {name: to_json(entry.value) for name, entry in node.entries.items()}
    if not isinstance(node, Scalar):
        return [to_json(item) for item in node.items]
    values: dict[Kind, Callable[[str], object]] = {
        Kind.WHOLE: whole_number,
        Kind.REAL: float,
        Kind.FLAG: lambda text: text.casefold() in ("yes", "true", "on"),
        Kind.NULL: lambda _text: None,
        Kind.BINARY: base64.b64decode,
        Kind.TEXT: str,
    }
    return values[node.kind](node.text)


def is_valid(data: bytes) -> bool:
    """Tell whether the schema takes every document that the runtimes read."""
    documents, _ = _yaml.parse(data)
    first = next((document for document in documents if document is not None), None)
    if isinstance(first, Mapping) and "version" in first.entries and "kind" not in first.entries:
        documents = [first]
    return all(VALIDATOR.is_valid(to_json(document)) for document in documents)


def faults(data: bytes) -> set[str]:
    """Return the codes of the errors that a schema could know of."""
    try:
        read_text(data, runtime="embedded")
    except ModuleError as error:
        return {finding.code for finding in error.errors} - MORE.keys()
    return set()


FILES = [file for file in sorted(CORPUS.rglob("*.yaml")) if _yaml.parse(file.read_bytes())[0]]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CORPUS).with_suffix("")))
def test_agree(file: Path) -> None:
    """The schema takes exactly the files that the reader takes, but for what a schema cannot say."""
    data = file.read_bytes()

    assert is_valid(data) == (not faults(data))


def test_is_a_schema() -> None:
    """It is a JSON Schema itself, and holds no more than JSON can."""
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_each_fault_alone() -> None:
    """Each item of a file of faults is judged by itself: a schema sees every one that is of one key."""
    seen = 0
    for file in FILES:
        documents, _ = _yaml.parse(file.read_bytes())
        name = str(file.relative_to(CORPUS).with_suffix(""))
        if len(documents) < 2 or name in ALMOST or not name.startswith(("components", "embedded")):
            continue
        parts = [part for part in file.read_text("utf-8-sig").split("---\n") if part.strip()]
        for part in parts:
            data = part.encode()
            assert is_valid(data) == (not faults(data)), part
            seen += 1
    assert seen > 60

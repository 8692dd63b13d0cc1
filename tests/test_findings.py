from __future__ import annotations

import pytest

from statefun.findings import Finding, ModuleError, closest, show_path

FOUND = Finding(
    code="SF103", file="module.yaml", line=4, column=3, path="[0].spec.owner", problem="a topic has no key 'owner'",
    text="owner", expected="another", did_you_mean="'other'", says="StateFun 3.3: nothing",
)  # fmt: skip
WHOLE = """\
module.yaml:4:3: warning SF103: [0].spec.owner: a topic has no key 'owner'
  did you mean: 'other'
  expected: another
  says: StateFun 3.3: nothing"""


def test_whole() -> None:
    """A finding is one line for the fault, and one for each thing that helps."""
    assert str(FOUND) == WHOLE


def test_bare() -> None:
    """What has no place in a file is said of the file."""
    bare = Finding(code="SF001", file="module.yaml", line=0, column=0, path="", problem="it is lost")

    assert str(bare) == "module.yaml: error SF001: it is lost"


def test_error() -> None:
    """The error holds all findings, and knows which are refused."""
    error = ModuleError([FOUND])

    assert (str(error), error.findings, error.errors) == (WHOLE, (FOUND,), ())


def test_path() -> None:
    """A path is written as one reads it."""
    assert show_path((1, "spec", "topics", 0, "valueType")) == "[1].spec.topics[0].valueType"
    assert show_path(("module", "spec")) == "module.spec"


@pytest.mark.parametrize(
    ("word", "expected"),
    [("valueTyp", "valueType"), ("VALUETYPE", "valueType"), ("valueType", ""), ("x", ""), ("tragets", "targets")],
)
def test_closest(word: str, expected: str) -> None:
    """The word that was meant is found, whatever its case; nothing is found where none is near."""
    assert closest(word, ["topic", "valueType", "targets"]) == expected

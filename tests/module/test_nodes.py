from __future__ import annotations

import pytest

from statefun.module._nodes import Kind, Mapping, Node, Scalar, Sequence, describe, resolve, whole_number


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("shop/cart", Kind.TEXT),
        ("yes", Kind.FLAG),
        ("Off", Kind.FLAG),
        ("y", Kind.TEXT),
        ("12", Kind.WHOLE),
        ("-1_000", Kind.WHOLE),
        ("010", Kind.WHOLE),
        ("0x1F", Kind.WHOLE),
        ("0b11", Kind.WHOLE),
        ("08", Kind.TEXT),
        ("1:30", Kind.TEXT),
        ("1.0", Kind.REAL),
        (".5", Kind.REAL),
        ("1e3", Kind.REAL),
        ("-.inf", Kind.REAL),
        (".nan", Kind.REAL),
        ("", Kind.NULL),
        ("~", Kind.NULL),
        ("null", Kind.NULL),
        ("nULL", Kind.TEXT),
        ("2024-05-01", Kind.TEXT),
        ("2024-05-01 00:00:00.000 +0000", Kind.TEXT),
        ("<<", Kind.TEXT),
        ("=", Kind.TEXT),
    ],
)
def test_plain(text: str, kind: Kind) -> None:
    """A plain scalar is what SnakeYAML's resolver and Jackson's parser make of it, which is not YAML 1.1."""
    assert resolve(text, plain=True) is kind


@pytest.mark.parametrize(
    ("tag", "text", "kind"),
    [
        ("!", "5", Kind.TEXT),
        ("tag:yaml.org,2002:str", "5", Kind.TEXT),
        ("tag:yaml.org,2002:int", "5", Kind.WHOLE),
        ("tag:yaml.org,2002:int", "five", Kind.TEXT),
        ("tag:yaml.org,2002:bool", "y", Kind.FLAG),
        ("tag:yaml.org,2002:bool", "5", Kind.TEXT),
        ("tag:yaml.org,2002:float", "5", Kind.REAL),
        ("tag:yaml.org,2002:null", "5", Kind.NULL),
        ("tag:yaml.org,2002:binary", "aGk=", Kind.BINARY),
        ("tag:yaml.org,2002:python/name:os.system", "", Kind.TEXT),
    ],
)
def test_tagged(tag: str, text: str, kind: Kind) -> None:
    """A tag of the standard counts; any other makes a text, and never an object."""
    assert resolve(text, plain=False, tag=tag) is kind


def test_quoted() -> None:
    """What is in quotes is a text."""
    assert resolve("5", plain=False) is Kind.TEXT


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("12", 12), ("+12", 12), ("-1_000", -1000), ("010", 8), ("0x1F", 31), ("-0b11", -3), ("0x_", 0)],
)
def test_whole_number(text: str, number: int) -> None:
    """A number is read with its base, as Jackson reads it since 2.12."""
    assert whole_number(text) == number


def test_describe() -> None:
    """A text says what stands somewhere, cut off where it is long."""
    nodes: list[Node] = [
        Mapping(1, 1, {}),
        Sequence(1, 1, []),
        Scalar(1, 1, "a" * 70, Kind.TEXT),
        Scalar(1, 1, "1.0", Kind.REAL),
        Scalar(1, 1, "yes", Kind.FLAG),
        Scalar(1, 1, "", Kind.NULL),
        Scalar(1, 1, "aGk=", Kind.BINARY),
    ]

    assert [describe(node) for node in nodes] == [
        "a mapping",
        "a list",
        f"the text '{'a' * 57}...'",
        "the number 1.0",
        "the truth value yes",
        "nothing",
        "binary data",
    ]

"""The declaration of one stored value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import SeenCount, User

from statefun import StateError, Type, ValueSpec, types
from tests.kinds import WHEN, Item, Level, Tier
from tests.refusals import refusal

MINUTE = dt.timedelta(minutes=1)
untyped_spec: Any = ValueSpec
untyped_item: Any = Item


def test_a_declaration() -> None:
    """A ValueSpec holds its name, its Type, the factory of its default, and its expiration."""
    spec = ValueSpec("seen", SeenCount, default=SeenCount, expire_after_write=MINUTE)
    assert (spec.name, spec.type) == ("seen", types.type_of(SeenCount))
    assert spec.default is SeenCount
    assert (spec.expire_after_write, spec.expire_after_call) == (MINUTE, None)
    assert ValueSpec("n", types.INT32, expire_after_call=MINUTE).expire_after_call == MINUTE
    assert ValueSpec("n", types.INT32).type is types.INT32
    assert ValueSpec("n", int).default is None
    assert not spec.is_any
    assert ValueSpec("packed", AnyPb).is_any


def test_repr() -> None:
    """A ValueSpec is shown by its name and its class."""
    assert repr(ValueSpec("tags", list[str])) == "ValueSpec('tags', list[str])"
    assert repr(ValueSpec("n", types.INT32)) == "ValueSpec('n', int)"


CRASHES = "the runtime keeps a value of its own under this name, and a job that uses it crash-loops"
WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: ValueSpec("", int), "a stored value needs a name, not ''"),
    (lambda: untyped_spec(5, int), "a stored value needs a name, not 5"),
    (lambda: ValueSpec("batch", int), f"state 'batch': {CRASHES}"),
    (lambda: ValueSpec("request-state", int), f"state 'request-state': {CRASHES}"),
    (lambda: ValueSpec("\ud800", int), "state '\\ud800': the name has no UTF-8 form"),
    (
        lambda: ValueSpec("a", int, expire_after_write=MINUTE, expire_after_call=MINUTE),
        "state 'a': give expire_after_write or expire_after_call, not both",
    ),
    (
        lambda: ValueSpec("a", int, expire_after_write=dt.timedelta(0)),
        "state 'a': an expiration must be at least one millisecond, not datetime.timedelta(0)",
    ),
    (
        lambda: ValueSpec("a", int, expire_after_call=dt.timedelta(microseconds=999)),
        "state 'a': an expiration must be at least one millisecond, not datetime.timedelta(microseconds=999)",
    ),
    (
        lambda: untyped_spec("a", int, expire_after_call=5),
        "state 'a': an expiration is a timedelta, not 5",
    ),
    (
        lambda: ValueSpec("a", Type("a/b/c", dt.datetime, encode=WHEN.encode, decode=WHEN.decode)),
        "state 'a': its typename 'a/b/c' has more than one '/', which crash-loops a job on 3.x",
    ),
    (
        lambda: untyped_spec("a", object),
        (
            "state 'a': values of type object cannot be stored; use a protobuf message, bool, int, float, str, bytes, "
            "an Enum, a class declared with json_type, a list or dict of these, "
            "or write a Type and name it: value(type=...)"
        ),
    ),
]


@pytest.mark.parametrize(("declare", "text"), WRONG, ids=[text[:40] for _, text in WRONG])
def test_wrong_declarations(declare: Callable[[], object], text: str) -> None:
    """What a runtime would fail for is refused where it is declared."""
    assert refusal(StateError, declare) == text


def test_the_shortest_expiration() -> None:
    """One millisecond is the shortest expiration."""
    assert ValueSpec("a", int, expire_after_write=dt.timedelta(milliseconds=1)).expire_after_write


@pytest.mark.parametrize(
    ("hint", "value", "kept"),
    [
        (int, 5, 5),
        (float, 5, 5.0),
        (types.FLOAT32, 5, 5.0),
        (bool, True, True),
        (int, Level.LOW, Level.LOW),
        (Tier, Tier.GOLD, Tier.GOLD),
        (list[str], ["a"], ["a"]),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Item, Item("s"), Item("s")),
    ],
    ids=str,
)
def test_what_is_kept(hint: Any, value: Any, kept: Any) -> None:
    """A value of the class is kept as it is; an int for a float becomes one."""
    found = ValueSpec("a", hint).check(value)
    assert found == kept
    assert found.__class__ is kept.__class__


@pytest.mark.parametrize(
    ("hint", "value", "text"),
    [
        (int, "5", "state 'a' holds int, not str: '5'"),
        (int, True, "state 'a' holds int, not bool: True"),
        (float, True, "state 'a' holds float, not bool: True"),
        (bool, 1, "state 'a' holds bool, not int: 1"),
        (int, 2**63, "state 'a': 9223372036854775808 does not fit into 64 bits"),
        (types.INT32, 2**31, "state 'a': 2147483648 does not fit into 32 bits"),
        (types.FLOAT32, 1e39, "state 'a': 1e+39 does not fit into 32 bits"),
        (float, 10**400, f"state 'a': {10**400} does not fit into 64 bits"),
        (str, "\ud800", "state 'a': '\\ud800' has no UTF-8 form: surrogates not allowed"),
        (Tier, 1, "state 'a' holds Tier, not int: 1"),
        (list[str], "abc", "state 'a' holds list[str], not str: 'abc'"),
        (list[str], [1], "state 'a': list has no JSON form: $[0]: expected a string, not 1"),
        (SeenCount, User(), "state 'a' holds SeenCount, not User: "),
        (
            Item,
            untyped_item(5),
            "state 'a': Item has no JSON form: $.sku: expected a string, not 5",
        ),
    ],
    ids=str,
)
def test_what_is_refused(hint: Any, value: Any, text: str) -> None:
    """A value of another class, or one that has no bytes, is refused where it is assigned."""
    assert refusal(StateError, lambda: ValueSpec("a", hint).check(value)) == text

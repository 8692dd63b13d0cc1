"""The closed unions of what may be sent and stored."""

from __future__ import annotations

import enum
import typing
from typing import Any

import pytest
from google.protobuf.message import Message

from statefun import State, types
from tests.kinds import Item, Kinds, Money, Parcel, Refund

MEMBERS: dict[Any, tuple[str, ...]] = {
    Item: ("__dataclass_fields__",),
    Parcel: ("__struct_fields__",),
    Refund: ("__pydantic_validator__",),
    Money: ("__statefun_type__",),
}


@pytest.mark.parametrize("cls", list(MEMBERS))
def test_what_the_protocols_ask_for(cls: type[Any]) -> None:
    """Each kind has the attribute by which a type checker knows it, and so a member of each union stands for it."""
    asked = [typing.get_type_hints(protocol, include_extras=True) for protocol in types.PROTOCOLS]
    wanted = [next(iter(hints)) for hints in asked]
    assert wanted == ["__dataclass_fields__", "__struct_fields__", "__pydantic_validator__", "__statefun_type__"]
    assert any(hasattr(cls, name) for name in wanted)


def test_the_unions() -> None:
    """A record is what can become bytes, sendable is that and numbers, storable that and Enums, lists and dicts."""
    record, sendable = set(typing.get_args(types.Record)), set(typing.get_args(types.Sendable))
    storable = set(typing.get_args(types.Storable))
    assert record == {Message, str, bytes, *types.PROTOCOLS}
    assert sendable == record | {bool, int, float}
    assert storable == sendable | {enum.Enum, list[Any], dict[str, Any]}


def test_a_state_is_none_of_them() -> None:
    """A State is a dataclass to Python, and still nothing that can be sent."""
    assert hasattr(Kinds, "__dataclass_fields__")
    assert types.type_of(Kinds) is None
    assert types.type_of(State) is None

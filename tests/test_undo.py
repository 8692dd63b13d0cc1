"""tests/property/test_failing_messages.py holds the law; here is what it does not reach."""

from __future__ import annotations

import pytest
from shop_pb2 import SeenCount

from statefun import StateError, Type, ValueSpec
from statefun._undo import GuardedCell, GuardedTokens, Undo
from statefun.errors import SendError
from tests.kinds import Money


def encode(money: Money) -> bytes:
    """Write an amount that is not negative."""
    if money.cents < 0:
        raise SendError("an amount is not negative")
    return b"%d" % money.cents


STRICT = Type("kinds/strict", Money, encode=encode, decode=lambda data: Money(int(data)))
SEEN = ValueSpec("seen", SeenCount)
MONEY = ValueSpec("money", STRICT)


def test_a_value_without_bytes() -> None:
    """A value that cannot be written is the failure of the invocation that left it so."""
    undo = Undo()
    cell = GuardedCell(MONEY, ("kinds/strict", b"3"), undo)
    cell.load()
    undo.keep()
    undo.changes.clear()
    cell.value.cents = -1
    with pytest.raises(StateError) as raised:
        undo.keep()
    assert str(raised.value) == "state 'money': an amount is not negative"
    undo.roll_back()
    assert cell.value == Money(3)


def test_all_or_none_is_kept() -> None:
    """If one value cannot be written, the others are taken back as well."""
    undo = Undo()
    seen, money = (
        GuardedCell(spec, (spec.type.typename, data), undo) for spec, data in ((SEEN, b"\x08\x01"), (MONEY, b"3"))
    )
    seen.load()
    money.load()
    undo.keep()
    undo.changes.clear()
    seen.value.value, money.value.cents = 2, -1
    with pytest.raises(StateError):
        undo.keep()
    undo.roll_back()
    assert (seen.value, money.value) == (SeenCount(value=1), Money(3))


def test_what_is_looked_at_first() -> None:
    """A value that the failed invocation was the first to look at is as it was stored."""
    undo = Undo()
    cell = GuardedCell(SEEN, (SEEN.type.typename, b"\x08\x01"), undo)
    cell.load().value = 7
    undo.roll_back()
    assert (cell.live, cell.value) == (False, (SEEN.type.typename, b"\x08\x01"))


def test_an_immutable_value_is_not_encoded() -> None:
    """Only what can change in place is encoded after an invocation."""
    undo = Undo()
    GuardedCell(ValueSpec("n", int), None, undo)
    assert undo.mutable == []


def test_tokens() -> None:
    """What was added or removed is there again, or gone; what was there already is not written down."""
    undo = Undo()
    tokens = GuardedTokens(undo)
    tokens.add("old")
    undo.changes.clear()
    tokens.add("old")
    assert undo.changes == []
    tokens.add("new")
    tokens.discard("old")
    tokens.discard("unknown")
    tokens.add("old")
    tokens.discard("new")
    undo.roll_back()
    assert tokens == {"old"}
    assert undo.changes == []

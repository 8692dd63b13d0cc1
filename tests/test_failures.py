from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop_pb2 import User

from statefun import Address, DeadLetter, KafkaEgress, KinesisEgress, MessageEgress, dead_letter, raise_, skip
from statefun.errors import (
    BindError,
    DeclarationError,
    MissingState,
    UndecodableMessage,
    UndecodableState,
    UnexpectedMessage,
    UnknownFunction,
)
from statefun.failures import (
    TEXT_LIMIT,
    checked,
    decided,
    is_final,
    letter_for,
    name_of,
    options_of,
    text_of,
    traceback_of,
)
from statefun.types import type_of

KAFKA = KafkaEgress[DeadLetter]("shop/dead", topic="dead")
KINESIS = KinesisEgress[DeadLetter]("shop/dead", stream="dead")
NOON = dt.datetime(2026, 1, 2, 12, 0, 0, 5, tzinfo=dt.timezone.utc)
LETTER = DeadLetter(
    address=Address("shop", "cart", "bob"),
    caller=Address("shop", "till", "t/1"),
    typename="shop/Order",
    payload=b"\x00\xff",
    error="ValueError",
    text='no "stock": ä\udc80',
    traceback="Traceback (most recent call last):\n",
    attempts=3,
    time=NOON,
    headers=(("trace", b"\x01"), ("none", None)),
)
BYTES = (
    b'{"address":{"namespace":"shop","type":"cart","id":"bob"},'
    b'"caller":{"namespace":"shop","type":"till","id":"t/1"},'
    b'"typename":"shop/Order","payload":"AP8=","error":"ValueError",'
    b'"text":"no \\"stock\\": \xc3\xa4\\udc80","traceback":"Traceback (most recent call last):\\n",'
    b'"attempts":3,"time":"2026-01-02T12:00:00.000005+00:00","headers":[["trace","AQ=="],["none",null]]}'
)


def codec() -> Any:
    """Return the Type of a dead letter."""
    found = type_of(DeadLetter)
    assert found is not None
    return found


# --- the record ---


def test_the_bytes() -> None:
    """A dead letter is JSON on one line, under a typename of its own."""
    assert codec().typename == "statefun.python/dead-letter"
    assert codec().encode(LETTER) == BYTES


def test_the_way_back() -> None:
    """What was written is read again."""
    assert codec().decode(BYTES) == LETTER


def test_a_bare_letter() -> None:
    """A letter of an ingress's message, without a clock, has nulls."""
    bare = DeadLetter(Address("a", "b", ""), None, "", b"", "E", "", "")
    data = (
        b'{"address":{"namespace":"a","type":"b","id":""},"caller":null,"typename":"","payload":"","error":"E",'
        b'"text":"","traceback":"","attempts":1,"time":null,"headers":[]}'
    )
    assert codec().encode(bare) == data
    assert codec().decode(data) == bare


def test_another_writer() -> None:
    """Unknown keys are ignored, and a time may end in Z."""
    found = codec().decode(BYTES.replace(b'000005+00:00"', b'000005Z","new":1'))
    assert found == LETTER


addresses = st.builds(Address, st.text(), st.text(), st.text())


@given(
    st.builds(
        DeadLetter,
        addresses,
        st.none() | addresses,
        st.text(),
        st.binary(),
        st.text(),
        st.text(st.characters(codec=None)),
        st.text(st.characters(codec=None)),
        st.integers(1, 9),
        st.none() | st.datetimes(timezones=st.just(dt.timezone.utc)),
        st.lists(st.tuples(st.text(), st.none() | st.binary())).map(tuple),
    )
)
def test_round_trip(letter: DeadLetter) -> None:
    """Whatever it holds is read as it was written, and is one line of UTF-8."""
    data = codec().encode(letter)
    assert codec().decode(data) == letter
    assert b"\n" not in data
    data.decode()


def test_what_a_letter_says() -> None:
    """A letter holds the message, the exception with its traceback, and when it failed."""
    with pytest.raises(UndecodableState) as raised:
        raise UndecodableState("broken")
    error = raised.value
    address = Address("a", "b", "c")
    letter = letter_for(address, None, ("x/y", b"z"), [("k", b"v")], error, 2, NOON)
    assert letter.address == address
    assert (letter.typename, letter.payload, letter.headers) == ("x/y", b"z", (("k", b"v"),))
    assert (letter.error, letter.text) == ("statefun.errors.UndecodableState", "broken")
    assert letter.traceback.startswith("Traceback (most recent call last):\n")
    assert letter.traceback.endswith("\nstatefun.errors.UndecodableState: broken\n")
    assert (letter.attempts, letter.time) == (2, NOON)


def test_the_name_of_an_error() -> None:
    """One of Python's own stands without its module."""
    assert name_of(ValueError()) == "ValueError"
    assert name_of(UnknownFunction()) == "statefun.errors.UnknownFunction"


def test_a_long_text() -> None:
    """The beginning of a text is kept, and the end of a traceback."""
    error = ValueError("a" * TEXT_LIMIT + "end")
    assert text_of(error) == f"{'a' * TEXT_LIMIT} ... ({TEXT_LIMIT + 3} characters)"
    assert traceback_of(error).startswith(f"({TEXT_LIMIT + 16} characters) ... a")
    assert traceback_of(error).endswith("aend\n")


def test_a_text_that_cannot_be_made() -> None:
    """An exception that cannot say what it is does no harm."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise KeyError

    assert text_of(Broken()) == "(its text cannot be made: KeyError)"
    assert "Broken" in traceback_of(Broken())


# --- the policies ---


def test_how_they_are_written() -> None:
    """A policy is shown as it is written."""
    assert repr((raise_, skip)) == "(raise_, skip)"
    assert repr(dead_letter(KAFKA, retries=2)) == "dead_letter(KafkaEgress('shop/dead', topic='dead'), retries=2)"


@pytest.mark.parametrize(
    ("egress", "options"),
    [
        (KAFKA, {"key": "bob"}),
        (KINESIS, {"partition_key": "bob"}),
        (MessageEgress[DeadLetter]("shop/dead"), {}),
    ],
)
def test_options(egress: Any, options: dict[str, str]) -> None:
    """A record goes under the identity that the message was for."""
    assert options_of(egress, LETTER) == options


def test_no_partition_key() -> None:
    """Kinesis needs a partition key: without an identity it is the function's name."""
    assert options_of(KINESIS, LETTER._replace(address=Address("a", "b", ""))) == {"partition_key": "a/b"}


HELP = "\n  help: raise_, skip, dead_letter(EGRESS), or a plain function from the exception to one of them"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: dead_letter("shop/dead"),  # type: ignore[arg-type]
            (
                "'shop/dead' is no egress that dead letters could leave through\n"
                '  help: name one: dead_letter(KafkaEgress[DeadLetter]("example/dead", topic="dead"))'
            ),
        ),
        (
            lambda: dead_letter(KAFKA, retries=-1),
            "retries is a number of attempts after the first one, or 0, not -1",
        ),
        (
            lambda: dead_letter(KAFKA, retries=True),
            "retries is a number of attempts after the first one, or 0, not True",
        ),
        (
            lambda: dead_letter(KafkaEgress[User]("shop/users", topic="users")),  # type: ignore[arg-type]
            "egress 'shop/users' takes User, not DeadLetter",
        ),
        (
            lambda: checked("skip"),  # type: ignore[arg-type]
            f"on_failure is 'skip', which says nothing of what to do about a failure{HELP}",
        ),
    ],
)
def test_what_is_refused(make: Callable[[], object], text: str) -> None:
    """What is no policy is refused where it is written."""
    with pytest.raises(DeclarationError) as raised:
        make()
    assert str(raised.value) == text


def test_dead_letter_is_called() -> None:
    """`dead_letter` itself is no policy: it needs its egress."""
    with pytest.raises(DeclarationError) as raised:
        checked(dead_letter)  # type: ignore[arg-type]
    assert str(raised.value) == (
        f"on_failure is {dead_letter!r}, which says nothing of what to do about a failure{HELP}"
    )


def test_a_forward_reference() -> None:
    """An egress whose hint cannot be read yet is taken as it is."""
    later: Any = KafkaEgress["Later"]("shop/later", topic="later")  # type: ignore[name-defined]
    assert dead_letter(later).egress is later


def test_a_decision() -> None:
    """A function decides by the exception."""
    asked: list[Exception] = []

    def decide(error: Exception) -> Any:
        asked.append(error)
        return skip

    error = ValueError()
    assert decided(decide, error) is skip
    assert asked == [error]
    assert decided(raise_, error) is raise_


@pytest.mark.parametrize("error", [MissingState(), BindError("a/b", "f", "it is wrong")])
def test_whose_fault(error: Exception) -> None:
    """What the deployment got wrong is raised whatever the policy is: no message is at fault."""
    assert decided(skip, error) is raise_


def test_no_decision() -> None:
    """A decision that is none is an error, which comes from the failure."""

    async def decide(error: Exception) -> Any:
        return skip

    error = ValueError()
    with pytest.raises(DeclarationError) as raised:
        decided(decide, error)  # type: ignore[arg-type]
    assert raised.value.__cause__ is error
    assert str(raised.value).startswith(f"{decide!r} decided on <coroutine object ")
    assert str(raised.value).endswith(f", which says nothing of what to do about a failure{HELP}")


def test_what_is_not_tried_again() -> None:
    """A message that never comes to the function would fail again."""
    assert [is_final(error) for error in (UndecodableMessage(), UnexpectedMessage(), UnknownFunction())] == [True] * 3
    assert not is_final(ValueError())

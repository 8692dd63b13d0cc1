from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statefun.module._durations import parse_duration, show_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", timedelta(seconds=30)),
        ("30 sec", timedelta(seconds=30)),
        (" 12hours ", timedelta(hours=12)),
        ("1 DAY", timedelta(days=1)),
        ("2m", timedelta(minutes=2)),
        ("10min", timedelta(minutes=10)),
        ("500", timedelta(milliseconds=500)),
        ("5µs", timedelta(microseconds=5)),
        ("5μs", timedelta(microseconds=5)),
        ("1ns", timedelta(microseconds=1)),
        ("0ns", timedelta()),
    ],
)
def test_parse(text: str, expected: timedelta) -> None:
    """A duration is read as Flink reads it; what is below a microsecond is not zero."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no duration"),
        ("-1s", "'-1s' is no duration"),
        ("1.5s", "'1.5s' is no duration: '.5s' is no unit"),
        ("1h 30min", "'1h 30min' is no duration"),
        ("1 fortnight", "'1 fortnight' is no duration: 'fortnight' is no unit"),
        ("9223372036854775808", "'9223372036854775808' is no duration: 9223372036854775808 does not fit into 64 bits"),
        ("9223372036854775807d", "'9223372036854775807d' is no duration: it is too long"),
    ],
)
def test_refuse(text: str, message: str) -> None:
    """What Flink refuses is refused."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- the whole text is compared
        parse_duration(text)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(days=2), "2d"),
        (timedelta(hours=36), "36h"),
        (timedelta(seconds=90), "90s"),
        (timedelta(minutes=10), "10min"),
        (timedelta(milliseconds=1500), "1500ms"),
        (timedelta(microseconds=7), "7 micros"),
        (timedelta(), "0d"),
    ],
)
def test_show(duration: timedelta, text: str) -> None:
    """A duration is written with the largest unit that leaves no rest."""
    assert show_duration(duration) == text


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=36_500)))
def test_round_trip(duration: timedelta) -> None:
    """What is written is read as the same."""
    assert parse_duration(show_duration(duration)) == duration

"""Durations as Flink writes them: "30sec", "10 min", "500" (milliseconds).

Here: Flink's `TimeUtils.parseDuration`, and how a duration is written. What a duration is good for is not known here.
"""

from __future__ import annotations

import re
from datetime import timedelta

from statefun.module._nodes import shorten

__all__ = ["EXAMPLE", "parse_duration", "show_duration"]

EXAMPLE = 'a duration: "<number><unit>", the unit one of d, h, min, s, ms, µs, ns (none: ms); e.g. "30s" or "10min"'

_NANOSECONDS = {
    "d day days": 86_400_000_000_000,
    "h hour hours": 3_600_000_000_000,
    "m min minute minutes": 60_000_000_000,
    "s sec secs second seconds": 1_000_000_000,
    "ms milli millis millisecond milliseconds": 1_000_000,
    "µs micro micros microsecond microseconds": 1_000,
    "ns nano nanos nanosecond nanoseconds": 1,
}
_UNITS = {label: size for labels, size in _NANOSECONDS.items() for label in labels.split()}
_SHAPE = re.compile(r"([0-9]+)\s*(\S*)")
_LONG_MAX = 2**63 - 1
_DIGITS = 20


def parse_duration(text: str) -> timedelta:
    """Read a duration; less than a microsecond counts as one, so that only zero is zero. Raises ValueError."""
    found = _SHAPE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{shorten(text)!r} is no duration")
    # of a number with many digits the first are enough: it is too large all the same
    number, unit = int(found[1].lstrip("0")[:_DIGITS] or "0"), found[2].lower().replace("μ", "µ")
    if number > _LONG_MAX:
        raise ValueError(f"{shorten(text)!r} is no duration: {shorten(found[1])} does not fit into 64 bits")
    if unit and unit not in _UNITS:
        raise ValueError(f"{shorten(text)!r} is no duration: {shorten(found[2])!r} is no unit")
    nanoseconds = number * _UNITS[unit or "ms"]
    try:
        return timedelta(microseconds=-(-nanoseconds // 1000))
    except OverflowError:
        raise ValueError(f"{shorten(text)!r} is no duration: it is too long") from None


def show_duration(duration: timedelta) -> str:
    """Write a duration with the largest unit that leaves no rest, as Flink reads it: "90s", "10min"."""
    microseconds = duration // timedelta(microseconds=1)
    for unit, size in (
        ("d", 86_400_000_000),
        ("h", 3_600_000_000),
        ("min", 60_000_000),
        ("s", 1_000_000),
        ("ms", 1000),
    ):
        if microseconds % size == 0:
            return f"{microseconds // size}{unit}"
    return f"{microseconds} micros"

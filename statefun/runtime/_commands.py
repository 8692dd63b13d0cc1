"""What the engine asks its driver to do, and what it starts from.

Here: the commands that `Engine.step` returns, a closed union, and `Start`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from statefun.runtime._boxes import Box
from statefun.runtime._delta import FailureRow
from statefun.runtime._plans import Plan

__all__ = ["PAGE", "Call", "Command", "LoadDelayed", "LoadMessages", "LoadParked", "LoadStates", "Start", "Stored"]

PAGE = 5_000
"""How many messages are read from the store at once."""

Stored = tuple[str, int, int, bytes, int | None]
"""A stored state as the store returns it: id, name, typename, value, expires_at."""


class Call:
    """Call a function: hand the request to it, and the outcome to `reply` or `fail`."""

    __slots__ = ("box", "messages", "request", "seqs", "states")

    def __init__(self, box: Box, request: bytes, messages: list[bytes], seqs: list[int], states: int) -> None:
        self.box: Box = box
        self.request: bytes = request
        self.messages: list[bytes] = messages
        self.seqs: list[int] = seqs
        self.states: int = states
        """How many states the request holds."""


@dataclass(frozen=True, slots=True)
class LoadStates:
    """Read the states of these addresses, which are of one function; answer with `loaded`."""

    plan: Plan
    boxes: Mapping[str, Box]


@dataclass(frozen=True, slots=True)
class LoadMessages:
    """Read waiting messages that are not parked, in turn; answer with `paged`."""

    start: int
    limit: int = PAGE


@dataclass(frozen=True, slots=True)
class LoadParked:
    """Read the parked messages of one address; answer with `thawed`."""

    box: Box
    start: int
    below: int | None
    limit: int


@dataclass(frozen=True, slots=True)
class LoadDelayed:
    """Read delayed messages that are due after these; answer with `timers_paged`."""

    after: tuple[int, int]
    limit: int = PAGE


Command = Call | LoadStates | LoadMessages | LoadParked | LoadDelayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a store remembers of the last run."""

    names: Mapping[str, int] = field(default_factory=dict[str, int])
    seq: int = 0
    records: int = 0
    tokens: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    failures: Sequence[FailureRow] = ()

"""What changed since the last commit: the rows that one transaction writes.

Here: `Delta`, filled by the engine and written by a store. It is a net change: a message that was sent and handled
between two commits is in none of its lists, and a state is there once, with its last value.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Delta", "FailureRow", "SkippedRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRow:
    """An address whose first message cannot be handled, for now."""

    function: int
    id: str
    seq: int
    attempts: int
    first_at: int
    last_at: int
    retry_at: int
    error: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedRow:
    """A message that somebody chose to skip."""

    seq: int
    function: int
    id: str
    message: bytes
    error: str
    at: int


@dataclass(slots=True)
class Delta:
    """The rows to write, as plain tuples where there are many."""

    names: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """number, text"""
    states: list[tuple[int, str, int, int, bytes, int | None]] = field(
        default_factory=list[tuple[int, str, int, int, bytes, int | None]]
    )
    """function, id, name, typename, value, expires_at"""
    removed: list[tuple[int, str, int]] = field(default_factory=list[tuple[int, str, int]])
    """States: function, id, name."""
    queued: list[tuple[int, int, str, bytes, int]] = field(default_factory=list[tuple[int, int, str, bytes, int]])
    """Messages that wait: seq, function, id, message, parked."""
    parked: list[int] = field(default_factory=list[int])
    """Messages that wait already and are not to be read in turn: seq."""
    done: list[int] = field(default_factory=list[int])
    """Messages that wait no more: seq."""
    delayed: list[tuple[int, int, int, str, bytes, str, str]] = field(
        default_factory=list[tuple[int, int, int, str, bytes, str, str]]
    )
    """due, seq, function, id, message, sender, token"""
    fired: list[int] = field(default_factory=list[int])
    """Delayed messages that are due no more: seq."""
    records: list[tuple[int, int, int, bytes]] = field(default_factory=list[tuple[int, int, int, bytes]])
    """Records for egresses: seq, egress, typename, value."""
    failed: list[FailureRow] = field(default_factory=list[FailureRow])
    healed: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Addresses that fail no more: function, id."""
    skipped: list[SkippedRow] = field(default_factory=list[SkippedRow])
    answers: list[tuple[str, int, str]] = field(default_factory=list[tuple[str, int, str]])
    """What is answered under an Idempotency-Key: key, at, answer."""
    positions: dict[str, str] = field(default_factory=dict[str, str])
    """Where each ingress has read to, and each egress has written to."""

    def __bool__(self) -> bool:
        return bool(
            self.states or self.removed or self.queued or self.done or self.delayed or self.fired or self.records
            or self.positions or self.failed or self.healed or self.parked or self.skipped or self.names or self.answers
        )  # fmt: skip

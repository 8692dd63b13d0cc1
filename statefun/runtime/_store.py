"""What keeps the engine's rows: the contract of both stores.

Here: `Store`, what it may raise, and the rows for people. A store does what it is told, in one transaction a commit;
it decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from statefun.errors import ConfigError
from statefun.runtime._commands import Start, Stored
from statefun.runtime._delta import Delta, FailureRow, SkippedRow
from statefun.runtime._timers import Delayed

__all__ = ["Counts", "MessageRow", "RecordRow", "StateRow", "Store", "StoreError"]


class StoreError(ConfigError):
    """The data cannot be read or written; what was committed is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRow:
    """A stored state, for people."""

    function: str
    id: str
    name: str
    typename: str
    value: bytes
    expires_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRow:
    """A waiting message, for people; `message` is the content of a ToFunction.Invocation."""

    seq: int
    function: str
    id: str
    message: bytes


class RecordRow(NamedTuple):
    """A record that left, or is about to."""

    seq: int
    egress: str
    typename: str
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much there is of everything."""

    states: int
    waiting: int
    delayed: int
    records: int
    failing: int
    skipped: int


class Store(Protocol):
    """Keeps what the engine commits. Every method may raise StoreError."""

    def start(self) -> Start:
        """Return what the last run left, for a new engine; parked messages are to be read in turn again."""
        ...

    def commit(self, delta: Delta) -> None:
        """Write everything or nothing."""
        ...

    def states(self, function: int, ids: Sequence[str]) -> Iterable[Stored]:
        """Return the states of some addresses of one function."""
        ...

    def messages(self, start: int, limit: int) -> Sequence[tuple[int, int, str, bytes]]:
        """Return waiting messages that are not parked, from a seq on: seq, function, id, message."""
        ...

    def parked(self, function: int, id: str, start: int, below: int | None, limit: int) -> Sequence[tuple[int, bytes]]:
        """Return the parked messages of one address: seq, message."""
        ...

    def delayed(self, after: tuple[int, int], limit: int) -> Sequence[Delayed]:
        """Return what is due after (due, seq), in that order."""
        ...

    def positions(self) -> Mapping[str, str]:
        """Return where every ingress and egress is."""
        ...

    def sweep(self, now: int) -> None:
        """Remove the states that have expired."""
        ...

    def prune_records(self, upto: int, egress: str | None = None) -> None:
        """Remove the records up to this one, of an egress or of all."""
        ...

    def trim_records(self, egress: str, keep: int, upto: int) -> None:
        """Remove the records of an egress up to this one that are not among its newest `keep`."""
        ...

    def meta(self, key: str) -> str | None:
        """Return a fact about the file."""
        ...

    def put_meta(self, key: str, value: str) -> None:
        """Write down a fact about the file."""
        ...

    def catalog(self) -> bytes | None:
        """Return what the app accepts and stores, as it was written down."""
        ...

    def put_catalog(self, catalog: bytes) -> None:
        """Write down what the app accepts and stores."""
        ...

    def answer(self, key: str, since: int) -> str | None:
        """Return what was answered under an Idempotency-Key."""
        ...

    def list_states(
        self, function: str | None, id: str | None, now: int, after: tuple[str, str] | None, limit: int
    ) -> Sequence[StateRow]:
        """List states, by function and id."""
        ...

    def list_messages(self, function: str | None, id: str | None, limit: int) -> Sequence[MessageRow]:
        """List waiting messages."""
        ...

    def list_delayed(self, function: str | None, id: str | None, limit: int) -> Sequence[tuple[Delayed, str]]:
        """List delayed messages, each with the name of the function it is for."""
        ...

    def list_failures(self) -> Sequence[tuple[FailureRow, str]]:
        """List failing addresses, each with the name of its function."""
        ...

    def list_skipped(self, limit: int) -> Sequence[tuple[SkippedRow, str]]:
        """List skipped messages, each with the name of its function."""
        ...

    def list_records(self, egress: str | None, after: int, limit: int) -> Sequence[RecordRow]:
        """List records after one."""
        ...

    def count_records(self, egress: str, after: int) -> int:
        """Count the records of an egress after one."""
        ...

    def last_records(self, egress: str | None, limit: int) -> Sequence[RecordRow]:
        """List the newest records."""
        ...

    def message(self, seq: int) -> bytes | None:
        """Return one waiting message."""
        ...

    def counts(self) -> Counts:
        """Count everything."""
        ...

    def close(self) -> None:
        """Let go of the data."""
        ...

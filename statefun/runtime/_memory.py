"""The store in memory: for tests, and to see what a store has to do.

Here: `MemoryStore`, which keeps the contract of `_store` with dicts. Nothing of it outlives the process, but an engine
can be started on it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from statefun.runtime._commands import Start, Stored
from statefun.runtime._delta import Delta, FailureRow, SkippedRow
from statefun.runtime._store import Counts, MessageRow, RecordRow, StateRow
from statefun.runtime._timers import Delayed

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps the engine's rows in dicts."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._states: dict[tuple[int, str], dict[int, tuple[int, bytes, int | None]]] = {}
        self._inbox: dict[int, tuple[int, str, bytes, bool]] = {}
        self._delayed: dict[int, Delayed] = {}
        self._records: dict[int, tuple[int, int, bytes]] = {}
        self._failures: dict[tuple[int, str], FailureRow] = {}
        self._skipped: dict[int, SkippedRow] = {}
        self._positions: dict[str, str] = {}
        self._answers: dict[str, tuple[int, str]] = {}
        self._meta: dict[str, str] = {}
        self._catalog: bytes | None = None
        self._last = 0
        self._last_record = 0

    # --- what the engine needs ---

    def start(self) -> Start:
        """Return what the last run left."""
        for seq, (function, id, message, _) in self._inbox.items():
            self._inbox[seq] = function, id, message, False
        return Start(
            names=dict(self._names),
            seq=self._last,
            records=self._last_record,
            tokens={(one.sender, one.token): one.seq for one in self._delayed.values() if one.token},
            failures=list(self._failures.values()),
        )

    def commit(self, delta: Delta) -> None:
        """Write everything."""
        self._names.update({text: number for number, text in delta.names})
        for function, id, name, typename, value, expires_at in delta.states:
            self._states.setdefault((function, id), {})[name] = typename, value, expires_at
        for function, id, name in delta.removed:
            self._states.get((function, id), {}).pop(name, None)
        for seq, function, id, message, parked in delta.queued:
            self._inbox[seq] = function, id, message, bool(parked)
            self._last = max(self._last, seq)
        for seq in delta.parked:
            function, id, message, _ = self._inbox[seq]
            self._inbox[seq] = function, id, message, True
        for seq in delta.done:
            del self._inbox[seq]
        for row in delta.delayed:
            self._delayed[row[1]] = Delayed(*row)
            self._last = max(self._last, row[1])
        for seq in delta.fired:
            self._delayed.pop(seq, None)
        for seq, egress, typename, value in delta.records:
            self._records[seq] = egress, typename, value
            self._last_record = seq
        self._commit_rare(delta)

    def _commit_rare(self, delta: Delta) -> None:
        self._positions.update(delta.positions)
        self._failures.update({(row.function, row.id): row for row in delta.failed})
        for key in delta.healed:
            self._failures.pop(key, None)
        self._skipped.update({row.seq: row for row in delta.skipped})
        self._answers.update({key: (at, answer) for key, at, answer in delta.answers})

    def states(self, function: int, ids: Sequence[str]) -> Iterable[Stored]:
        """Return the states of some addresses of one function."""
        for id in ids:
            for name, (typename, value, expires_at) in self._states.get((function, id), {}).items():
                yield id, name, typename, value, expires_at

    def messages(self, start: int, limit: int) -> Sequence[tuple[int, int, str, bytes]]:
        """Return waiting messages that are not parked."""
        found = [
            (seq, function, id, message)
            for seq, (function, id, message, parked) in self._inbox.items()
            if seq >= start and not parked
        ]
        return sorted(found)[:limit]

    def parked(self, function: int, id: str, start: int, below: int | None, limit: int) -> Sequence[tuple[int, bytes]]:
        """Return the parked messages of one address."""
        found = [
            (seq, message)
            for seq, (*address, message, parked) in self._inbox.items()
            if parked and address == [function, id] and seq >= start and (below is None or seq < below)
        ]
        return sorted(found)[:limit]

    def delayed(self, after: tuple[int, int], limit: int) -> Sequence[Delayed]:
        """Return what is due after (due, seq)."""
        found = [one for one in self._delayed.values() if (one.due, one.seq) > after]
        return sorted(found, key=lambda one: (one.due, one.seq))[:limit]

    # --- facts ---

    def positions(self) -> Mapping[str, str]:
        """Return where every ingress and egress is."""
        return dict(self._positions)

    def sweep(self, now: int) -> None:
        """Remove the states that have expired."""
        for cells in self._states.values():
            for name in [name for name, (_, _, at) in cells.items() if at is not None and at <= now]:
                del cells[name]

    def prune_records(self, upto: int, egress: str | None = None) -> None:
        """Remove the records up to this one, of an egress or of all."""
        for row in self._all_records(egress):
            if row.seq <= upto:
                del self._records[row.seq]

    def trim_records(self, egress: str, keep: int, upto: int) -> None:
        """Remove the records of an egress up to this one that are not among its newest ones."""
        rows = self._all_records(egress)
        for row in rows[: max(0, len(rows) - keep)]:
            if row.seq <= upto:
                del self._records[row.seq]

    def meta(self, key: str) -> str | None:
        """Return a fact about the data."""
        return self._meta.get(key)

    def put_meta(self, key: str, value: str) -> None:
        """Write down a fact about the data."""
        self._meta[key] = value

    def catalog(self) -> bytes | None:
        """Return what the app accepts and stores."""
        return self._catalog

    def put_catalog(self, catalog: bytes) -> None:
        """Write down what the app accepts and stores."""
        self._catalog = catalog

    def answer(self, key: str, since: int) -> str | None:
        """Return what was answered under an Idempotency-Key."""
        at, answer = self._answers.get(key, (since, ""))
        return answer if at > since else None

    # --- for people ---

    def _name(self, number: int) -> str:
        return next((text for text, known in self._names.items() if known == number), "")

    def _chosen(self, function: str | None, id: str | None, address: tuple[int, str]) -> bool:
        return function in (None, self._name(address[0])) and id in (None, address[1])

    def list_states(
        self, function: str | None, id: str | None, now: int, after: tuple[str, str] | None, limit: int
    ) -> Sequence[StateRow]:
        """List states, by function and id."""
        last = None if after is None else (self._names.get(after[0], -1), after[1])
        rows = [
            StateRow(function=self._name(address[0]), id=address[1], name=self._name(name),
                     typename=self._name(typename), value=value, expires_at=at)
            for address, cells in sorted(self._states.items())
            for name, (typename, value, at) in sorted(cells.items())
            if self._chosen(function, id, address) and (at is None or at > now) and (last is None or address > last)
        ]  # fmt: skip
        return rows[:limit]

    def list_messages(self, function: str | None, id: str | None, limit: int) -> Sequence[MessageRow]:
        """List waiting messages."""
        rows = [
            MessageRow(seq=seq, function=self._name(number), id=identity, message=message)
            for seq, (number, identity, message, _) in sorted(self._inbox.items())
            if self._chosen(function, id, (number, identity))
        ]
        return rows[:limit]

    def list_delayed(self, function: str | None, id: str | None, limit: int) -> Sequence[tuple[Delayed, str]]:
        """List delayed messages."""
        rows = sorted(self._delayed.values(), key=lambda one: (one.due, one.seq))
        return [(one, self._name(one.function)) for one in rows if self._chosen(function, id, (one.function, one.id))][
            :limit
        ]

    def list_failures(self) -> Sequence[tuple[FailureRow, str]]:
        """List failing addresses."""
        rows = sorted(self._failures.values(), key=lambda row: row.last_at)
        return [(row, self._name(row.function)) for row in rows]

    def list_skipped(self, limit: int) -> Sequence[tuple[SkippedRow, str]]:
        """List skipped messages."""
        return [(row, self._name(row.function)) for _, row in sorted(self._skipped.items())][:limit]

    def list_records(self, egress: str | None, after: int, limit: int) -> Sequence[RecordRow]:
        """List records after one."""
        return [row for row in self._all_records(egress) if row.seq > after][:limit]

    def count_records(self, egress: str, after: int) -> int:
        """Count the records of an egress after one."""
        return len(self.list_records(egress, after, len(self._records)))

    def last_records(self, egress: str | None, limit: int) -> Sequence[RecordRow]:
        """List the newest records."""
        return self._all_records(egress)[-limit:]

    def _all_records(self, egress: str | None) -> list[RecordRow]:
        rows = [
            RecordRow(seq=seq, egress=self._name(number), typename=self._name(typename), value=value)
            for seq, (number, typename, value) in self._records.items()
        ]
        return [row for row in rows if egress in (None, row.egress)]

    def message(self, seq: int) -> bytes | None:
        """Return one waiting message."""
        return self._inbox[seq][2] if seq in self._inbox else None

    def counts(self) -> Counts:
        """Count everything."""
        return Counts(
            states=sum(map(len, self._states.values())),
            waiting=len(self._inbox),
            delayed=len(self._delayed),
            records=len(self._records),
            failing=len(self._failures),
            skipped=len(self._skipped),
        )

    def close(self) -> None:
        """Let go of nothing."""

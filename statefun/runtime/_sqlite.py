"""The store in one SQLite file, which any tool can read while the runtime writes.

Here: `SqliteStore`. WAL with `synchronous=FULL`: what is committed survives a power failure. One connection writes; the
commands of the CLI read on their own. SQL is in `sql/`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import weakref
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

from statefun.errors import with_help
from statefun.runtime._commands import Start, Stored
from statefun.runtime._delta import Delta, FailureRow, SkippedRow
from statefun.runtime._queries import schema, statements
from statefun.runtime._store import Counts, MessageRow, RecordRow, StateRow, StoreError
from statefun.runtime._timers import Delayed

__all__ = ["SCHEMA", "SqliteStore"]

SCHEMA = 1
"""The version of the schema that this code writes."""
_APPLICATION = 0x53_46_55_4E  # "SFUN", so that a file is known by its header
_OLDEST = (3, 37, 0)  # STRICT tables
_FOREVER = 2**63 - 1
_TOGETHER = 256
"""Addresses whose states are read by one statement."""
Row = tuple[object, ...]


class SqliteStore:
    """Keeps the engine's rows in a file. Raises StoreError for one that it cannot use."""

    def __init__(self, path: Path, *, read_only: bool = False, cache_kib: int = 65_536) -> None:
        if sqlite3.sqlite_version_info < _OLDEST:
            help = "use a Python that comes with a newer one"
            raise StoreError(with_help(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 is needed", help))
        self.path = path
        self._sql = statements()
        self._by_count: dict[int, str] = {}
        self._names: dict[int, str] = {}
        with self._explained("opened"):
            self._open(read_only=read_only, cache_kib=cache_kib)

    def _open(self, *, read_only: bool, cache_kib: int) -> None:
        if read_only:
            self._db = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        else:
            self._db = sqlite3.connect(self.path, isolation_level=None)
        weakref.finalize(self, _let_go, self._db).atexit = False
        execute = self._db.execute
        execute("pragma busy_timeout = 10000")
        if not read_only:
            execute("pragma journal_mode = WAL")
            execute("pragma synchronous = FULL")
            execute("pragma wal_autocheckpoint = 4000")
            execute(f"pragma cache_size = -{cache_kib}")
            if sys.platform == "darwin":
                execute("pragma fullfsync = 1")
        self._migrate(read_only=read_only)

    def _migrate(self, *, read_only: bool) -> None:
        version = cast("int", self._one("pragma user_version")[0])
        application = cast("int", self._one("pragma application_id")[0])
        tables = cast("int", self._one("select count(*) from sqlite_master")[0])
        if tables and application != _APPLICATION:
            help = "name another folder with --data, or another file"
            raise StoreError(with_help(f"{self.path} is not a file of this runtime", help))
        if version > SCHEMA:
            help = "use the version that wrote it or a newer one, or another folder with --data"
            msg = f"{self.path} was written by a newer version of statefun (schema {version}; this one knows {SCHEMA})"
            raise StoreError(with_help(msg, help))
        if read_only:
            return
        for step in range(version + 1, SCHEMA + 1):
            self._db.executescript(
                f"begin; {schema(step)} pragma application_id = {_APPLICATION}; pragma user_version = {step}; commit;"
            )

    @contextlib.contextmanager
    def _explained(self, done: str) -> Generator[None, None, None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(with_help(f"{self.path} cannot be {done}: {error}", _help(error))) from error

    def _one(self, sql: str, parameters: Sequence[object] = ()) -> Row:
        return cast("Row", self._db.execute(sql, parameters).fetchone())

    def _all(self, name: str, *parameters: object) -> list[Row]:
        with self._explained("read"):
            return cast("list[Row]", self._db.execute(self._sql[name], parameters).fetchall())

    def _rows(self, name: str, *parameters: object) -> list[tuple[int, ...]]:
        return cast("list[tuple[int, ...]]", self._all(name, *parameters))

    # --- what the engine needs ---

    def start(self) -> Start:
        """Return what the last run left."""
        with self._explained("written"):
            self._db.execute(self._sql["unpark_all"])
        names = cast("list[tuple[str, int]]", self._all("names"))
        tokens = cast("list[tuple[str, str, int]]", self._all("tokens"))
        return Start(
            names=dict(names),
            seq=self._rows("last_seq")[0][0],
            records=max(self._rows("last_record")[0][0], int(self.meta("records") or 0)),
            tokens={(sender, token): seq for sender, token, seq in tokens},
            failures=self._failures(),
        )

    def commit(self, delta: Delta) -> None:
        """Write everything or nothing."""
        with self._explained("written"):
            self._db.execute("begin immediate")
            try:
                self._write(delta)
                self._db.execute("commit")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("rollback")
                raise

    def _write(self, delta: Delta) -> None:  # noqa: C901 -- one line a table
        many, sql = self._db.executemany, self._sql
        if delta.names:
            many(sql["add_name"], delta.names)
        if delta.states:
            many(sql["put_state"], delta.states)
        if delta.removed:
            many(sql["remove_state"], delta.removed)
        if delta.queued:
            many(sql["add_message"], delta.queued)
        if delta.parked:
            many(sql["park_message"], [(seq,) for seq in delta.parked])
        if delta.done:
            many(sql["remove_message"], [(seq,) for seq in delta.done])
        if delta.records:
            many(sql["add_record"], delta.records)
        if delta.positions:
            many(sql["put_position"], list(delta.positions.items()))
        if delta.delayed:
            many(sql["add_delayed"], delta.delayed)
        if delta.fired:
            many(sql["remove_delayed"], [(seq,) for seq in delta.fired])
        if delta.failed or delta.healed or delta.skipped or delta.answers:
            self._write_rare(delta)

    def _write_rare(self, delta: Delta) -> None:
        many, sql = self._db.executemany, self._sql
        failed = [
            (r.function, r.id, r.seq, r.attempts, r.first_at, r.last_at, r.retry_at, r.error, r.detail)
            for r in delta.failed
        ]
        many(sql["put_failure"], failed)
        many(sql["remove_failure"], delta.healed)
        many(sql["add_skipped"], [(r.seq, r.function, r.id, r.message, r.error, r.at) for r in delta.skipped])
        many(sql["put_answer"], delta.answers)

    def states(self, function: int, ids: Sequence[str]) -> Iterable[Stored]:
        """Return the states of some addresses of one function."""
        found: list[Stored] = []
        for first in range(0, len(ids), _TOGETHER):
            part = ids[first : first + _TOGETHER]
            size = 1 << (len(part) - 1).bit_length()
            sql = self._by_count.get(size)
            if sql is None:
                marks = ",".join("?" * size)
                sql = self._by_count[size] = self._sql["load_states"].replace(":ids", marks)
            part = [*part, *[part[-1]] * (size - len(part))]  # statements of a few sizes stay prepared
            with self._explained("read"):
                found += cast("list[Stored]", self._db.execute(sql, (function, *part)).fetchall())
        return found

    def messages(self, start: int, limit: int) -> Sequence[tuple[int, int, str, bytes]]:
        """Return waiting messages that are not parked."""
        return cast("list[tuple[int, int, str, bytes]]", self._all("load_messages", start, limit))

    def parked(self, function: int, id: str, start: int, below: int | None, limit: int) -> Sequence[tuple[int, bytes]]:
        """Return the parked messages of one address."""
        rows = self._all("load_parked", function, id, start, _FOREVER if below is None else below, limit)
        return cast("list[tuple[int, bytes]]", rows)

    def delayed(self, after: tuple[int, int], limit: int) -> Sequence[Delayed]:
        """Return what is due after (due, seq)."""
        return [Delayed(*row) for row in self._all("load_delayed", *after, limit)]  # type: ignore[arg-type]  # as the table says

    # --- facts ---

    def positions(self) -> Mapping[str, str]:
        """Return where every ingress and egress is."""
        return dict(cast("list[tuple[str, str]]", self._all("positions")))

    def sweep(self, now: int) -> None:
        """Remove the states that have expired."""
        self._run("sweep_states", now)
        self._run("sweep_answers", now - 24 * 3_600_000)

    def prune_records(self, upto: int, egress: str | None = None) -> None:
        """Remove the records up to this one, of an egress or of all."""
        self._keep_number()
        self._run("prune_records", upto, self._number(egress))

    def trim_records(self, egress: str, keep: int, upto: int) -> None:
        """Remove the records of an egress up to this one that are not among its newest ones."""
        self._keep_number()
        self._run("trim_records", self._number(egress), keep, upto)

    def _keep_number(self) -> None:
        """Note the highest number of a record: the next one is higher, also when there is none left."""
        last = self._rows("last_record")[0][0]
        if last > int(self.meta("records") or 0):
            self.put_meta("records", str(last))

    def _run(self, name: str, *parameters: object) -> None:
        with self._explained("written"):
            self._db.execute(self._sql[name], parameters)

    def meta(self, key: str) -> str | None:
        """Return a fact about the file."""
        rows = self._all("meta", key)
        return str(rows[0][0]) if rows else None

    def put_meta(self, key: str, value: str) -> None:
        """Write down a fact about the file."""
        self._run("put_meta", key, value)

    def catalog(self) -> bytes | None:
        """Return what the app accepts and stores."""
        rows = self._all("catalog", "app")
        return cast("bytes", rows[0][0]) if rows else None

    def put_catalog(self, catalog: bytes) -> None:
        """Write down what the app accepts and stores."""
        self._run("put_catalog", "app", catalog)

    def answer(self, key: str, since: int) -> str | None:
        """Return what was answered under an Idempotency-Key."""
        rows = self._all("answer", key, since)
        return str(rows[0][0]) if rows else None

    # --- for people ---

    def _name(self, number: object) -> str:
        assert isinstance(number, int)
        if number not in self._names:
            self._names = {id: text for text, id in cast("list[tuple[str, int]]", self._all("names"))}
        return self._names.get(number, "")

    def _number(self, text: str | None) -> int | None:
        if text is None:
            return None
        rows = self._all("names")
        return next((cast("int", number) for name, number in rows if name == text), -1)

    def list_states(
        self, function: str | None, id: str | None, now: int, after: tuple[str, str] | None, limit: int
    ) -> Sequence[StateRow]:
        """List states, by function and id."""
        number = self._number(function)
        last = (-2, "") if after is None else (self._number(after[0]), after[1])
        rows = self._all("list_states", number, id, now, *last, limit)
        return [
            StateRow(function=self._name(f), id=str(i), name=self._name(n), typename=self._name(t),
                     value=cast("bytes", v), expires_at=cast("int | None", e))
            for f, i, n, t, v, e in rows
        ]  # fmt: skip

    def list_messages(self, function: str | None, id: str | None, limit: int) -> Sequence[MessageRow]:
        """List waiting messages."""
        rows = self._all("list_messages", self._number(function), id, limit)
        return [
            MessageRow(seq=cast("int", s), function=self._name(f), id=str(i), message=cast("bytes", m))
            for s, f, i, m in rows
        ]

    def list_delayed(self, function: str | None, id: str | None, limit: int) -> Sequence[tuple[Delayed, str]]:
        """List delayed messages."""
        rows = self._all("list_delayed", self._number(function), id, limit)
        return [(Delayed(*row), self._name(row[2])) for row in rows]  # type: ignore[arg-type]  # as the table says

    def _failures(self) -> list[FailureRow]:
        rows = self._all("failures")
        names = ("function", "id", "seq", "attempts", "first_at", "last_at", "retry_at", "error", "detail")
        return [FailureRow(**dict(zip(names, row, strict=True))) for row in rows]  # type: ignore[arg-type]  # as above

    def list_failures(self) -> Sequence[tuple[FailureRow, str]]:
        """List failing addresses."""
        return [(row, self._name(row.function)) for row in self._failures()]

    def list_skipped(self, limit: int) -> Sequence[tuple[SkippedRow, str]]:
        """List skipped messages."""
        names = ("seq", "function", "id", "message", "error", "at")
        rows = [SkippedRow(**dict(zip(names, row, strict=True))) for row in self._all("list_skipped", limit)]  # type: ignore[arg-type]  # as above
        return [(row, self._name(row.function)) for row in rows]

    def list_records(self, egress: str | None, after: int, limit: int) -> Sequence[RecordRow]:
        """List records after one."""
        return self._records(self._all("list_records", self._number(egress), after, limit))

    def count_records(self, egress: str, after: int) -> int:
        """Count the records of an egress after one."""
        return self._rows("count_records", self._number(egress), after)[0][0]

    def last_records(self, egress: str | None, limit: int) -> Sequence[RecordRow]:
        """List the newest records."""
        return self._records(self._all("last_records", self._number(egress), limit))

    def _records(self, rows: Sequence[Row]) -> list[RecordRow]:
        return [
            RecordRow(seq=cast("int", s), egress=self._name(e), typename=self._name(t), value=cast("bytes", v))
            for s, e, t, v in rows
        ]

    def message(self, seq: int) -> bytes | None:
        """Return one waiting message."""
        rows = self._all("message_at", seq)
        return cast("bytes", rows[0][0]) if rows else None

    def counts(self) -> Counts:
        """Count everything."""
        s, w, d, r, f, k = self._rows("counts")[0]
        return Counts(states=s, waiting=w, delayed=d, records=r, failing=f, skipped=k)

    def check(self) -> list[str]:
        """Return what is damaged in the file; nothing if it is sound."""
        with self._explained("read"):
            rows = cast("list[tuple[str]]", self._db.execute("pragma integrity_check").fetchall())
        return [text for (text,) in rows if text != "ok"]

    def close(self) -> None:
        """Let go of the file; the log is folded into it."""
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("pragma wal_checkpoint(truncate)")
        self._db.close()


def _let_go(connection: sqlite3.Connection) -> None:
    """Close what nobody has closed: a file that was looked at, or one that cannot be used."""
    with contextlib.suppress(sqlite3.Error):  # in another thread than that which opened it
        connection.close()


def _help(error: sqlite3.Error) -> str:
    text = str(error)
    if "full" in text:
        return "make room on the disk and start again: what was committed is there"
    if "I/O error" in text:  # a limit of the file's size is one, too
        return "is the disk full, or failing? What was committed is there: make room and start again"
    if "malformed" in text or "not a database" in text:
        return "`statefun doctor` says what is damaged; put a copy back, or start afresh in another folder with --data"
    if "locked" in text:
        return "another program writes to the file: end it"
    if "unable to open" in text:
        return "is the folder there, and may you write to it?"
    return ""

"""The contract of a store, over both of them, and what is SQLite's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from statefun.runtime._delta import Delta, FailureRow, SkippedRow
from statefun.runtime._lock import lock_folder
from statefun.runtime._memory import MemoryStore
from statefun.runtime._sqlite import SCHEMA, SqliteStore
from statefun.runtime._store import Store, StoreError
from statefun.runtime._timers import Delayed

NAMES = [(1, "t/f"), (2, "t/g"), (3, "s"), (4, "r"), (5, "type"), (6, "t/out"), (7, "t/more")]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Return an empty store with names."""
    made: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "s.db")
    made.commit(Delta(names=list(NAMES)))
    yield made
    made.close()


class TestContract:
    def test_states(self, store: Store) -> None:
        """A state is there with its last value, until it is removed or swept."""
        store.commit(Delta(states=[(1, "x", 3, 5, b"a", None), (1, "x", 4, 5, b"b", 9), (1, "y", 3, 5, b"", None)]))
        store.commit(Delta(states=[(1, "x", 3, 5, b"c", None)], removed=[(1, "y", 3), (2, "never", 3)]))
        assert sorted(store.states(1, ["x", "y", "z"])) == [("x", 3, 5, b"c", None), ("x", 4, 5, b"b", 9)]
        store.sweep(9)
        assert list(store.states(1, ["x"])) == [("x", 3, 5, b"c", None)]
        assert list(store.states(2, ["x"])) == []

    def test_many_ids(self, store: Store) -> None:
        """Any number of addresses can be read at once."""
        ids = [f"id{number}" for number in range(1_000)]
        store.commit(Delta(states=[(1, id, 3, 5, id.encode(), None) for id in ids]))
        assert sorted(row[0] for row in store.states(1, ids)) == sorted(ids)

    def test_odd_ids(self, store: Store) -> None:
        """An id is any text."""
        ids = ["", "a/b", "a'b", "ü\U0001f600", "a\0b"]
        store.commit(Delta(states=[(1, id, 3, 5, id.encode(), None) for id in ids]))
        assert {row[0]: row[3] for row in store.states(1, ids)} == {id: id.encode() for id in ids}

    def test_messages(self, store: Store) -> None:
        """Messages are read in turn, parked ones by address; at a start all are read in turn."""
        rows = [(seq, 1, "x", bytes([seq]), 0) for seq in (1, 2, 3)]
        store.commit(Delta(queued=[*rows, (4, 1, "x", b"4", 1), (5, 2, "x", b"5", 1)]))
        store.commit(Delta(parked=[3], done=[1]))
        assert store.messages(0, 10) == [(2, 1, "x", b"\2")]
        assert store.parked(1, "x", 0, None, 10) == [(3, b"\3"), (4, b"4")]
        assert store.parked(1, "x", 0, 4, 10) == [(3, b"\3")]
        assert store.parked(1, "x", 4, None, 10) == [(4, b"4")]
        assert store.parked(1, "x", 0, None, 1) == [(3, b"\3")]
        assert store.start().seq == 5
        assert [row[0] for row in store.messages(3, 2)] == [3, 4]
        assert store.message(3) == b"\3"
        assert store.message(9) is None

    def test_a_message_that_comes_and_goes(self, store: Store) -> None:
        """Within one commit a message may be added, parked and removed."""
        store.commit(Delta(queued=[(1, 1, "x", b"m", 0)], parked=[1], done=[1]))
        store.commit(Delta(delayed=[(9, 2, 1, "x", b"m", "y", "t")], fired=[2]))
        assert store.counts().waiting == 0
        assert store.counts().delayed == 0

    def test_delayed(self, store: Store) -> None:
        """Delayed messages are read by when they are due; tokens are known at a start."""
        rows = [(20, 1, 1, "x", b"a", "x", "t"), (10, 2, 1, "x", b"b", "x", ""), (20, 3, 2, "y", b"c", "y", "t")]
        store.commit(Delta(delayed=list(rows)))
        assert store.delayed((-1, -1), 10) == [Delayed(*rows[1]), Delayed(*rows[0]), Delayed(*rows[2])]
        assert store.delayed((20, 1), 10) == [Delayed(*rows[2])]
        assert store.delayed((-1, -1), 1) == [Delayed(*rows[1])]
        assert store.start().tokens == {("x", "t"): 1, ("y", "t"): 3}
        assert store.list_delayed("t/g", None, 10) == [(Delayed(*rows[2]), "t/g")]
        store.commit(Delta(fired=[1, 99]))
        assert store.start().tokens == {("y", "t"): 3}

    def test_records(self, store: Store) -> None:
        """Records are kept in order until they are pruned; their numbers go on all the same."""
        store.commit(Delta(records=[(1, 6, 5, b"a"), (2, 7, 5, b"b"), (3, 6, 5, b"c")]))
        assert [row.value for row in store.list_records(None, 0, 10)] == [b"a", b"b", b"c"]
        assert [row.value for row in store.list_records("t/out", 1, 10)] == [b"c"]
        assert [row.value for row in store.last_records(None, 2)] == [b"b", b"c"]
        store.prune_records(3)
        assert store.list_records(None, 0, 10) == []
        assert store.start().records == 3

    def test_failures(self, store: Store) -> None:
        """A failing address is there with its last attempt, until it fails no more."""
        row = FailureRow(
            function=1, id="x", seq=1, attempts=1, first_at=1, last_at=1, retry_at=2, error="e", detail="d"
        )
        again = FailureRow(
            function=1, id="x", seq=1, attempts=2, first_at=1, last_at=3, retry_at=4, error="f", detail=""
        )
        store.commit(Delta(failed=[row]))
        store.commit(Delta(failed=[again]))
        assert store.list_failures() == [(again, "t/f")]
        assert store.start().failures == [again]
        skipped = SkippedRow(seq=1, function=1, id="x", message=b"m", error="f", at=5)
        store.commit(Delta(healed=[(1, "x"), (2, "never")], skipped=[skipped]))
        assert store.list_failures() == []
        assert store.list_skipped(10) == [(skipped, "t/f")]

    def test_facts(self, store: Store) -> None:
        """Positions, facts, the catalog and answers are what was written last."""
        store.commit(Delta(positions={"in a": "1"}, answers=[("k", 10, "yes")]))
        store.commit(Delta(positions={"in a": "2", "in b": "3"}))
        assert store.positions() == {"in a": "2", "in b": "3"}
        assert (store.meta("m"), store.catalog()) == (None, None)
        store.put_meta("m", "v")
        store.put_catalog(b"c")
        assert (store.meta("m"), store.catalog()) == ("v", b"c")
        assert (store.answer("k", 9), store.answer("k", 10), store.answer("other", 0)) == ("yes", None, None)

    def test_for_people(self, store: Store) -> None:
        """States and messages are listed by function and id."""
        store.commit(
            Delta(
                states=[(1, "x", 3, 5, b"a", None), (1, "y", 3, 5, b"b", 9), (2, "x", 3, 5, b"c", None)],
                queued=[(1, 1, "x", b"m", 0), (2, 2, "x", b"n", 0)],
            )
        )
        assert [
            (row.function, row.id, row.name, row.typename) for row in store.list_states("t/f", None, 0, None, 9)
        ] == [
            ("t/f", "x", "s", "type"),
            ("t/f", "y", "s", "type"),
        ]
        assert [row.value for row in store.list_states(None, "x", 0, None, 9)] == [b"a", b"c"]
        assert [row.value for row in store.list_states(None, None, 9, None, 9)] == [b"a", b"c"]
        assert [row.value for row in store.list_states(None, None, 0, ("t/f", "x"), 9)] == [b"b", b"c"]
        assert [row.message for row in store.list_messages("t/g", None, 9)] == [b"n"]
        assert store.list_states("t/unknown", None, 0, None, 9) == []

    def test_nothing(self, store: Store) -> None:
        """An empty delta says so, and can be written."""
        assert not Delta()
        store.commit(Delta())
        assert store.counts().states == 0


class TestSqlite:
    def test_all_or_nothing(self, tmp_path: Path) -> None:
        """A commit that fails half-way leaves nothing of itself."""
        store = SqliteStore(tmp_path / "s.db")
        with pytest.raises(StoreError, match="UNIQUE constraint failed"):
            store.commit(Delta(states=[(1, "x", 1, 1, b"a", None)], queued=[(1, 1, "x", b"", 0), (1, 1, "x", b"", 0)]))
        assert store.counts().states == 0
        store.commit(Delta(states=[(1, "x", 1, 1, b"a", None)]))
        assert store.counts().states == 1
        store.close()

    def test_it_stays(self, tmp_path: Path) -> None:
        """What was committed is there when the file is opened again."""
        store = SqliteStore(tmp_path / "s.db")
        store.commit(Delta(names=list(NAMES), states=[(1, "x", 3, 5, b"a", None)]))
        store.close()
        again = SqliteStore(tmp_path / "s.db", read_only=True)
        assert [row.value for row in again.list_states("t/f", "x", 0, None, 9)] == [b"a"]
        assert again.check() == []
        again.close()

    def test_durable(self, tmp_path: Path) -> None:
        """The file is written so that a power failure loses nothing."""
        store = SqliteStore(tmp_path / "s.db")
        assert store._one("pragma journal_mode") == ("wal",)
        assert store._one("pragma synchronous") == (2,)
        store.close()

    def test_views(self, tmp_path: Path) -> None:
        """Any tool can read the states by name, while the store is open."""
        store = SqliteStore(tmp_path / "s.db")
        store.commit(Delta(names=list(NAMES), states=[(1, "x", 3, 5, b"a", None)], records=[(1, 6, 5, b"r")]))
        other = sqlite3.connect(tmp_path / "s.db")
        assert other.execute("select * from states").fetchall() == [("t/f", "x", "s", "type", b"a", None)]
        assert other.execute("select * from records").fetchall() == [(1, "t/out", "type", b"r")]
        other.close()
        store.close()

    def test_newer(self, tmp_path: Path) -> None:
        """A file of a newer version is refused, and left as it is."""
        path = tmp_path / "s.db"
        SqliteStore(path).close()
        other = sqlite3.connect(path)
        other.execute(f"pragma user_version = {SCHEMA + 1}")
        other.close()
        with pytest.raises(StoreError) as caught:
            SqliteStore(path)
        assert str(caught.value) == (
            f"{path} was written by a newer version of statefun (schema {SCHEMA + 1}; this one knows {SCHEMA})\n"
            "  help: use the version that wrote it or a newer one, or another folder with --data"
        )

    def test_another_file(self, tmp_path: Path) -> None:
        """A database of something else is refused."""
        path = tmp_path / "s.db"
        other = sqlite3.connect(path)
        other.execute("create table mine (x)")
        other.close()
        with pytest.raises(StoreError) as caught:
            SqliteStore(path)
        assert str(caught.value) == (
            f"{path} is not a file of this runtime\n  help: name another folder with --data, or another file"
        )

    def test_damaged(self, tmp_path: Path) -> None:
        """A file that is no database gets a clear error."""
        path = tmp_path / "s.db"
        path.write_bytes(b"this is no database, and long enough to be seen as such" * 100)
        with pytest.raises(StoreError) as caught:
            SqliteStore(path)
        assert str(caught.value) == (
            f"{path} cannot be opened: file is not a database\n"
            "  help: `statefun doctor` says what is damaged; put a copy back, or start afresh in another folder "
            "with --data"
        )

    def test_full(self, tmp_path: Path) -> None:
        """On a full disk a commit fails with a clear error, and what was committed before is there."""
        path = tmp_path / "s.db"
        store = SqliteStore(path)
        store.commit(Delta(states=[(1, "x", 1, 1, b"kept", None)]))
        pages = store._one("pragma page_count")[0]
        store._db.execute(f"pragma max_page_count = {pages}")
        with pytest.raises(StoreError) as caught:
            store.commit(Delta(states=[(1, "y", 1, 1, bytes(1_000_000), None)]))
        assert str(caught.value) == (
            f"{path} cannot be written: database or disk is full\n"
            "  help: make room on the disk and start again: what was committed is there"
        )
        assert list(store.states(1, ["x", "y"])) == [("x", 1, 1, b"kept", None)]
        store.close()

    def test_no_folder(self, tmp_path: Path) -> None:
        """A folder that is not there is named."""
        path = tmp_path / "nowhere" / "s.db"
        with pytest.raises(StoreError) as caught:
            SqliteStore(path)
        assert str(caught.value) == (
            f"{path} cannot be opened: unable to open database file\n"
            "  help: is the folder there, and may you write to it?"
        )


def test_one_runtime_a_folder(tmp_path: Path) -> None:
    """Two runtimes cannot work in one folder; when the first has ended, the second may."""
    first = lock_folder(tmp_path)
    with pytest.raises(StoreError) as caught:
        lock_folder(tmp_path)
    assert str(caught.value) == (
        f"another runtime works in {tmp_path}\n  help: stop that one, or name another folder with --data"
    )
    first.close()
    lock_folder(tmp_path).close()

"""How long records stay: by number, by age, of all and of one egress; and never too short for a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from statefun.module import read
from statefun.runtime._delta import Delta
from statefun.runtime._memory import MemoryStore
from statefun.runtime._retention import RECORDS, Keep, Retention
from statefun.runtime._sqlite import SqliteStore
from statefun.runtime._store import Store
from statefun.runtime._surroundings import kept

HOUR = 3_600_000


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return a store that knows two egresses."""
    made: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "statefun.db")
    made.commit(Delta(names=[(1, "t/a"), (2, "t/b"), (3, "type")]))
    return made


def add(store: Store, first: int, last: int, egress: int = 1) -> None:
    """Add records."""
    store.commit(Delta(records=[(seq, egress, 3, b"x") for seq in range(first, last + 1)]))


def left(store: Store, egress: str | None = None) -> list[int]:
    """Return the numbers of the records that are kept."""
    return [row.seq for row in store.list_records(egress, 0, 1_000_000)]


def test_by_number(store: Store) -> None:
    """The newest of all egresses stay; they are removed some at a time, and none that a file has still to be given."""
    retention = Retention(store, 80)
    add(store, 1, 90)
    retention.look(90, 90, 0)
    assert len(left(store)) == 90
    add(store, 91, 200)
    retention.look(95, 200, 0)
    assert left(store) == list(range(96, 201))
    retention.look(200, 200, 0)
    assert left(store) == list(range(121, 201))
    assert store.start().records == 200


def test_by_number_of_one(store: Store) -> None:
    """An egress may keep fewer; the others are not touched."""
    retention = Retention(store, egresses={"t/a": Keep(records=3), "t/none": Keep(records=1, age_ms=1)})
    add(store, 1, 10)
    add(store, 11, 20, egress=2)
    retention.look(9, 20, HOUR)
    assert left(store, "t/a") == [8, 9, 10]
    assert left(store, "t/b") == list(range(11, 21))
    add(store, 21, 22)
    retention.look(21, 22, HOUR + 1)  # it was looked at a moment ago
    assert left(store, "t/a") == [8, 9, 10, 21, 22]
    retention.look(8, 22, 2 * HOUR)  # a file has still to be given what came after 8
    assert left(store, "t/a") == [9, 10, 21, 22]
    retention.look(22, 22, 3 * HOUR)
    assert left(store, "t/a") == [10, 21, 22]
    assert store.start().records == 22


def test_by_age(store: Store) -> None:
    """A record goes when it is older than the age of its egress, over restarts too, also if it is the newest."""
    keep = {"t/a": Keep(age_ms=HOUR)}
    retention = Retention(store, egresses=keep)
    add(store, 1, 5)
    add(store, 6, 6, egress=2)
    retention.look(6, 6, HOUR)
    add(store, 7, 9)
    retention.look(9, 9, HOUR + HOUR // 2)
    assert left(store) == list(range(1, 10))
    retention = Retention(store, egresses=keep)
    retention.look(9, 9, 2 * HOUR - 1)
    assert left(store) == list(range(1, 10))
    retention.look(9, 9, 2 * HOUR + HOUR // 60)
    assert left(store) == [6, 7, 8, 9]
    retention.look(8, 9, 3 * HOUR)
    assert left(store) == [6, 7, 8, 9]
    retention.look(9, 9, 3 * HOUR + HOUR // 30)
    assert left(store) == [6]
    assert store.start().records == 9
    assert json.loads(store.meta("record marks") or "") == {"t/a": []}


def test_what_is_noted_is_bounded(store: Store) -> None:
    """However long it runs, it remembers a few dozen times."""
    retention = Retention(store, egresses={"t/a": Keep(age_ms=HOUR)})
    for number in range(1, 301):
        add(store, number, number)
        retention.look(number, number, number * 40_000)
    assert 89 <= len(left(store)) <= 93
    assert len(json.loads(store.meta("record marks") or "")["t/a"]) <= 61


def test_what_module_yaml_says(tmp_path: Path) -> None:
    """A kept egress says how long and how many; nothing is said of the others."""
    kind = "kind: io.statefun.embedded.v1/"
    (tmp_path / "module.yaml").write_text(
        f"{kind}kept-egress\nspec: {{id: t/a, retention: 2 min, records: 7}}\n---\n"
        f"{kind}kept-egress\nspec: {{id: t/b}}\n---\n{kind}stdout-egress\nspec: {{id: t/c}}\n"
    )
    assert kept(read(str(tmp_path / "module.yaml"))) == {"t/a": Keep(records=7, age_ms=120_000), "t/b": Keep()}
    assert RECORDS == 100_000

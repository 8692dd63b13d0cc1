"""Which records may go: the newest of all egresses stay readable, and of an egress what module.yaml says of it.

Here: `Retention`. Records have no time of their own: now and then it notes how far they had come, so that an age is a
number, too. A record that a file has still to be given is never removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from statefun.runtime._store import Store

__all__ = ["RECORDS", "Keep", "Retention"]

RECORDS = 100_000
"""How many records stay readable, of all egresses together, if nothing else is said."""
_MARKS = "record marks"
_PARTS = 60
"""How finely an age is told: a record goes when it is older by at most a part more, and at least a second."""
_SLACK = 8
"""More than is to be kept by one part in so many, and some is removed: not at every commit."""
_LOOK_MS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How much of one egress stays readable, within what stays of all."""

    records: int | None = None
    age_ms: int | None = None


class Retention:
    """Removes records from a store."""

    def __init__(self, store: Store, records: int = RECORDS, egresses: Mapping[str, Keep] | None = None) -> None:
        self._store = store
        self._records = records
        self._egresses = dict(egresses or {})
        self._removed = 0
        self._looked = (0, 0)
        marks = cast("dict[str, list[tuple[int, int]]]", json.loads(store.meta(_MARKS) or "{}"))
        self._marks = {name: marks.get(name, []) for name, keep in self._egresses.items() if keep.age_ms is not None}
        """For each egress with an age: at this time, records had come to this number."""

    def look(self, settled: int, newest: int, now: int) -> None:
        """Remove what may go. Up to `settled` the files have been given all, and that is committed."""
        upto = min(settled, newest - self._records)
        if upto - self._removed > self._records // _SLACK:
            self._removed = upto
            self._store.prune_records(upto)
        if self._egresses and self._is_time(newest, now):
            self._looked = newest, now
            for egress, keep in self._egresses.items():
                if keep.records is not None:
                    self._store.trim_records(egress, keep.records, settled)
                if keep.age_ms is not None:
                    self._by_age(egress, keep.age_ms, settled, newest, now)

    def _is_time(self, newest: int, now: int) -> bool:
        at, when = self._looked
        counts = [keep.records for keep in self._egresses.values() if keep.records is not None]
        ages = [keep.age_ms for keep in self._egresses.values() if keep.age_ms is not None]
        often = max(1_000, min([_LOOK_MS, *(age // _PARTS for age in ages)]))
        return now - when >= often or newest - at > min(counts, default=newest) // _SLACK + 1_000

    def _by_age(self, egress: str, age_ms: int, settled: int, newest: int, now: int) -> None:
        marks = self._marks[egress]
        due = [mark for mark in marks if mark[0] <= now - age_ms and mark[1] <= settled]
        if due:
            self._store.prune_records(due[-1][1], egress)
        left = marks[len(due) :]
        last = left[-1] if left else (due[-1] if due else (0, 0))
        if newest > last[1] and now - last[0] >= max(1_000, age_ms // _PARTS):
            left.append((now, newest))
        if left != marks:
            self._marks[egress] = left
            self._store.put_meta(_MARKS, json.dumps(self._marks))

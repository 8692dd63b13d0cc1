"""A runtime put together: a data folder, an app, and all that is between them.

Here: `Runtime`, which opens the folder (one runtime at a time), writes down the app's catalog, and makes drivers. What
is read and written, and when it ends, is said to the driver.
"""

from __future__ import annotations

import itertools
import random
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol

from typing_extensions import Self

from statefun._clock import Clock
from statefun.catalog import Catalog
from statefun.errors import with_help
from statefun.functions import StatefulFunctions
from statefun.module._model import Module, RecordFields
from statefun.runtime._boxes import Limits
from statefun.runtime._catalog import StoredCatalog
from statefun.runtime._endpoint import TIMEOUT_S, InProcess
from statefun.runtime._engine import Engine
from statefun.runtime._jsonl import LineReader
from statefun.runtime._lock import lock_folder
from statefun.runtime._plans import FunctionSpec, Wire
from statefun.runtime._pump import Endpoint, Pump
from statefun.runtime._sources import FileSource
from statefun.runtime._sqlite import SqliteStore
from statefun.runtime._store import StoreError
from statefun.runtime._values import Json, Values

__all__ = ["DATABASE", "Callee", "Runtime"]

DATABASE = "statefun.db"


class Callee(Endpoint, Protocol):
    """An endpoint that knows which functions it serves."""

    def find(self, namespace: str, name: str) -> FunctionSpec | None:
        """Return what the engine has to know about a function; None if it is not served."""
        ...


class Runtime:
    """An open data folder with an app."""

    def __init__(
        self,
        callee: Callee,
        catalog: StoredCatalog,
        data: Path,
        *,
        wire: Wire = "v3",
        egresses: Iterable[str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.data = data
        self.wire: Wire = wire
        self._callee = callee
        self._lock = lock_folder(data)
        try:
            self.store: SqliteStore = SqliteStore(data / DATABASE)
            self._check_wire()
            self.store.put_catalog(catalog.to_bytes())
            known = None if egresses is None else frozenset(egresses)
            self.engine: Engine = Engine(
                callee.find,
                self.store.start(),
                wire=wire,
                knows_egress=(lambda _typename: True) if known is None else known.__contains__,
                limits=limits,
                jitter=random.random,
            )
        except BaseException:
            self._lock.close()
            raise
        self.values: Values = Values(catalog)
        self.pump: Pump = Pump(self.engine, self.store, callee)

    @classmethod
    def in_process(  # noqa: PLR0913 -- what an app is surrounded by, each by its name
        cls,
        functions: StatefulFunctions,
        data: Path,
        *,
        wire: Wire = "v3",
        egresses: Iterable[str] | None = None,
        limits: Limits | None = None,
        module: Module | None = None,
        timeout_s: float | None = TIMEOUT_S,
        slow: Callable[[str, float], None] | None = None,
        measured: bool = False,
    ) -> Self:
        """Open a folder for an app whose functions are called in this process.

        `module` says how large batches are, and in 2.x what expires when. `timeout_s` is the limit of async functions;
        `slow` is told which function holds up the event loop for more than a second, and for how long. `measured`
        counts what they do, for OpenTelemetry.
        """
        callee = InProcess(functions, wire=wire, module=module, timeout_s=timeout_s, slow=slow, measured=measured)
        catalog = StoredCatalog.of(Catalog.of(functions))
        try:
            return cls(callee, catalog, data, wire=wire, egresses=egresses, limits=limits)
        except BaseException:
            callee.close()
            raise

    def _check_wire(self) -> None:
        """Refuse data of the other version: its messages and states would be read wrongly."""
        known = self.store.meta("wire")
        if known is None:
            self.store.put_meta("wire", self.wire)
        elif known != self.wire:
            msg = f"the data in {self.data} is of {known}, and this app is served in {self.wire}"
            raise StoreError(with_help(msg, f"name another folder with --data, or use --wire {known}"))

    def jsonl(
        self, path: Path, *, to: str, type: str | None = None, fields: RecordFields | None = None, follow: bool = False
    ) -> FileSource:
        """Return an ingress that reads a JSONL file for one function. Raises ValueProblem."""
        reader = LineReader(self.values, self.wire, type=type, fields=fields)
        return FileSource(path, reader, (to,), follow=follow)

    def states(self, function: str) -> Iterator[tuple[str, dict[str, Json]]]:
        """Yield every address of a function that has state: its id, and its values as JSON."""
        rows = self.store.list_states(function, None, 0, None, sys.maxsize)
        for id, cells in itertools.groupby(rows, key=lambda row: row.id):
            yield id, {cell.name: self.values.decode(cell.typename, cell.value) for cell in cells}

    def records(self, egress: str) -> Iterator[Json]:
        """Yield the records of an egress that are kept, as JSON."""
        last = 0
        while rows := self.store.list_records(egress, last, 1_000):
            for row in rows:
                yield self.values.decode(row.typename, row.value, egress)
            last = rows[-1].seq

    def use_clock(self, clock: Clock) -> None:
        """Take the time of dead letters from the clock that the driver asks, too."""
        if isinstance(self._callee, InProcess):
            self._callee.clock = clock

    @property
    def abandoned(self) -> int:
        """How many calls still run in threads that nobody waits for."""
        return self._callee.abandoned if isinstance(self._callee, InProcess) else 0

    def name(self) -> str:
        """Return a name of this folder that no other has, but its copies."""
        known = self.store.meta("name")
        if known is None:
            known = secrets.token_hex(8)
            self.store.put_meta("name", known)
        return known

    def close(self) -> None:
        """Let go of the folder."""
        if isinstance(self._callee, InProcess):
            self._callee.close()
        self.store.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

"""What somebody may do to a runtime by hand: send, set a state, fire or cancel, retry or skip, move time.

Here: `Operations`, the same for a running runtime (its control door calls them) and for one that is stopped (`offline`
opens the folder, without the app: the file says what its functions accept).
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import cast

from statefun._clock import Clock, WallClock
from statefun.errors import ConfigError
from statefun.runtime import _by_hand
from statefun.runtime._catalog import StoredCatalog
from statefun.runtime._dead_letters import REPLAYED
from statefun.runtime._engine import Engine
from statefun.runtime._lock import lock_folder
from statefun.runtime._outbox import PREFIX, Decision, Progress, decided
from statefun.runtime._plans import FunctionSpec, Plan, Wire
from statefun.runtime._requests import argument, headers_field
from statefun.runtime._senders import Senders
from statefun.runtime._sqlite import SqliteStore
from statefun.runtime._store import Store
from statefun.runtime._values import Json, Values, brief

__all__ = ["OFFSET", "OperationError", "Operations", "offline"]

OFFSET = "clock offset"


class OperationError(ConfigError):
    """What was asked for cannot be done."""


class Operations:
    """Does things by hand; what it did is committed by its caller."""

    def __init__(
        self, engine: Engine, store: Store, values: Values, clock: Clock, senders: Senders | None = None
    ) -> None:
        self._engine = engine
        self._store = store
        self._values = values
        self._clock = clock
        self._senders = senders

    def _plan(self, function: str) -> Plan:
        plan = self._engine.plan(function)
        if plan is None:
            known = ", ".join(sorted(self._values.catalog.functions)) or "none is known"
            raise OperationError(f"there is no function {function!r} ({known})")
        return plan

    def accepted_type(self, function: str, name: str | None) -> str:
        """Return the typename of a message that is given in JSON. Raises OperationError, ValueProblem."""
        if name:
            return self._values.resolve(name)
        accepts = self._values.from_json(function)
        if len(accepts) != 1:
            several = ", ".join(map(brief, accepts)) or "none that JSON can be"
            raise OperationError(f"say the type of the message: {function} takes {several}")
        return accepts[0]

    def send(self, function: str, id: str, type: str | None, value: Json) -> Json:
        """Send a message that is given in JSON."""
        plan = self._plan(function)
        typename = self.accepted_type(function, type)
        self._engine.feed(plan, id, argument(typename, self._values.encode(typename, value), self._engine.wire))
        return {"sent": f"{function}/{id}", "type": typename}

    def replay(self, letters: Sequence[Mapping[str, Json]], *, again: bool) -> list[Json]:
        """Send the messages of dead letters again; return "sent", "already" or "unknown" (its function) for each.

        That one was sent is written down in the same commit: `key` tells it from others.
        """
        known: Mapping[str, str] = {} if again else self._store.positions()
        return [self._replay(letter, known, again=again) for letter in letters]

    def _replay(self, letter: Mapping[str, Json], known: Mapping[str, str], *, again: bool) -> Json:
        plan = self._engine.plan(str(letter["function"]))
        if plan is None:
            return "unknown"
        mark, positions = f"{REPLAYED}{letter['key']}", self._engine.boxes.delta.positions
        if not again and (mark in positions or mark in known):
            return "already"
        caller = cast("Sequence[str] | None", letter["caller"])
        headers = cast("Sequence[tuple[str, str | None]]", letter["headers"])
        message = argument(str(letter["type"]), base64.b64decode(str(letter["payload"])), self._engine.wire)
        if self._engine.wire == "v3":
            message += headers_field([(key, None if text is None else base64.b64decode(text)) for key, text in headers])
        _by_hand.deliver(self._engine, plan, str(letter["id"]), message, None if caller is None else (*caller,))
        positions[mark] = str(self._clock.now())
        return "sent"

    def set_state(self, function: str, id: str, name: str, type: str | None, value: Json) -> Json:
        """Give a state a value that is given in JSON."""
        plan = self._plan(function)
        cell = plan.by_name.get(name)
        known = self._values.catalog.functions.get(function)
        declared = cell.spec.typename if cell is not None else known.states.get(name, "") if known else ""
        typename = self._values.resolve(type) if type else declared
        if not typename:
            raise OperationError(f"{function} declares no state {name!r}: say its type")
        data = self._values.encode(typename, value)
        if self._engine.wire == "v2":
            data = argument(typename, data, "v2")  # what 2.x stores is an Any
        _by_hand.write_state(self._engine, plan, id, name, typename, data, self._clock.now())
        return {"set": f"{function}/{id}", "state": name}

    def remove_state(self, function: str, id: str, name: str | None) -> Json:
        """Delete a state of an address, or all of them."""
        plan = self._plan(function)
        rows = self._store.list_states(function, id, 0, None, 10_000)
        names = [name] if name else [row.name for row in rows]
        for one in names:
            _by_hand.write_state(self._engine, plan, id, one, "", None, self._clock.now())
        return {"removed": names}

    def fire(self, seq: int) -> Json:
        """Deliver a delayed message now."""
        if not _by_hand.fire(self._engine, seq, self._stored(seq)):
            raise OperationError(f"there is no delayed message {seq}")
        return {"fired": seq}

    def cancel(self, seq: int) -> Json:
        """Take a delayed message back."""
        if self._stored(seq) is None and self._engine.timers.known(seq) is None:
            raise OperationError(f"there is no delayed message {seq}")
        self._engine.timers.remove(seq, self._engine.boxes.delta)
        return {"cancelled": seq}

    def _stored(self, seq: int) -> tuple[int, str, bytes] | None:
        rows = self._store.list_delayed(None, None, 1_000_000)
        return next(((one.function, one.id, one.message) for one, _ in rows if one.seq == seq), None)

    def retry(self, function: str, id: str) -> Json:
        """Try a failing address again now."""
        if not _by_hand.retry(self._engine, self._plan(function), id, self._clock.now()):
            raise OperationError(f"{function}/{id} is not failing")
        return {"retried": f"{function}/{id}"}

    def skip(self, function: str, id: str) -> Json:
        """Take the message away that an address fails at; it is kept among the skipped."""
        skipped = _by_hand.skip(self._engine, self._plan(function), id, self._clock.now())
        if skipped is None:
            raise OperationError(f"{function}/{id} is not failing")
        return {"skipped": skipped.seq, "address": f"{function}/{id}", "error": skipped.error}

    def decide(self, egress: str, decision: str) -> Json:
        """Send again what an egress holds, or take it as sent."""
        chosen: Decision = "resend" if decision == "resend" else "confirm"
        position = self._store.positions().get(PREFIX + egress)
        if position is None:
            raise OperationError(f"nothing was sent to Kafka through {egress!r}")
        sender = None if self._senders is None else self._senders.of(egress)
        try:
            if sender is not None:
                sender.decide(chosen)
            else:
                progress = decided(Progress.from_json(position), chosen)
                self._engine.boxes.delta.positions[PREFIX + egress] = progress.to_json()
        except ValueError:
            raise OperationError(f"the egress {egress!r} is not held") from None
        return {"egress": egress, "decision": chosen}

    def advance(self, ms: int) -> Json:
        """Move time on."""
        if not isinstance(self._clock, WallClock):
            raise OperationError("time comes from the records here: it cannot be moved by hand")
        self._clock.offset_ms += ms
        self._store.put_meta(OFFSET, str(self._clock.offset_ms))
        return {"now": self._clock.now(), "offset": self._clock.offset_ms}


@contextlib.contextmanager
def offline(data: Path, database: str) -> Generator[Operations, None, None]:
    """Open a folder that no runtime works in; what is done is committed at the end. Raises StoreError."""
    lock = lock_folder(data)
    try:
        store = SqliteStore(data / database)
        values = Values(StoredCatalog.from_bytes(store.catalog()))
        wire: Wire = "v2" if store.meta("wire") == "v2" else "v3"

        def find(namespace: str, name: str) -> FunctionSpec | None:
            typename = f"{namespace}/{name}"
            return FunctionSpec(typename=typename) if typename in values.catalog.functions else None

        engine = Engine(find, store.start(), wire=wire)
        rows = store.messages(0, 1_000_000)
        engine.paged(rows, last=True)
        yield Operations(engine, store, values, WallClock(int(store.meta(OFFSET) or 0)))
        store.commit(engine.take_delta())
        store.close()
    finally:
        lock.close()

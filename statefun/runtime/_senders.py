"""Egresses that send by themselves, after the commit: a thread each, and what is known of them in the store.

Here: `Sender`, one an egress, between the driver and a `Link`, and `Senders`, all that a driver has. At each commit a
sender that has nothing under way intends a batch: its mark is in that commit, and only after it the records go to the
thread. What the thread has sent is in the next commit. Records are read from the store again, so that however far
Kafka is behind, memory is bounded.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from statefun.errors import StatefunError
from statefun.runtime._delta import Delta
from statefun.runtime._kafka_link import Away, Link, RefusedRecord, Unusable
from statefun.runtime._kafka_records import NoRecord, Outgoing, outgoing, topic_of
from statefun.runtime._outbox import PREFIX, Decision, Held, Mark, Progress, decided, settle
from statefun.runtime._plans import Names
from statefun.runtime._sinks import SinkError
from statefun.runtime._store import RecordRow, Store

__all__ = ["Sender", "Senders"]

log = logging.getLogger("statefun.kafka")

_BATCH = 2_000
_PAGE = 250
_BATCH_BYTES = 8 << 20
_PAUSES = (0.05, 0.2, 1.0, 2.0, 5.0)
_UNUSABLE_S = 10.0
_MOST = 100_000
"""Records that may wait for Kafka before the ingresses are not read any more."""
_GRACE_S = 5.0


class _Over(Exception):
    """The thread is to end."""


@dataclass(frozen=True, slots=True)
class _Batch:
    rows: tuple[Outgoing, ...]
    refused: Held | None
    """Why the record after these can't be sent."""


class Sender:
    """Sends the records of one egress."""

    def __init__(self, egress: str, link: Callable[[], Link], wake: Callable[[], None]) -> None:
        self.egress = egress
        self.name: str = f"{PREFIX}{egress}"
        self.progress: Progress = Progress()
        """As it stands in the store, or will with the next commit."""
        self.newest: int = 0
        """The last record of this egress."""
        self.ending: bool = False
        """Whether no further batch is to be begun."""
        self._make_link = link
        self._wake = wake
        self._link: Link | None = None
        self._number = 0
        self._store: Store | None = None
        self._changed = False
        self._intended = False
        self._jobs: queue.SimpleQueue[tuple[Progress, _Batch | None] | None] = queue.SimpleQueue()
        self._given = self.progress  # what the thread began with
        self._done: Progress | None = None
        self._error: StatefunError | None = None
        self._busy = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._settled = ""  # the topic under which the mark was read

    # --- what the driver calls ---

    def open(self, position: str | None, store: Store, names: Names, newest: int) -> None:
        """Begin where the last run ended. Raises SinkError, ConfigError."""
        self._store = store
        self._number = names.id(self.egress)
        self.progress = Progress.from_json(position)
        self.newest = newest
        self._link = self._make_link()
        self._thread = threading.Thread(target=self._run, daemon=True, name="statefun-kafka-out")
        self._thread.start()
        self._hand(None)

    def intend(self, delta: Delta) -> str | None:
        """Say what is to be written with this commit; None if nothing has changed."""
        number = self._number
        for row in reversed(delta.records):
            if row[1] == number:
                self.newest = row[0]
                break
        if self._error is not None:
            raise self._error
        if self._done is not None:
            self._take(self._done)
        if self._ready():
            topic = self.progress.topic or self._first_topic(delta)
            self.progress = replace(self.progress, pending=Mark(self.newest, uuid.uuid4().hex), topic=topic)
            self._changed = self._intended = True
        if not self._changed:
            return None
        return self.progress.to_json()

    def _take(self, done: Progress) -> None:
        """Take what the thread has come to; a decision that came meanwhile is about what is held now."""
        late = self.progress.decision if self._given.decision is None and done.held is not None else None
        self._done, self._busy = None, False
        self._changed = self._changed or done != self.progress
        self.progress = replace(done, decision=late)
        if late is not None:
            self._hand(None)

    def _ready(self) -> bool:
        return not self._busy and not self.ending and self.progress.held is None and self.newest > self.progress.sent

    def committed(self) -> None:
        """Send what was intended."""
        self._changed = False
        if self._intended:
            self._intended = False
            self._hand(self._batch())

    def decide(self, decision: Decision) -> None:
        """Do what somebody has decided about what is held. Raises ValueError if nothing is."""
        self.progress = decided(self.progress, decision)
        self._changed = True
        if not self._busy:
            self._hand(None)

    @property
    def lag(self) -> int:
        """About how many records wait: those of other egresses between them are counted."""
        return max(0, self.newest - self.progress.sent)

    @property
    def idle(self) -> bool:
        """Whether everything is sent, or nothing more can be."""
        return not self._busy and not self._changed and (self.progress.held is not None or not self.lag)

    @property
    def works(self) -> bool:
        """Whether the thread works on something."""
        return self._busy and self._done is None and self._error is None

    def close(self) -> None:
        """Let go of it."""
        self._stopping.set()
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(_GRACE_S)
            self._thread = None

    def _hand(self, batch: _Batch | None) -> None:
        self._busy, self._given = True, self.progress
        self._jobs.put((self.progress, batch))

    def _first_topic(self, delta: Delta) -> str:
        """Choose the topic that the mark stands under: that of the first record, which has to exist anyway."""
        assert self._store is not None
        waiting = self._store.list_records(self.egress, self.progress.sent, 1)
        values = [row.value for row in waiting] or [row[3] for row in delta.records if row[1] == self._number]
        return topic_of(values[0]) if values else ""

    def _batch(self) -> _Batch:
        """Read what is to be sent next."""
        assert self._store is not None and self.progress.pending is not None  # noqa: PT018 -- one was intended
        rows: list[Outgoing] = []
        after, size = self.progress.sent, 0
        while len(rows) < _BATCH and size < _BATCH_BYTES:
            page = self._store.list_records(self.egress, after, _PAGE)
            for row in page:
                try:
                    rows.append(outgoing(row))
                except NoRecord as error:
                    return _Batch(tuple(rows), _refusal(row.seq, str(error)))
                size += len(row.value)
            if len(page) < _PAGE:
                break
            after = page[-1].seq
        return _Batch(tuple(rows), None)

    # --- in the thread ---

    def _run(self) -> None:
        link = self._link
        assert link is not None
        try:
            while not self._stopping.is_set():
                job = self._jobs.get()
                if job is None:
                    return
                progress, batch = job
                self._done = self._recover(link, progress) if batch is None else self._deliver(link, progress, batch)
                self._wake()
        except _Over:
            pass
        except StatefunError as error:
            self._error = error
            self._wake()
        except Exception as error:  # noqa: BLE001 -- the driver's thread raises it
            self._error = SinkError(f"egress {self.egress!r}: {type(error).__name__}: {error}")
            self._wake()
        finally:
            link.close()

    def _recover(self, link: Link, progress: Progress) -> Progress:
        """Mend the link, and settle what was under way."""
        mark = self._insist(lambda: link.recover(progress.topic))
        self._settled = progress.topic
        if not link.exact:
            progress = replace(progress, topic="", tag="")
        settled = settle(progress, mark)
        if settled.held is not None and settled.held != progress.held:
            _say(self.egress, settled.held)
        return settled

    def _deliver(self, link: Link, progress: Progress, batch: _Batch) -> Progress:
        """Send a batch until it is sent, or held."""
        rows, refused = batch.rows, batch.refused
        pending = progress.pending
        assert pending is not None
        if link.exact and rows and self._settled != progress.topic:  # its mark was never read: it might be another's
            known = self._recover(link, replace(progress, pending=None))
            if known.held is not None:
                return known
        while rows and not self._stopping.is_set():
            try:
                self._insist(lambda: link.send(rows, pending.tag, progress.topic), once=True)  # noqa: B023 -- called at once
                return replace(progress, sent=rows[-1].seq, tag=pending.tag, pending=None)
            except RefusedRecord as error:
                if error.sure:
                    bad = next(at for at, row in enumerate(rows) if row.seq == error.seq)
                    refused = _refusal(error.seq, f"topic {rows[bad].topic!r}, key {_shown(rows[bad].key)}, {error}")
                    rows = rows[:bad]
                else:  # it is found by halves
                    refused, rows = None, rows[: len(rows) // 2]
                found = self._recover(link, progress)
            except Away:
                found = self._recover(link, progress)
            if found.held is not None or found.sent > progress.sent:
                return found  # nobody knows, or it was in
        if refused is None:  # there was nothing up to there
            return replace(progress, sent=max(progress.sent, pending.seq), pending=None)
        _say(self.egress, refused)
        return replace(progress, pending=None, held=refused)

    def _insist(self, call: Callable[[], Mark | None], *, once: bool = False) -> Mark | None:
        """Try until it works or everything ends; complain once."""
        tries = 0
        while True:
            try:
                found = call()
            except (Away, Unusable) as error:  # noqa: PERF203 -- again and again is the point
                if once:
                    raise Away(str(error)) from error
                self._wait(error, tries)
                tries += 1
            else:
                if tries:
                    log.warning("egress %r: Kafka answers again", self.egress)
                return found

    def _wait(self, error: Away | Unusable, tries: int) -> None:
        if tries == 0:
            log.warning("egress %r: %s; its records are kept, and sent when it is mended", self.egress, error)
        pause = _UNUSABLE_S if isinstance(error, Unusable) else _PAUSES[min(tries, len(_PAUSES) - 1)]
        if self._stopping.wait(pause):
            raise _Over from error


def _refusal(seq: int, text: str) -> Held:
    return Held(why="refused", text=f"Kafka takes no record {seq}: {text}", upto=seq)


def _shown(key: bytes | None) -> str:
    return "none" if key is None else repr(key.decode("utf-8", "replace"))


def _say(egress: str, held: Held) -> None:
    log.error(
        "egress %r is held: %s; `statefun egress resend %s` sends again, `statefun egress confirm %s` takes it as sent",
        egress, held.text, egress, egress,
    )  # fmt: skip


class Senders:
    """All of a driver's."""

    def __init__(self) -> None:
        self.all: list[Sender] = []

    def open(self, positions: dict[str, str], store: Store, names: Names) -> None:
        """Begin where the last run ended."""
        for sender in self.all:
            last: Sequence[RecordRow] = store.last_records(sender.egress, 1)
            position = positions.get(sender.name)
            sender.open(position, store, names, last[-1].seq if last else 0)

    def intend(self, delta: Delta) -> None:
        """Add to a commit what the senders intend."""
        for sender in self.all:
            if (position := sender.intend(delta)) is not None:
                delta.positions[sender.name] = position

    def committed(self) -> None:
        """Send what was intended."""
        for sender in self.all:
            sender.committed()

    def full(self) -> bool:
        """Tell whether so much waits that no more should come in."""
        return any(sender.lag > _MOST for sender in self.all)

    def settled(self, newest: int) -> int:
        """Return up to which record nothing waits to be sent."""
        return min([newest, *(sender.progress.sent for sender in self.all if sender.lag)])

    def idle(self) -> bool:
        """Tell whether there is nothing to be sent."""
        return all(sender.idle for sender in self.all)

    def finish(self, commit: Callable[[], object]) -> None:
        """Wait a while for what is under way, and write down what became of it."""
        until = time.monotonic() + _GRACE_S
        for sender in self.all:
            sender.ending = True
        while time.monotonic() < until and any(sender.works for sender in self.all):
            time.sleep(0.005)
        commit()

    def of(self, egress: str) -> Sender | None:
        """Return the sender of an egress."""
        return next((sender for sender in self.all if sender.egress == egress), None)

    def close(self) -> None:
        """Let go of all."""
        for sender in self.all:
            sender.close()

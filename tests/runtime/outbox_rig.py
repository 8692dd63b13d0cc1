"""A sender on a store, moved by hand; a Kafka in memory; and what must hold on it and on a real one alike."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from statefun._proto.egress_pb2 import KafkaProducerRecord
from statefun.runtime._delta import Delta
from statefun.runtime._kafka_link import Away, Link, RefusedRecord
from statefun.runtime._kafka_records import Outgoing
from statefun.runtime._memory import MemoryStore
from statefun.runtime._outbox import Decision, Held, Mark
from statefun.runtime._plans import Names
from statefun.runtime._senders import Sender, Senders

Crash = Callable[[str], None]
EGRESS = "t/out"
TYPE = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
POINTS = ("recovered", "begun", "produced", "delivered", "marked", "committed")
LARGEST = 100_000


@dataclass
class FakeKafka:
    """Records, marks, and who may write: what of a broker decides about once."""

    records: list[bytes] = field(default_factory=list[bytes])
    marks: dict[str, Mark] = field(default_factory=dict[str, Mark])
    epochs: dict[str, int] = field(default_factory=dict[str, int])
    largest: int = LARGEST
    away: int = 0
    """How many calls fail before it answers again."""

    def answer(self) -> None:
        """Answer, or not. Raises Away."""
        if self.away:
            self.away -= 1
            raise Away("the brokers are away")


class FakeLink:
    """A link to it, with the points at which a process may die."""

    def __init__(self, kafka: FakeKafka, name: str, crash: Crash, *, exact: bool = True) -> None:
        self.exact = exact
        self._kafka = kafka
        self._name = name
        self._crash = crash
        self._epoch = -1

    def recover(self, topic: str) -> Mark | None:
        """Fence whoever was there before, and read the mark."""
        kafka = self._kafka
        kafka.answer()
        self._epoch = kafka.epochs[self._name] = kafka.epochs.get(self._name, 0) + 1
        mark = kafka.marks.get(self._name) if topic and self.exact else None
        self._crash("recovered")
        return mark

    def send(self, rows: Sequence[Outgoing], tag: str, topic: str) -> None:
        """Send all or nothing."""
        kafka = self._kafka
        assert topic
        self._crash("begun")
        for row in rows:
            if len(row.value) > kafka.largest:
                raise RefusedRecord(row.seq, f"{len(row.value)} bytes: too large")
        self._crash("produced")
        kafka.answer()
        self._crash("delivered")
        self._crash("marked")
        if kafka.epochs[self._name] != self._epoch:
            raise Away("fenced")
        kafka.records += [row.value for row in rows]
        if self.exact:
            kafka.marks[self._name] = Mark(rows[-1].seq, tag)
        self._crash("committed")

    def close(self) -> None:
        """Leave it."""


class World:
    """A process that may die: what it had in memory is gone then, and what was committed is not."""

    def __init__(self, link: Callable[[Crash], Link], read: Callable[[], list[bytes]], forget: Callable[[], None],
                 topic: str = "out") -> None:  # fmt: skip
        self.read = read
        self.forget = forget
        self.store = MemoryStore()
        self.count = 0
        self._topic = topic
        self._link = link
        self._point = ""
        self.start()

    def start(self) -> None:
        """Start a process on what the store holds."""
        self._woken = threading.Event()
        self._dead = threading.Event()
        self.names = Names(dict(self.store.start().names))
        self.sender = Sender(EGRESS, lambda: self._link(self._crash), self._woken.set)
        self.senders = Senders()
        self.senders.all.append(self.sender)
        self.senders.open(dict(self.store.positions()), self.store, self.names)

    def _crash(self, point: str) -> None:
        if point == self._point:
            self._dead.set()
            raise SystemExit  # ends the thread without a word

    def put(self, *values: bytes) -> None:
        """Commit some records; without values, three that are numbered."""
        delta = Delta()
        number, typename = self.names.id(EGRESS), self.names.id(TYPE)
        seq = self.store.start().records
        for value in values or [b"%d" % (self.count + more) for more in (1, 2, 3)]:
            seq += 1
            self.count += not values
            record = KafkaProducerRecord(topic=self._topic, value_bytes=value).SerializeToString()
            delta.records.append((seq, number, typename, record))
        delta.names, self.names.fresh = self.names.fresh, []
        self.commit(delta)

    def commit(self, delta: Delta | None = None, *, committed: bool = True) -> None:
        """Commit as a driver does; without the last step, as one that dies right after it."""
        delta = delta or Delta()
        self.senders.intend(delta)
        if delta:
            self.store.commit(delta)
        if committed:
            self.senders.committed()

    def run(self, seconds: float = 60) -> Held | None:
        """Work until everything is sent or held; return why it is held."""
        end = time.monotonic() + seconds
        while not self.senders.idle():
            assert time.monotonic() < end, self.sender.progress
            self._woken.wait(0.02)
            self._woken.clear()
            self.commit()
        return self.sender.progress.held

    def die(self, point: str = "") -> None:
        """Work until the process dies at a point, or die now; then start again."""
        end = time.monotonic() + 60
        self._point = point
        while point and not self._dead.is_set():
            assert time.monotonic() < end, f"never at {point!r}"
            self._woken.wait(0.02)
            self._woken.clear()
            if not self._dead.is_set():
                self.commit()
        self._point = ""
        self.senders.close()
        self.start()

    def decide(self, decision: Decision) -> Held | None:
        """Decide, and work on."""
        self.sender.decide(decision)
        return self.run()

    def backup(self) -> MemoryStore:
        """Return what is on the disk now."""
        return copy.deepcopy(self.store)

    def restore(self, store: MemoryStore) -> None:
        """Start on an older state of the disk."""
        self.senders.close()
        self.store = store
        self.start()

    def numbers(self) -> list[int]:
        """Return what Kafka has."""
        return [int(value) for value in self.read()]


def to(last: int) -> list[int]:
    """Return 1 to last."""
    return list(range(1, last + 1))


DEATH = pytest.mark.filterwarnings("ignore:(?s).*SystemExit:pytest.PytestUnhandledThreadExceptionWarning")
"""A thread that dies is what these tests are about."""


@DEATH
class OutboxContract:
    """What holds for a tagged outbox, on whatever Kafka the fixture `world` has."""

    @pytest.mark.parametrize("point", POINTS)
    @pytest.mark.parametrize("first", [True, False], ids=["first batch", "later batch"])
    def test_death(self, world: World, point: str, *, first: bool) -> None:
        """Wherever the process dies, each record is there once, in order."""
        if not first:
            world.put()
            world.run()
            if point == "recovered":
                world.die()
        world.put()
        world.die(point)
        world.put()
        assert world.run() is None
        assert world.numbers() == to(world.count)

    def test_death_between_commit_and_send(self, world: World) -> None:
        """A batch that was intended and not begun is sent by the next process."""
        world.run()
        world.put()
        world.run()
        delta = Delta()
        number, typename = world.names.id(EGRESS), world.names.id(TYPE)
        record = KafkaProducerRecord(topic=world._topic, value_bytes=b"4").SerializeToString()
        delta.records.append((4, number, typename, record))
        world.commit(delta, committed=False)
        world.die()
        assert world.sender.progress.pending is not None
        world.run()
        assert world.numbers() == to(4)

    def test_deaths_in_a_row(self, world: World) -> None:
        """Nor does it matter how often, and right after one another."""
        world.put()
        world.die("committed")
        world.die("recovered")
        world.put()
        world.die("marked")
        world.put()
        world.die("committed")
        assert world.run() is None
        assert world.numbers() == to(9)

    @pytest.mark.parametrize("decision", ["resend", "confirm"])
    def test_a_backup(self, world: World, decision: Decision) -> None:
        """A data folder that is older than Kafka is held: its records would be lost, or sent again."""
        world.put()
        world.run()
        backup = world.backup()
        world.put()
        world.run()
        world.restore(backup)
        world.put(b"4", b"5", b"6", b"7")
        held = world.run()
        assert held is not None
        assert held.why == "diverged"
        assert held.text == (
            "Kafka was given records up to 6 by another store than this one, which knows of 3: this data folder is a "
            "backup or a copy"
        )
        assert world.numbers() == to(6)
        assert world.decide(decision) is None
        assert world.numbers() == ([*to(6), 4, 5, 6, 7] if decision == "resend" else to(7))

    def test_a_copy(self, world: World) -> None:
        """Another store under the same name is held before it sends anything, even if it never sent."""
        copied = world.backup()
        world.put()
        world.run()
        world.restore(copied)
        world.count = 0
        world.put()
        held = world.run()
        assert held is not None
        assert held.why == "diverged"
        assert world.numbers() == to(3)

    def test_a_lost_mark_and_nothing_under_way(self, world: World) -> None:
        """A mark that is gone says nothing where nothing is in doubt."""
        world.put()
        world.run()
        world.die()
        world.forget()
        world.put()
        assert world.run() is None
        assert world.numbers() == to(6)

    @pytest.mark.parametrize("decision", ["resend", "confirm"])
    def test_a_lost_mark(self, world: World, decision: Decision) -> None:
        """Without the mark nobody can say whether the batch under way is in: it is held."""
        world.put()
        world.run()
        world.put()
        world.die("committed")
        world.senders.close()
        world.forget()
        world.start()
        held = world.run()
        assert held is not None
        assert held.text == (
            "the records up to 6 may or may not be in Kafka: the mark that would say so is not there any more (the "
            "consumer group was deleted, or its offsets have expired)"
        )
        world.put()
        assert world.decide(decision) is None
        assert world.numbers() == ([*to(6), *to(9)[3:]] if decision == "resend" else to(9))

    def test_a_record_that_is_refused(self, world: World) -> None:
        """A record that Kafka will never take is named and held; what was sent before it is in, what comes waits."""
        world.put()
        world.put(b"4", b"0" * (LARGEST + 1_000) + b"5", b"6")
        held = world.run()
        assert held is not None
        assert held.text.startswith(f"Kafka takes no record 5: topic {world._topic!r}, key none, 101001 bytes: ")
        assert world.numbers() == to(4)
        again = world.decide("resend")
        assert again is not None
        assert again.upto == 5
        world.die()
        assert world.run() == again
        assert world.decide("confirm") is None
        assert world.numbers() == [1, 2, 3, 4, 6]

    def test_no_record(self, world: World) -> None:
        """What is no Kafka record at all is held, too."""
        world.put()
        delta = Delta()
        delta.records.append((4, world.names.id(EGRESS), world.names.id("t/other"), b"x"))
        delta.names, world.names.fresh = world.names.fresh, []
        world.commit(delta)
        held = world.run()
        assert held is not None
        assert held.text == (
            "Kafka takes no record 4: it is 't/other', and a Kafka egress takes records that KafkaEgress makes"
        )
        assert world.numbers() == to(3)

"""How records get into Kafka: in transactions that leave a mark, or one by one until each has arrived.

Here: `Link`, what the sender needs of one, and its two kinds. A link that has failed in any way is mended by `recover`,
which is also how it begins: there is one way back, and it is taken at every start.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from statefun.module._model import ExactlyOnce, KafkaEgress
from statefun.runtime._kafka_client import ask_again, client, describe, error_of, never, settings, wrong
from statefun.runtime._kafka_records import Outgoing
from statefun.runtime._outbox import Mark
from statefun.runtime._sinks import SinkError

if TYPE_CHECKING:
    import confluent_kafka


__all__ = ["Away", "Link", "PlainLink", "RefusedRecord", "TransactionalLink", "Unusable", "link_of"]

log = logging.getLogger("statefun.kafka")

_ANSWER_S = 5.0
"""How long one answer of a coordinator is waited for, and for how long it is asked again."""
_DELIVERY_S = 30.0
_HANGS_S = 20.0
_UNSAID_S = 8.0
"""For how long a mark may not be said, before something is done about it."""
T = TypeVar("T")


class Away(Exception):
    """It did not work, and may the next time."""


class RefusedRecord(Exception):
    """Kafka will never take this record; if `sure` is False, this or another one of those that were sent."""

    def __init__(self, seq: int, text: str, *, sure: bool = True) -> None:
        super().__init__(text)
        self.seq = seq
        self.sure = sure


class Unusable(Exception):
    """Nothing can be sent until somebody changes a setting or a permission."""


class Link(Protocol):
    """A way into Kafka. Both methods raise Away and Unusable."""

    exact: bool
    """Whether a mark goes with each batch."""

    def recover(self, topic: str) -> Mark | None:
        """Begin anew: what was under way is in or given up after it. Return the mark under this topic."""
        ...

    def send(self, rows: Sequence[Outgoing], tag: str, topic: str) -> None:
        """Send records, all or none where it is exact. Raises RefusedRecord."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class _Limited:
    """Makes calls that must end, in a thread that is left behind if one does not."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, args=(self._jobs, self._done), daemon=True, name="statefun-kafka").start()

    @staticmethod
    def _run(jobs: queue.SimpleQueue[Callable[[], None]], done: queue.SimpleQueue[BaseException | None]) -> None:
        while True:
            try:
                jobs.get()()
            except _Enough:  # noqa: PERF203 -- one call after the other
                return
            except BaseException as error:  # noqa: BLE001 -- who waits raises it
                done.put(error)
            else:
                done.put(None)

    def call(self, job: Callable[[], None], seconds: float) -> None:
        """Do it in the thread, and raise what it raises. Raises Away when the time is over."""
        self._jobs.put(job)
        try:
            error = self._done.get(timeout=seconds)
        except queue.Empty:
            raise Away("the client does not come back") from None
        if error is not None:
            raise error

    def end(self) -> None:
        """Let the thread end; one that hangs is left."""

        def enough() -> None:
            raise _Enough

        self._jobs.put(enough)


class _Enough(Exception):
    """The thread is to end."""


class PlainLink:
    """Records one by one: after a failure some may be there twice."""

    exact = False

    def __init__(self, egress: KafkaEgress) -> None:
        self._who = f"egress {egress.id!r}"
        self._kafka = client(self._who)
        self._settings: dict[str, object] = {
            "enable.idempotence": True,
            # What it does instead when all brokers are away, it does not recover from: librdkafka's issue 5511.
            "metadata.recovery.strategy": "none",
            "topic.metadata.propagation.max.ms": 5_000,  # a topic that is not there after this is not there
            **settings(self._who, egress.address, egress.properties),
            "delivery.report.only.error": True,
            "on_delivery": self._undelivered,
        }
        self._settings.setdefault("linger.ms", 5)
        self._rows: Sequence[Outgoing] = ()
        self._refused: RefusedRecord | None = None
        self._failed: str | None = None
        self._producer: confluent_kafka.Producer | None = self._produce()

    def _produce(self) -> confluent_kafka.Producer:
        try:
            return self._kafka.Producer(self._settings)
        except self._kafka.KafkaException as error:
            raise SinkError(f"{self._who}: {describe(error_of(error))}") from error

    def _undelivered(self, error: confluent_kafka.KafkaError | None, _message: confluent_kafka.Message) -> None:
        if error is None:
            return
        self._failed = describe(error)
        if never(error) and self._refused is None:
            first = self._rows[0]  # the broker refuses what came in one request, and does not say which
            text = f"{len(first.value)} bytes: {describe(error)}"
            self._refused = RefusedRecord(first.seq, text, sure=len(self._rows) == 1)

    def recover(self, topic: str) -> Mark | None:  # noqa: ARG002 -- it leaves no marks
        """Begin with a new producer."""
        self._producer = None
        self._producer = self._produce()
        return None

    def send(self, rows: Sequence[Outgoing], tag: str, topic: str) -> None:  # noqa: ARG002 -- as above
        """Send records, and wait until each has arrived."""
        producer = self._fresh(rows)
        self._push(producer, rows)
        self._deliver(producer)

    def _fresh(self, rows: Sequence[Outgoing]) -> confluent_kafka.Producer:
        if self._producer is None:
            raise Away("there is no producer")
        self._rows, self._refused, self._failed = rows, None, None
        return self._producer

    def _push(self, producer: confluent_kafka.Producer, rows: Sequence[Outgoing]) -> None:
        refusal, end = self._kafka.KafkaException, time.monotonic() + _DELIVERY_S
        for row in rows:
            while True:
                try:
                    if row.headers is None:
                        producer.produce(row.topic, row.value, row.key)
                    else:
                        producer.produce(row.topic, row.value, row.key, headers=list(row.headers))
                    break
                except BufferError:  # the client's queue is full
                    producer.poll(0.1)
                    if time.monotonic() > end:
                        raise Away("the brokers take nothing") from None
                except refusal as error:
                    problem = error_of(error)
                    if never(problem):
                        raise RefusedRecord(row.seq, f"{len(row.value)} bytes: {describe(problem)}") from error
                    raise self._kind(error) from error

    def _deliver(self, producer: confluent_kafka.Producer) -> None:
        try:
            left = producer.flush(_DELIVERY_S)
        except self._kafka.KafkaException as error:
            raise self._kind(error) from error
        except SystemError as error:  # a fatal error, which the client raises while it calls `_undelivered`
            raise Away(str(error.__cause__ or error)) from error
        if self._refused is not None:
            raise self._refused
        if left or self._failed is not None:
            raise Away(self._failed or "the brokers take nothing")

    def _kind(self, error: BaseException) -> Away | Unusable:
        problem = error_of(error)
        return Unusable(describe(problem)) if wrong(problem) else Away(describe(problem))

    def close(self) -> None:
        """Drop what is not delivered: it is in the store."""
        if self._producer is not None:
            with contextlib.suppress(self._kafka.KafkaException):
                self._producer.purge()
            self._producer = None


class TransactionalLink(PlainLink):
    """A batch, one transaction, which also commits a mark: an offset of a group of its own, with the tag as metadata.

    `crash` is called at each point where a process may die; tests let it die there.
    """

    exact = True

    def __init__(
        self, egress: KafkaEgress, delivery: ExactlyOnce, name: str, crash: Callable[[str], None] = lambda _point: None
    ) -> None:
        self.name = egress.properties.get("transactional.id") or name
        timeout = max(1, int(delivery.timeout.total_seconds() * 1_000))
        self._transactional = {
            "transactional.id": self.name,
            "transaction.timeout.ms": timeout,
            # The broker answers "not yet" while it still closes the transaction before; the client then waits this
            # long, and its default of 100 ms would be the time of nearly every transaction.
            "retry.backoff.ms": 10,
        }
        self._crash = crash
        self._limited = _Limited()
        super().__init__(egress)
        # Never assigned: it only names the group, and reads the mark back. Marks of open transactions are waited for.
        self._marker = self._kafka.Consumer(
            {
                **{
                    key: value
                    for key, value in self._settings.items()
                    if key in _SHARED or key.startswith(_SHARED_HEADS)
                },
                "group.id": self.name,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )

    def _produce(self) -> confluent_kafka.Producer:
        self._settings = {**self._settings, **self._transactional}
        return super()._produce()

    def recover(self, topic: str) -> Mark | None:
        """Fence whoever was there before, give up what it left open, and read the mark: only then is it final."""
        super().recover(topic)
        self._limited.end()
        self._limited = _Limited()
        producer = self._producer
        assert producer is not None
        self._producer = None
        self._retry(lambda: producer.init_transactions(10.0), 60.0)
        mark = self._mark(producer, topic) if topic else None
        self._producer = producer
        self._crash("recovered")
        return mark

    def _mark(self, producer: confluent_kafka.Producer, topic: str) -> Mark | None:
        """Read the mark; where the broker does not say it, end the transaction that it takes for open, and ask again.

        A broker that is killed while it closes a transaction may forget that the mark of it is closed, and answers "not
        yet" until it is started anew. The end of a later transaction of the same producer ends both.
        """
        try:
            return self._read(topic, _UNSAID_S)
        except Away as error:
            cause = error.__cause__
            problem = error_of(cause) if isinstance(cause, self._kafka.KafkaException) else None
            if problem is None or problem.fatal() or problem.name() != "_TIMED_OUT":
                raise
            log.warning("%s: %s; the transaction that may be in the way is ended", self._who, error)
        try:
            producer.begin_transaction()
            self._offer(producer, self._kafka.TopicPartition(topic, 0, 0, "given up"))
            producer.abort_transaction(_ANSWER_S)
        except self._kafka.KafkaException as error:
            raise self._kind(error) from error
        return self._read(topic, 30.0)

    def _read(self, topic: str, most_s: float) -> Mark | None:
        def read() -> confluent_kafka.TopicPartition:
            found = self._marker.committed([self._kafka.TopicPartition(topic, 0)], 5.0)[0]
            if found.error is not None:  # then its offset says nothing
                raise self._kafka.KafkaException(found.error)
            return found

        found = self._retry(read, most_s)
        return None if found.offset < 0 else Mark(found.offset, found.metadata or "")

    def _offer(self, producer: confluent_kafka.Producer, mark: confluent_kafka.TopicPartition) -> None:
        """Add a mark to the transaction."""
        group = self._marker.consumer_group_metadata()
        # Its own limit is not kept where a coordinator is gone for good (librdkafka's issues 5456 and 5511).
        offsets = lambda: producer.send_offsets_to_transaction([mark], group, _ANSWER_S)  # noqa: E731 -- two lines
        self._retry(lambda: self._limited.call(offsets, _HANGS_S))

    def send(self, rows: Sequence[Outgoing], tag: str, topic: str) -> None:
        """Send records in one transaction with the mark."""
        producer = self._fresh(rows)
        try:
            producer.begin_transaction()
            self._crash("begun")
            self._push(producer, rows)
            self._crash("produced")
            self._deliver(producer)  # a commit would do it, too; so the broker has time to close the one before
            self._crash("delivered")
            self._offer(producer, self._kafka.TopicPartition(topic, 0, rows[-1].seq, tag))
            self._crash("marked")
            self._retry(lambda: producer.commit_transaction(_ANSWER_S))  # one that timed out is taken up again
            self._crash("committed")
        except self._kafka.KafkaException as error:
            if self._refused is not None:
                raise self._refused from error
            raise self._kind(error) from error
        except BaseException:
            self._producer = None
            raise

    def _retry(self, call: Callable[[], T], most_s: float = _ANSWER_S) -> T:
        """Ask again for a while: after a restart of the broker only beginning anew may help."""
        end, pause = time.monotonic() + most_s, 0.05
        while True:
            try:
                return call()
            except self._kafka.KafkaException as error:  # noqa: PERF203 -- again and again is the point
                if not ask_again(error_of(error)) or time.monotonic() > end:
                    raise self._kind(error) from error
                time.sleep(pause)
                pause = min(pause * 2, 1.0)

    def close(self) -> None:
        """Let go of it; the broker gives up what is under way when the next one begins."""
        super().close()
        self._limited.end()
        self._marker.close()


_SHARED = frozenset(("bootstrap.servers", "logger", "client.id", "debug"))
_SHARED_HEADS = ("security.", "sasl.", "ssl.", "socket.", "broker.address", "test.")


def link_of(egress: KafkaEgress, name: str) -> Callable[[], Link]:
    """Return what makes the link that a module.yaml asks for; `none` is served as at-least-once.

    Raises ConfigError without Kafka's client.
    """
    client(f"egress {egress.id!r}")
    delivery = egress.delivery
    if isinstance(delivery, ExactlyOnce):
        return lambda: TransactionalLink(egress, delivery, name)
    return lambda: PlainLink(egress)

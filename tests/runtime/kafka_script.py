"""A client of Kafka that does what a test has written down, and notes what it was asked: no broker, no librdkafka."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

from confluent_kafka import KafkaError, KafkaException, TopicPartition


def problem(name: str, *, fatal: bool = False) -> KafkaError:
    """Return the error of this name, as the client makes it."""
    return KafkaError(getattr(KafkaError, name), "so it says", fatal=fatal)


def raised(name: str, *, fatal: bool = False) -> KafkaException:
    """Return the same, to be raised."""
    return KafkaException(problem(name, fatal=fatal))


@dataclass
class Placed:
    """A partition in an answer."""

    partition: int = 0
    offset: int = -1001
    metadata: str | None = None
    error: KafkaError | None = None


@dataclass
class Script:
    """What each call does next: raise an error, call something, or return a value. Then it returns nothing."""

    steps: dict[str, list[object]] = field(default_factory=dict[str, list[object]])
    calls: list[str] = field(default_factory=list[str])
    """What was called, in order."""
    told: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])
    """The offsets of transactions: topic, partition, offset, tag, group."""
    settings: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    """Those of each producer and consumer that was made."""

    def does(self, call: str, *steps: object) -> None:
        """Write down what the next calls do."""
        self.steps.setdefault(call, []).extend(steps)

    def step(self, call: str, default: object = None) -> object:
        """Do the next step of a call."""
        self.calls.append(call)
        waiting = self.steps.get(call)
        if not waiting:
            return default
        found = waiting.pop(0)
        if isinstance(found, BaseException):
            raise found
        return found() if callable(found) else found

    def client(self, _who: str) -> SimpleNamespace:
        """Return what passes for the module."""
        return SimpleNamespace(
            Producer=lambda given: _Producer(self, given),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] -- it is called with a dict
            Consumer=lambda given: _Consumer(self, given),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] -- as above
            TopicPartition=TopicPartition,
            KafkaError=KafkaError,
            KafkaException=KafkaException,
        )


class _Producer:
    def __init__(self, script: Script, given: dict[str, object]) -> None:
        self._script = script
        script.settings.append(given)
        script.step("Producer")

    def init_transactions(self, _timeout: float) -> None:
        self._script.step("init")

    def begin_transaction(self) -> None:
        self._script.step("begin")

    def produce(self, topic: str, value: bytes, key: bytes | None, headers: object = None) -> None:
        del topic, value, key, headers
        self._script.step("produce")

    def poll(self, _timeout: float) -> None:
        self._script.step("poll")

    def flush(self, _timeout: float) -> object:
        return self._script.step("flush", 0)

    def send_offsets_to_transaction(self, marks: list[TopicPartition], group: object, _timeout: float) -> None:
        self._script.step("send_offsets")
        self._script.told += [(one.topic, one.partition, one.offset, one.metadata, group) for one in marks]

    def commit_transaction(self, _timeout: float) -> None:
        self._script.step("commit")

    def abort_transaction(self, _timeout: float) -> None:
        self._script.step("abort")

    def purge(self) -> None:
        self._script.step("purge")


class _Consumer:
    def __init__(self, script: Script, given: dict[str, object]) -> None:
        self._script = script
        script.settings.append(given)

    def committed(self, _asked: list[TopicPartition], _timeout: float = 0, *, timeout: float = 0) -> object:
        del timeout
        return self._script.step("committed", [Placed()])

    def offsets_for_times(self, asked: list[TopicPartition], *, timeout: float) -> object:
        del timeout
        return self._script.step(f"times {asked[0].offset}", [Placed()])

    def get_watermark_offsets(self, where: TopicPartition, *, timeout: float) -> object:
        del timeout
        return self._script.step(f"watermarks {where.partition}", (10, 20))

    def consumer_group_metadata(self) -> str:
        return "the group"

    def close(self) -> None:
        self._script.step("close")

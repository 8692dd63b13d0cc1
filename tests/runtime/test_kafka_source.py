"""Kafka as an ingress, on librdkafka's mock cluster."""

from __future__ import annotations

import json
import logging
import time

import pytest

from statefun._proto.wire_v3_pb2 import Value
from statefun.errors import ConfigError
from statefun.runtime._sources import SourceError
from tests.runtime.kafka_rig import EARLIEST, Mock, placed, reading, take, until


@pytest.fixture
def mock() -> Mock:
    """Return a cluster with the topic `in`."""
    mock = Mock()
    mock.make("in")
    return mock


def test_records(mock: Mock) -> None:
    """A record goes to the id that is its key, with the typename of its topic and its bytes unread."""
    mock.put("in", (b"a", b"1"), ("ü".encode(), b""), (b"\xff", b"3"))
    with reading(mock) as source:
        until(lambda: source.peek() is not None)
        record = source.peek()
        assert record is not None
        value = Value.FromString(record[1])
        assert (value.typename, value.has_value, value.value) == ("statefun.python/bytes", True, b"1")
        assert record[2] is not None
        assert abs(record[2] / 1_000 - time.time()) < 60
        assert take(source, 3) == [("a", b"1"), ("ü", b""), ("�", b"3")]
        assert source.targets == ("t/f",)
        assert not source.ended
        assert source.progress() == (3, 0)


def test_goes_on(mock: Mock) -> None:
    """Reading goes on at the position that was written with the state, whatever the group has in Kafka."""
    mock.put("in", (b"a", b"1"), (b"a", b"2"))
    mock.put("in", (b"b", b"3"), partition=1)
    with reading(mock) as source:
        assert sorted(take(source, 3)) == [("a", b"1"), ("a", b"2"), ("b", b"3")]
        position = source.position()
    assert position is not None
    assert json.loads(position) == {"offsets": {"0": 2, "1": 1, "2": 0, "3": 0}, "skipped": 0}
    mock.put("in", (b"a", b"4"))
    with reading(mock, position) as source:
        assert take(source, 1) == [("a", b"4")]


def test_a_crash_before_the_commit(mock: Mock) -> None:
    """What was taken and not committed is read again: the position is what counts."""
    mock.put("in", (b"a", b"1"), (b"a", b"2"))
    with reading(mock) as source:
        take(source, 1)
        position = source.position()
        take(source, 1)
    with reading(mock, position) as source:
        assert take(source, 1) == [("a", b"2")]


def test_latest(mock: Mock) -> None:
    """Without a startupPosition only what comes is read; that this was so is written down before the first record."""
    mock.put("in", (b"a", b"1"))
    moved: list[str] = []
    with reading(mock, spec="", moved=moved) as source:
        placed(source)
        assert moved == ["kafka:t/in/in"]
        position = source.position()
    mock.put("in", (b"a", b"2"))
    with reading(mock, position, spec="") as source:
        assert take(source, 1) == [("a", b"2")]


@pytest.mark.parametrize(
    ("start", "values"),
    [
        ("{type: specific-offsets, offsets: [{in/0: 1}]}", [b"2"]),
        ("{type: group-offsets}", [b"1", b"2"]),
    ],
)
def test_start(mock: Mock, start: str, values: list[bytes]) -> None:
    """Reading begins at the offsets that module.yaml names; elsewhere where the group is, or by default."""
    mock.put("in", (b"a", b"1"), (b"a", b"2"))
    spec = f"  autoOffsetResetPosition: earliest\n  startupPosition: {start}\n"
    with reading(mock, spec=spec) as source:
        assert take(source, len(values)) == [("a", value) for value in values]


def test_new_partitions(mock: Mock) -> None:
    """A partition that the position does not know is read from its beginning."""
    mock.put("in", (b"a", b"1"))
    mock.put("in", (b"b", b"2"), partition=3)
    with reading(mock, '{"offsets": {"0": 1, "1": 0}, "skipped": 0}', spec="") as source:
        assert take(source, 1) == [("b", b"2")]
        position = source.position()
    assert position is not None
    assert json.loads(position)["offsets"] == {"0": 1, "1": 0, "2": 0, "3": 1}


@pytest.mark.parametrize(("record", "lacks"), [((None, b"x"), "key"), ((b"", b"x"), "key"), ((b"a", None), "value")])
def test_invalid_records(
    mock: Mock, record: tuple[bytes | None, bytes | None], lacks: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A record without key or value is passed over, with a line in the log, and counted."""
    mock.put("in", record, (b"a", b"1"))
    with caplog.at_level(logging.INFO, "statefun.kafka"), reading(mock) as source:
        assert take(source, 1) == [("a", b"1")]
        position = source.position()
    assert position is not None
    assert json.loads(position) == {"offsets": {"0": 2, "1": 0, "2": 0, "3": 0}, "skipped": 1}
    assert f"ingress 't/in': record 0 of partition 0 of topic 'in' has no {lacks}: skipped" in caplog.messages
    with reading(mock, position) as source:
        assert source.skipped == 1


def test_invalid_records_fail(mock: Mock) -> None:
    """With type fail such a record ends the run, after all that came before it; a topic's own word counts."""
    mock.put("in", (b"a", b"1"), (None, b"x"))
    with reading(mock, topic="      invalidRecordHandling: {type: fail}\n") as source:
        assert take(source, 1) == [("a", b"1")]
        with pytest.raises(SourceError) as caught:
            take(source, 1)
    assert str(caught.value) == (
        "ingress 't/in': record 1 of partition 0 of topic 'in' has no key, and a message needs both\n"
        "  help: invalidRecordHandling: {type: skip} passes such records over"
    )


def test_headers(mock: Mock) -> None:
    """With forwardHeaders a message has the headers of its record, in order, with what is double and what is null."""
    headers: list[tuple[str, bytes | None]] = [("a", b"1"), ("a", b"2"), ("b", None)]
    mock.put("in", (b"a", b"x"), headers=headers)
    for forward in (True, False):
        with reading(mock, spec=f"{EARLIEST}  forwardHeaders: {str(forward).lower()}\n") as source:
            until(lambda source=source: source.peek() is not None)  # type: ignore[misc]  # the loop's own
            record = source.peek()
            assert record is not None
            metadata = Value.FromString(record[1]).metadata
        found = [(one.key, one.value if one.has_value else None) for one in metadata]
        assert found == (headers if forward else [])


def test_lost_records(mock: Mock) -> None:
    """A position that the topic does not have any more is an error: nothing is skipped without a word."""
    mock.put("in", (b"a", b"1"))
    with reading(mock, '{"offsets": {"0": 7}, "skipped": 0}') as source, pytest.raises(SourceError) as caught:
        take(source, 1)
    assert str(caught.value) == (
        "ingress 't/in': partition 0 of topic 'in': "
        "record 7 is next, and the last one is 0: the topic was made anew\n"
        "  help: give the ingress another id, which begins at its startupPosition"
    )


def test_brokers_that_are_away(caplog: pytest.LogCaptureFixture) -> None:
    """Brokers that are away are waited for, with one line in the log."""
    with caplog.at_level(logging.WARNING, "statefun.kafka"), reading("127.0.0.1:9") as source:
        until(lambda: any("goes on when the brokers answer again" in line for line in caplog.messages))
        time.sleep(1)
        assert source.peek() is None
        assert source.position() is None
    assert len([line for line in caplog.messages if line.startswith("ingress 't/in'")]) == 1


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ("[{no.such: 1}]", "ingress 't/in': No such configuration property: \"no.such\" (_INVALID_ARG)"),
        (
            "[{sasl.jaas.config: x}]",
            (
                "ingress 't/in': there is no JAAS outside the JVM (sasl.jaas.config)\n"
                "  help: this client takes the properties sasl.username and sasl.password"
            ),
        ),
    ],
)
def test_properties(mock: Mock, properties: str, says: str) -> None:
    """A property that the client does not know is refused at the start."""
    with pytest.raises(ConfigError) as caught, reading(mock, spec=f"  properties: {properties}\n"):
        pass
    assert str(caught.value) == says


def test_properties_of_the_jvm(mock: Mock) -> None:
    """Properties that say something to a JVM only are left out; the others are the client's."""
    mock.put("in", (b"a", b"1"))
    properties = (
        "  properties: [{key.deserializer: x}, {max.poll.records: 5}, {client.id: me}, {auto.offset.reset: none}]\n"
    )
    with reading(mock, spec=EARLIEST + properties) as source:
        assert take(source, 1) == [("a", b"1")]


def test_memory(mock: Mock) -> None:
    """What waits for the driver is bounded, however much there is."""
    mock.put("in", *[(b"a", b"x")] * 15_000)
    with reading(mock) as source:
        until(lambda: len(source.queue) >= 10_000)
        time.sleep(0.5)
        assert len(source.queue) < 10_500
        assert len(take(source, 15_000)) == 15_000

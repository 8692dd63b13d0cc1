"""The embedded runtime on a real broker: where reading begins and what it refuses, and a broker that comes and goes."""

# What Confluent's client gives back is typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions
from google.protobuf.wrappers_pb2 import StringValue

from engines import Broker
from statefun.runtime._sources import SourceError
from tests.engines.embedded import embedded, kafka_module
from tests.engines.kafka import Kafka, Record
from tests.engines.test_exactly_once import COUNTING
from tests.runtime.kafka_rig import EARLIEST, placed, reading, take, until

NUMBER = "type.googleapis.com/google.protobuf.StringValue"


@pytest.fixture
def topic(kafka: Kafka) -> str:
    """Make the topic `in` anew, with three partitions."""
    kafka.renew("in", partitions=3)
    return "in"


def test_date(kafka: Kafka, topic: str) -> None:
    """A start at a date begins with the first record since; where there is none, with what comes."""
    kafka.send([Record(topic, "a", b"old")])
    time.sleep(1.1)
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.000 +0000")
    time.sleep(1.1)
    kafka.send([Record(topic, "a", b"new")])
    with reading(kafka.address, spec=f'  startupPosition: {{type: date, date: "{date}"}}\n') as source:
        assert take(source, 1) == [("a", b"new")]
        position = source.position()
    assert position is not None
    assert sum(json.loads(position)["offsets"].values()) == 2


def test_group_offsets(kafka: Kafka, topic: str) -> None:
    """A start at group-offsets begins where the group is; which a reader tells Kafka when it ends."""
    kafka.send(Record(topic, "a", b"%d" % number) for number in range(3))
    with reading(kafka.address) as source:
        take(source, 2)
        source.position()
    with reading(kafka.address, spec="  startupPosition: {type: group-offsets}\n") as source:
        assert take(source, 1) == [("a", b"2")]


def test_new_partitions(kafka: Kafka, topic: str) -> None:
    """A partition that is added while it runs is found, and read from its beginning."""
    with reading(kafka.address, spec="", discover_s=0.5) as source:
        placed(source)
        admin = AdminClient({"bootstrap.servers": kafka.address})
        admin.create_partitions([NewPartitions(topic, 4)])[topic].result()
        producer = kafka.producer()
        until(lambda: 3 in producer.list_topics(topic, 5).topics[topic].partitions)
        producer.produce(topic, b"1", b"a", 3)
        assert producer.flush(20) == 0
        assert take(source, 1) == [("a", b"1")]
        position = source.position()
    assert position is not None
    assert json.loads(position)["offsets"] == {"0": 0, "1": 0, "2": 0, "3": 1}


def test_aborted(kafka: Kafka, topic: str) -> None:
    """Records of transactions that were aborted are not read."""
    producer = kafka.producer({"transactional.id": uuid.uuid4().hex})
    producer.init_transactions(20)
    for value in (b"aborted", b"committed"):
        producer.begin_transaction()
        producer.produce(topic, value, b"a")
        if value == b"aborted":
            producer.flush(20)
            producer.abort_transaction(20)
        else:
            producer.commit_transaction(20)
    with reading(kafka.address) as source:
        assert take(source, 1) == [("a", b"committed")]


def test_deleted_records(kafka: Kafka, topic: str) -> None:
    """Records that were deleted before they were read are an error that says which."""
    kafka.send(Record(topic, "a", b"%d" % number) for number in range(5))
    with reading(kafka.address) as source:
        take(source, 1)
        position = source.position()
    assert position is not None
    (partition,) = [int(name) for name, at in json.loads(position)["offsets"].items() if at]
    admin = AdminClient({"bootstrap.servers": kafka.address})
    for future in admin.delete_records([TopicPartition(topic, partition, 3)]).values():
        future.result()
    with reading(kafka.address, position) as source, pytest.raises(SourceError) as caught:
        take(source, 1)
    assert str(caught.value) == (
        f"ingress 't/in': partition {partition} of topic 'in': record 1 is next, and the first that is still there is "
        "3: records were deleted unread\n  help: give the ingress another id, which begins at its startupPosition"
    )


def test_no_topic(tmp_path: Path) -> None:
    """A topic that does not exist is an error at the start, of the ingress alone."""
    broker = Broker.start(tmp_path / "kafka", settings={"auto.create.topics.enable": "false"})
    try:
        with reading(broker.address, spec=EARLIEST) as source, pytest.raises(SourceError) as caught:
            take(source, 1)
    finally:
        broker.stop()
    assert str(caught.value) == (
        "ingress 't/in': there is no topic 'in'\n  help: make it, or correct its name in module.yaml"
    )


def command(data: Path, *arguments: str) -> str:
    """Run a command on a data folder; return what it prints."""
    done = subprocess.run(
        (sys.executable, "-m", "statefun", *arguments, "--data", str(data)), capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def number(value: str) -> Record:
    """Return a record for the app."""
    return Record("numbers", "k", StringValue(value=value).SerializeToString())


def test_a_broker_that_comes_and_goes(tmp_path: Path) -> None:
    """A runtime that starts before its broker waits, and lives on while it is away; nothing is lost or doubled."""
    broker = Broker.start(tmp_path / "kafka")
    kafka = Kafka(broker.address)
    kafka.make("numbers", "counted")
    kafka.send([number("1")])
    broker.stop()
    module = kafka_module(broker.address, topic="numbers", type=NUMBER, target="counting/numbers",
                          egress="counting/counted")  # fmt: skip
    try:
        with embedded(COUNTING, module, tmp_path) as runtime:
            until(lambda: "goes on when the brokers answer again" in runtime.log.read_text())
            broker.run()
            assert [one.value for one in kafka.read(["counted"], 1)] == [b"1 1"]
            broker.kill()
            time.sleep(1)
            assert runtime.lives
            broker.run()
            kafka.send([number("2")])
            assert [one.value for one in kafka.read(["counted"], 2)] == [b"1 1", b"2 2"]
            assert runtime.end(signal.SIGTERM) in (0, 130)
    finally:
        broker.stop()


def test_held(kafka: Kafka, tmp_path: Path) -> None:
    """A record that Kafka refuses is listed, and what the command line decides is done, whether it runs or not."""
    kafka.renew("numbers", "counted")
    module = kafka_module(kafka.address, topic="numbers", type=NUMBER, target="counting/numbers",
                          egress="counting/counted")  # fmt: skip
    large = "x" * 1_100_000
    kafka.send([number("1"), number(large), number("3")])

    def held() -> bool:
        return "Kafka takes no record 2: topic 'counted', key 'k', 1100002 bytes" in command(
            runtime.data, "egress", "ls", "--json"
        )

    with embedded(COUNTING, module, tmp_path) as runtime:
        until(held, 60)
        assert [one.value for one in kafka.read(["counted"], 1)] == [b"1 1"]
        assert command(runtime.data, "egress", "resend", "counting/counted") == ""
        until(lambda: runtime.log.read_text().count("is held: ") == 2)  # sent again, and refused again
        until(held, 60)
        runtime.end(signal.SIGTERM)
        assert command(runtime.data, "egress", "confirm", "counting/counted") == ""
        runtime.start()
        assert [one.value for one in kafka.read(["counted"], 2)] == [b"1 1", b"3 3"]
        assert "is not held" in command(runtime.data, "egress", "confirm", "counting/counted")

r"""Exactly once in the embedded runtime with Kafka in and out, whatever is killed.

    STATEFUN_KILLS=200 STATEFUN_BROKER_KILLS=20 STATEFUN_RECORDS=100000 \
        python tools/on_engines.py tests/engines/test_embedded_kills.py -s

The small numbers are for every change, the large ones are what docs/explanation/guarantees.md says.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from engines import Broker
from tests.engines.embedded import embedded, kafka_module
from tests.engines.kafka import Kafka
from tests.engines.test_exactly_once import COUNTING, KEYS, check

KILLS = int(os.environ.get("STATEFUN_KILLS", "6"))
BROKER_KILLS = int(os.environ.get("STATEFUN_BROKER_KILLS", "1"))
RECORDS = int(os.environ.get("STATEFUN_RECORDS", "10000"))
EACH_S = 3.0
"""About how long a life is, starting included."""


@pytest.mark.feature("exactly once, killed", facts="6.2, 6.3")
@pytest.mark.way("embedded-components-v3-in process")
@pytest.mark.timeout(3_600)
def test_kills(folder: Path) -> None:
    """The runtime and the broker are killed (-9) at random times under load: each record is counted once, in order."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    deaths = ["runtime"] * KILLS + ["broker"] * BROKER_KILLS
    chance.shuffle(deaths)
    broker = Broker.start(folder / "kafka")
    try:
        kafka = Kafka(broker.address)
        kafka.make("numbers", "counted", partitions=3)
        module = kafka_module(
            broker.address, topic="numbers", type="type.googleapis.com/google.protobuf.StringValue",
            target="counting/numbers", egress="counting/counted",
        )  # fmt: skip
        rate = max(50, int(RECORDS / (len(deaths) * EACH_S)))
        over = threading.Event()
        feeding = threading.Thread(target=feed, args=(kafka, rate, over))
        with embedded(COUNTING, module, folder) as runtime:
            feeding.start()
            ended = 0
            for death in deaths:
                time.sleep(chance.choice([chance.uniform(0.2, 1.2), chance.uniform(0.8, 2.5)]))
                if death == "broker":
                    broker.kill()
                    time.sleep(chance.uniform(0, 1))
                    broker.run()
                else:
                    ended += not runtime.lives
                    if runtime.lives:
                        runtime.end(signal.SIGKILL)
                    runtime.start()
            loaded = feeding.is_alive()
            feeding.join()
            began = time.monotonic()
            found = kafka.read(["counted"], RECORDS, seconds=300, quiet=3)
            print(
                f"seed {seed}: {KILLS} kills of the runtime, {BROKER_KILLS} of the broker, {RECORDS} records at "
                f"{rate}/s, read {len(found)}; it ended by itself {ended} times; still fed at the last kill: {loaded}; "
                f"the rest took {time.monotonic() - began:.1f} s"
            )
            assert ended == 0, runtime.log.read_text()[-3_000:]
        check(found, RECORDS)
    finally:
        broker.stop()


def feed(kafka: Kafka, rate: int, over: threading.Event) -> None:
    """Send numbered records, so many a second; the client keeps them while the broker is away."""
    producer = kafka.producer({"enable.idempotence": True, "message.timeout.ms": 0})
    began = time.monotonic()
    for number in range(RECORDS):
        value = StringValue(value=str(number)).SerializeToString()
        while True:
            try:
                producer.produce("numbers", value, f"k{number % KEYS}")
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
        over.wait(max(0.0, began + number / rate - time.monotonic()))
    assert producer.flush(120) == 0

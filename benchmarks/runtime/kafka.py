"""How many messages a second go from a Kafka topic through W1 into another, and what does each cost? Exactly once.

python benchmarks/runtime/kafka.py [keys|all] [messages] [exactly-once|at-least-once]

Starts a broker of its own (Java 17, Maven). Everything is on one machine: runtime, broker, and Kafka's client in the
runtime's process, whose CPU is counted with it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent / "tests" / "protos")]
sys.path.append(str(Path(__file__).parent.parent.parent))
import apps
from bench_pb2 import Counter, Ping
from confluent_kafka import Consumer, TopicPartition
from throughput import ids

from engines import Broker
from statefun._clock import WallClock
from statefun.module import read_text
from statefun.runtime._assembly import Runtime
from statefun.runtime._driver import Driver
from statefun.runtime._surroundings import surroundings
from tests.engines.kafka import Kafka, Record

MODULE = """\
kind: io.statefun.kafka.v1/ingress
spec:
  id: bench/in
  address: {address}
  consumerGroupId: bench
  startupPosition: {{type: earliest}}
  topics:
    - topic: pings
      valueType: type.googleapis.com/bench.Ping
      targets: [bench/counter]
---
kind: io.statefun.kafka.v1/egress
spec:
  id: bench/out
  address: {address}
  deliverySemantic: {{type: {delivery}, transactionTimeout: 1min}}
"""
TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def until_sent(driver: Driver, count: int) -> float:
    """Run until so many messages are handled and what they sent is in Kafka; return when the last was handled."""
    handled = 0.0

    def look(_delta: object) -> None:
        nonlocal handled
        if driver.fed == count:
            handled = handled or time.perf_counter()
            if driver.senders.idle():
                driver.stop()

    driver.on_commit.append(look)
    await driver.run()
    return handled


def measure(broker: Broker, kind: str, count: int, delivery: str) -> tuple[float, float, float]:
    """Return messages a second, and microseconds of CPU a message of the runtime and of the broker."""
    kafka = Kafka(broker.address)
    kafka.renew("pings", "totals", partitions=3)
    names = (f"user-{number:07d}" for number in ids(kind, count))
    kafka.send(Record("pings", name, Ping(amount=1, key=name).SerializeToString()) for name in names)
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    pid = int((broker.folder / "pid").read_text())
    try:
        module = read_text(MODULE.format(address=broker.address, delivery=delivery), runtime="embedded")
        with Runtime.in_process(apps.w1(), folder, module=module) as runtime:
            driver = Driver(runtime.pump, WallClock())
            loop = asyncio.new_event_loop()
            around = surroundings(
                module, runtime.values, runtime.wire, stub=None, moved=driver.moved, name=runtime.name,
                wake=lambda: loop.call_soon_threadsafe(driver.wake),
            )  # fmt: skip
            driver.sources += around.sources
            driver.senders.all += around.senders
            driver.pace = around.pace
            cpu, broker_cpu, began = time.process_time(), cpu_of(pid), time.perf_counter()
            loop.run_until_complete(until_sent(driver, count))
            took, cpu, broker_cpu = time.perf_counter() - began, time.process_time() - cpu, cpu_of(pid) - broker_cpu
            loop.close()
            counted = [state.value for state in runtime.store.list_states("bench/counter", None, 0, None, 10**9)]
            assert sum(Counter.FromString(value).value for value in counted) == count
    finally:
        shutil.rmtree(folder)
    assert read_committed(broker.address) == count
    return count / took, cpu / count * 1e6, broker_cpu / count * 1e6


def read_committed(address: str) -> int:
    """Count the records that readers of committed ones see."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "count", "enable.partition.eof": True})
    consumer.assign([TopicPartition("totals", number, 0) for number in range(3)])
    found = ends = 0
    while ends < 3:
        for message in consumer.consume(1_000, 1.0):
            found, ends = (found + 1, ends) if message.error() is None else (found, ends + 1)
    consumer.close()
    return found


if __name__ == "__main__":
    kind, count, delivery = (sys.argv[1:] + ["1000", "200000", "exactly-once"][len(sys.argv) - 1 :])[:3]
    broker = Broker.start(Path(tempfile.mkdtemp(dir="/var/tmp")) / "kafka")
    try:
        for _ in range(3):
            rate, cpu, of_broker = measure(broker, kind, int(count), delivery)
            print(
                f"w1 {kind:>6} {int(count):>9,} messages {delivery}: {rate:8,.0f} a second, {cpu:5.1f} us of CPU each, "
                f"{of_broker:4.1f} us of the broker's",
                flush=True,
            )
    finally:
        broker.stop()
        shutil.rmtree(broker.folder.parent)

"""Exactly once on StateFun 3.3.0, whatever is killed: numbered records in, each counted once, none missing."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from engines import EngineError, Job, newest_checkpoint
from tests.engines.kafka import Kafka, Record
from tests.engines.served import App, Served, served, statefun

COUNTING = App("counting:functions", Path(__file__).parent / "apps")
KEYS = 100


@pytest.mark.feature("exactly once, killed", facts="12c")
@pytest.mark.way("StateFun 3.3.0-components-v3-async")
def test_kills(kafka: Kafka, folder: Path) -> None:
    """Three kills of the function's process and three of the JVM: each of 20,000 records is counted once."""
    storm(kafka, folder, least=20_000, rate=700, kills=3)


@pytest.mark.long
@pytest.mark.timeout(2_400)
def test_many_kills(kafka: Kafka, folder: Path) -> None:
    """Twenty-five kills of each: each of 100,000 records is counted once."""
    storm(kafka, folder, least=100_000, rate=300, kills=25)


class Sender(threading.Thread):
    """Sends numbered records at a rate, until it is told to stop and has sent enough."""

    def __init__(self, kafka: Kafka, *, rate: int, least: int) -> None:
        super().__init__()
        self._kafka, self._rate, self._least = kafka, rate, least
        self._enough = threading.Event()
        self.sent = 0

    def run(self) -> None:
        """Send."""
        while self.sent < self._least or not self._enough.is_set():
            began = time.monotonic()
            numbers = range(self.sent, self.sent + self._rate)
            self._kafka.send(
                Record("numbers", f"k{n % KEYS}", StringValue(value=str(n)).SerializeToString()) for n in numbers
            )
            self.sent += self._rate
            time.sleep(max(0.0, began + 1 - time.monotonic()))

    def stop(self) -> int:
        """Let it come to its end; return how many were sent."""
        self._enough.set()
        self.join()
        return self.sent


def storm(kafka: Kafka, folder: Path, *, least: int, rate: int, kills: int) -> None:
    """Send numbered records at a rate; meanwhile kill either process at random times; look at what came out."""
    kafka.renew("numbers", "counted", partitions=2)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with served(COUNTING, folder / "served.log") as function:
        module = folder / "module.yaml"
        statefun(COUNTING, "module", COUNTING.name, "--endpoint", function.url, "--kafka", kafka.address,
                 "--transport", "async", "--delivery", "exactly-once", "--output", str(module))  # fmt: skip
        job = Job.start(folder / "job", module)
        sender = Sender(kafka, rate=rate, least=least)
        sender.start()
        try:
            wait_for_checkpoint(job)
            deaths = ["function"] * kills + ["JVM"] * kills
            chance.shuffle(deaths)
            for death in deaths:
                time.sleep(chance.uniform(0.2, 2))
                if death == "JVM":
                    job.kill()
                    job.run(restore=newest_checkpoint(job.folder))
                else:
                    kill(function, chance.uniform(0, 1))
            records = sender.stop()
            found = kafka.read(["counted"], records, seconds=120, quiet=2)
        finally:
            sender.stop()
            job.stop()
    check(found, records)


def kill(function: Served, away: float) -> None:
    """Kill the function's process, which comes back some seconds later."""
    function.end(signal.SIGKILL)
    time.sleep(away)
    function.start()


def wait_for_checkpoint(job: Job) -> None:
    """Wait until there is a checkpoint to go on from."""
    end = time.monotonic() + 60
    while True:
        try:
            newest_checkpoint(job.folder)
        except EngineError:
            assert time.monotonic() < end, "no checkpoint"
            time.sleep(0.05)
        else:
            return


def check(found: Iterable[Record], records: int) -> None:
    """Hold every number to one record, and each key to its own numbers in order, with the counts 1, 2, 3."""
    counted: dict[str | None, list[tuple[int, int]]] = defaultdict(list)
    for record in found:
        assert record.value is not None
        number, count = record.value.split()
        counted[record.key].append((int(number), int(count)))
    wanted = {
        f"k{key}": [(number, place) for place, number in enumerate(range(key, records, KEYS), 1)] for key in range(KEYS)
    }
    wrong = {key: (len(pairs), len(wanted[str(key)])) for key, pairs in counted.items() if pairs != wanted[str(key)]}
    assert wrong == {}
    assert counted.keys() == wanted.keys()

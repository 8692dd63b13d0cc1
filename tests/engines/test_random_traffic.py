"""Random traffic ends the same on the embedded runtime and on StateFun 3.3.0: in the same states and the same records.

TRAFFIC_SEED=7 runs one seed: the line to paste, which a difference prints, has it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from engines import Job, JobOptions
from tests.engines.files import on_files
from tests.engines.kafka import Kafka, Reader, Record
from tests.engines.random_traffic import Traffic, make
from tests.engines.served import App, served, statefun

TRAFFIC = App("traffic:functions", Path(__file__).parent / "apps")
TOPICS = ("handled", "records", "told")
INGRESS = ("left-step", "left-tell", "right-step", "right-tell")


@dataclass(frozen=True, slots=True)
class End:
    """How traffic has ended."""

    numbers: dict[tuple[str, str], list[int]]
    """The messages of each address and path, in order."""
    handled: Counter[str]
    """Each message that was handled: its number, its path and its caller."""
    records: Counter[Record]
    told: dict[str, dict[str, str]]
    """The states of each address."""

    @classmethod
    def of(cls, records: Sequence[Record]) -> End:
        """Sort records."""
        end = cls(defaultdict(list), Counter(), Counter(), {})
        for record in records:
            value = (record.value or b"").decode(errors="surrogateescape")
            match record.topic:
                case "handled":
                    number, path, _ = value.split(" ", 2)
                    end.numbers[str(record.key), path].append(int(number))
                    end.handled[f"{record.key}: {value}"] += 1
                case "told":
                    assert str(record.key) not in end.told, f"{record.key} has told its states twice"
                    end.told[str(record.key)] = json.loads(value)
                case _:
                    end.records[record] += 1
        return end


def differences(embedded: End, flink: End, traffic: Traffic) -> list[str]:
    """Say what is not the same, and which records of the ingress it comes from."""
    found: list[str] = []
    for where, extra in (("embedded", embedded.handled - flink.handled), ("Flink", flink.handled - embedded.handled)):
        for text in list(extra)[:5]:
            number = int(text.split(": ")[1].split(" ")[0])
            found.append(f"only on {where}: {text}\n    of {traffic.cause(number)}")
    for (address, path), numbers in embedded.numbers.items():
        if (other := flink.numbers.get((address, path), [])) != numbers and sorted(other) == sorted(numbers):
            found.append(f"{address}, on the path {path}: {numbers} embedded, {other} on Flink")
    for where, extra_records in (
        ("embedded", embedded.records - flink.records),
        ("Flink", flink.records - embedded.records),
    ):
        found += [f"only on {where}: {record}" for record in list(extra_records)[:5]]
    for address in traffic.addresses:
        mine, theirs = embedded.told.get(address), flink.told.get(address)
        if mine is None or theirs is None:
            found.append(f"{address} has told nothing {'embedded' if mine is None else 'on Flink'}")
        else:
            found += [
                f"{address}.{name}: {mine[name]} embedded, {theirs[name]} on Flink"
                for name in mine
                if mine[name] != theirs[name]
            ]
    return found


@dataclass(frozen=True, slots=True)
class OnFlink:
    """The app on StateFun, and who reads what comes out."""

    kafka: Kafka
    job: Job
    reader: Reader


@contextlib.contextmanager
def on_flink(kafka: Kafka, folder: Path, transport: str) -> Generator[OnFlink]:
    """Run the app on two subtasks that read four partitions: they overtake each other as on a cluster."""
    kafka.renew(*INGRESS, partitions=4)
    kafka.renew(*TOPICS, partitions=2)
    with served(TRAFFIC, folder / "served.log") as function, kafka.consumer(TOPICS) as reader:
        module = folder / "module.yaml"
        statefun(TRAFFIC, "module", TRAFFIC.name, "--endpoint", function.url, "--kafka", kafka.address,
                 "--transport", transport, "--output", str(module))  # fmt: skip
        job = Job.start(folder / "job", module, JobOptions(parallelism=2))
        try:
            yield OnFlink(kafka, job, reader)
        finally:
            job.stop()


def flink_end(flink: OnFlink, traffic: Traffic) -> End:
    """Send traffic to the job, then ask for the states; the job must not fail."""
    found: list[Record] = []

    def read(count: int) -> None:
        quiet, end = 0, time.monotonic() + 120
        while len(found) < count or quiet < 10:  # a second in which nothing comes
            some = flink.reader.some()
            found.extend(some)
            quiet = 0 if some else quiet + 1
            assert time.monotonic() < end or len(found) >= count, f"{len(found)} records of {count}: {line(traffic)}"

    flink.kafka.send(traffic.steps())
    read(traffic.handled + traffic.records)
    flink.kafka.send(traffic.tells())
    read(len(found) + len(traffic.addresses))
    assert flink.job.failure() is None, line(traffic)
    return End.of(found)


def embedded_end(folder: Path, traffic: Traffic, *, http: bool) -> End:
    """Do the same on the embedded runtime, a new one."""
    with on_files(TRAFFIC, folder, http=http) as app:
        app.send(traffic.steps())
        before = app.read(TOPICS, traffic.handled + traffic.records)
        app.send(traffic.tells())
        return End.of(app.read(TOPICS, len(before) + len(traffic.addresses)))


def line(traffic: Traffic) -> str:
    """Return what runs this again."""
    command = ".venv/bin/python tools/on_engines.py --all tests/engines/test_random_traffic.py"
    return f"TRAFFIC_SEED={traffic.seed} {command}"


def compare(flink: OnFlink, folder: Path, traffic: Traffic, *, http: bool) -> None:
    """Hold both runtimes to the same end of some traffic; with `http` the embedded one calls the app over HTTP."""
    there = flink_end(flink, traffic)
    here = embedded_end(folder, traffic, http=http)
    assert here.handled.total() == traffic.handled, line(traffic)
    found = differences(here, there, traffic)
    assert found == [], "\n  ".join([line(traffic), *found])


def seeds(count: int) -> list[int]:
    """Return so many seeds, or the one that was asked for."""
    asked = os.environ.get("TRAFFIC_SEED")
    return [int(asked)] if asked else random.sample(range(10**6), count)


@pytest.mark.feature("random traffic", facts="2.2, 2.4, 8, 10")
@pytest.mark.way("StateFun 3.3.0-components-v3-async")
def test_some_traffic(kafka: Kafka, folder: Path) -> None:
    """Some 1,500 messages over 50 addresses end in the same states and records on both."""
    with on_flink(kafka, folder, "async") as flink:
        compare(flink, folder / "embedded", make(seeds(1)[0], 150), http=False)


@pytest.fixture(scope="module", params=["async", "okhttp"])
def flink(request: pytest.FixtureRequest, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Generator[OnFlink]:
    """Run the app behind a transport for all seeds: each has addresses of its own."""
    with on_flink(kafka, tmp_path_factory.mktemp("flink"), request.param) as running:
        yield running


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("number", "seed"), list(enumerate(seeds(10))))
def test_much_traffic(flink: OnFlink, number: int, seed: int, folder: Path) -> None:
    """So do ten times some 8,000, behind either transport; every other one on the embedded runtime over HTTP."""
    compare(flink, folder / "embedded", make(seed, 800), http=number % 2 == 1)

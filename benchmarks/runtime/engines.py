"""What does a message of W1 cost on the embedded runtime, and what on StateFun 3.3.0? Kafka in and out, exactly once.

python -m benchmarks.runtime.engines [rounds] [a part of their names: only these]

Starts a broker, and one runtime after the other (Java 17, Maven, a CPython 3.11). CPU seconds come from /proc (Linux).
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer

from engines import Broker, Job, JobOptions, free_port
from tests.engines.kafka import Kafka, Reader
from tests.engines.served import App, statefun
from tools import peer_environments

sys.path.append(str(Path(__file__).parent.parent.parent / "tests" / "protos"))
from bench_pb2 import Ping

HERE = Path(__file__).parent
TICK = os.sysconf("SC_CLK_TCK")
APP = """
import sys
sys.path[:0] = {paths!r}
import apps
functions = apps.w1()
"""
PATHS = [str(HERE), str(HERE.parent.parent / "tests" / "protos"), str(HERE.parent.parent)]
MESSAGES = {"1,000 addresses": (20_000, 1_000), "one address a message": (6_000, 6_000)}
LATENCIES, RATE = 500, 100
Pids = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Contestant:
    """What W1 runs on; `python` is whose SDK the function process has, None for ours in the runtime's process."""

    name: str
    serve: Callable[[int], list[str | Path]] | None


def ours(*options: str) -> Callable[[int], list[str | Path]]:
    """Return what serves our functions."""
    command = [sys.executable, "-m", "statefun", "serve", "app:functions", "--linger", "0", *options, "--port"]
    return lambda port: [*command, str(port)]


def official(environment: str) -> Callable[[int], list[str | Path]]:
    """Return what serves those of the official SDK."""
    return lambda port: [peer_environments.environment(environment), HERE / "official.py", str(port)]


FROM_MEMORY = Contestant("embedded, without Kafka", None)
CONTESTANTS = (
    FROM_MEMORY,
    Contestant("embedded", None),
    Contestant("Flink, this SDK", ours()),
    Contestant("Flink, this SDK, --threads 0", ours("--threads", "0")),
    Contestant("Flink, 3.3.0 as pip resolves it", official("apache-3.3.0-served")),
    Contestant("Flink, 3.3.0 on upb", official("apache-3.3.0-upb-served")),
)


@contextlib.contextmanager
def running(contestant: Contestant, kafka: Kafka, folder: Path) -> Generator[Pids]:
    """Run W1; give the pids of the function's and of the runtime's process."""
    (folder / "app.py").write_text(APP.format(paths=PATHS))
    app, module, port = App("app:functions", folder), folder / "module.yaml", free_port()
    statefun(app, "module", app.name, "--endpoint", f"http://127.0.0.1:{port}/statefun", "--kafka", kafka.address,
             "--delivery", "exactly-once", "--output", str(module))  # fmt: skip
    command: list[str | Path] = contestant.serve(port) if contestant.serve else [
        sys.executable, "-m", "statefun", "run", app.name, "--module", module, "--data", folder / "data", "--no-http",
        "--quiet",
    ]  # fmt: skip
    environment = app.environment() if command[0] == sys.executable else None
    with (folder / "process.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        if contestant.serve is None:
            yield {"runtime": process.pid}
            return
        wait_for(port)
        job = Job.start(folder / "job", module, JobOptions())
        try:
            yield {"function": process.pid, "runtime": int((job.folder / "pid").read_text())}
        finally:
            job.stop()
    finally:
        process.terminate()
        process.wait(30)


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def wait_for(port: int) -> None:
    """Wait until something listens there."""
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}")


def send(producer: Producer, prefix: str, number: int) -> None:
    """Send a message to an address."""
    key = f"{prefix}-{number:07d}"
    producer.produce("counter", Ping(amount=1, key=key).SerializeToString(), key)


def await_records(reader: Reader, count: int) -> None:
    """Wait for so many records."""
    found, end = 0, time.monotonic() + 240
    while found < count:
        found += len(reader.some(most=5_000))
        if time.monotonic() > end:
            raise SystemExit(f"{found} records of {count}")


def flood(kafka: Kafka, reader: Reader, prefix: str, count: int, addresses: int, pids: Pids) -> dict[str, float]:
    """Send so many at once; return messages a second, and microseconds of CPU a message of each process."""
    producer = kafka.producer({"linger.ms": 5, "queue.buffering.max.messages": 1_000_000})
    before = {name: cpu_of(pid) for name, pid in pids.items()}
    began = time.perf_counter()
    for number in range(count):
        send(producer, prefix, number % addresses)
    producer.flush(60)
    await_records(reader, count)
    rate = count / (time.perf_counter() - began)
    return {"rate": rate} | {name: (cpu_of(pid) - before[name]) / count * 1e6 for name, pid in pids.items()}


def latency(kafka: Kafka, reader: Reader) -> dict[str, float]:
    """Send at a steady rate; return milliseconds from the producer to a reader of committed records."""
    producer = kafka.producer({"linger.ms": 0})
    sent: dict[str, float] = {}
    took: list[float] = []
    began, end = time.perf_counter(), time.perf_counter() + LATENCIES / RATE + 60
    while len(took) < LATENCIES:
        if len(sent) < LATENCIES and time.perf_counter() >= began + len(sent) / RATE:
            key = f"late-{len(sent):07d}"
            sent[key] = time.perf_counter()
            send(producer, "late", len(sent) - 1)
        producer.poll(0)
        found, now = reader.some(most=100, seconds=0.001), time.perf_counter()
        took += [(now - sent[one.key]) * 1e3 for one in found if one.key in sent]
        if now > end:
            raise SystemExit(f"{len(took)} records of {LATENCIES}")
    took.sort()
    return {"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100]}


def from_memory() -> dict[str, dict[str, float]]:
    """Return the CPU of the runtime alone, fed from memory."""
    found: dict[str, dict[str, float]] = {}
    for title, (count, addresses) in MESSAGES.items():
        kind = "all" if addresses == count else str(addresses)
        command = (sys.executable, HERE / "throughput.py", "w1", kind, str(count))
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found[title] = {"runtime": float(said.split("messages")[1].split()[0])}
    return {**found, "latency": {}}


def measure(contestant: Contestant, broker: Broker) -> dict[str, dict[str, float]]:
    """Measure one of them, after a first flood that warms it."""
    if contestant is FROM_MEMORY:
        return from_memory()
    kafka = Kafka(broker.address)
    kafka.renew("counter", "totals", partitions=3)
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with running(contestant, kafka, folder) as own, kafka.consumer(["totals"]) as reader:
            pids = {**own, "broker": int((broker.folder / "pid").read_text())}
            flood(kafka, reader, "warm", 5_000, 1_000, pids)
            found = {
                title: flood(kafka, reader, f"w{addresses}", count, addresses, pids)
                for title, (count, addresses) in MESSAGES.items()
            }
            return {**found, "latency": latency(kafka, reader)}
    finally:
        shutil.rmtree(folder)


def row(name: str, rounds: list[dict[str, dict[str, float]]]) -> str:
    """Write the medians of a contestant."""
    columns = [(title, what) for title in MESSAGES for what in ("rate", "function", "runtime", "broker")]
    columns += [("latency", "p50"), ("latency", "p99")]
    cells: list[str] = []
    for title, what in columns:
        found = [each[title].get(what) for each in rounds]
        known = [value for value in found if value is not None]
        cells.append(f"{statistics.median(known):,.0f}" if known else "")
    return f"| {name} | {' | '.join(cells)} |"


def main(rounds: int, only: str) -> None:
    """Measure all of them in turn, and print a table."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    broker = Broker.start(folder / "kafka")
    chosen = [each for each in CONTESTANTS if only in each.name]
    found: dict[str, list[dict[str, dict[str, float]]]] = {each.name: [] for each in chosen}
    try:
        for _ in range(rounds):
            for contestant in chosen:
                found[contestant.name].append(measure(contestant, broker))
                print(contestant.name, found[contestant.name][-1], file=sys.stderr, flush=True)
    finally:
        broker.stop()
        shutil.rmtree(folder)
    columns = [
        f"{title}: {what}" for title in MESSAGES for what in ("messages/s", "function us", "runtime us", "broker us")
    ]
    print(f"{platform.platform()}, Python {platform.python_version()}, {rounds} rounds")
    print(f"| | {' | '.join(columns)} | p50 ms | p99 ms |\n| --- |{' ---: |' * (len(columns) + 2)}")
    for name, each in found.items():
        print(row(name, each))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2, " ".join(sys.argv[2:]))

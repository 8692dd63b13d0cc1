"""What do JSONL in and out cost on top of W1, and JSON alone against json_format? In microseconds of CPU."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent / "tests" / "protos")]
import apps
from bench_pb2 import Ping, Pong
from google.protobuf import json_format
from google.protobuf.descriptor_pool import Default
from throughput import Made, ids

from statefun._clock import WallClock
from statefun._proto.egress_pb2 import KafkaProducerRecord
from statefun.runtime._assembly import Runtime
from statefun.runtime._driver import Driver
from statefun.runtime._json_messages import parse, to_json
from statefun.runtime._jsonl import LineWriter
from statefun.runtime._requests import argument
from statefun.runtime._sinks import FileSink
from statefun.runtime._store import RecordRow

COUNT = 100_000
GROUP = 256
LINES = 80 * GROUP
RECORD = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"


def measure(*, files: bool) -> float:
    """Return microseconds of CPU a message of W1, from bytes or from a file to a file."""
    names = [f"user-{number:07d}" for number in ids("1000", COUNT)]
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        path = folder / "in.jsonl"
        path.write_text("".join(json.dumps({"id": n, "value": {"amount": 1, "key": n}}) + "\n" for n in names))
        with Runtime.in_process(apps.w1(), folder / "data") as runtime:
            if files:
                source = runtime.jsonl(path, to="bench/counter", type="bench.Ping")
                sinks = [FileSink(folder / "out.jsonl", LineWriter(runtime.values), None)]
            else:
                typename = "type.googleapis.com/bench.Ping"
                made = [(n, argument(typename, Ping(amount=1, key=n).SerializeToString(), "v3")) for n in names]
                source, sinks = Made(made), []
            driver = Driver(runtime.pump, WallClock(), sources=[source], sinks=sinks, exit_at_end=True)
            began = time.process_time()
            asyncio.run(driver.run())
            return (time.process_time() - began) / COUNT * 1e6
    finally:
        shutil.rmtree(folder)


def alone() -> tuple[float, float]:
    """Return microseconds of CPU a line in, and one out, in groups and without the functions between them."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    try:
        (folder / "in.jsonl").write_text(
            "".join(f'{{"id":"user-{n:07d}","value":{{"amount":1,"key":"user-{n:07d}"}}}}\n' for n in range(LINES))
        )
        with Runtime.in_process(apps.w1(), folder / "data") as runtime:
            source = runtime.jsonl(folder / "in.jsonl", to="bench/counter", type="bench.Ping")
            source.open(None)
            began, read = time.process_time(), 0
            while found := source.read(GROUP):
                read += len(found)
                source.position()
            taken = (time.process_time() - began) / LINES * 1e6
            assert read == LINES
            source.close()
            sink = FileSink(folder / "out.jsonl", LineWriter(runtime.values), None)
            sink.open(None)
            pong = Pong(value=5, origin="user-0000001").SerializeToString()
            value = KafkaProducerRecord(topic="totals", key="user-0000001", value_bytes=pong).SerializeToString()
            began = time.process_time()
            for first in range(0, LINES, GROUP):
                sink.write([RecordRow(first + n, "bench/out", RECORD, value) for n in range(GROUP)])
                sink.position()
            written = (time.process_time() - began) / LINES * 1e6
            sink.close()
            assert len((folder / "out.jsonl").read_text().splitlines()) == LINES
            return taken, written
    finally:
        shutil.rmtree(folder)


def each(count: int, do: object) -> float:
    """Return microseconds of CPU a call."""
    assert callable(do)
    best = 1e9
    for _ in range(4):
        began = time.process_time()
        for _ in range(count):
            do()
        best = min(best, (time.process_time() - began) / count * 1e6)
    return best


if __name__ == "__main__":
    plain, files = min(measure(files=False) for _ in range(2)), min(measure(files=True) for _ in range(2))
    print(f"W1 from bytes {plain:.1f} us, from JSONL to JSONL {files:.1f} us: {files - plain:.1f} us more")
    taken, written = (min(times) for times in zip(*(alone() for _ in range(3)), strict=True))
    print(f"alone: a line in {taken:.1f} us, a line out {written:.1f} us")
    line = b'{"amount": 5, "key": "user-0000001"}'
    pool = Default()
    slow, fast = (
        each(20_000, lambda: json_format.Parse(line, Ping())),
        each(20_000, lambda: parse(Ping, json.loads(line), pool)),
    )
    print(f"in:  json_format.Parse {slow:.2f} us, the table {fast:.2f} us ({fast / slow:.2f} of it)")
    pong = Pong(value=5, origin="user-0000001")
    slow = each(20_000, lambda: json_format.MessageToJson(pong))
    fast = each(20_000, lambda: json.dumps(to_json(pong, pool)))
    print(f"out: json_format.MessageToJson {slow:.2f} us, the table {fast:.2f} us ({fast / slow:.2f} of it)")

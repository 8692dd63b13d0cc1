"""What does the least that a durable Python program does for the same rows cost? In microseconds of CPU.

It decodes, keeps a dict of states, encodes, and writes the same rows in the same groups: no wire, engine or context.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent / "tests" / "protos")]
from bench_pb2 import Counter, Ping, Pong
from throughput import ids

from statefun._proto.egress_pb2 import KafkaProducerRecord
from statefun.runtime._delta import Delta
from statefun.runtime._sqlite import SqliteStore


def measure(workload: str, kind: str, count: int, group: int = 256) -> float:
    """Return microseconds of CPU an invocation."""
    messages = [
        (name, Ping(amount=1, key=name).SerializeToString())
        for name in (f"user-{number:07d}" for number in ids(kind, count))
    ]
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    per = group if workload == "w1" else group // 2
    kept: dict[str, bytes] = {}
    try:
        store = SqliteStore(folder / "floor.db")
        began = time.process_time()
        number = 0
        for start in range(0, count, per):
            dirty: dict[str, bytes] = {}
            records: list[tuple[int, int, int, bytes]] = []
            for name, data in messages[start : start + per]:
                ping = Ping.FromString(data)
                known = kept.get(name)
                counter = Counter() if known is None else Counter.FromString(known)
                counter.value += ping.amount
                counter.last = ping.key
                kept[name] = dirty[name] = counter.SerializeToString()
                pong = Pong(value=counter.value, origin=ping.key)
                if workload == "w2":
                    pong = Pong.FromString(pong.SerializeToString())
                record = KafkaProducerRecord(key=ping.key, value_bytes=pong.SerializeToString(), topic="totals")
                number += 1
                records.append((number, 1, 1, record.SerializeToString()))
            states = [(1, name, 2, 3, value, None) for name, value in dirty.items()]
            store.commit(Delta(states=list(states), records=records, positions={"in made": str(start)}))
        took = time.process_time() - began
        store.close()
    finally:
        shutil.rmtree(folder)
    return took / count / (1 if workload == "w1" else 2) * 1e6


if __name__ == "__main__":
    workload, kind, count = (sys.argv[1:] + ["w1", "1000", "200000"][len(sys.argv) - 1 :])[:3]
    best = min(measure(workload, kind, int(count)) for _ in range(3))
    print(f"{workload} {kind:>6} {int(count):>9,} messages  {best:6.1f} us an invocation (floor)")

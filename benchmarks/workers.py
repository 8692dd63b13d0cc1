"""What processes cost and bring: `statefun serve --workers N` and gunicorn beside the plain server.

    python -m benchmarks.workers [--rounds 7]

Each contestant is started as docs/howto/serve.md says, and answers the requests of `benchmarks/serving.py` on 16
connections. A round asks each of them in turn. The CPU time is that of all its processes, the ratio the median over the
rounds to the plain server's in the same round. The client takes a core of its own while it runs: with two cores, two
workers cannot show what they would on four.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.serving import BODY, REPLY, functions
from statefun.serving import AsgiDoor, WsgiDoor

REQUESTS, CONNECTIONS = 4_000, 16
ROOT = Path(__file__).resolve().parent.parent
REQUEST = (
    b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\n"
    + b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
PLAIN = "statefun serve"
GUNICORN = "gunicorn --keep-alive 330 -k uvicorn_worker.UvicornWorker"
THREADS = "gunicorn --keep-alive 330 --threads 32"
CONTESTANTS = (
    PLAIN,
    f"{PLAIN} --workers 2",
    f"{GUNICORN} --workers 1",
    f"{GUNICORN} --workers 2",
    f"{THREADS} --workers 1",
    f"{THREADS} --workers 2",
)

asgi = AsgiDoor(functions)
wsgi = WsgiDoor(functions)


class Contestant:
    """A server, its processes, and the connections to it."""

    def __init__(self, line: str, folder: Path) -> None:
        words = line.split()
        workers = int(words[-1]) if "--workers" in words else 1
        self.processes = 1 if line == PLAIN else 1 + workers
        log = folder / f"{line.replace(' ', '')}.log"
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as free:
            free.bind(("127.0.0.1", 0))
            free.listen(1_024)
            free.set_inheritable(True)
            port = free.getsockname()[1]
            if words[0] == "statefun":
                words += ["benchmarks.serving:functions", "--port", "0", "--linger", "0"]
            else:
                app = "benchmarks.workers:asgi" if "-k" in words else "benchmarks.workers:wsgi"
                words += ["--bind", f"fd://{free.fileno()}", "--no-control-socket", app]
            with log.open("wb") as file:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", *words], cwd=ROOT, stdout=file, stderr=file, pass_fds=[free.fileno()]
                )
            if words[0] == "statefun":
                port = port_of(log)
            self.port = port
            self.clients: list[socket.socket] = []

    def connect(self) -> None:
        """Connect when its workers have started, and warm them up."""
        end = time.monotonic() + 60
        while len(list(family(self.process.pid))) < self.processes:
            assert time.monotonic() < end
            time.sleep(0.1)
        time.sleep(3)  # they import the app
        for _ in range(CONNECTIONS):
            self.clients.append(socket.create_connection(("127.0.0.1", self.port)))
            time.sleep(0.05)  # whoever wakes first takes all that wait
        self.ask(CONNECTIONS * 50)

    def ask(self, count: int) -> None:
        """Send requests, one on each connection at a time."""
        for _ in itertools.repeat(None, count // CONNECTIONS):
            for client in self.clients:
                client.sendall(REQUEST)
            for client in self.clients:
                read = b""
                while not read.endswith(REPLY):
                    part = client.recv(65536)
                    assert part, read
                    read += part
                assert read.startswith(b"HTTP/1.1 200 OK")

    def cpu_seconds(self) -> float:
        """Return the CPU time of the threads of its processes so far."""
        tasks = (task for pid in family(self.process.pid) for task in Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def measure(self) -> tuple[float, float]:
        """Return the CPU time and the wall time of a request."""
        before, started = self.cpu_seconds(), time.perf_counter()
        self.ask(REQUESTS)
        return (self.cpu_seconds() - before) / REQUESTS, (time.perf_counter() - started) / REQUESTS

    def memory(self) -> float:
        """Return the proportional set of its processes, in MiB."""
        found = 0
        for pid in family(self.process.pid):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            found += int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1])
        return found / 1_024

    def end(self) -> None:
        """End it."""
        for client in self.clients:
            client.close()
        self.process.terminate()
        self.process.wait(60)


def family(pid: int) -> Iterator[int]:
    """Yield a process and those that it has started."""
    yield pid
    with contextlib.suppress(FileNotFoundError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from family(int(child))


def port_of(log: Path) -> int:
    """Wait for the port that `statefun serve` tells."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text()):
            return int(found[1])
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Measure workers against one process.")
    parser.add_argument("--rounds", type=int, default=7)
    rounds: int = parser.parse_args().rounds
    times: dict[str, list[tuple[float, float]]] = {line: [] for line in CONTESTANTS}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        running = {line: Contestant(line, Path(folder)) for line in CONTESTANTS}
        for contestant in running.values():
            stack.callback(contestant.end)
        for contestant in running.values():
            contestant.connect()
        for _ in range(rounds):
            for line, contestant in running.items():
                times[line].append(contestant.measure())
        memory = {line: contestant.memory() for line, contestant in running.items()}
    print("| server | us of CPU a request | to the plain one | requests a second | to the plain one | MiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for line in CONTESTANTS:
        pairs = list(zip(times[line], times[PLAIN], strict=True))
        cpu, wall = (statistics.median(column) for column in zip(*times[line], strict=True))
        more, faster = (
            statistics.median(ratio) for ratio in ([a[0] / b[0] for a, b in pairs], [b[1] / a[1] for a, b in pairs])
        )
        print(f"| `{line}` | {cpu * 1e6:.0f} | {more:.2f} | {1 / wall:,.0f} | {faster:.2f} | {memory[line]:.0f} |")
    print(f"\n{os.cpu_count()} cores. Load average at the end: {', '.join(f'{load:.1f}' for load in os.getloadavg())}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

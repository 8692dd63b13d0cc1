"""What the doors cost over a bare ASGI app, in CPU time of the server a request.

    python -m benchmarks.serving [--rounds 7]

Every contestant is uvicorn with httptools in a process of its own, and answers the same request with the same bytes.
The bare app reads the body and sends a reply that it has ready. A round asks each of them in turn; the number is the
median over the rounds of its CPU time to the bare app's in the same round.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

from statefun import AsyncRequestReplyHandler, Context, RequestReplyHandler, State, StatefulFunctions, logs
from statefun.metrics import MeasuredHandler
from statefun.serving import AsgiDoor
from statefun.serving._scrape import provide
from tests.peer import request, typed

REQUESTS, CONNECTIONS = 2_000, 8
ROOT = Path(__file__).resolve().parent.parent
functions = StatefulFunctions()


class Visits(State):
    """What is stored."""

    visits: int = 0


@functions.bind("example/greeter")
def greeter(context: Context[Visits], message: str) -> None:
    """Count and answer, as S1 of the peers does."""
    context.state.visits += 1
    context.reply(f"Hello {message}")


BODY = request(
    "v3",
    typed("io.statefun.types/string", b"\x0a\x03bob"),
    function="example/greeter",
    states={"visits": typed("io.statefun.types/long", b"\x09" + bytes(8))},
    caller=("example", "front", "f1"),
)
REPLY = RequestReplyHandler(functions)(BODY)
HEADERS = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % len(REPLY))]


async def bare(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Do the least that an ASGI app can do."""
    assert scope["type"] == "http"
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": REPLY})


class Ready:
    """What has the reply ready: what is left is the door."""

    functions = functions

    async def __call__(self, _request: bytes, /) -> bytes:
        """Answer."""
        return REPLY


def noted() -> StatefulFunctions:
    """Have every call noted, as --log-format does."""
    logs.carry(functions)
    return functions


def measured() -> MeasuredHandler:
    """Count, as --metrics does."""
    provide()
    return MeasuredHandler(functions, threads=0)


CONTESTANTS: dict[str, tuple[str, Callable[[], Any]]] = {
    "bare": ("a bare ASGI app", lambda: bare),
    "door": ("`AsgiDoor`, the reply ready", lambda: AsgiDoor(Ready())),
    "loop": ("`AsgiDoor`, a function on the loop", lambda: AsgiDoor(AsyncRequestReplyHandler(functions, threads=0))),
    "logs": ("the same, its calls noted for the log", lambda: AsgiDoor(AsyncRequestReplyHandler(noted(), threads=0))),
    "metrics": ("the same, counted by OpenTelemetry", lambda: AsgiDoor(measured())),
    "threads": ("`AsgiDoor`, a function in a thread", lambda: AsgiDoor(functions)),
}


def serve(name: str, fd: int) -> None:
    """Be a contestant."""
    config = uvicorn.Config(
        CONTESTANTS[name][1](), http="httptools", loop="asyncio", lifespan="off", ws="none", log_config=None,
        access_log=False, server_header=False, timeout_keep_alive=600,
    )  # fmt: skip
    asyncio.run(uvicorn.Server(config).serve([socket.socket(fileno=fd)]))


class Contestant:
    """A server, and the connections to it."""

    def __init__(self, name: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.set_inheritable(True)
            command = (sys.executable, "-m", "benchmarks.serving", "--serve", name, str(listener.fileno()))
            self.process = subprocess.Popen(command, cwd=ROOT, pass_fds=[listener.fileno()])
            address = listener.getsockname()
        self.clients = [socket.create_connection(address) for _ in range(CONNECTIONS)]
        self.request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\n"
        self.request += b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY)
        self.ask(CONNECTIONS * 50)

    def ask(self, count: int) -> None:
        """Send requests, one on each connection at a time."""
        for _ in itertools.repeat(None, count // CONNECTIONS):
            for client in self.clients:
                client.sendall(self.request)
            for client in self.clients:
                read = b""
                while not read.endswith(REPLY):
                    part = client.recv(65536)
                    assert part, read
                    read += part
                assert read.startswith(b"HTTP/1.1 200 OK")

    def cpu_seconds(self) -> float:
        """Return the CPU time of its threads so far."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def measure(self) -> tuple[float, float]:
        """Return the CPU time and the wall time of a request."""
        before, started = self.cpu_seconds(), time.perf_counter()
        self.ask(REQUESTS)
        return (self.cpu_seconds() - before) / REQUESTS, (time.perf_counter() - started) / REQUESTS

    def end(self) -> None:
        """End it."""
        for client in self.clients:
            client.close()
        self.process.terminate()
        self.process.wait()


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Measure the doors against a bare ASGI app.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve[0], int(given.serve[1]))
        return 0
    running = {name: Contestant(name) for name in CONTESTANTS}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in running}
    try:
        for _ in range(given.rounds):
            for name, contestant in running.items():
                times[name].append(contestant.measure())
    finally:
        for contestant in running.values():
            contestant.end()
    print("| uvicorn, httptools | us of CPU a request | to the bare app | requests a second |")
    print("| --- | ---: | ---: | ---: |")
    for name, (what, _) in CONTESTANTS.items():
        ratio = statistics.median(mine[0] / bare[0] for mine, bare in zip(times[name], times["bare"], strict=True))
        cpu, wall = (statistics.median(column) for column in zip(*times[name], strict=True))
        print(f"| {what} | {cpu * 1e6:.0f} | {ratio:.2f} | {1 / wall:,.0f} |")
    for name in ("logs", "metrics"):
        ratio = statistics.median(mine[0] / loop[0] for mine, loop in zip(times[name], times["loop"], strict=True))
        print(f"\n{name} to the function on the loop: {ratio:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

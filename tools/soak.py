"""Full load for a long time: the memory of the process stays flat, and every message has its reply.

    python -m tools.soak                           both, at the same time, for 600 s
    python -m tools.soak serve --seconds 60        `statefun serve`: requests of both protocols, small and large, some
                                                   of which fail; connections come and go
    python -m tools.soak run                       `statefun run`: messages over HTTP, a hop, delays, records
    python -m tools.soak serve --leak 1000         with an app that leaks 1,000 bytes at each message: it must fail

After a fifth of the time, which warms up, the resident set is looked at once a second. The median of each tenth of the
rest must be within 5 % of the first. It needs Linux, for /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from google.protobuf.any_pb2 import Any as AnyPb

from statefun.runtime._sqlite import SqliteStore
from statefun.types import BYTES, INT64, STRING
from tests.peer import Wire, answer_of, request, typed

ROOT = Path(__file__).resolve().parent.parent
IDENTITIES = 10_000
CONNECTIONS = 64
TENTHS, FLAT, WARM = 10, 0.05, 0.2
CALLER = ("soak", "front", "f")


class Lost(Exception):
    """A reply did not come, or says something else than it must."""


# --- memory ---


@dataclass(frozen=True, slots=True)
class Memory:
    """The resident set of a process over a time: (seconds, bytes)."""

    samples: Sequence[tuple[float, int]]

    def medians(self) -> list[float]:
        """Return the median of each tenth after the warm-up."""
        start, end = WARM * self.samples[-1][0], self.samples[-1][0]
        parts: list[list[int]] = [[] for _ in range(TENTHS)]
        for second, size in self.samples:
            if second >= start:
                parts[min(TENTHS - 1, int((second - start) / (end - start) * TENTHS))].append(size)
        return [statistics.median(part) for part in parts if part]

    @property
    def flat(self) -> bool:
        """Whether each of these is near the first."""
        first, *rest = self.medians()
        return all(abs(size / first - 1) <= FLAT for size in rest)

    def __str__(self) -> str:
        medians = [size / 2**20 for size in self.medians()]
        change = medians[-1] / medians[0] - 1
        return (
            f"{medians[0]:.1f} MiB after the warm-up, {min(medians):.1f} to {max(medians):.1f} from there on, "
            f"{medians[-1]:.1f} at the end ({change:+.1%})"
        )


def resident(pid: int) -> int:
    """Return the resident set of a process, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# --- HTTP ---


class Connection:
    """A connection that is kept alive; sending and reading are two steps, so that many can be under way."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)

    def send(self, path: str, content_type: str, body: bytes) -> None:
        """Send a POST."""
        fields = (f"POST {path} HTTP/1.1", "host: localhost", f"content-type: {content_type}")
        head = "\r\n".join((*fields, f"content-length: {len(body)}", "", ""))
        self._socket.sendall(head.encode() + body)

    def receive(self) -> tuple[int, bytes]:
        """Return the status and the body of the answer."""
        read = b""
        while b"\r\n\r\n" not in read:
            read += self._part(read)
        head, _, body = read.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        while length and len(body) < int(length[1]):
            body += self._part(body)
        return int(head.split()[1]), body

    def _part(self, read: bytes) -> bytes:
        part = self._socket.recv(1 << 17)
        if not part:
            raise Lost(f"the connection ended after {read[:200]!r}")
        return part

    def close(self) -> None:
        """End it."""
        self._socket.close()


# --- what is sent ---


@dataclass(frozen=True, slots=True)
class Call:
    """A POST, and what raises `Lost` if its status and body are not what they must be."""

    path: str
    content_type: str
    body: bytes
    check: Callable[[int, bytes], None]


class Serve:
    """`statefun serve`, called as by a runtime: the state of each address is kept here, so each reply is known."""

    command: ClassVar[Sequence[str]] = ("serve", "tools.soak_app:functions", "--port", "0", "--linger", "0")
    status = 0
    """How it ends after SIGTERM."""

    def __init__(self) -> None:
        self._visits = [0] * IDENTITIES

    def call(self, number: int) -> Call:
        """Make a request: one in ten on v2, some that fail, some large."""
        wire: Wire = "v2" if number % 10 == 1 else "v3"
        unset: dict[str, AnyPb | None] = {"n": None, "last": None}
        if number % 100 == 7:
            body = request(wire, text("no"), function="soak/fails", states=unset)
            return self._octets(body, lambda status, body: expect(status == 500, status, body))
        if number % 100 == 17:
            body = request(wire, text("no"), function="soak/buries", states=unset)
            return self._octets(body, lambda status, body: expect(is_letter(wire, status, body), status, body))
        if number % 1_000 == 27:
            data = typed(BYTES.typename, number.to_bytes(8, "big") * 8_192)
            body = request(wire, data, function="soak/echo", caller=CALLER)
            return self._octets(body, lambda status, body: expect(is_echo(wire, data, status, body), status, body))
        return self._visit(number % IDENTITIES, wire)

    def _visit(self, identity: int, wire: Wire) -> Call:
        before, name = self._visits[identity], f"user-{identity}"
        count = typed(INT64.typename, INT64.encode(before)) if before else None
        body = request(
            wire, text(name), function="soak/greeter", identity=name, states={"n": count, "last": None}, caller=CALLER
        )

        def check(status: int, body: bytes) -> None:
            expect(status == 200, status, body)
            answer = answer_of(wire, body)
            stored = answer.states.get("n")
            expect(stored is not None and INT64.decode(stored.value) == before + 1, status, body)
            expect(answer.sent == [("soak/front", "f", text(f"{name} {before + 1}"))], status, body)
            self._visits[identity] += 1

        return self._octets(body, check)

    @staticmethod
    def _octets(body: bytes, check: Callable[[int, bytes], None]) -> Call:
        return Call("/statefun", "application/octet-stream", body, check)

    def settle(self, folder: Path, sent: int) -> None:
        """Nothing is left when every request has its reply."""

    def end(self, folder: Path, sent: int) -> None:
        """Look at nothing: it leaves nothing behind."""


class Run:
    """`statefun run` with its HTTP ingress: a message is accepted, passed on, and comes out as a record."""

    command: ClassVar[Sequence[str]] = (
        "run", "tools.soak_app:functions", "--port", "0", "--quiet", "--data", "data", "--write", "out.jsonl",
    )  # fmt: skip
    status = 130

    def call(self, number: int) -> Call:
        """Make a message."""
        path = f"/soak/first/user-{number % IDENTITIES}"
        return Call(path, "text/plain", b"%d" % number, lambda status, body: expect(status == 202, status, body))

    def settle(self, folder: Path, sent: int) -> None:
        """Wait for as many records."""
        end = time.monotonic() + 60
        while lines(folder / "out.jsonl") < sent:
            if time.monotonic() > end:
                raise Lost(f"{sent:,} messages were accepted, and {lines(folder / 'out.jsonl'):,} records written")
            time.sleep(0.1)

    def end(self, folder: Path, sent: int) -> None:
        """Count the records and the states: each message once."""
        with (folder / "out.jsonl").open() as file:
            numbers = Counter(int(json.loads(line)["value"]) for line in file)
        if numbers != Counter(range(sent)):
            raise Lost(
                f"of {sent:,} messages {sent - len(numbers):,} are missing, {len(numbers - Counter(range(sent)))} twice"
            )
        counted = Counter[str]()
        with contextlib.closing(SqliteStore(folder / "data" / "statefun.db", read_only=True)) as store:
            for row in store.list_states(None, None, 0, None, 2 * IDENTITIES):
                counted[row.function] += INT64.decode(row.value)
        if counted != {"soak/first": sent, "soak/second": sent}:
            raise Lost(f"{sent:,} messages were counted as {dict(counted)}")


LOADS: dict[str, type[Serve | Run]] = {"serve": Serve, "run": Run}


def text(content: str) -> AnyPb:
    """Return a str on the wire."""
    return typed(STRING.typename, STRING.encode(content))


def is_letter(wire: Wire, status: int, body: bytes) -> bool:
    """Tell whether the reply is a dead letter and nothing else."""
    answer = answer_of(wire, body) if status == 200 else None
    return answer is not None and [name for name, _ in answer.egress] == ["soak/dead"] and answer.mutations == []


def is_echo(wire: Wire, data: AnyPb, status: int, body: bytes) -> bool:
    """Tell whether the reply is the message."""
    return status == 200 and answer_of(wire, body).sent == [("soak/front", "f", data)]


def expect(right: bool, status: int, body: bytes) -> None:  # noqa: FBT001 -- what is expected
    """Raise for a wrong reply."""
    if not right:
        raise Lost(f"{status}: {body[:500]!r}")


def lines(path: Path) -> int:
    """Count the lines of a file."""
    with path.open("rb") as file:
        return sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b""))


# --- the soak ---


def soak(load: Serve | Run, seconds: float, folder: Path, leak: int) -> tuple[int, Memory]:
    """Start a process, send for so long, and end it; return how much was sent, and its memory."""
    command = [sys.executable, "-m", "statefun", *load.command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "STATEFUN_SOAK_LEAK": str(leak)}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stderr=log) as process,
    ):
        try:
            sent, memory = drive(load, port_of(process, folder / "log"), seconds, process.pid)
            load.settle(folder, sent)
            process.send_signal(signal.SIGTERM)
            if (status := process.wait(60)) != load.status:
                raise Lost(f"it ended with status {status}")
        finally:
            process.kill()
    load.end(folder, sent)
    return sent, memory


def port_of(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait for the port that it tells."""
    end = time.monotonic() + 60
    while True:
        over = process.poll() is not None or time.monotonic() > end
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text()):
            return int(found[1])
        if over:
            raise Lost(f"it did not start (status {process.returncode}):\n{log.read_text()}")
        time.sleep(0.05)


def drive(load: Serve | Run, port: int, seconds: float, pid: int) -> tuple[int, Memory]:
    """Send rounds, a call on each connection; a connection is closed and opened again every so often."""
    connections = [Connection(port) for _ in range(CONNECTIONS)]
    samples: list[tuple[float, int]] = []
    number, began = 0, time.monotonic()
    try:
        while (now := time.monotonic() - began) < seconds:
            if not samples or now - samples[-1][0] >= min(1.0, seconds / 200):
                samples.append((now, resident(pid)))
                connections[len(samples) % CONNECTIONS].close()
                connections[len(samples) % CONNECTIONS] = Connection(port)
            calls = [load.call(number + offset) for offset in range(CONNECTIONS)]
            for connection, call in zip(connections, calls, strict=True):
                connection.send(call.path, call.content_type, call.body)
            for connection, call in zip(connections, calls, strict=True):
                call.check(*connection.receive())
            number += CONNECTIONS
    finally:
        for connection in connections:
            connection.close()
    return number, Memory(samples)


def one(name: str, seconds: float, leak: int) -> int:
    """Soak one, and tell; return the exit status."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        try:
            sent, memory = soak(LOADS[name](), seconds, Path(folder), leak)
        except (Lost, OSError) as error:
            print(f"{name}: FAILED: {error}", flush=True)
            return 1
    verdict = "" if memory.flat else f"FAILED: its memory is not flat (±{FLAT:.0%}): "
    print(
        f"{name}: {sent:,} messages in {seconds:g} s ({sent / seconds:,.0f} a second), each with its reply. "
        f"{verdict}{memory}", flush=True,
    )  # fmt: skip
    return 0 if memory.flat else 1


def main(arguments: Sequence[str]) -> int:
    """Soak what is named; several at the same time, each in a process of its own."""
    parser = argparse.ArgumentParser(description="Full load for a long time.")
    parser.add_argument("names", nargs="*", choices=[*LOADS, []], metavar="serve | run", default=[])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--leak", type=int, default=0, metavar="BYTES", help="let the app leak at each message")
    given = parser.parse_args(arguments)
    names = given.names or list(LOADS)
    if len(names) == 1:
        return one(names[0], given.seconds, given.leak)
    options = ("--seconds", str(given.seconds), "--leak", str(given.leak))
    started = [subprocess.Popen((sys.executable, "-m", "tools.soak", name, *options), cwd=ROOT) for name in names]
    return max([process.wait() for process in started])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

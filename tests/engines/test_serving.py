"""Functions as they are served in production: TLS both ways, and a rolling restart of two processes under load."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from typing_extensions import Self

from engines import Job, JobOptions
from tests.certificates import make_certificates
from tests.engines.kafka import Kafka, Record
from tests.engines.served import App, Served, statefun
from tests.engines.test_exactly_once import Sender, check
from tests.engines.ways import FLINK, Way

COUNTING = App("counting:functions", Path(__file__).parent / "apps")
ASYNC, OKHTTP, FORMAT_2, _ = FLINK


@contextlib.contextmanager
def counting(
    kafka: Kafka, folder: Path, url: str, way: Way = ASYNC, change: Callable[[str], str] = str
) -> Generator[Job]:
    """Run the counting app, served at a URL, on a runtime."""
    kafka.renew("numbers", "counted")
    module = folder / "module.yaml"
    chosen = ("--transport", way.transport) if way.engine == "flink-3.3" else ()
    statefun(COUNTING, "module", COUNTING.name, "--runtime", way.module, "--endpoint", url, "--kafka", kafka.address,
             *chosen, "--delivery", "exactly-once", "--output", str(module))  # fmt: skip
    module.write_text(change(module.read_text()))
    job = Job.start(folder / "job", module, JobOptions(engine=way.engine))
    try:
        yield job
    finally:
        job.stop()


def numbers(kafka: Kafka, *wanted: int) -> None:
    """Send numbers for one key."""
    kafka.send(Record("numbers", "k", StringValue(value=str(n)).SerializeToString()) for n in wanted)


def with_files(folder: Path, **files: str) -> Callable[[str], str]:
    """Return what writes files into the transport of a module.yaml, as its users do."""
    lines = "".join(f"    {key}: {(folder / name).as_uri()}\n" for key, name in files.items())
    return lambda text: re.sub(r"(    type: io.statefun.transports.v1/async\n)", rf"\1{lines}", text)


@contextlib.contextmanager
def over_tls(folder: Path, *arguments: str) -> Generator[Served]:
    """Serve the counting app over https."""
    files = ("--ssl-certfile", str(folder / "server.pem"), "--ssl-keyfile", str(folder / "server.key"))
    function = Served(COUNTING, folder / "served.log", ("--linger", "0", *files, *arguments), scheme="https")
    function.start()
    try:
        yield function
    finally:
        function.end()


@pytest.mark.feature("TLS", facts="7.5")
@pytest.mark.way(ASYNC.id)
def test_tls(kafka: Kafka, folder: Path) -> None:
    """The async transport calls https with the certificates of trust_cacerts."""
    make_certificates(folder)
    change = with_files(folder, trust_cacerts="ca.pem")
    with over_tls(folder) as function, counting(kafka, folder, function.url, change=change):
        numbers(kafka, 0, 1)
        assert [one.value for one in kafka.read(["counted"], 2)] == [b"0 1", b"1 2"]


@pytest.mark.feature("mutual TLS", facts="7.5")
@pytest.mark.way(ASYNC.id)
def test_mutual_tls(kafka: Kafka, folder: Path) -> None:
    """A server that asks for a certificate is called with client_cert; without it, nothing is counted."""
    make_certificates(folder)
    ours = with_files(folder, trust_cacerts="ca.pem", client_cert="client.pem", client_key="client.key")
    with over_tls(folder, "--ssl-ca-certs", str(folder / "ca.pem")) as function:
        with counting(kafka, folder, function.url, change=with_files(folder, trust_cacerts="ca.pem")):
            numbers(kafka, 0)
            time.sleep(3)
            assert kafka.read(["counted"], 0) == []
        (folder / "module.yaml").unlink()
        with counting(kafka, folder, function.url, change=ours):
            numbers(kafka, 0, 1)
            assert [one.value for one in kafka.read(["counted"], 2)] == [b"0 1", b"1 2"]


class Balancer(threading.Thread):
    """What stands before two processes: each connection goes to one that takes it, in turn."""

    def __init__(self, *ports: int) -> None:
        super().__init__()
        self._ports = list(ports)
        self._ready = threading.Event()
        self.port = 0

    def run(self) -> None:
        """Serve until it is closed."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in self._ports:
            self._ports.append(self._ports.pop(0))
            with contextlib.suppress(OSError):
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._ports[-1])
                await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
                return
        writer.close()

    def __enter__(self) -> Self:
        self.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self.join()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.mark.feature("a rolling restart of two processes under load", facts="8")
@pytest.mark.parametrize("way", [ASYNC, OKHTTP, FORMAT_2], ids=lambda way: way.id)
def test_rolling_restart(way: Way, kafka: Kafka, folder: Path) -> None:
    """Both processes are replaced while records come: each is counted once, and the job does not fail."""
    both = [Served(COUNTING, folder / f"served{n}.log", ("--linger", "0.5")) for n in range(2)]
    for one in both:
        one.start()
    try:
        with (
            Balancer(*(one.port for one in both)) as balancer,
            counting(kafka, folder, f"http://127.0.0.1:{balancer.port}/statefun", way) as job,
        ):
            sender = Sender(kafka, rate=500, least=2_000)
            sender.start()
            try:
                for one in both:
                    time.sleep(1)
                    one.end()
                    one.start()
            finally:
                records = sender.stop()
            check(kafka.read(["counted"], records), records)
            assert job.failure() is None
    finally:
        for one in both:
            one.end()

"""Functions as they are served in production: TLS both ways, and a rolling restart of two processes under load."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from typing_extensions import Self

from engines import Job, JobOptions
from engines.jars import java
from tests.certificates import make_certificates, openssl
from tests.engines.embedded import until
from tests.engines.kafka import Kafka, Record
from tests.engines.served import App, Served, statefun
from tests.engines.test_exactly_once import Sender, check
from tests.engines.ways import FLINK, Way

COUNTING = App("counting:functions", Path(__file__).parent / "apps")
ASYNC, OKHTTP, FORMAT_2, _ = FLINK
WAYS = (ASYNC, OKHTTP, FORMAT_2)
CUT = {"async": "DisconnectedException: Disconnected", "okhttp": "unexpected end of stream on https://"}
"""What a transport says of a server that ends a connection after the handshake: it has asked for a certificate."""


@contextlib.contextmanager
def counting(
    kafka: Kafka, folder: Path, url: str, way: Way, *, change: Callable[[str], str] = str, jvm: tuple[str, ...] = ()
) -> Generator[Job]:
    """Run the counting app, served at a URL, on a runtime."""
    kafka.renew("numbers", "counted")
    module = folder / "module.yaml"
    chosen = ("--transport", way.transport) if way.engine == "flink-3.3" else ()
    statefun(COUNTING, "module", COUNTING.name, "--runtime", way.module, "--endpoint", url, "--kafka", kafka.address,
             *chosen, "--delivery", "exactly-once", "--output", str(module))  # fmt: skip
    module.write_text(change(module.read_text()))
    job = Job.start(folder / "job", module, JobOptions(engine=way.engine, jvm=jvm))
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


def with_encrypted_key(folder: Path, *how: str, end: str = "") -> Callable[[str], str]:
    """Return what gives the transport an encrypted key, and the file with its password."""
    openssl(folder, "pkcs8", "-topk8", "-in", "client.key", *how, "-passout", "pass:open sesame", "-out", "client.p8")
    (folder / "password").write_text(f"open sesame{end}")
    return with_files(folder, trust_cacerts="ca.pem", client_cert="client.pem", client_key="client.p8",
                      client_key_password="password")  # fmt: skip


def with_trust_store(folder: Path) -> tuple[str, ...]:
    """Return what makes a JVM trust the authority."""
    command = (str(Path(java()).with_name("keytool")), "-importcert", "-noprompt", "-file", "ca.pem",
               "-keystore", "trust.p12", "-storetype", "PKCS12", "-storepass", "changeit")  # fmt: skip
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return _store(folder, "trust")


def with_key_store(folder: Path) -> tuple[str, ...]:
    """Return what gives a JVM the certificate of the client."""
    openssl(folder, "pkcs12", "-export", "-in", "client.pem", "-inkey", "client.key", "-out", "key.p12",
            "-passout", "pass:changeit")  # fmt: skip
    return _store(folder, "key")


def _store(folder: Path, name: str) -> tuple[str, ...]:
    key = f"-Djavax.net.ssl.{name}Store"
    return f"{key}={folder / name}.p12", f"{key}Password=changeit", f"{key}Type=PKCS12"


@contextlib.contextmanager
def over_tls(folder: Path, *arguments: str) -> Generator[Served]:
    """Serve the counting app over https, with certificates made for it."""
    make_certificates(folder)
    files = ("--ssl-certfile", str(folder / "server.pem"), "--ssl-keyfile", str(folder / "server.key"))
    function = Served(COUNTING, folder / "served.log", ("--linger", "0", *files, *arguments), scheme="https")
    function.start()
    try:
        yield function
    finally:
        function.end()


@contextlib.contextmanager
def over_mutual_tls(folder: Path) -> Generator[Served]:
    """Serve it to clients with a certificate only."""
    with over_tls(folder, "--ssl-ca-certs", str(folder / "ca.pem")) as function:
        yield function


def counts(kafka: Kafka) -> None:
    """Send two numbers, and see them counted."""
    numbers(kafka, 0, 1)
    assert [one.value for one in kafka.read(["counted"], 2)] == [b"0 1", b"1 2"]


def counts_nothing(kafka: Kafka, job: Job, why: str) -> None:
    """Send a number, and wait for why it is not counted, as the log says it."""
    numbers(kafka, 0)
    until(lambda: why in (job.folder / "log").read_text(errors="replace"))
    assert kafka.read(["counted"], 0) == []


@pytest.mark.feature("TLS", facts="7.6")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
def test_tls(way: Way, kafka: Kafka, folder: Path) -> None:
    """The async transport calls https with the certificates of trust_cacerts, okhttp with the JVM's trust store."""
    with over_tls(folder) as function:
        change = with_files(folder, trust_cacerts="ca.pem") if way is ASYNC else str
        jvm = () if way is ASYNC else with_trust_store(folder)
        with counting(kafka, folder, function.url, way, change=change, jvm=jvm):
            counts(kafka)


@pytest.mark.feature("mutual TLS", facts="7.6")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
def test_mutual_tls(way: Way, kafka: Kafka, folder: Path) -> None:
    """A server that asks for a certificate gets client_cert of the async transport, and none of okhttp."""
    with over_mutual_tls(folder) as function:
        if way is ASYNC:
            files = with_files(folder, trust_cacerts="ca.pem", client_cert="client.pem", client_key="client.key")
            with counting(kafka, folder, function.url, way, change=files):
                counts(kafka)
            return
        stores = (*with_trust_store(folder), *with_key_store(folder))
        with counting(kafka, folder, function.url, way, jvm=stores) as job:
            counts_nothing(kafka, job, CUT[way.transport])
    pytest.xfail("okhttp shows no certificate: it trusts what the JVM trusts, and does not look into its key store")


@pytest.mark.feature("mutual TLS: the key has a password", facts="7.6")
@pytest.mark.way(ASYNC.id)
def test_a_key_with_a_password(kafka: Kafka, folder: Path) -> None:
    """A key that is encrypted as PBES1 is read with client_key_password."""
    with over_mutual_tls(folder) as function:
        files = with_encrypted_key(folder, "-v1", "PBE-SHA1-3DES")
        with counting(kafka, folder, function.url, ASYNC, change=files):
            counts(kafka)


@pytest.mark.long
@pytest.mark.parametrize(
    ("how", "end", "why"),
    [
        (("-v2", "aes-256-cbc"), "", "NoSuchAlgorithmException: PBES2 SecretKeyFactory not available"),
        (("-v1", "PBE-SHA1-3DES"), "\n", "InvalidKeySpecException: Password is not ASCII"),
    ],
    ids=["PBES2", "a new line"],
)
def test_a_key_that_is_not_read(how: tuple[str, ...], end: str, why: str, kafka: Kafka, folder: Path) -> None:
    """What openssl does unless it is told otherwise is refused, and a new line is part of the password."""
    with over_mutual_tls(folder) as function:
        files = with_encrypted_key(folder, *how, end=end)
        with counting(kafka, folder, function.url, ASYNC, change=files) as job:
            counts_nothing(kafka, job, why)


@pytest.mark.long
def test_no_certificate(kafka: Kafka, folder: Path) -> None:
    """Without client_cert the async transport is not let in."""
    with over_mutual_tls(folder) as function:
        change = with_files(folder, trust_cacerts="ca.pem")
        with counting(kafka, folder, function.url, ASYNC, change=change) as job:
            counts_nothing(kafka, job, CUT["async"])


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
def test_the_name_of_the_host(way: Way, kafka: Kafka, folder: Path) -> None:
    """The async transport calls a host whose certificate is for another; okhttp does not."""
    with over_tls(folder, "--host", "127.0.0.2") as function:
        url = function.url.replace("127.0.0.1", "127.0.0.2")
        change = with_files(folder, trust_cacerts="ca.pem") if way is ASYNC else str
        jvm = () if way is ASYNC else with_trust_store(folder)
        with counting(kafka, folder, url, way, change=change, jvm=jvm) as job:
            if way is ASYNC:
                counts(kafka)
            else:
                counts_nothing(kafka, job, "Hostname 127.0.0.2 not verified")


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
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
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

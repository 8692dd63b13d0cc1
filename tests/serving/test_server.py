"""`statefun serve`, as a process of its own: where it listens, whom it lets in, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from statefun.errors import ConfigError
from statefun.recording import read
from statefun.serving import _server
from statefun.serving._server import ServeOptions
from tests.certificates import make_certificates
from tests.peer import request, typed
from tests.served import Got, ask, got, until, visit

ROOT = Path(__file__).parent.parent.parent
APP = """
import asyncio
import time
from pathlib import Path

from statefun import Context, StatefulFunctions

functions = StatefulFunctions()
RAN = Path(__file__).with_name("ran")


@functions.bind("example/slow")
async def slow(context: Context, message: int) -> None:
    await asyncio.sleep(0.02)
    with RAN.open("a") as file:
        file.write(f"{message}\\n")
    context.pack_and_send("example/next", str(message), message)


@functions.bind("example/blocks")
def blocks(context: Context, message: int) -> None:
    RAN.touch()
    time.sleep(message)
"""


class Serving:
    """A server in a process."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """What it has written."""
        return self._log.read_text()

    @property
    def port(self) -> int:
        """The port that it told."""
        return int(re.findall(r":(\d+)\n", self.log)[0])

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(30)


Start = Callable[..., Serving]


@pytest.fixture
def start(tmp_path: Path) -> Generator[Start]:
    """Start `statefun serve` with options; what still runs at the end is killed."""
    (tmp_path / "shop.py").write_text(APP)
    started: list[subprocess.Popen[bytes]] = []

    def run(*options: str, ready: bool = True, **environment: str) -> Serving:
        log = tmp_path / f"log-{len(started)}"
        command = (sys.executable, "-m", "statefun", "serve", "shop:functions", *options)
        with log.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=tmp_path,
                stderr=file,
                stdout=file,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            )
        started.append(process)
        made = Serving(process, log)
        if ready:
            until(lambda: re.search("serving.*\n", made.log) or process.poll() is not None)
            assert process.poll() is None, made.log
        return made

    yield run
    for process in started:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def numbered(number: int, function: str = "example/slow") -> bytes:
    """Return a request that carries a number."""
    return request("v2", typed("io.statefun.types/long", b"\x09" + number.to_bytes(8, "little")), function=function)


class Load:
    """Clients that send one request after the other, each on a connection that it keeps while it may."""

    def __init__(self, port: int, clients: int) -> None:
        self.replies = 0
        self.statuses: set[int] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._port = port
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._ended.is_set():
            try:
                connection.request("POST", "/statefun", numbered(1), {"Content-Type": "application/octet-stream"})
                answer = got(connection)
            except OSError:  # refused: nobody listens any more
                break
            except http.client.HTTPException:  # closed before it was read
                connection.close()
                continue
            with self._lock:
                self.statuses.add(answer.status)
                self.replies += answer.status == 200
        connection.close()

    def end(self) -> None:
        """Wait for the clients, which end when nobody listens."""
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_sigterm_under_load(start: Start, tmp_path: Path, options: Sequence[str]) -> None:
    """SIGTERM under load: readiness goes first, no reply of what ran is lost, and the status is 0."""
    server = start("--port", "0", "--linger", "0.5", *options)
    load = Load(server.port, 16)
    until(lambda: load.replies > 50)
    server.process.send_signal(signal.SIGTERM)
    if not options:
        until(lambda: ask(server.port, method="GET", path="/readyz").status == 503)
        before = load.replies
        until(lambda: load.replies > before)
    assert server.process.wait(30) == 0, server.log
    load.end()
    assert load.statuses == {200}
    assert (tmp_path / "ran").read_text().count("\n") == load.replies
    assert "Traceback" not in server.log


def test_second_sigterm(start: Start) -> None:
    """A second SIGTERM does not linger."""
    server = start("--port", "0", "--linger", "60")
    until(lambda: ask(server.port, method="GET", path="/readyz").status == 200)
    server.process.send_signal(signal.SIGTERM)
    until(lambda: ask(server.port, method="GET", path="/readyz").status == 503)
    assert server.end() == 0


def test_interrupt(start: Start) -> None:
    """Ctrl-C ends it at once, with status 130."""
    server = start("--port", "0", "--linger", "60")
    until(lambda: ask(server.port, method="GET", path="/readyz").status == 200)
    assert server.end(signal.SIGINT) == 130
    assert "Traceback" not in server.log


def test_grace(start: Start, tmp_path: Path) -> None:
    """A request that does not end within the grace is given up, which the log and the status say."""
    server = start("--port", "0", "--linger", "0", "--grace", "1")
    answers: list[Got | Exception] = []

    def send() -> None:
        try:
            answers.append(ask(server.port, numbered(30, "example/blocks")))
        except OSError as error:
            answers.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    until((tmp_path / "ran").exists)
    started = time.monotonic()
    assert server.end() == 1
    assert time.monotonic() - started < 10
    thread.join()
    assert "1 requests were not answered within --grace 1" in server.log


def test_workers(start: Start) -> None:
    """Several processes share the port."""
    server = start("--port", "0", "--workers", "2", "--linger", "0")
    until(lambda: ask(server.port, method="GET", path="/readyz").status == 200)
    assert ask(server.port, numbered(1)).status == 200
    assert server.end() == 0


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def test_unix_socket(start: Start, tmp_path: Path) -> None:
    """It listens on a unix socket, takes over a dead one's, keeps away from a live one's, and removes its own."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    server = start("--uds", path, "--linger", "0")
    with contextlib.closing(UnixConnection(path)) as connection:
        # a runtime sends the path as one segment
        connection.request("POST", "/%2Fstatefun", numbered(1))
        assert got(connection).status == 200
    second = start("--uds", path, ready=False)
    assert second.process.wait(30) == 1
    assert second.log == (
        f"statefun serve: cannot listen on {path}: Address already in use\n"
        "  help: another process may listen there; name another with --uds\n"
    )
    assert server.end() == 0
    assert not Path(path).exists()


def test_port_in_use(start: Start) -> None:
    """A port that is taken is an error that says what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = start("--port", str(port), ready=False)
        assert server.process.wait(30) == 1
    assert server.log == (
        f"statefun serve: cannot listen on 127.0.0.1:{port}: Address already in use\n  help: try another --port\n"
    )


def test_secret(start: Start) -> None:
    """The secret comes from the environment, and is in no line of the log."""
    server = start("--port", "0", "--linger", "0", STATEFUN_SECRET="correct-horse-battery")
    until(lambda: ask(server.port, method="GET", path="/readyz").status == 200)
    assert ask(server.port, numbered(1)).status == 404
    assert ask(server.port, b"", path="/correct-horse-battery/x").status == 400
    assert ask(server.port, numbered(1), path="/correct-horse-battery").status == 200
    assert server.end() == 0
    assert "correct-horse-battery" not in server.log


def test_record(start: Start, tmp_path: Path) -> None:
    """--record writes requests and replies down."""
    server = start("--port", "0", "--linger", "0", "--record", "kept")
    answer = ask(server.port, numbered(7))
    assert server.end() == 0
    assert [(one.request, one.reply) for one in read(tmp_path / "kept")] == [(numbered(7), answer.body)]


SEGMENT = "s" * 20
LOGGING = """
import logging
from statefun import Context, StatefulFunctions

functions = StatefulFunctions()


@functions.bind("example/slow")
def slow(context: Context, message: int) -> None:
    logging.getLogger("shop").info("message %d", message)
    if message == 13:
        raise ValueError("unlucky")
"""


def test_log_format(start: Start, tmp_path: Path) -> None:
    """With --log-format json each line is an object that says which call it is from, also that of a failure."""
    (tmp_path / "shop.py").write_text(LOGGING)
    serving = start("--port", "0", "--linger", "0", "--log-format", "json", "--log-level", "info")
    assert ask(serving.port, numbered(1), path="/").status == 200
    assert ask(serving.port, numbered(13), path="/").status == 500
    serving.end()
    lines = [json.loads(line) for line in serving.log.splitlines() if line.startswith("{")]
    shown = [(line["logger"], line["level"], line["function"], line["id"]) for line in lines if "function" in line]
    assert shown == [
        ("shop", "INFO", "example/slow", "x"),
        ("shop", "INFO", "example/slow", "x"),
        ("statefun.serving", "ERROR", "example/slow", "x"),
    ]
    failed = next(line for line in lines if line["logger"] == "statefun.serving")
    assert "ValueError: unlucky" in failed["exception"]
    assert failed["error_id"] in failed["message"]


def test_quiet(start: Start, tmp_path: Path) -> None:
    """Without options nothing is written about a request that goes well, and lines do not say where they are from."""
    (tmp_path / "shop.py").write_text(LOGGING)
    serving = start("--port", "0", "--linger", "0")
    before = serving.log
    assert ask(serving.port, numbered(1), path="/").status == 200
    serving.end()
    assert serving.log == before


def test_metrics_on_a_port(start: Start) -> None:
    """With --metrics 0 Prometheus reads a free port; what it reads names functions and types, and no id."""
    serving = start("--port", "0", "--linger", "0", "--metrics", "0")
    assert ask(serving.port, numbered(1), path="/").status == 200
    until(lambda: re.search("metrics on.*\n", serving.log))
    found = re.search(r"metrics on http://127\.0\.0\.1:(\d+)/metrics", serving.log)
    assert found is not None
    text = ask(int(found[1]), None, method="GET", path="/metrics").body.decode()
    (line,) = [line for line in text.splitlines() if line.startswith("statefun_invocations_total")]
    assert 'function="example/slow"' in line
    assert line.endswith(" 1.0")
    assert "process_cpu_seconds_total" in text
    assert serving.end() == 0


def test_metrics_on_a_path(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --metrics /metrics they are on a path of the functions' port, behind the secret."""
    monkeypatch.setenv("STATEFUN_SECRET", SEGMENT)
    serving = start("--port", "0", "--linger", "0", "--metrics", "/metrics")
    assert ask(serving.port, numbered(1), path=f"/{SEGMENT}").status == 200
    shown = ask(serving.port, None, method="GET", path=f"/{SEGMENT}/metrics")
    assert shown.status == 200
    assert b"statefun_invocations_total{" in shown.body
    assert ask(serving.port, None, method="GET", path="/metrics").status == 404


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority, and a certificate of it for a server and for a client."""
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("mutual", [False, True])
def test_tls(start: Start, certificates: Path, mutual: bool) -> None:
    """It speaks TLS; with an authority for clients it lets in only those that show a certificate of it."""
    files = ("--ssl-certfile", f"{certificates}/server.pem", "--ssl-keyfile", f"{certificates}/server.key")
    authority = ("--ssl-ca-certs", f"{certificates}/ca.pem") if mutual else ()
    server = start("--port", "0", "--linger", "0", *files, *authority)
    assert "on https://127.0.0.1:" in server.log

    def post(context: ssl.SSLContext) -> int:
        with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", server.port, context=context)) as connection:
            connection.request("POST", "/", numbered(1))
            return got(connection).status

    stranger = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    if mutual:
        with pytest.raises(OSError, match=r"(?i)certificate|reset|closed|eof|broken"):
            post(stranger)
        friend = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        friend.load_cert_chain(certificates / "client.pem", certificates / "client.key")
        assert post(friend) == 200
    else:
        assert post(stranger) == 200
    assert server.end() == 0


def test_beyond_loopback(start: Start) -> None:
    """Only loopback unless asked; who asks is told that anybody may call."""
    server = start("--port", "0", "--host", "0.0.0.0", "--linger", "0")  # noqa: S104 -- the point
    until(lambda: "whoever reaches http://0.0.0.0:" in server.log)
    assert "may call functions: docs/howto/who-may-call.md" in server.log
    assert server.end() == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"workers": 0}, "--workers is at least 1, not 0"),
        ({"metrics": "shop:functions"}, "--metrics is a port, or a path that begins with /, not 'shop:functions'"),
        (
            {"metrics": "9100", "workers": 2},
            (
                "--metrics counts in one process, and --workers starts several\n"
                "  help: start that many processes, each with a port of its own, and let Prometheus read them all"
            ),
        ),
        ({"grace": 0}, "--grace is at least 1, not 0"),
        (
            {"ca_certs": "ca.pem"},
            "--ssl-ca-certs asks clients for a certificate, and this server has none: --ssl-certfile is missing",
        ),
    ],
)
def test_bad_options(options: dict[str, Any], text: str) -> None:
    """What cannot be served is refused."""
    with pytest.raises(ConfigError) as raised:
        ServeOptions(app="shop:functions", **options)
    assert str(raised.value) == text


def test_module_that_does_not_fit(start: Start, tmp_path: Path) -> None:
    """An app that does not fit the module.yaml that it was given is not served; all that is wrong is said."""
    (tmp_path / "module.yaml").write_text(
        "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: other/*\n  urlPathTemplate: http://127.0.0.1:8000/\n"
    )
    server = start("--port", "0", "--module", "module.yaml", ready=False)
    assert server.process.wait(30) == 1
    lines = server.log.splitlines()
    assert lines[0].startswith("statefun serve: module.yaml:")
    assert "'example/slow'" in server.log
    assert "'example/blocks'" in server.log


def test_module_that_fits(start: Start, tmp_path: Path) -> None:
    """An app that fits its module.yaml is served."""
    (tmp_path / "module.yaml").write_text(
        "kind: io.statefun.endpoints.v2/http\n"
        "spec:\n"
        "  functions: example/*\n"
        "  urlPathTemplate: http://127.0.0.1:8000/\n"
    )
    server = start("--port", "0", "--module", "module.yaml", "--linger", "0")
    assert server.end() == 0


def test_a_reply_does_not_wait() -> None:
    """The replies of a connection that is kept alive are sent at once, without Nagle's algorithm."""

    async def accepted(listener: socket.socket) -> int:
        options: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sock = cast("socket.socket", writer.get_extra_info("socket"))
            options.set_result(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(connected, sock=listener):
            with socket.create_connection(listener.getsockname()):
                return await options

    with _server._listening(ServeOptions(app="shop:functions", port=0)) as listener:
        assert asyncio.run(accepted(listener)) != 0


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without uvicorn the error names the extra."""
    monkeypatch.setitem(cast("dict[str, object]", sys.modules), "uvicorn", None)
    with pytest.raises(ConfigError) as raised:
        _server.serve(ServeOptions(app="shop:functions"), print)
    assert str(raised.value) == (
        "`statefun serve` needs uvicorn, which is not installed\n  help: pip install 'statefun[serve]'"
    )


def test_import_is_lazy() -> None:
    """`import statefun.serving` imports no server and no framework."""
    code = "import sys, statefun.serving, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run((sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"uvicorn", "httptools", "flask", "starlette"} & set(json.loads(done.stdout))


def test_gunicorn_worker(tmp_path: Path) -> None:
    """The worker of uvicorn under gunicorn serves the door, and SIGTERM ends it with status 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        free.listen()
        free.set_inheritable(True)
        port = free.getsockname()[1]
        options = ("-k", "uvicorn_worker.UvicornWorker", "--bind", f"fd://{free.fileno()}")
        more = ("--worker-tmp-dir", str(tmp_path), "--no-control-socket")
        process = subprocess.Popen(
            (sys.executable, "-m", "gunicorn", *options, *more, "tests.serving_app:asgi"),
            cwd=ROOT,
            pass_fds=[free.fileno()],
            stderr=subprocess.PIPE,
        )
    with process:
        try:
            assert ask(port, visit("v3")).status == 200
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.stderr is not None
            log = process.stderr.read().decode()
        assert process.wait(30) == 0, log

"""`statefun run` as a process: what it says, reads, writes and serves, how it ends, and how it starts anew."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from typing_extensions import Self

from statefun import StatefulFunctions
from statefun._http import Receive, Scope, Send, answer
from statefun.cli import main
from statefun.errors import ConfigError
from statefun.runtime import Runtime
from statefun.runtime._reload import Reloader
from statefun.runtime._web import listen, serve
from statefun.serving import AsgiDoor
from tests.served import app_functions, uvicorn_running

ROOT = Path(__file__).parent.parent.parent
APP = """
import time
from google.protobuf.struct_pb2 import Struct
from statefun import Context, MessageEgress, State, StatefulFunctions

functions = StatefulFunctions()
OUT = MessageEgress[str]("t/out")

class Seen(State):
    n: int = 0

@functions.bind("t/f")
def f(context: Context[Seen], message: str) -> None:
    if message == "bad":
        raise ValueError("no bad")
    if message == "slow":
        time.sleep(1.5)
    context.state.n += 1
    context.send_egress(OUT, f"hello {message} {context.state.n}")

@functions.bind("t/record")
def record(context: Context, message: Struct) -> None:
    context.send_egress(OUT, f"{context.address.identity} {message['what']}")
"""


class Process:
    """`statefun run` in a folder; what it says on standard error is kept."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "statefun", "run", *words], cwd=folder, text=True, env=environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.said: list[str] = []
        self.printed: list[str] = []
        self.threads = [
            threading.Thread(target=self.listen, args=[stream, lines])
            for stream, lines in ((self.process.stderr, self.said), (self.process.stdout, self.printed))
        ]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def listen(stream: Iterable[str] | None, lines: list[str]) -> None:
        """Keep the lines of a stream."""
        for line in stream or ():
            lines.append(line.rstrip("\n"))  # noqa: PERF401 -- each is there as soon as it was read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for thread in self.threads:
            thread.join(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def wait_for(self, pattern: str, lines: list[str], count: int = 1) -> re.Match[str]:
        """Return the match of a line, when there are so many that match."""
        until = time.monotonic() + 60
        while True:
            found = [match for line in list(lines) if (match := re.search(pattern, line))]
            if len(found) >= count:
                return found[count - 1]
            assert time.monotonic() < until, (self.said, self.printed)
            time.sleep(0.02)

    def port(self, count: int = 1) -> int:
        """Return where messages are taken, when it has said so for this time."""
        return int(self.wait_for(r"^messages: POST http://127\.0\.0\.1:(\d+)", self.said, count)[1])

    def end(self, number: int | None = None) -> int:
        """Send it a signal, if any; return its status when it has ended."""
        if number is not None:
            self.process.send_signal(number)
        status = self.process.wait(60)
        for thread in self.threads:
            thread.join(10)
        return status


def environment() -> dict[str, str]:
    """Return the environment of a process that finds the package, and the messages of the tests."""
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'protos'}"}


def post(port: int, path: str, text: str) -> tuple[int, object]:
    """Send a message over HTTP; return the status and the answer."""
    door = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        door.request("POST", path, text, {"content-type": "text/plain"})
        answer = door.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        door.close()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an app in it."""
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


DATA = "data: .statefun/statefun.db (statefun status, state ls, tail look at it; statefun reset wipes it)"


def test_a_file(folder: Path) -> None:
    """A file is read to its end; its records are printed and written, and the process ends with 0."""
    (folder / "in.jsonl").write_text('{"id": "a", "value": "x"}\n{"id": "a", "value": "y"}\n')
    words = ("--read", "in.jsonl", "--to", "t/f", "--type", "string", "--write", "out.jsonl", "--exit-at-end")
    with Process(folder, "app:functions", "--no-http", *words) as process:
        assert process.end() == 0
    lines = ['{"type":"string","value":"hello x 1"}', '{"type":"string","value":"hello y 2"}']
    assert (process.printed, process.said) == (lines, [DATA])
    assert (folder / "out.jsonl").read_text().splitlines() == lines


def test_standard_input(folder: Path) -> None:
    """Foreign records come in by standard input; the time is theirs; nothing is printed when it is to be quiet."""
    kind = ("--type", "google.protobuf.Struct", "--id-field", "who", "--time-field", "at", "--time-unit", "seconds")
    words = ("--read", "-", "--to", "t/record", *kind, "--clock", "records", "--write", "out.jsonl")
    with Process(folder, "app", "--no-http", *words, "--quiet", "--exit-at-end") as process:
        assert process.process.stdin is not None
        process.process.stdin.write('{"who": "a", "at": 5, "what": "came"}\n{"who": "b", "at": 6, "what": "went"}\n')
        process.process.stdin.close()
        assert process.end() == 0
    values = [json.loads(line)["value"] for line in (folder / "out.jsonl").read_text().splitlines()]
    assert (values, process.printed) == (["a came", "b went"], [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("app", "--no-http", "--read", "-"), "--read needs --to: the function that the records go to"),
        (("none", "--no-http"), "there is no module 'none' in "),
    ],
)
def test_refused(folder: Path, words: tuple[str, ...], said: str) -> None:
    """What cannot be run is refused with a reason, and the process ends with 1."""
    with Process(folder, *words) as process:
        assert process.end() == 1
    assert process.wait_for("^statefun run: ", process.said).string.startswith(f"statefun run: {said}")


def test_metrics(folder: Path) -> None:
    """With --metrics what the functions do is counted, and Prometheus reads it on a port."""
    with Process(folder, "app:functions", "--port", "0", "--metrics", "0") as process:
        found = process.wait_for(r"^metrics on http://127\.0\.0\.1:(\d+)/metrics$", process.said)
        port = process.port()
        for text in ("x", "bad"):
            assert post(port, "/t/f/me", text)[0] == 202
        process.wait_for("^WARNING", process.said)
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)) as connection:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        assert process.end(signal.SIGTERM) == 130
    shown = [
        re.match(r'statefun_(\w+)_total{function="t/f",.*type="io.statefun.types/string"} (.*)', line) for line in lines
    ]
    counted = {found[1]: found[2] for found in shown if found is not None}
    assert counted == {"failures": "1.0", "invocations": "1.0"}


def test_metrics_of_functions_elsewhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Functions that are called over HTTP are measured where they are served."""
    assert main(["run", str(folder / "module.yaml"), "--metrics", "9100"]) == 1
    assert capsys.readouterr().err == (
        "statefun run: --metrics counts functions that run in this process\n"
        "  help: measure them where they are served: statefun serve --metrics\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_http(folder: Path, number: int) -> None:
    """Messages come in by HTTP, as the example says; a failure is logged; a signal ends it with 130."""
    with Process(folder, "app:functions", "--port", "0") as process:
        port = process.port()
        assert post(port, "/t/f/me", "x") == (202, {"accepted": "t/f/me"})
        process.wait_for("^", process.printed)
        assert post(port, "/t/f/me", "bad")[0] == 202
        failed = process.wait_for("^WARNING", process.said).string
        assert process.end(number) == 130
    assert process.printed == ['{"type":"string","value":"hello x 1"}']
    assert re.fullmatch(r"WARNING t/f/me failed \(attempt 1, next in \d\.\d s\): ValueError: no bad", failed)
    place = f"http://127.0.0.1:{port}"
    example = [f"  curl {place}/t/f/me \\", "    -H 'content-type: application/json; type=string' -d '\"hello\"'"]
    assert process.said[:4] == [DATA, f"messages: POST {place}", *example]


def test_slow(folder: Path) -> None:
    """A plain function that holds everything up is named in the log."""
    (folder / "in.jsonl").write_text('{"id": "a", "value": "slow"}\n')
    words = ("--read", "in.jsonl", "--to", "t/f", "--type", "string", "--exit-at-end", "--quiet")
    with Process(folder, "app", "--no-http", *words) as process:
        assert process.end() == 0
    found = process.wait_for("t/f holds everything up", process.said).string
    text = r"WARNING t/f holds everything up, for 1\.\d s now: bind it with blocking=True, or let it do less at once"
    assert re.fullmatch(text, found)


def test_a_control_file_that_cannot_be_written(folder: Path) -> None:
    """Without the file by which the commands reach it, it does not run on."""
    (folder / ".statefun" / "control.json").mkdir(parents=True)
    with Process(folder, "app", "--no-http") as process:
        assert process.end() == 1
    assert process.said[1:] == [
        "statefun run: .statefun/control.json cannot be written: Is a directory",
        "  help: make room, or see who may write there: the commands reach the runtime by this file",
    ]


@pytest.mark.parametrize("command", ["run", "serve"])
@pytest.mark.parametrize("words", ["65536", "-1", "x", ""])
def test_a_bad_port(command: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no port is refused, and nothing is started."""
    with pytest.raises(SystemExit) as caught:
        main([command, "app", f"--port={words}"])
    assert (caught.value.code, capsys.readouterr().err.splitlines()[-1]) == (
        2, f"statefun {command}: error: argument --port: {words} is no port: 0 to 65535",
    )  # fmt: skip


def test_a_limit(folder: Path) -> None:
    """--timeout is how long an async function may take: then its call has failed, and is tried again."""
    slow = "\n@functions.bind('t/patient')\nasync def patient(context: Context, message: str) -> None:\n    "
    (folder / "app.py").write_text(f"import asyncio\n{APP}{slow}await asyncio.sleep(9)\n")
    with Process(folder, "app", "--port", "0", "--timeout", "0.1") as process:
        assert post(process.port(), "/t/patient/me", "x")[0] == 202
        text = r"^WARNING t/patient/me failed \(attempt 1, next in \d\.\d s\): the function took longer than 0.1 s$"
        process.wait_for(text, process.said)
        assert process.end(signal.SIGINT) == 130


@pytest.mark.parametrize("words", ["0", "nan", "-1", "inf", "x"])
def test_a_bad_limit(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no time is refused."""
    with pytest.raises(SystemExit) as caught:
        main(["run", "app", "--timeout", words])
    assert (caught.value.code, capsys.readouterr().err.splitlines()[-1]) == (
        2, f"statefun run: error: argument --timeout: {words} is no time that a call may take",
    )  # fmt: skip


def test_stopping_while_a_function_blocks(folder: Path) -> None:
    """A function that blocks in its thread does not keep the runtime: it ends in time, and the message stays."""
    blocks = "\n@functions.bind('t/blocks', blocking=True)\ndef blocks(context: Context, message: str) -> None:\n    "
    (folder / "app.py").write_text(f"{APP}{blocks}time.sleep(60)\n")
    with Process(folder, "app", "--port", "0") as process:
        assert post(process.port(), "/t/blocks/me", "x")[0] == 202
        began = time.monotonic()
        assert process.end(signal.SIGTERM) == 130
    assert time.monotonic() - began < 5
    assert process.said[-1] == (
        "WARNING 1 calls of blocking functions were not waited for: their messages are handled again"
    )
    with Runtime.in_process(StatefulFunctions(), folder / ".statefun") as runtime:
        assert runtime.store.counts().waiting == 1


KAFKA = """
kind: io.statefun.endpoints.v2/http
spec: {functions: t/*, urlPathTemplate: "http://localhost:1/"}
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: t/in
  address: nowhere:9092
  consumerGroupId: g
  startupPosition: {type: earliest}
  topics:
    - {topic: texts, valueType: io.statefun.types/string, targets: [t/f, t/g]}
    - {topic: others, valueType: io.statefun.types/string, targets: [t/f]}
---
kind: io.statefun.kafka.v1/egress
spec: {id: t/out, address: "nowhere:9092", deliverySemantic: {type: none}}
"""
KAFKA_APP = """
from statefun import Context, KafkaEgress, StatefulFunctions

functions = StatefulFunctions()
OUT = KafkaEgress[str]("t/out", topic="greetings")

@functions.bind("t/f")
@functions.bind("t/g")
def f(context: Context, message: str) -> None:
    context.send_egress(OUT, f"{context.address.type} {context.address.identity} {message}", key="k")
"""


def test_stub_kafka(folder: Path) -> None:
    """With --stub-kafka a topic is a JSONL file, in and out, followed; a second run goes on from there."""
    (folder / "kafka_app.py").write_text(KAFKA_APP)
    (folder / "module.yaml").write_text(KAFKA)
    words = ("kafka_app", "--no-http", "--module", "module.yaml", "--stub-kafka", "stub")
    for count, text in enumerate("xy", 1):
        with Process(folder, *words) as process:
            process.wait_for("^data: ", process.said)
            until_there(folder, 2 * count - 2)
            with (folder / "stub" / "texts.jsonl").open("a") as topic:
                topic.write(json.dumps({"key": "a", "value": text}) + "\n")
            until_there(folder, 2 * count)
            assert process.end(signal.SIGINT) == 130
    records = out(folder)
    assert sorted(str(record["value"]) for record in records) == ["f a x", "f a y", "g a x", "g a y"]
    assert {(record["topic"], record["key"]) for record in records} == {("greetings", "k")}


def out(folder: Path) -> list[dict[str, object]]:
    """Return the records of the stubbed egress."""
    path = folder / "stub" / "out.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def until_there(folder: Path, count: int) -> None:
    """Wait for the topics, and for so many records; 20 s at the most."""
    ends = time.monotonic() + 60
    while not (folder / "stub" / "others.jsonl").exists() or len(out(folder)) < count:
        assert time.monotonic() < ends
        time.sleep(0.02)


HTTP_INGRESS = """
kind: io.statefun.embedded.v1/http-ingress
spec:
  id: t/in
  port: {port}
---
kind: io.statefun.embedded.v1/jsonl-egress
spec:
  id: t/out
  path: out.jsonl
"""


def test_beside_a_module(folder: Path) -> None:
    """A module.yaml beside an app says what is read and written; the functions stay in the process."""
    port = free_port()
    (folder / "module.yaml").write_text(HTTP_INGRESS.format(port=port))
    with Process(folder, "app:functions", "--module", "module.yaml") as process:
        assert process.port() == port
        assert post(port, "/t/f/me", "x")[0] == 202
        assert process.end(signal.SIGINT) == 130
    assert (folder / "out.jsonl").read_text() == '{"type":"string","value":"hello x 1"}\n'
    assert process.printed == []


ENDPOINT = """
kind: io.statefun.endpoints.v2/http
spec:
  functions: example/*
  urlPathTemplate: http://127.0.0.1:{port}/statefun
  transport:
    type: io.statefun.transports.v1/async
    timeouts:
      call: 1s
      connect: 1s
---
kind: io.statefun.embedded.v1/http-ingress
spec:
  id: example/in
  port: 0
"""


def test_a_module(tmp_path: Path) -> None:
    """The functions of a module.yaml are called at their endpoint, and what fails there is logged here."""
    with uvicorn_running(AsgiDoor(app_functions())) as server:
        (tmp_path / "module.yaml").write_text(ENDPOINT.format(port=server.port))
        with Process(tmp_path, "module.yaml") as process:
            port = process.port()
            assert post(port, "/example/fails/me", "bob")[0] == 202
            process.wait_for(r"^WARNING example/fails/me failed \(attempt 1, ", process.said)
            assert process.end(signal.SIGTERM) == 130
    place = f"http://127.0.0.1:{port}"
    assert process.said[1:3] == [f"messages: POST {place}", f"  curl {place}/<namespace>/<name>/<id> -d '…'"]


def test_reload(folder: Path) -> None:
    """A source that changes starts it anew on the same socket and data; one that is broken is waited for."""
    source = folder / "app.py"
    with Process(folder, "app:functions", "--port", "0", "--reload") as process:
        port = process.port()
        assert post(port, "/t/f/me", "x")[0] == 202
        process.wait_for("hello x 1", process.printed)
        source.write_text(APP.replace("hello", "welcome"))
        assert process.port(2) == port
        assert post(port, "/t/f/me", "y")[0] == 202
        process.wait_for("welcome y 2", process.printed)
        source.write_text("this is no Python")
        process.wait_for("^Waiting for a change.$", process.said)
        source.write_text(APP)
        assert process.port(3) == port
        assert post(port, "/t/f/me", "z")[0] == 202
        process.wait_for("hello z 3", process.printed)
        assert process.end(signal.SIGINT) == 130
    values = [json.loads(line)["value"] for line in process.printed]
    assert values == ["hello x 1", "welcome y 2", "hello z 3"]
    assert process.said.count("A source file changed: starting anew.") == 2
    waiting = process.said.index("Waiting for a change.")
    assert process.said[waiting - 2] == "app cannot be imported: app.py:1: SyntaxError: invalid syntax"


def test_what_is_watched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A Python file that appears is a change; one in a hidden folder, and another file, are none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".venv").mkdir()

    async def watch() -> list[bool]:
        reloader = Reloader(enabled=True)
        over = asyncio.Event()
        watching = asyncio.ensure_future(reloader.watch(over))
        await asyncio.sleep(0.05)
        (tmp_path / ".venv" / "a.py").touch()
        (tmp_path / "a.txt").touch()
        await asyncio.sleep(0.7)
        found = [watching.done(), reloader.asked, reloader.restart_if_asked()]
        (tmp_path / "a.py").touch()
        await asyncio.wait_for(watching, 5)
        return [*found, reloader.asked]

    assert asyncio.run(watch()) == [False, False, False, True]


def test_a_change_while_it_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What changes after the watch was made and before it began is a change: the app may have been imported between."""
    monkeypatch.chdir(tmp_path)
    reloader = Reloader(enabled=True)
    (tmp_path / "a.py").touch()
    asyncio.run(asyncio.wait_for(reloader.watch(asyncio.Event()), 60))
    assert reloader.asked


def test_the_end_of_watching(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is over is watched no more, and starts nothing anew."""
    monkeypatch.chdir(tmp_path)

    async def watch() -> bool:
        reloader = Reloader(enabled=True)
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, over.set)
        await asyncio.wait_for(reloader.watch(over), 5)
        return reloader.asked or reloader.restart_if_asked()

    assert asyncio.run(watch()) is False


def test_a_port_that_is_taken() -> None:
    """A port that another listens on is refused, with what to do."""
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ConfigError) as refused:
            listen("127.0.0.1", port)
    assert str(refused.value) == (
        f"port {port} of 127.0.0.1 cannot be listened on: Address already in use\n"
        "  help: another program may have it: choose another with --port"
    )


def test_what_is_being_answered() -> None:
    """When serving is over, what is being answered is answered first; then the port is free."""

    async def main() -> tuple[str, int]:
        over, asked = asyncio.Event(), asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            del scope, receive
            asked.set()
            await over.wait()
            await answer(send, 200, {"ok": True})

        sock = listen("127.0.0.1", 0)
        port = sock.getsockname()[1]
        serving = asyncio.ensure_future(serve(app, sock, over))
        posting = asyncio.ensure_future(asyncio.to_thread(post, port, "/", ""))
        await asyncio.wait_for(asked.wait(), 10)
        over.set()
        await asyncio.wait_for(serving, 10)
        status, body = await asyncio.wait_for(posting, 10)
        listen("127.0.0.1", port).close()
        return json.dumps(body), status

    assert asyncio.run(main()) == ('{"ok": true}', 200)


def test_an_app_that_does_not_fit(folder: Path) -> None:
    """An app whose module.yaml sends to a function that nobody bound is not run; all that is wrong is said."""
    (folder / "module.yaml").write_text(
        "kind: io.statefun.embedded.v1/jsonl-ingress\n"
        "spec: {id: t/in, path: in.jsonl, targets: [t/g], valueType: io.statefun.types/string}\n"
    )
    (folder / "in.jsonl").write_text("")
    with Process(folder, "app:functions", "--no-http", "--module", "module.yaml") as process:
        assert process.end() == 1
    assert process.said[0].startswith("statefun run: module.yaml:2:")
    assert "'t/g'" in process.said[0] or "t/g" in process.said[0]


TELLING = """
import logging
from statefun import Context, DeadLetter, MessageEgress, StatefulFunctions, dead_letter

functions = StatefulFunctions(on_failure=dead_letter(MessageEgress[DeadLetter]("t/dead")))


@functions.bind("t/f")
def f(context: Context, message: str) -> None:
    logging.getLogger("app").info("got %s", message)
    raise ValueError(message)
"""


def test_log_format_and_the_time_of_a_dead_letter(tmp_path: Path) -> None:
    """Lines say which call they are from, and with --clock records a dead letter has the time of its record."""
    (tmp_path / "telling.py").write_text(TELLING)
    line = {"id": "a", "type": "string", "value": "x", "time": "2026-01-02T03:04:05Z"}
    (tmp_path / "in.jsonl").write_text(json.dumps(line) + "\n")
    words = ("--read", "in.jsonl", "--to", "t/f", "--clock", "records", "--exit-at-end", "--no-http")
    with Process(tmp_path, "telling:functions", *words, "--log-format", "json") as running:
        assert running.end() == 0
        lines = [json.loads(line) for line in running.said if line.startswith("{")]
        shown = [(line["message"], line["function"], line["id"]) for line in lines if line["logger"] == "app"]
        assert shown == [("got x", "t/f", "a")]
        assert '"time":"2026-01-02T03:04:05+00:00"' in running.printed[0]

"""The WSGI door, on gunicorn, in Flask, and before the validator of wsgiref."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import wsgiref.simple_server
import wsgiref.validate
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from statefun import Context, RequestReplyHandler, StatefulFunctions
from statefun.errors import BindError
from statefun.serving import WsgiDoor
from tests.peer import BOTH, Wire, answer_of
from tests.served import OCTETS, app_functions, ask, call, visit

ROOT = Path(__file__).parent.parent.parent


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    """Writes no line a request."""

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve the app, watched by the validator of wsgiref."""
    app = wsgiref.validate.validator(cast("Any", WsgiDoor(app_functions())))
    with wsgiref.simple_server.make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("wire", BOTH)
def test_call(wire: Wire, port: int) -> None:
    """A call is answered with the bytes of the handler, under the exact content type."""
    answer = ask(port, visit(wire))
    assert (answer.status, answer.content_type) == (200, OCTETS)
    assert [identity for _, identity, _ in answer_of(wire, answer.body).sent] == ["f1"]


def test_others(port: int) -> None:
    """What is no call is answered as by the ASGI door: failures, methods, the page, probes."""
    assert ask(port, call("example/fails")).status == 500
    assert ask(port, b"").status == 400
    assert ask(port, method="DELETE").headers["allow"] == "GET, HEAD, POST"
    assert ask(port, visit("v3"), headers={"Origin": "http://elsewhere"}).status == 403
    assert len(json.loads(ask(port, method="GET").body)["functions"]) == 3
    assert ask(port, method="GET", headers={"Accept": "text/html"}).body.startswith(b"<!doctype html>")
    assert ask(port, method="GET", path="/readyz").body == b"ready\n"


def test_head() -> None:
    """HEAD has no body, but says how long one would be."""
    client = flask_app(WsgiDoor(app_functions())).test_client()
    answer = client.head("/statefun/healthz")
    assert (answer.data, answer.content_length) == (b"", 3)


def flask_app(door: WsgiDoor) -> Flask:
    """Mount the door in Flask."""
    app = Flask(__name__)
    # as the documentation of Flask says
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/statefun": door})  # type: ignore[method-assign]
    return app


@pytest.mark.parametrize("path", ["/statefun", "/statefun/", "/statefun/example/greeter"])
def test_flask(path: str) -> None:
    """The door mounts into Flask, and answers there without a redirect, the empty reply too."""
    client = flask_app(WsgiDoor(app_functions())).test_client()
    answer = client.post(path, data=visit("v3"), content_type=OCTETS)
    assert (answer.status_code, answer.content_type) == (200, OCTETS)
    assert answer_of("v3", answer.data).sent


def test_empty_reply() -> None:
    """A reply without bytes keeps its content type."""

    class Nothing:
        functions = app_functions()

        def __call__(self, request: bytes, /) -> bytes:
            return b""

    answer = flask_app(WsgiDoor(Nothing())).test_client().post("/statefun", data=b"x")
    assert (answer.status_code, answer.content_type, answer.content_length) == (200, OCTETS, 0)


def test_secret() -> None:
    """With a secret, a path without it is nothing."""
    secret = "correct-horse-battery"  # noqa: S105 -- of the tests
    client = flask_app(WsgiDoor(app_functions(), secret=secret)).test_client()
    assert client.post("/statefun", data=visit("v3")).status_code == 404
    assert client.post(f"/statefun/{secret}", data=visit("v3")).status_code == 200


def test_leave() -> None:
    """A door that leaves is not ready, and still answers."""
    door = WsgiDoor(RequestReplyHandler(app_functions()))
    client = flask_app(door).test_client()
    door.leave()
    assert client.get("/statefun/readyz").status_code == 503
    assert client.post("/statefun", data=visit("v3")).status_code == 200


def test_chunked() -> None:
    """A body without a length is read where the server ends it, and nowhere else."""
    door = WsgiDoor(app_functions())
    statuses: list[str] = []

    def start_response(status: str, _headers: object, *_: object) -> Any:
        statuses.append(status)

    for terminated in (True, False):
        environ = {"REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(visit("v3")), "wsgi.input_terminated": terminated}
        door(environ, start_response)
    assert statuses == ["200 OK", "400 Bad Request"]


def test_async_function() -> None:
    """An async function is refused when the door is made."""
    functions = StatefulFunctions()

    @functions.bind("example/slow")
    async def slow(context: Context, message: str) -> None: ...

    with pytest.raises(BindError):
        WsgiDoor(functions)


def test_gunicorn(tmp_path: Path) -> None:
    """Threads of gunicorn serve a large payload, chunked or not, and SIGTERM ends it when all is answered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        free.listen()
        free.set_inheritable(True)
        port = free.getsockname()[1]
        options = ("--threads", "4", "--bind", f"fd://{free.fileno()}", "--worker-tmp-dir", str(tmp_path))
        command = (sys.executable, "-m", "gunicorn", *options, "--no-control-socket", "tests.serving_app:wsgi")
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            pass_fds=[free.fileno()],
            stderr=subprocess.PIPE,
            env={**os.environ, "HOME": str(tmp_path)},
        )
    with process:
        try:
            body = call("example/echo", "statefun.python/bytes", bytes(8 << 20))
            assert ask(port, body).status == 200
            answer = ask(port, chunks=iter([body[:1000], body[1000:]]))
            assert (answer.status, len(answer.body) > 8 << 20) == (200, True)
        finally:
            process.send_signal(signal.SIGTERM)
            log = cast("io.BufferedReader", process.stderr).read().decode()
        assert process.wait(30) == 0, log

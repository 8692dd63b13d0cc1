"""The Lambda door: the events of each front, and AWS's own runtime client around it."""

from __future__ import annotations

import base64
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from statefun import AsyncRequestReplyHandler, Context, RequestReplyHandler, StatefulFunctions
from statefun.recording import read, record
from statefun.serving import LambdaDoor
from tests.peer import answer_of
from tests.served import OCTETS, app_functions, call, visit

ROOT = Path(__file__).parent.parent.parent


def http_api(body: bytes | None, *, method: str = "POST", path: str = "/statefun", **headers: str) -> dict[str, Any]:
    """Return an event of an HTTP API or a function URL (version 2.0)."""
    event: dict[str, Any] = {
        "version": "2.0",
        "rawPath": path,
        "headers": {"content-type": OCTETS, **headers},
        "requestContext": {"http": {"method": method, "path": path, "protocol": "HTTP/1.1"}},
        "isBase64Encoded": body is not None,
    }
    return event if body is None else {**event, "body": base64.b64encode(body).decode()}


def rest_api(body: bytes | None, *, method: str = "POST", path: str = "/statefun", **headers: str) -> dict[str, Any]:
    """Return an event of a REST API (version 1.0), whose headers come twice."""
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {"Content-Type": OCTETS, **headers},
        "multiValueHeaders": {"Content-Type": [OCTETS], **{name: [value] for name, value in headers.items()}},
        "requestContext": {"stage": "prod", "httpMethod": method},
        "body": None if body is None else base64.b64encode(body).decode(),
        "isBase64Encoded": body is not None,
    }


def balancer(body: bytes | None, *, method: str = "POST", path: str = "/statefun", **headers: str) -> dict[str, Any]:
    """Return an event of a load balancer."""
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:..."}},
        "httpMethod": method,
        "path": path,
        "headers": {"content-type": OCTETS, **headers},
        "body": "" if body is None else base64.b64encode(body).decode(),
        "isBase64Encoded": body is not None,
    }


def balancer_of_many(body: bytes | None, **given: str) -> dict[str, Any]:
    """Return an event of a load balancer whose target group has multi-value headers."""
    event = balancer(body, **given)
    event["multiValueHeaders"] = {name: [value] for name, value in event.pop("headers").items()}
    return event


FRONTS = [http_api, rest_api, balancer, balancer_of_many]


def headers_of(response: dict[str, Any]) -> dict[str, str]:
    """Return the headers, wherever they are."""
    assert ("headers" in response) != ("multiValueHeaders" in response)
    return response.get("headers") or {name: values[0] for name, values in response["multiValueHeaders"].items()}


@pytest.mark.parametrize("event", FRONTS)
def test_call(event: Any) -> None:
    """A call comes and goes as base64, under the exact content type, with the headers that its front reads."""
    response = LambdaDoor(app_functions())(event(visit("v3")), None)
    assert (response["statusCode"], response["isBase64Encoded"]) == (200, True)
    assert headers_of(response) == {"content-type": OCTETS}
    assert ("multiValueHeaders" in response) == (event is balancer_of_many)
    assert answer_of("v3", base64.b64decode(str(response["body"]))).sent


@pytest.mark.parametrize("event", FRONTS)
def test_others(event: Any) -> None:
    """What is no call is text: failures, the page, probes."""
    door = LambdaDoor(app_functions())
    assert door(event(call("example/fails")))["statusCode"] == 500
    assert door(event(None))["statusCode"] == 400
    assert door(event(visit("v3"), origin="http://elsewhere"))["statusCode"] == 403
    page = door(event(None, method="GET", accept="text/html"))
    assert (page["statusCode"], page["isBase64Encoded"]) == (200, False)
    assert str(page["body"]).startswith("<!doctype html>")
    assert door(event(None, method="HEAD"))["body"] == ""
    assert door(event(None, method="GET", path="/readyz"))["body"] == "ready\n"


def test_secret() -> None:
    """With a secret, a path without it is nothing."""
    door = LambdaDoor(app_functions(), secret="correct-horse-battery")
    assert door(http_api(visit("v3")))["statusCode"] == 404
    assert door(http_api(visit("v3"), path="/correct-horse-battery"))["statusCode"] == 200


def test_text(caplog: pytest.LogCaptureFixture) -> None:
    """A body that came as text is no request; one that a gateway broke is a 500, and the log says what to set."""
    door = LambdaDoor(app_functions())
    event = rest_api(None)
    assert door({**event, "body": "hello"})["statusCode"] == 400
    broken = {**event, "body": call("example/echo", "statefun.python/bytes", b"\xff\xfe").decode(errors="replace")}
    assert door(broken)["statusCode"] == 500
    assert caplog.records[-1].getMessage().partition(" failed: ")[2] == (
        "the gateway read the bytes of a request as text, and broke them\n"
        "  help: set binaryMediaTypes of the REST API to */*"
    )


def test_bad_base64() -> None:
    """A body that is no base64 is no request."""
    assert LambdaDoor(app_functions())({**http_api(b"x"), "body": "%%%"})["statusCode"] == 400


def test_no_http() -> None:
    """An event of something else is answered with what is served."""
    with pytest.raises(
        Exception, match=r"^the event is no HTTP request\n  help: it comes from API Gateway, "
    ) as raised:
        LambdaDoor(app_functions())({"Records": []})
    assert type(raised.value).__name__ == "ConfigError"


@pytest.mark.parametrize("handler", [RequestReplyHandler, AsyncRequestReplyHandler])
def test_a_handler(handler: type[RequestReplyHandler | AsyncRequestReplyHandler], tmp_path: Path) -> None:
    """A handler of either kind, or what is wrapped around one, is served, too."""
    response = LambdaDoor(record(handler(app_functions()), tmp_path))(http_api(visit("v3")))
    assert response["statusCode"] == 200
    assert answer_of("v3", base64.b64decode(str(response["body"]))).sent
    assert [exchange.request for exchange in read(tmp_path)] == [visit("v3")]


def test_async_functions() -> None:
    """Async functions run on one loop, from request to request."""
    functions = StatefulFunctions()
    loops: list[object] = []

    @functions.bind("example/slow")
    async def slow(context: Context, message: str) -> None:
        import asyncio  # noqa: PLC0415 -- only here

        loops.append(asyncio.get_running_loop())

    door = LambdaDoor(functions)
    assert [door(http_api(call("example/slow")))["statusCode"] for _ in range(2)] == [200, 200]
    assert loops[0] is loops[1]


class RuntimeApi(http.server.ThreadingHTTPServer):
    """What a Lambda's process talks to: it gives out events, and takes the responses."""

    daemon_threads = True

    def __init__(self, events: list[dict[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), _Invocations)
        self.events = list(enumerate(events))
        self.responses: list[Any] = []
        self.wanted = len(events)
        self.done = threading.Event()


class _Invocations(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def api(self) -> RuntimeApi:
        """The server."""
        return cast("RuntimeApi", self.server)

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""

    def do_GET(self) -> None:
        """Give out the next event; when there is none, keep the process waiting as Lambda does."""
        if not self.api.events:
            self.api.done.wait()
            self.close_connection = True
            return
        number, event = self.api.events.pop(0)
        about = {"Request-Id": str(number), "Tenant-Id": "t"}
        more = {"Deadline-Ms": "9" * 13, "Invoked-Function-Arn": "arn", "Trace-Id": "Root=1", "Client-Context": "{}"}
        self._answer(
            json.dumps(event).encode(),
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Cognito-Identity": "{}",
                **{f"Lambda-Runtime-Aws-{name}": value for name, value in about.items()},
                **{f"Lambda-Runtime-{name}": value for name, value in more.items()},
            },
        )

    def do_POST(self) -> None:
        """Take a response."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.api.responses.append(body)
        self._answer(b"", {}, 202)
        if len(self.api.responses) == self.api.wanted:
            self.api.done.set()

    def _answer(self, body: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.mark.skipif(sys.platform != "linux", reason="awslambdaric is made for Lambda's system")
def test_runtime_client(tmp_path: Path) -> None:
    """AWS's runtime client calls the door, and its answers are what Lambda takes: JSON."""
    pytest.importorskip("awslambdaric")
    (tmp_path / "shop.py").write_text(
        "from statefun.serving import LambdaDoor\nfrom tests.served import app_functions\n"
        "handler = LambdaDoor(app_functions())\n"
    )
    with RuntimeApi([http_api(visit("v3")), rest_api(call("example/fails")), balancer(visit("v2"))]) as api:
        serving = threading.Thread(target=api.serve_forever, args=(0.01,), daemon=True)
        serving.start()
        environment = {
            **os.environ,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path))),
            "LAMBDA_TASK_ROOT": str(tmp_path),
        }
        process = subprocess.Popen(
            (sys.executable, "-m", "awslambdaric", "shop.handler"),
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
        )
        with process:
            try:
                assert api.done.wait(60)
            finally:
                process.kill()
        api.shutdown()
        serving.join()
    assert [response["statusCode"] for response in api.responses] == [200, 500, 200]
    assert answer_of("v2", base64.b64decode(api.responses[2]["body"])).sent

"""The HTTP doors: what they take, what they refuse and why, and that nothing is counted twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import Login

from statefun import Context, MessageEgress, State, StatefulFunctions, json_type
from statefun._clock import WallClock
from statefun._http import ASGIApp, Door
from statefun.runtime._assembly import Runtime
from statefun.runtime._driver import Driver, Pace
from statefun.runtime._http_ingress import HttpIngress
from statefun.runtime._playground import PlaygroundEgress, PlaygroundIngress
from statefun.runtime._store import StoreError

OUT = MessageEgress[str]("t/out")


@json_type("io.statefun.playground/EgressRecord")
@dataclass
class EgressRecord:
    """What the playground's egress takes."""

    topic: str
    payload: str


PLAYGROUND = MessageEgress[EgressRecord]("io.statefun.playground/egress")


class Seen(State):
    """What is counted."""

    n: int = 0


def app() -> StatefulFunctions:
    """Return an app with functions that take one type, several, and everything."""
    functions = StatefulFunctions()

    @functions.bind("t/login")
    def login(context: Context[Seen], message: Login) -> None:
        context.state.n += 1
        context.send_egress(OUT, f"{context.address.identity} {message.user_id} {context.state.n}")

    @functions.bind("t/many")
    def many(context: Context, message: Login | str | int) -> None:
        context.send_egress(OUT, f"{context.address.identity} {message!r}".strip())

    @functions.bind("t/any")
    def any_(context: Context, message: AnyPb) -> None:
        context.send_egress(OUT, message.type_url)

    @functions.bind("t/play")
    def play(context: Context, message: AnyPb) -> None:
        payload = message.value.decode()
        context.send_egress(PLAYGROUND, EgressRecord(topic=payload[0], payload=payload))

    return functions


@dataclass
class Answer:
    """What a door answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        """Return the reason of a refusal."""
        return str(json.loads(self.body)["error"])


async def ask(app: ASGIApp, path: str, body: bytes = b"", method: str = "POST", **headers: str) -> Answer:
    """Send a request to an ASGI app; _ in a header's name is -."""
    named = {"host": "localhost:8080", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope: Any = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, content = sent
    return Answer(start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, content["body"])


@dataclass
class House:
    """A runtime with its doors."""

    runtime: Runtime
    driver: Driver
    ingress: HttpIngress

    async def post(self, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Send a message."""
        return await ask(self.ingress, path, body, **headers)

    async def quiet(self) -> None:
        """Wait until what was taken is handled: a busy machine may commit the one before the other."""
        while self.runtime.store.counts().waiting:
            await self.driver.commit_soon()

    async def records(self) -> list[object]:
        """Return what came out."""
        await self.quiet()
        rows = self.runtime.store.list_records(None, 0, 1_000)
        return [self.runtime.values.decode(row.typename, row.value) for row in rows]


@contextlib.asynccontextmanager
async def house(folder: Path, pace: Pace | None = None) -> AsyncGenerator[House, None]:
    """Run a runtime in a folder."""
    with Runtime.in_process(app(), folder / "data") as runtime:
        driver = Driver(runtime.pump, WallClock(), pace=pace)
        running = asyncio.ensure_future(driver.run())
        await driver.commit_soon()
        yield House(runtime, driver, HttpIngress(driver, runtime.values, Door(largest=10_000)))
        driver.stop()
        await running


def within(folder: Path, test: Callable[[House], Any], **options: Any) -> Any:
    """Run a test in a house."""

    async def go() -> Any:
        async with house(folder, **options) as it:
            return await test(it)

    return asyncio.run(asyncio.wait_for(go(), 60))


JSON = "application/json"


@pytest.mark.parametrize(
    ("path", "kind", "body", "record"),
    [
        ("/t/login/bob", JSON, b'{"userId": "u"}', "bob u 1"),
        ("/t/login/bob", f"{JSON}; type=shop.Login", b'{"user_id": "u"}', "bob u 1"),
        ("/t/login/a%2Fb/c", f"{JSON}; type=type.googleapis.com/shop.Login", b'{"userId": "u"}', "a/b/c u 1"),
        ("/t/login/", "application/x-protobuf; type=shop.Login", Login(user_id="u").SerializeToString(), " u 1"),
        ("/t/login/x", "application/vnd.type.googleapis.com/shop.Login", b"\x0a\x01u", "x u 1"),
        ("/t/many/x", f"{JSON}; type=long", b"5", "x 5"),
        ("/t/many/x", "text/plain; charset=utf-8", "ü".encode(), "x 'ü'"),
        ("/t/any/x", "application/vnd.some/thing", b"whatever", "some/thing"),
    ],
)
def test_taken(tmp_path: Path, path: str, kind: str, body: bytes, record: str) -> None:
    """A message is taken as its content type says, and answered when it is committed."""

    async def test(house: House) -> None:
        answer = await house.post(path, body, content_type=kind)
        assert answer.status == 202, answer.body
        assert await house.records() == [record]

    within(tmp_path, test)


TAKES = "it takes shop.Login, string, long"


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "error"),
    [
        ("/t/login", {}, b"{}", 404, "the path is /<namespace>/<name>/<id>"),
        ("/t/nobody/x", {}, b"{}", 404, "there is no function 't/nobody' (t/any, t/login, t/many, t/play)"),
        ("/t/login/x", {}, b"{", 400,
         "the body is no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("/t/login/x", {}, b"5", 400, "5 cannot become shop.Login: it is a whole number, not an object"),
        ("/t/login/x", {"content_type": "application/x-protobuf; type=shop.Login"}, b"\xff", 400,
         "the body is no shop.Login"),
        ("/t/many/x", {}, b"5", 415, f"say the type of the message: application/json; type=... ({TAKES})"),
        ("/t/many/x", {"content_type": f"{JSON}; type=Nope"}, b"5", 415,
         "there is no type 'Nope' (known: long, shop.Login, string)"),
        ("/t/many/x", {"content_type": f"{JSON}; type=double"}, b"5", 415,
         f"t/many does not take double ({TAKES})"),
        ("/t/many/x", {"content_type": "application/x-protobuf"}, b"5", 415,
         f"say the type of the message: application/x-protobuf; type=... ({TAKES})"),
        ("/t/many/x", {"content_type": "image/png"}, b"5", 415,
         f"image/png is nothing that a message can be ({TAKES})"),
        ("/t/many/x", {"content_type": "text/plain"}, b"\xff", 400, "the body is no UTF-8"),
        ("/t/login/x", {"host": "evil.example"}, b"{}", 421, "this door does not answer for the host 'evil.example'"),
        ("/t/login/x", {"origin": "http://evil.example"}, b"{}", 403,
         "pages of http://evil.example may not send to this door"),
        ("/t/login/x", {"content_length": "10001"}, b"{}", 413, "a body has at most 10,000 bytes"),
        ("/t/login/x", {}, bytes(10_001), 413, "a body has at most 10,000 bytes"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, path: str, headers: dict[str, str], body: bytes, status: int, error: str) -> None:
    """What cannot be accepted is refused with the reason, and nothing is kept of it."""

    async def test(house: House) -> None:
        answer = await house.post(path, body, **headers)
        assert (answer.status, answer.error) == (status, error)
        assert await house.records() == []

    within(tmp_path, test)


def test_a_method(tmp_path: Path) -> None:
    """Messages are posted."""

    async def test(house: House) -> None:
        answer = await ask(house.ingress, "/t/login/x", method="GET")
        assert (answer.status, answer.headers["allow"]) == (405, "POST, PUT")
        assert (await ask(house.ingress, "/healthz", method="GET")).status == 200

    within(tmp_path, test)


def test_full(tmp_path: Path) -> None:
    """When there is no room, the sender is told to come again."""

    async def test(house: House) -> None:
        house.driver.pace = Pace(failing=-1)
        answer = await house.post("/t/login/x", b"{}")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.error == "there is no room for another message now"

    within(tmp_path, test)


def test_stopping(tmp_path: Path) -> None:
    """A runtime that is about to end takes nothing more, and says so."""

    async def test(house: House) -> None:
        house.driver.stop()
        answer = await house.post("/t/login/x", b"{}")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.error == "the runtime is stopping"

    within(tmp_path, test)


def test_what_cannot_be_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that the disk does not take is not accepted: the sender is told to come again later."""

    async def test(house: House) -> None:
        def fail(*_: object) -> None:
            raise StoreError("the disk is full")

        monkeypatch.setattr(house.driver.store, "commit", fail)
        answer = await house.post("/t/login/x", b"{}")
        assert (answer.status, answer.headers["retry-after"]) == (503, "10")
        assert answer.error == "the message could not be committed"

    with pytest.raises(StoreError, match="the disk is full"):
        within(tmp_path, test)


def test_idempotency(tmp_path: Path) -> None:
    """A message under one Idempotency-Key is taken once, at the same time, later, and after a restart."""

    async def first(house: House) -> None:
        posts = [house.post("/t/login/x", b'{"userId": "u"}', idempotency_key="k") for _ in range(5)]
        answers = await asyncio.gather(*posts)
        assert {answer.status for answer in answers} == {202}
        assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
        other = await house.post("/t/login/x", b'{"userId": "other"}', idempotency_key="k")
        assert (other.status, other.error) == (422, "this Idempotency-Key came with another message before")
        assert (await house.post("/t/login/y", b'{"userId": "u"}', idempotency_key="k")).status == 202

    async def second(house: House) -> None:
        answer = await house.post("/t/login/x", b'{"userId": "u"}', idempotency_key="k")
        assert answer.headers["idempotent-replayed"] == "true"
        assert sorted(map(str, await house.records())) == ["x u 1", "y u 1"]
        assert isinstance(house.driver.clock, WallClock)
        house.driver.clock.offset_ms += 24 * 3_600_000
        answer = await house.post("/t/login/x", b'{"userId": "u"}', idempotency_key="k")
        assert "idempotent-replayed" not in answer.headers

    within(tmp_path, first)
    within(tmp_path, second)


def test_playground(tmp_path: Path) -> None:
    """The doors of the playground: bytes in as they are, each record out once, by topic, over a restart too."""

    async def first(house: House) -> None:
        door = PlaygroundIngress(house.driver, Door())
        for text in (b"a1", b"b1", b"a2"):
            answer = await ask(door, "/t/play/x", text, method="PUT", content_type="application/vnd.some/thing")
            assert answer.status == 200
        await house.quiet()
        egress = PlaygroundEgress(house.driver, ("a", "b"), Door())
        answer = await ask(egress, "/a", method="GET")
        assert (answer.status, answer.body) == (200, b"a1")

    async def second(house: House) -> None:
        egress = PlaygroundEgress(house.driver, ("a", "b"), Door())
        got = [await ask(egress, path, method="GET") for path in ("/a", "/a", "/b", "/c")]
        assert [(one.status, one.body) for one in got[:3]] == [(200, b"a2"), (404, b""), (200, b"b1")]
        assert (got[3].status, got[3].error) == (405, "there is no topic 'c' (a, b)")
        assert len(await house.records()) == 3  # they can be looked at all the same

    within(tmp_path, first)
    within(tmp_path, second)


def test_playground_default(tmp_path: Path) -> None:
    """Without a content type a message of the playground is of the type string, its bytes as they are."""

    async def test(house: House) -> None:
        door = PlaygroundIngress(house.driver, Door())
        assert (await ask(door, "/t/any/x", b"text", method="PUT")).status == 200
        assert await house.records() == ["io.statefun.types/string"]
        assert (await ask(door, "/t/nobody/x")).status == 404
        assert (await ask(door, "/t/any")).status == 404

    within(tmp_path, test)


def test_playground_records_that_are_none(tmp_path: Path) -> None:
    """What is no record of the playground, and what has no text, does not stop its egress."""

    async def test(house: House) -> None:
        egress, kind = (
            house.driver.engine.names.id(f"io.statefun.playground/{name}") for name in ("egress", "EgressRecord")
        )
        other = house.driver.engine.names.id("io.statefun.types/string")
        values = [
            (other, b'{"topic": "a"}'),
            (kind, b"no"),
            (kind, b"[]"),
            (kind, b'{"topic": "a", "payload": {"b": 1}}'),
        ]
        delta = house.driver.engine.take_delta()  # with the new names
        delta.records += [(seq, egress, typename, value) for seq, (typename, value) in enumerate(values, 1)]
        house.driver.store.commit(delta)
        door = PlaygroundEgress(house.driver, ("a",), Door())
        answer = await ask(door, "/a", method="GET")
        assert (answer.status, answer.body) == (200, b'{"b": 1}')
        assert (await ask(door, "/a", method="GET")).status == 404

    within(tmp_path, test)

"""Every feature of a function, on every runtime that has it: one app, deployed once a runtime."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from statefun import recording
from tests.engines.kafka import Kafka, Record
from tests.engines.served import App
from tests.engines.ways import WAYS, Deployed, Way, deploy

FEATURES = App("features:functions", Path(__file__).parent / "apps")
TOPICS = ("states", "expiring", "gate-string-value", "gate-answer", "gate-step", "features-out")


@dataclass
class Running:
    """The app on a runtime; each test has addresses of its own."""

    way: Way
    deployed: Deployed
    folder: Path
    ids: Iterator[int] = field(default_factory=itertools.count)

    def new_id(self) -> str:
        """Return an id that no other test has."""
        return f"id{next(self.ids)}"

    def send(self, topic: str, id: str, *texts: str) -> None:
        """Send texts to an address, as records."""
        self.deployed.kafka.send(Record(topic, id, StringValue(value=text).SerializeToString()) for text in texts)

    def told(self, id: str, count: int, *, seconds: float = 90, quiet: float = 0) -> list[str]:
        """Return what an address has told, of which there must be so many, in order."""
        end = time.monotonic() + seconds
        while len(found := self._told(id)) < count:
            assert time.monotonic() < end, (found, self.deployed.log())
        if quiet:
            time.sleep(quiet)
            found = self._told(id)
        return found

    def _told(self, id: str) -> list[str]:
        records = self.deployed.so_far("features-out")
        return [record.value.decode() for record in records if record.key == id and record.value is not None]

    def requests(self) -> list[bytes]:
        """Return the requests that the runtime has sent so far."""
        return [exchange.request for exchange in recording.read(self.folder / "recorded")]


def declare_old_state(way: Way) -> Callable[[str], str]:
    """Return what writes the state of features/old into a module of 2.x, as its users did."""

    def change(text: str) -> str:
        if way.wire == "v3":
            return text
        before, entry, after = text.partition("type: features/old\n")
        line, _, rest = after.partition("          spec:\n")[2].partition("\n")
        state = "seen" if way.format == "1.0" else "name: seen"
        return f"{before}{entry}          spec:\n{line}\n            states:\n              - {state}\n{rest}"

    return change


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.id)
def app(request: pytest.FixtureRequest, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    """Run the app on a runtime, for all tests of this file."""
    way: Way = request.param
    kafka.renew(*TOPICS)
    folder = tmp_path_factory.mktemp("features")
    change, record = declare_old_state(way), way.transport != "in process"
    with deploy(FEATURES, way, kafka, folder, change=change, record=record) as deployed:
        yield Running(way, deployed, folder)


@pytest.mark.feature("state: get, set, delete", facts="1, 2.1")
def test_states(app: Running) -> None:
    """Values of every kind are stored, found by the next message, and gone when they are deleted."""
    id = app.new_id()
    app.send("states", id, "get", "set one", "get", "set two", "get", "delete", "get")
    assert app.told(id, 4) == [
        "(None, None, None, 0.0, False, [])",
        "('one', Order(name='one', cents=5), 'one', 0.5, True, ['one'])",
        "('two', Order(name='two', cents=5), 'two', 0.5, True, ['one', 'two'])",
        "(None, None, None, 0.0, False, [])",
    ]


@pytest.mark.feature("state: expires after write, after call", facts="2.2, 8")
def test_expirations(app: Running) -> None:
    """A value expires two seconds after it was written; with after_call, two seconds after the last message."""
    if app.way.format == "1.0":
        pytest.xfail("format 1.0 has no expirations")
    id = app.new_id()
    app.send("expiring", id, "write")
    assert app.told(id, 1) == ["here here"]
    for number in (2, 3):  # each call within two seconds of the one before
        time.sleep(1.2)
        app.send("expiring", id, "look")
        app.told(id, number)
    time.sleep(2.5)
    app.send("expiring", id, "look")
    assert app.told(id, 4) == ["here here", "here here", "None here", "None None"]


@pytest.mark.feature("state: not declared (2.x)", facts="1, 2.2")
def test_undeclared_state(app: Running) -> None:
    """A function that declares no state keeps one by its name, as apps of 2.x do."""
    id = app.new_id()
    app.send("gate-string-value", id, "old", "old")
    name = "type.googleapis.com/google.protobuf."
    assert app.told(id, 2) == [f"{name}StringValue {name}Int64Value {count}" for count in (1, 2)]


@pytest.mark.feature("messages: a union of primitives, JSON, protobuf", facts="2.3, 5")
def test_kinds(app: Running) -> None:
    """A function gets each member of its union as what it was sent as."""
    id = app.new_id()
    app.send("gate-string-value", id, "kinds")
    wanted = ["Int64Value 7", "bool True", "int -5", "float 0.25", "str 'é'", r"bytes b'\x00\xff'",
              "Order Order(name='o', cents=1)"]  # fmt: skip
    assert app.told(id, len(wanted)) == wanted


@pytest.mark.feature("messages: Any", facts="1, 2")
def test_anything(app: Running) -> None:
    """A function of Any gets whatever is sent to it, packed."""
    id = app.new_id()
    app.send("gate-string-value", id, "anything")
    assert app.told(id, 3) == [
        "type.googleapis.com/google.protobuf.StringValue", "features/Order", "io.statefun.types/string",
    ]  # fmt: skip


@pytest.mark.feature("messages: replies", facts="1, 2")
def test_replies(app: Running) -> None:
    """An answer goes to whoever has asked, with the function that answers as its caller."""
    id = app.new_id()
    app.send("gate-string-value", id, "ask you")
    assert app.told(id, 1) == ["features/echo/echo: echo heard you"]


@pytest.mark.feature("messages: to oneself", facts="1, 2")
def test_self_sends(app: Running) -> None:
    """A function sends to itself ten times over."""
    id = app.new_id()
    app.send("gate-string-value", id, "loop 10")
    assert app.told(id, 1) == [f"looped from features/gate/{id}"]


@pytest.mark.feature("messages: fan-out and back", facts="1, 2")
def test_fan_out(app: Running) -> None:
    """One message becomes 200, to as many addresses, and each answers once."""
    id = app.new_id()
    app.send("gate-string-value", id, "fan 200")
    found = app.told(id, 200)
    assert sorted(found) == sorted(f"features/echo/e{n}: e{n} heard all" for n in range(200))


@pytest.mark.feature("messages: of 16 MiB", facts="10")
def test_a_large_message(app: Running) -> None:
    """A message of 16 MiB arrives as it was sent."""
    id = app.new_id()
    app.send("gate-string-value", id, "big 16")
    data = b"0123456789abcdef" * (16 * 65_536)
    assert app.told(id, 1) == [f"{len(data)} {sha256(data).hexdigest()}"]


@pytest.mark.feature("delayed messages", facts="1, 2")
def test_delays(app: Running) -> None:
    """A delayed message arrives after its delay, from its sender."""
    id = app.new_id()
    began = time.monotonic()
    app.send("gate-string-value", id, "later 1000", "later 0")
    assert app.told(id, 2) == [f"later from features/gate/{id}"] * 2
    assert time.monotonic() - began >= 1


@pytest.mark.feature("delayed messages: cancelled", facts="2, 10")
def test_cancelling(app: Running) -> None:
    """A delayed message that is cancelled does not arrive; another one does."""
    if app.way.wire == "v2":
        pytest.xfail("v2 has no cancellation: a token is refused at the call")
    id, other = app.new_id(), app.new_id()
    app.send("gate-string-value", id, "with-token 1500")
    app.send("gate-string-value", other, "with-token 1500")
    time.sleep(0.3)
    app.send("gate-string-value", id, "cancel")
    assert app.told(other, 1) == [f"with token from features/gate/{other}"]
    assert app.told(id, 1, quiet=0.5) == ["cancelled"]


@pytest.mark.feature("egress: with and without a key", facts="4")
def test_keys(app: Running) -> None:
    """A record without a key has none, on the broker as well."""
    id = app.new_id()
    app.send("gate-string-value", id, "no-key", "hello")
    assert app.told(id, 1) == ["hello?"]
    records = app.deployed.so_far("features-out")
    assert [record.value for record in records if record.key is None] == [f"{id} without a key".encode()]


@pytest.mark.feature("batches under load", facts="2")
def test_batches(app: Running) -> None:
    """A thousand messages for one address come in order, many of them in one request."""
    id = app.new_id()
    app.send("states", id, *["count"] * 1_000)
    assert app.told(id, 1_000) == [str(number) for number in range(1, 1_001)]
    if app.way.transport == "in process":
        return  # no request can be looked at
    counted = sum(id.encode() in request for request in app.requests())
    assert 0 < counted < 500

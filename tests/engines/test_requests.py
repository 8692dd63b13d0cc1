"""What the runtimes send, captured afresh: the very bytes that tests/conformance/golden holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from statefun import recording
from tests.conformance.golden import FOLDER, read
from tests.engines.kafka import Kafka, Record
from tests.engines.served import App
from tests.engines.ways import FLINK, Way, deploy

APPS = Path(__file__).parent / "apps"
CAPTURED = FOLDER / "captured"


def requests(kafka: Kafka, folder: Path, app: App, way: Way, records: list[tuple[str, bytes]]) -> list[bytes]:
    """Send records one after the other, and return the requests that they became."""
    kafka.renew("greeter", "captured-out")
    with deploy(app, way, kafka, folder, record=True) as deployed:
        for number, (key, value) in enumerate(records, 1):
            kafka.send([Record("greeter", key, value)])
            while len(deployed.so_far("captured-out")) < number:
                assert deployed.log() in ("", "None")
    return [exchange.request for exchange in recording.read(folder / "recorded")]


def kept(folder: str, *names: str) -> list[bytes]:
    """Return the requests of files."""
    return [request for name in names if (request := read(CAPTURED / folder / f"{name}.txt").request)]


@pytest.mark.feature("the bytes of requests are those in tests/conformance", facts="2.1, 2.2, 12c")
@pytest.mark.parametrize("way", FLINK[:2], ids=lambda way: way.id)
def test_v3(way: Way, kafka: Kafka, folder: Path) -> None:
    """The first request of a function has no states, the next ones its registered ones; a deleted one has no value."""
    records = [("ann", b"hello"), ("ann", b"again"), ("ann", b"clear"), ("ann", b"after")]
    found = requests(kafka, folder, App("captured:three", APPS), way, records)
    first, again, second, deleted, after = kept(
        "v3-runtime-3.3.0", "01-first-call", "02-first-call-again", "03-second-call", "12-delete", "13-after-delete"
    )
    assert found == [first, again, second, deleted.replace(b"\x0d\x0f", b"\x0d\x02"), after]


@pytest.mark.feature("the bytes of requests are those in tests/conformance", facts="1, 12b")
@pytest.mark.parametrize("way", FLINK[2:3], ids=lambda way: way.id)
def test_v2(way: Way, kafka: Kafka, folder: Path) -> None:
    """Every request has the states of module.yaml, with their values."""
    hi = StringValue(value="hi").SerializeToString()
    found = requests(kafka, folder, App("captured:two", APPS), way, [("ada", hi), ("ada", hi)])
    assert found == kept("v2-runtime-2.2.2", "01-first-call", "02-second-call")

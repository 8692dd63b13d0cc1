"""Random traffic on the embedded runtime and on StateFun 3.3: both end in the same states, with the same records."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.engines.apps.wandering import GROUPS, MEMBERS
from tests.engines.kafka import Kafka, Record
from tests.engines.served import App
from tests.engines.test_apps import by_key
from tests.engines.ways import WAYS, deploy

ALL = tuple(f"{group}-{member}" for group in range(GROUPS) for member in range(MEMBERS))
WANDERING = App("wandering:functions", Path(__file__).parent / "apps")
EMBEDDED = next(way for way in WAYS if way.runtime == "embedded" and way.transport == "in process" and way.wire == "v3")
REAL = next(way for way in WAYS if way.runtime == "StateFun 3.3.0" and way.transport == "async")


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2, 3, random.randrange(10**6)])
def test_differential(seed: int, kafka: Kafka, folder: Path) -> None:
    """Ten walks of 400 steps among 50 addresses: sends, delays, cancellations, replies, writes and deletes."""
    results: list[dict[str | None, list[bytes | None]]] = []
    for way in (EMBEDDED, REAL):
        kafka.renew("place-string-value", "place-walk", "place-add", "wandering-out")
        (folder / way.id).mkdir()
        with deploy(WANDERING, way, kafka, folder / way.id) as app:
            kafka.send(record(f"{group}-0", f"{seed * GROUPS + group} 400") for group in range(GROUPS))
            while sum(b"arrived" in (one.value or b"") for one in app.so_far("wandering-out")) < GROUPS:
                assert app.log() is not None
            quiet(kafka)
            kafka.send(record(address, "tell") for address in ALL)
            while sum(b"kept" in (one.value or b"") for one in app.so_far("wandering-out")) < len(ALL):
                assert app.log() is not None
            results.append(by_key(app.so_far("wandering-out")))
    assert results[0] == results[1]


def record(address: str, text: str) -> Record:
    """Make a record for an address."""
    return Record("place-string-value", address, StringValue(value=text).SerializeToString())


def quiet(kafka: Kafka) -> None:
    """Wait until what the last steps have sent to others has come to an end."""
    kafka.read(["wandering-out"], 0, quiet=2)

"""The examples, unchanged, on every runtime: the same records in give the same records out."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import greeter
import pytest
import quakes
from google.protobuf import json_format
from greeter_pb2 import Greeting, GreetRequest, Login
from quakes_pb2 import Alert, Quake

from statefun import testing
from tests.engines.kafka import Kafka, Record
from tests.engines.served import ROOT, App
from tests.engines.ways import WAYS, Way, deploy

GREETER = App("greeter:functions", ROOT / "examples" / "greeter")
QUAKES = App("quakes:functions", ROOT / "examples" / "quakes")
NAMES = ("ada", "bob", "cyd", "Ümit")


def by_key(records: Iterable[Record]) -> dict[str | None, list[bytes | None]]:
    """Sort records by key, in the order in which each key has them."""
    found: dict[str | None, list[bytes | None]] = defaultdict(list)
    for record in records:
        found[record.key].append(record.value)
    return dict(found)


@pytest.mark.feature("examples/greeter", facts="1, 2, 6")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
def test_greeter(way: Way, kafka: Kafka, folder: Path) -> None:
    """Each name is greeted once a visit, in order, with the count that its state has then."""
    kafka.renew("greeter-greet-request", "greeter-login", "greetings")
    visits = [
        Record("greeter-greet-request", name, GreetRequest(name=name).SerializeToString())
        for name in itertools.chain.from_iterable(itertools.repeat(NAMES, 10))
    ]
    logins = [Record("greeter-login", name, Login(device="phone").SerializeToString()) for name in NAMES]
    harness = testing.Harness(greeter.functions)
    for visit in visits:
        assert visit.key is not None
        harness.send(greeter.greeter.at(visit.key), GreetRequest(name=visit.key))
    harness.run()
    wanted = by_key(
        Record("greetings", one.key, one.value.SerializeToString()) for one in harness.egress(greeter.GREETINGS)
    )
    assert wanted["Ümit"][-1] == Greeting(text="Hello Ümit, visit 10").SerializeToString()
    with deploy(GREETER, way, kafka, folder):
        kafka.send([*logins, *visits])
        assert by_key(kafka.read(["greetings"], len(visits))) == wanted


def earthquakes(*, swarms: bool) -> Sequence[Quake]:
    """Return the records of the regions that one network reports on, or of those without enough for a swarm.

    Of two networks, two functions would send to a region, in an order that is nobody's promise.
    """
    lines = (ROOT / "examples" / "quakes" / "earthquakes.jsonl").read_text().splitlines()
    all_of_them = [json_format.Parse(line, Quake(), ignore_unknown_fields=True) for line in lines]
    regions: dict[str, list[str]] = defaultdict(list)
    for quake in all_of_them:
        regions[quakes.region_of(quake.place)].append(quake.network)
    taken = {
        region for region, reports in regions.items()
        if len(set(reports)) == 1 and (swarms or len(reports) < quakes.SWARM)
    }  # fmt: skip
    return [quake for quake in all_of_them if quakes.region_of(quake.place) in taken]


@pytest.mark.feature("examples/quakes", facts="1, 2, 6")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
def test_quakes(way: Way, kafka: Kafka, folder: Path) -> None:
    """A week of earthquakes gives the same alerts, in the same order in each region.

    On v2 without what would be a swarm: its end is a delayed message that can be cancelled, which v2 has not.
    """
    kafka.renew("router", "alerts")
    records = earthquakes(swarms=way.wire == "v3")
    harness = testing.Harness(quakes.functions)
    for quake in records:
        harness.send(quakes.router.at(quake.network), quake)
    harness.run()
    alerts = harness.egress(quakes.ALERTS)
    assert {one.value.kind for one in alerts} == {Alert.STRONG, *([Alert.SWARM_BEGAN] if way.wire == "v3" else [])}
    wanted = by_key(Record("alerts", one.key, one.value.SerializeToString()) for one in alerts)
    with deploy(QUAKES, way, kafka, folder):
        kafka.send(Record("router", quake.network, quake.SerializeToString()) for quake in records)
        assert by_key(kafka.read(["alerts"], len(alerts))) == wanted

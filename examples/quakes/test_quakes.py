"""The earthquake example: its functions alone, and the whole week through the runtime."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import quakes
from quakes import ALERTS, REGION, RegionState, RouterState
from quakes_pb2 import Alert, CloseSwarm, Quake, Swarm, Tremor

from statefun import testing

HERE = Path(__file__).parent
EARTHQUAKES = 1_679
WIDTH = 95
"""The first line is a sentence; tables fit 80."""


def test_the_router() -> None:
    """An earthquake goes to its region; a blast only counts."""
    context = testing.context(RouterState(), address="quakes/router/us")
    quakes.router(context, Quake(id="1", kind="earthquake", place="22km NNE of Hualian, Taiwan", magnitude=6.4))
    quakes.router(context, Quake(id="2", kind="quarry blast", place="nowhere"))
    assert context.sent.to(REGION) == [Tremor(id="1", magnitude=6.4, place="22km NNE of Hualian, Taiwan")]
    assert (context.state.earthquakes, context.state.others) == (1, 1)


@pytest.mark.parametrize(
    ("place", "region"),
    [("1km N of Ojai, CA", "California"), ("Gulf of Alaska", "Gulf of Alaska"), ("A, B, Chile", "Chile")],
)
def test_regions(place: str, region: str) -> None:
    """The region is what stands behind the last comma."""
    assert quakes.region_of(place) == region


def test_a_strong_one() -> None:
    """A strong earthquake is an alert, and the largest so far."""
    context = testing.context(RegionState(), address="quakes/region/Taiwan")
    quakes.region(context, Tremor(time_ms=1, magnitude=6.4, place="Hualian"))
    assert context.egress.to(ALERTS) == [
        Alert(kind=Alert.STRONG, region="Taiwan", time_ms=1, magnitude=6.4, place="Hualian")
    ]
    assert context.state.largest == Tremor(time_ms=1, magnitude=6.4, place="Hualian")


def test_a_swarm() -> None:
    """Many tremors within an hour are a swarm, which is to be closed when it has been quiet."""
    context = testing.context(RegionState(), address="quakes/region/Taiwan")
    for number in range(quakes.SWARM):
        quakes.region(context, Tremor(time_ms=number, magnitude=1.0))
    swarm = context.state.swarm
    assert swarm == Swarm(started_ms=0, latest_ms=7, tremors=8, largest=1.0)
    assert [alert.kind for alert in context.egress.to(ALERTS)] == [Alert.SWARM_BEGAN]
    quakes.region(context, CloseSwarm(quiet_since_ms=6))  # of before the last tremor
    assert context.egress.to(ALERTS)[1:] == []
    quakes.region(context, CloseSwarm(quiet_since_ms=7))
    assert context.state.swarm is None
    assert [alert.kind for alert in context.egress.to(ALERTS)] == [Alert.SWARM_BEGAN, Alert.SWARM_ENDED]


def demo(folder: Path) -> str:
    """Run the demo on a copy; return what it prints."""
    for name in ("demo.py", "quakes.py", "quakes_pb2.py", "earthquakes.jsonl"):
        if not (folder / name).exists():
            (folder / name).write_bytes((HERE / name).read_bytes())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent.parent), str(folder)]), "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "demo.py"], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


def test_the_demo(tmp_path: Path) -> None:
    """All 1,707 records are accounted for, and a second run counts nothing twice."""
    first = demo(tmp_path)
    assert "1,707 counted: 1,679 earthquakes, 28 blasts and explosions,\nfrom 12 networks, in 71 regions.\n" in first
    assert "24 alerts: 9 strong earthquakes, 8 swarms began, 7 ended." in first
    counts = [int(line.split()[-2 if "more" in line else 0].replace(",", "")) for line in first.splitlines()
              if "more regions" in line]  # fmt: skip
    listed = re.findall(r"^\S.*?  +([\d,]+) +-?\d+\.\d  ", first, re.MULTILINE)
    assert sum(int(count.replace(",", "")) for count in listed) + counts[0] == EARTHQUAKES
    assert max(map(len, first.splitlines())) <= WIDTH
    second = demo(tmp_path)
    assert "Nothing new: all 1,707 records were read by the last run, and are not counted again." in second
    assert second[second.index("1,707 counted") :] == first[first.index("1,707 counted") :]


def test_it_goes_on(tmp_path: Path) -> None:
    """New records are added to what was counted before."""
    demo(tmp_path)
    line = json.loads((HERE / "earthquakes.jsonl").read_text().splitlines()[-1])
    with (tmp_path / "earthquakes.jsonl").open("a") as file:
        file.write(json.dumps({**line, "id": "new", "time_ms": line["time_ms"] + 1}) + "\n")
    told = demo(tmp_path)
    assert re.search(r"^1 records in .* The 1,707 of the last run are not counted again\.$", told, re.MULTILINE)
    assert "1,708 counted" in told

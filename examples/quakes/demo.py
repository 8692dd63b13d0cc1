"""Runs the week of earthquakes through quakes.py and prints what came of it: `make demo`.

A second run goes on where the first one ended. `--reset` forgets everything first.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import cast

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until something is running, Ctrl-C has nothing to wait for

import quakes

from statefun.errors import StatefunError
from statefun.runtime import Driver, RecordClock, RecordFields, Runtime, run_driver, table

HERE = Path(__file__).parent
DATA = HERE / ".statefun"
RECORDS = HERE / "earthquakes.jsonl"
FIELDS = RecordFields(id="network", time="time_ms", time_unit="milliseconds")
SHOWN = 10
Json = Mapping[str, object]


def main(arguments: list[str]) -> int:
    """Run the demo; return its exit status."""
    if "--reset" in arguments:
        shutil.rmtree(DATA, ignore_errors=True)
    print("A week of earthquakes, through typed functions on a durable runtime.\n")
    with Runtime.in_process(quakes.functions, DATA) as runtime:
        known = counted(runtime)
        source = runtime.jsonl(RECORDS, to="quakes/router", type="quakes.Quake", fields=FIELDS)
        driver = Driver(runtime.pump, RecordClock(), sources=[source], exit_at_end=True)
        began = time.perf_counter()
        asyncio.run(run_driver(driver, progress=sys.stdout))
        took = time.perf_counter() - began
        report(runtime, driver, known, took)
        return 130 if driver.stopping else 0


def counted(runtime: Runtime) -> int:
    """Return how many records the routers have counted so far."""
    routers = [state for _, state in runtime.states("quakes/router")]
    return sum(number(state, "earthquakes") + number(state, "others") for state in routers)


def report(runtime: Runtime, driver: Driver, known: int, took: float) -> None:
    """Print what is known now."""
    total = counted(runtime)
    if driver.stopping:
        print(f"Stopped after {driver.fed:,} records: {total:,} are counted. Run it again: it goes on from there.")
        return
    if driver.fed:
        went_on = f" The {known:,} of the last run are not counted again." if known else ""
        print(f"{driver.fed:,} records in {took:.1f} s, {driver.commits} commits.{went_on}")
    else:
        print(f"Nothing new: all {known:,} records were read by the last run, and are not counted again.")
    routers = dict(runtime.states("quakes/router"))
    earthquakes = sum(number(state, "earthquakes") for state in routers.values())
    print(f"{total:,} counted: {earthquakes:,} earthquakes, {total - earthquakes:,} blasts and explosions,")
    regions = sorted(runtime.states("quakes/region"), key=lambda item: -number(item[1], "count"))
    print(f"from {len(routers)} networks, in {len(regions)} regions.\n")
    alerts = [cast("Json", cast("Json", record)["value"]) for record in runtime.records("quakes/alerts")]
    began = Counter(str(alert["region"]) for alert in alerts if alert["kind"] == "SWARM_BEGAN")
    rows = [row(name, state, began[name]) for name, state in regions[:SHOWN]]
    print(table(("region", "count", "largest", "near", "swarms"), rows, width=78))
    rest = regions[SHOWN:]
    print(f"{len(rest)} more regions with {sum(number(state, 'count') for _, state in rest):,} earthquakes\n")
    kinds = [str(alert["kind"]) for alert in alerts]
    print(
        f"{len(alerts)} alerts: {kinds.count('STRONG')} strong earthquakes, {kinds.count('SWARM_BEGAN')} swarms began,"
        f" {kinds.count('SWARM_ENDED')} ended. The latest:"
    )
    print(table(("time (UTC)", "alert", "size", "where"), [told(alert) for alert in alerts[-5:]], width=78))
    shown = DATA.relative_to(Path.cwd()) if DATA.is_relative_to(Path.cwd()) else DATA
    command = "statefun"
    binary = Path(sys.executable)
    if binary.is_relative_to(Path.cwd()):  # a virtual environment of the project
        script = binary.with_name(command)
        command = str(script.relative_to(Path.cwd()) if script.exists() else binary.relative_to(Path.cwd()))
        command += "" if script.exists() else " -m statefun"
    print(f"""
The data is in {shown}/statefun.db. To look at it, and to wipe it:
  {command} state ls quakes/region Taiwan --data {shown}
  {command} delayed ls --data {shown}
  {command} tail quakes/alerts --data {shown}
  {command} reset --data {shown}""")


def row(region: str, state: Json, swarms: int) -> tuple[object, ...]:
    """Return the line of one region."""
    largest = cast("Json", state.get("largest", {}))
    goes_on = ", one goes on" if "swarm" in state else ""
    told = f"{swarms}{goes_on}" if swarms else ""
    return region, number(state, "count"), magnitude(largest), largest.get("place", ""), told


def told(alert: Json) -> tuple[object, ...]:
    """Return the line of one alert."""
    at = datetime.fromtimestamp(int(str(alert["timeMs"])) / 1_000, tz=timezone.utc)
    kind = str(alert["kind"]).lower().replace("_", " ")
    what = kind.replace("swarm", f"swarm of {alert.get('tremors')}")
    return f"{at:%a %d %b %H:%M}", what, magnitude(alert), alert.get("place", alert["region"])


def number(state: Json, name: str) -> int:
    """Return a count; what was never written is 0."""
    return int(str(state.get(name, 0)))


def magnitude(value: Json) -> float:
    """Return a magnitude, which may be 0 and then is not there."""
    return float(str(value.get("magnitude", 0)))


if __name__ == "__main__":
    try:
        status = main(sys.argv[1:])
    except KeyboardInterrupt:  # before the first record was read, or after the last
        print("Stopped. Run it again: it goes on from there.")
        status = 130
    except StatefunError as error:
        print(error, file=sys.stderr)
        status = 1
    except BrokenPipeError:  # whoever read it has seen enough
        status = 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)

"""A week of earthquakes through stateful functions: a router, and one function a region.

    record -> quakes/router (an address a network) -> quakes/region (an address a region) -> alerts

Run it with `make demo`. The same app runs on a cluster as it is: module.yaml is for that, local.yaml for
`statefun run`.
"""

from __future__ import annotations

from datetime import timedelta

from quakes_pb2 import Alert, CloseSwarm, Quake, Recent, Swarm, Tremor
from typing_extensions import assert_never

from statefun import Context, FunctionRef, KafkaEgress, State, StatefulFunctions, value

STRONG = 5.5
"""A magnitude from here on is worth an alert."""
SWARM = 8
"""So many tremors of one region"""
WITHIN_MS = 60 * 60 * 1_000
"""within an hour are a swarm,"""
QUIET = timedelta(hours=1)
"""which ends when the region has been quiet for so long."""
CLOSE = "close"
"""The token of the message that ends a swarm."""
STATES = {"CA": "California", "MX": "Mexico"}

functions = StatefulFunctions()

REGION = FunctionRef[Tremor | CloseSwarm]("quakes/region")
ALERTS = KafkaEgress[Alert]("quakes/alerts", topic="alerts")


class RouterState(State):
    """What a network has reported."""

    earthquakes: int = 0
    others: int = 0


class RegionState(State):
    """What is known about a region."""

    count: int = 0
    largest: Tremor | None = None
    recent: Recent = value(default_factory=Recent)
    swarm: Swarm | None = value(default=None, expire_after_write=timedelta(hours=12))


@functions.bind("quakes/router")
def router(context: Context[RouterState], quake: Quake) -> None:
    """Send an earthquake to its region; explosions and quarry blasts only count."""
    if quake.kind != "earthquake":
        context.state.others += 1
        return
    context.state.earthquakes += 1
    tremor = Tremor(id=quake.id, time_ms=quake.time_ms, magnitude=quake.magnitude, place=quake.place)
    context.send(REGION.at(region_of(quake.place)), tremor)


@functions.bind("quakes/region")
def region(context: Context[RegionState], message: Tremor | CloseSwarm) -> None:
    """Count the tremors of a region, and notice swarms."""
    match message:
        case Tremor():
            count(context, message)
        case CloseSwarm():
            close_swarm(context, message)
        case _:
            assert_never(message)


def count(context: Context[RegionState], tremor: Tremor) -> None:
    """Take in one tremor."""
    state = context.state
    state.count += 1
    if state.largest is None or tremor.magnitude > state.largest.magnitude:
        state.largest = tremor
    recent = [*state.recent.tremors, tremor][-SWARM:]
    state.recent = Recent(tremors=recent)
    if tremor.magnitude >= STRONG:
        alert(context, Alert.STRONG, tremor.time_ms, tremor.magnitude, place=tremor.place)

    swarm = state.swarm
    if swarm is not None:
        swarm.tremors += 1
        swarm.latest_ms = tremor.time_ms
        swarm.largest = max(swarm.largest, tremor.magnitude)
        state.swarm = swarm
        context.cancel(CLOSE)
    elif len(recent) == SWARM and tremor.time_ms - recent[0].time_ms <= WITHIN_MS:
        largest = max(one.magnitude for one in recent)
        state.swarm = Swarm(
            started_ms=recent[0].time_ms, latest_ms=tremor.time_ms, tremors=len(recent), largest=largest
        )
        alert(context, Alert.SWARM_BEGAN, tremor.time_ms, largest, tremors=len(recent))
    else:
        return
    close = CloseSwarm(quiet_since_ms=tremor.time_ms)
    context.send_after(QUIET, region.at(context.address.identity), close, token=CLOSE)


def close_swarm(context: Context[RegionState], message: CloseSwarm) -> None:
    """End a swarm: the region has been quiet since its last tremor."""
    swarm = context.state.swarm
    if swarm is not None and swarm.latest_ms == message.quiet_since_ms:
        del context.state.swarm
        alert(context, Alert.SWARM_ENDED, swarm.latest_ms, swarm.largest, tremors=swarm.tremors)


def alert(
    context: Context[RegionState],
    kind: Alert.Kind.ValueType,
    time_ms: int,
    magnitude: float,
    *,
    tremors: int = 0,
    place: str = "",
) -> None:
    """Send an alert out, under the name of the region."""
    name = context.address.identity
    record = Alert(kind=kind, region=name, time_ms=time_ms, magnitude=magnitude, tremors=tremors, place=place)
    context.send_egress(ALERTS, record, key=name)


def region_of(place: str) -> str:
    """Return the region in "22km NNE of Hualian, Taiwan"; a place without one is its own."""
    name = place.rpartition(", ")[2]
    return STATES.get(name, name)

"""What may become of the app in counting.py: each of these is another version of it."""

from __future__ import annotations

from datetime import timedelta

from google.protobuf.wrappers_pb2 import StringValue

from statefun import Context, KafkaEgress, State, StatefulFunctions, value

COUNTED = KafkaEgress[str]("counting/counted", topic="counted")
more, other_type, renamed, expiring = (StatefulFunctions() for _ in range(4))


class More(State):
    """A state has been added."""

    count: int = 0
    latest: str = "none"


class OtherType(State):
    """What was an int is a str."""

    count: str = "0"


class Renamed(State):
    """What was `count` has another name."""

    tally: int = 0


class Expiring(State):
    """What was for ever expires."""

    count: int = value(default=0, expire_after_write=timedelta(hours=1))


@more.bind("counting/numbers")
def numbers_more(context: Context[More], number: StringValue) -> None:
    """Count a number, and tell the one before."""
    context.state.count += 1
    told = f"{number.value} {context.state.count} after {context.state.latest}"
    context.send_egress(COUNTED, told, key=context.address.identity)
    context.state.latest = number.value


@other_type.bind("counting/numbers")
def numbers_other_type(context: Context[OtherType], number: StringValue) -> None:
    """Count a number."""
    context.state.count = str(int(context.state.count) + 1)
    context.send_egress(COUNTED, f"{number.value} {context.state.count}", key=context.address.identity)


@renamed.bind("counting/numbers")
def numbers_renamed(context: Context[Renamed], number: StringValue) -> None:
    """Count a number."""
    context.state.tally += 1
    context.send_egress(COUNTED, f"{number.value} {context.state.tally}", key=context.address.identity)


@expiring.bind("counting/numbers")
def numbers_expiring(context: Context[Expiring], number: StringValue) -> None:
    """Count a number."""
    context.state.count += 1
    context.send_egress(COUNTED, f"{number.value} {context.state.count}", key=context.address.identity)

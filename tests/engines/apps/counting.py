"""Counts the records of each key, and passes each on with its count: what is lost or doubled shows."""

from __future__ import annotations

from google.protobuf.wrappers_pb2 import StringValue

from statefun import Context, KafkaEgress, State, StatefulFunctions

functions = StatefulFunctions()

COUNTED = KafkaEgress[str]("counting/counted", topic="counted")


class Counted(State):
    """What is stored for each key."""

    count: int = 0


@functions.bind("counting/numbers")
def numbers(context: Context[Counted], number: StringValue) -> None:
    """Count a number."""
    context.state.count += 1
    context.send_egress(COUNTED, f"{number.value} {context.state.count}", key=context.address.identity)

"""The kinds of the StateFun playground: requests in and records out over plain HTTP.

Here: their keys. They have no id: their names are fixed.
"""

from __future__ import annotations

from statefun.module._fields import Field, Fields
from statefun.module._grammar import Items, Text, Whole
from statefun.module._model import PlaygroundEgress, PlaygroundIngress

__all__ = ["playground_egress", "playground_ingress"]

PORT = Whole(what="a port number", least=0, most=65535, strict=False)


def playground_ingress() -> Fields[PlaygroundIngress]:
    """Return the shape of the ingress's spec."""
    return Fields(
        what="a playground ingress",
        fields=(Field(name="port", of=PORT, needed=True, says=""),),
        make=lambda record: PlaygroundIngress(port=record.get("port", int), source=record.source()),
    )


def playground_egress() -> Fields[PlaygroundEgress]:
    """Return the shape of the egress's spec."""
    topics = Items(of=Text(what="a topic", strict=False), what="a list of topics")
    return Fields(
        what="a playground egress",
        fields=(
            Field(name="port", of=PORT, needed=True, says=""),
            Field(name="topics", of=topics, needed=True, says=""),
        ),
        make=lambda record: PlaygroundEgress(
            port=record.get("port", int), topics=record.every("topics", str), source=record.source()
        ),
    )

"""Where a topic is begun, on a client that answers what is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from confluent_kafka import KafkaException

from statefun.module import read_text
from statefun.module._model import KafkaIngress
from statefun.runtime._kafka_client import Clients
from statefun.runtime._kafka_start import check, first_offsets
from statefun.runtime._sources import SourceError
from tests.runtime.kafka_rig import module
from tests.runtime.kafka_script import Placed, Script, problem

if TYPE_CHECKING:
    from confluent_kafka import Consumer


def parts(script: Script) -> tuple[Clients, Consumer]:
    """Return the client, and a consumer of it."""
    kafka = cast("Clients", script.client(""))
    return kafka, kafka.Consumer({})


def first(script: Script, spec: str, *partitions: int) -> dict[int, int]:
    """Ask where partitions of the topic `in` are begun."""
    ingress = read_text(module("broker:1", spec=spec), runtime="embedded").ingresses[0]
    assert isinstance(ingress, KafkaIngress)
    return first_offsets(*parts(script), ingress, "in", partitions)


DATE = "  startupPosition: {type: date, date: '2020-02-01 04:15:00.000 +0000'}\n"
GROUP = "  startupPosition: {type: group-offsets}\n"


def test_date() -> None:
    """A partition is begun at its first record from then on; one that has none so young, at its end."""
    script = Script()
    script.does("times 1580530500000", [Placed(0, 12), Placed(1, -1)])
    assert first(script, DATE, 0, 1) == {0: 12, 1: 20}
    assert script.calls == ["times 1580530500000", "watermarks 1"]


@pytest.mark.parametrize(("spec", "call"), [(DATE, "times 1580530500000"), (GROUP, "committed")])
def test_an_error_in_the_answer(spec: str, call: str) -> None:
    """An error of one partition is raised: its offset says nothing."""
    script = Script()
    script.does(call, [Placed(0, 12), Placed(1, 0, error=problem("NOT_COORDINATOR"))])
    with pytest.raises(KafkaException) as caught:
        first(script, spec, 0, 1)
    assert caught.value.args[0].name() == "NOT_COORDINATOR"


@pytest.mark.parametrize(("reset", "begun"), [("earliest", 10), ("latest", 20)])
def test_group(reset: str, begun: int) -> None:
    """A partition is begun where the group is; one that it never read, where autoOffsetResetPosition says."""
    script = Script()
    script.does("committed", [Placed(0, 12), Placed(1)])
    assert first(script, f"{GROUP}  autoOffsetResetPosition: {reset}\n", 0, 1) == {0: 12, 1: begun}


def test_specific_offsets() -> None:
    """Where every partition is named, the group is not asked for."""
    script = Script()
    spec = "  startupPosition: {type: specific-offsets, offsets: [{in/0: 3}, {other/1: 4}]}\n"
    assert first(script, spec, 0) == {0: 3}
    assert script.calls == []


def test_no_answer() -> None:
    """Where the brokers do not answer in time, that is an error of its own."""
    script = Script()
    script.does("watermarks 0", lambda: None)
    with pytest.raises(TimeoutError):
        first(script, "", 0)


@pytest.mark.parametrize(
    ("offset", "says"),
    [
        (9, "record 9 is next, and the first that is still there is 10: records were deleted unread"),
        (21, "record 21 is next, and the last one is 19: the topic was made anew"),
    ],
)
def test_check(offset: int, says: str) -> None:
    """A position is good between the first record and the end; outside, the ingress does not begin."""
    kafka, consumer = parts(Script())
    check(kafka, consumer, "ingress 'i'", "in", {0: 10, 1: 20})
    with pytest.raises(SourceError) as caught:
        check(kafka, consumer, "ingress 'i'", "in", {0: 10, 1: offset})
    assert str(caught.value) == (
        f"ingress 'i': partition 1 of topic 'in': {says}\n"
        "  help: give the ingress another id, which begins at its startupPosition"
    )

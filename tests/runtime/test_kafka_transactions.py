"""The link whose batches are transactions, on a client that does what is written down: what becomes of each error."""

from __future__ import annotations

from collections.abc import Generator
from typing import cast

import pytest
from confluent_kafka import KafkaError

from statefun.module import read_text
from statefun.module._model import ExactlyOnce
from statefun.module._model import KafkaEgress as EgressOfFile
from statefun.runtime import _kafka_link
from statefun.runtime._kafka_link import Away, PlainLink, RefusedRecord, TransactionalLink, Unusable, link_of
from statefun.runtime._kafka_records import Outgoing
from statefun.runtime._outbox import Mark
from tests.runtime.kafka_rig import module
from tests.runtime.kafka_script import Placed, Script, problem, raised

ROWS = (Outgoing(6, "out", b"k", b"v", [("h", b"1")]), Outgoing(7, "out", None, b"vw", None))


class Clock:
    """Passes for the module `time`: nothing waits, and each look is some seconds later."""

    def __init__(self, step: float) -> None:
        self._now = 0.0
        self._step = step

    def monotonic(self) -> float:
        """Return the time."""
        self._now += self._step
        return self._now

    def sleep(self, _seconds: float) -> None:
        """Go on at once."""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Return the script of the client that links are made with; nothing in it waits."""
    script = Script()
    monkeypatch.setattr(_kafka_link, "client", script.client)
    monkeypatch.setattr(_kafka_link, "time", Clock(0))
    return script


@pytest.fixture
def link(script: Script) -> Generator[TransactionalLink]:
    """Return a link that has begun."""
    made = made_of("")
    made.recover("")
    script.calls.clear()
    yield made
    made.close()


def made_of(properties: str, points: list[str] | None = None) -> TransactionalLink:
    """Return a link as module.yaml says it; the points that it passes are noted."""
    text = module("broker:1", delivery="exactly-once") + properties
    egress = read_text(text, runtime="embedded").egresses[0]
    assert isinstance(egress, EgressOfFile)
    assert isinstance(egress.delivery, ExactlyOnce)
    noted = [] if points is None else points
    return TransactionalLink(egress, egress.delivery, "name", noted.append)


def report(script: Script, error: KafkaError | None) -> None:
    """Let the client say that a record was not delivered."""
    undelivered = next(given["on_delivery"] for given in reversed(script.settings) if "on_delivery" in given)
    assert callable(undelivered)
    undelivered(error, None)


def test_settings(script: Script) -> None:
    """The producer has the name and the time of module.yaml; who reads the mark only how brokers are found."""
    link = made_of("  properties: [{client.id: me}, {compression.type: lz4}]\n")
    producer, consumer = script.settings
    assert (producer["transactional.id"], producer["transaction.timeout.ms"]) == ("name", 60_000)
    assert producer["compression.type"] == "lz4"
    del consumer["logger"]
    assert consumer == {
        "bootstrap.servers": "broker:1", "client.id": "me", "group.id": "name", "enable.auto.commit": False,
        "isolation.level": "read_committed",
    }  # fmt: skip
    link.close()
    assert made_of("  properties: [{transactional.id: other}]\n").name == "other"


def test_link_of(script: Script) -> None:
    """The delivery `exactly-once` is served by transactions."""
    text = module("broker:1", delivery="exactly-once")
    made = link_of(cast("EgressOfFile", read_text(text, runtime="embedded").egresses[0]), "name")()
    assert isinstance(made, TransactionalLink)
    assert made.exact
    made.close()
    assert script.calls == ["Producer", "purge", "close"]


@pytest.mark.parametrize(
    ("found", "mark"),
    [
        (Placed(offset=41, metadata="tag"), Mark(41, "tag")),
        (Placed(offset=41), Mark(41, "")),
        (Placed(), None),
    ],
)
def test_recover(script: Script, found: Placed, mark: Mark | None) -> None:
    """It fences who was there before, and only then reads the mark."""
    points: list[str] = []
    link = made_of("", points)
    script.calls.clear()
    script.does("committed", [found])
    assert link.recover("out") == mark
    assert script.calls == ["Producer", "init", "committed"]
    assert points == ["recovered"]
    link.close()


@pytest.mark.parametrize("name", ["NOT_COORDINATOR", "_TIMED_OUT", "UNSTABLE_OFFSET_COMMIT", "_TRANSPORT"])
def test_recover_asks_again(script: Script, link: TransactionalLink, name: str) -> None:
    """A coordinator that is not there yet is asked again: it may stand in the answer, too."""
    script.does("init", raised(name))
    script.does("committed", [Placed(offset=5, error=problem(name))], raised(name), [Placed(offset=6, metadata="t")])
    assert link.recover("out") == Mark(6, "t")
    assert script.calls == ["Producer", "init", "init", "committed", "committed", "committed"]


def test_a_mark_that_is_not_said(script: Script, link: TransactionalLink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the mark is not said in time, a transaction of its own is ended, and the mark is asked for again."""
    monkeypatch.setattr(_kafka_link, "_UNSAID_S", -1.0)
    script.does("committed", raised("_TIMED_OUT"), [Placed(offset=6, metadata="t")])
    assert link.recover("out") == Mark(6, "t")
    assert script.calls == ["Producer", "init", "committed", "begin", "send_offsets", "abort", "committed"]


@pytest.mark.parametrize("name", ["_TRANSPORT", "GROUP_AUTHORIZATION_FAILED"])
def test_a_mark_that_cannot_be_had(
    script: Script, link: TransactionalLink, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Where that does not work either, it says why, and begins anew the next time."""
    monkeypatch.setattr(_kafka_link, "_UNSAID_S", -1.0)
    script.does("committed", raised("_TIMED_OUT"))
    script.does("abort", raised(name))
    with pytest.raises((Away, Unusable), match=rf"^so it says \({name}\)$"):
        link.recover("out")


@pytest.mark.parametrize("call", ["init", "committed"])
@pytest.mark.parametrize(
    ("name", "fatal", "kind"),
    [
        ("INVALID_TRANSACTION_TIMEOUT", False, Unusable),
        ("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", True, Unusable),
        ("GROUP_AUTHORIZATION_FAILED", False, Unusable),
        ("_FENCED", True, Away),
        ("_TIMED_OUT", True, Away),
        ("UNKNOWN", False, Away),
    ],
)
def test_recover_fails(
    script: Script, link: TransactionalLink, call: str, name: str, fatal: bool, kind: type[Exception]
) -> None:
    """What asking again does not mend is Unusable if somebody has to act, or else Away; nothing can be sent then."""
    script.does(call, raised(name, fatal=fatal))
    with pytest.raises(kind) as caught:
        link.recover("out")
    assert str(caught.value) == f"so it says ({name})"
    with pytest.raises(Away, match=r"^there is no producer$"):
        link.send(ROWS, "tag", "out")


def test_asks_for_a_while_only(script: Script, link: TransactionalLink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A coordinator that stays away is not asked for ever."""
    monkeypatch.setattr(_kafka_link, "time", Clock(25))
    script.does("init", *[raised("_TRANSPORT") for _ in range(9)])
    with pytest.raises(Away, match=r"^so it says \(_TRANSPORT\)$"):
        link.recover("out")
    assert script.calls == ["Producer", "init", "init", "init"]


def test_send(script: Script) -> None:
    """A batch is begun, produced, flushed, marked and committed, in that order; the mark is its last record."""
    points: list[str] = []
    link = made_of("", points)
    link.recover("")
    script.calls.clear()
    script.does("commit", raised("_TIMED_OUT"))
    link.send(ROWS, "tag", "out")
    assert script.calls == ["begin", "produce", "produce", "flush", "send_offsets", "commit", "commit"]
    assert script.told == [("out", 0, 7, "tag", "the group")]
    assert points == ["recovered", "begun", "produced", "delivered", "marked", "committed"]
    link.close()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("_FENCED", Away), ("_STATE", Away), ("UNKNOWN", Away), ("CLUSTER_AUTHORIZATION_FAILED", Unusable)],
)
@pytest.mark.parametrize("call", ["begin", "produce", "flush", "send_offsets", "commit"])
def test_send_fails(script: Script, link: TransactionalLink, call: str, name: str, kind: type[Exception]) -> None:
    """An error at any step ends the batch there, with what it is: Away or Unusable; nothing after it is called."""
    script.does(call, raised(name))
    with pytest.raises(kind) as caught:
        link.send(ROWS, "tag", "out")
    assert str(caught.value) == f"so it says ({name})"
    assert script.calls[-1] == call


def test_refused_at_once(script: Script, link: TransactionalLink) -> None:
    """A record that the client itself will never take is refused by its number."""
    script.does("produce", None, raised("MSG_SIZE_TOO_LARGE"))
    with pytest.raises(RefusedRecord) as caught:
        link.send(ROWS, "tag", "out")
    assert (caught.value.seq, caught.value.sure) == (7, True)
    assert str(caught.value) == "2 bytes: so it says (MSG_SIZE_TOO_LARGE)"
    with pytest.raises(Away, match=r"^there is no producer$"):
        link.send(ROWS, "tag", "out")


@pytest.mark.parametrize(("rows", "sure"), [(ROWS, False), (ROWS[:1], True)])
def test_refused_by_the_broker(script: Script, link: TransactionalLink, rows: tuple[Outgoing, ...], sure: bool) -> None:
    """What the broker refuses is sure only of a batch of one; the first word counts, and none is no word."""

    def refuse() -> int:
        report(script, None)
        report(script, problem("INVALID_RECORD"))
        report(script, problem("TOPIC_EXCEPTION"))
        return 0

    script.does("flush", refuse)
    with pytest.raises(RefusedRecord) as caught:
        link.send(rows, "tag", "out")
    assert (caught.value.seq, caught.value.sure) == (6, sure)
    assert str(caught.value) == "1 bytes: so it says (INVALID_RECORD)"
    assert script.calls[-1] == "flush"


def test_refused_while_it_begins(script: Script, link: TransactionalLink) -> None:
    """Where a step fails because a record was refused, the refusal is what is said."""

    def refuse() -> None:
        report(script, problem("POLICY_VIOLATION"))
        raise raised("_STATE")

    script.does("begin", refuse)
    with pytest.raises(RefusedRecord, match=r"^1 bytes: so it says \(POLICY_VIOLATION\)$"):
        link.send(ROWS, "tag", "out")


def test_undelivered(script: Script, link: TransactionalLink) -> None:
    """What does not arrive in time, or is given up, is Away: the batch goes again."""
    script.does("flush", 2)
    with pytest.raises(Away, match=r"^the brokers take nothing$"):
        link.send(ROWS, "tag", "out")
    link.recover("")
    script.does("flush", lambda: report(script, problem("_MSG_TIMED_OUT")))
    with pytest.raises(Away, match=r"^so it says \(_MSG_TIMED_OUT\)$"):
        link.send(ROWS, "tag", "out")


@pytest.mark.parametrize("cause", [None, KeyError("x")])
def test_fatal_in_a_callback(script: Script, link: TransactionalLink, cause: BaseException | None) -> None:
    """A fatal error that the client raises out of a callback is Away, with its cause."""
    error = SystemError("result with an exception set")
    error.__cause__ = cause
    script.does("flush", error)
    with pytest.raises(Away) as caught:
        link.send(ROWS, "tag", "out")
    assert str(caught.value) == ("result with an exception set" if cause is None else "'x'")


def test_a_full_queue(script: Script, link: TransactionalLink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the client's queue is full it is waited for, and not for ever."""
    script.does("produce", BufferError())
    link.send(ROWS, "tag", "out")
    assert script.calls[:4] == ["begin", "produce", "poll", "produce"]
    monkeypatch.setattr(_kafka_link, "time", Clock(25))
    script.does("produce", *[BufferError() for _ in range(9)])
    with pytest.raises(Away, match=r"^the brokers take nothing$"):
        link.send(ROWS, "tag", "out")


def test_close(script: Script, link: TransactionalLink) -> None:
    """It is closed once and again, whatever the client says to that."""
    script.does("purge", raised("_STATE"))
    link.close()
    link.close()
    assert script.calls == ["purge", "close", "close"]
    assert isinstance(link, PlainLink)

"""A failure harms one address: retries, the culprit of a batch, skip, and what survives a restart."""

from __future__ import annotations

from pathlib import Path

from statefun import Context, MessageEgress, State, StatefulFunctions
from statefun.runtime import _by_hand
from statefun.runtime._boxes import Limits
from tests.runtime.rig import Rig, app_rig, scripted, sqlite_store, unwrap

OUT = MessageEgress[str]("t/out")


class Count(State):
    """How many messages were handled."""

    n: int = 0


def functions(bad: set[str]) -> StatefulFunctions:
    """Return a function that raises at some messages."""
    made = StatefulFunctions()

    @made.bind("t/f")
    def f(context: Context[Count], message: str) -> None:
        if message in bad:
            raise ValueError(f"no {message}")
        context.state.n += 1
        context.send_egress(OUT, message)

    return made


def test_the_culprit() -> None:
    """A batch that fails goes again one message at a time: what stands before the culprit is handled, and it fails."""
    bad = {"c"}
    rig = app_rig(functions(bad))
    rig.run()
    for name in "abcde":
        rig.send("t/f", "x", name)
    rig.run()
    assert rig.records() == ["a", "b"]
    assert rig.failures() == {"t/f/x": (1, "ValueError: no c")}
    bad.clear()
    rig.later(1_000)
    assert rig.records() == ["a", "b", "c", "d", "e"]
    assert rig.failures() == {}


def test_others_go_on() -> None:
    """While one address fails every other one goes on."""
    rig = app_rig(functions({"bad"}))
    for id in "xyz":
        rig.send("t/f", id, "bad" if id == "y" else id)
    rig.run()
    rig.send("t/f", "x", "more")
    rig.run()
    assert rig.records() == ["x", "z", "more"]


def test_backoff() -> None:
    """Attempts are 1, 2, 4 … s apart, and never more than 60 s."""
    rig = app_rig(functions({"bad"}))
    rig.send("t/f", "x", "bad")
    rig.run()
    waits: list[int] = []
    for _ in range(8):
        due = rig.engine.next_due()
        assert due is not None
        waits.append((due - rig.now) // 1_000)
        rig.later(due - rig.now)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert rig.failures()["t/f/x"][0] == 9


def test_jitter() -> None:
    """Up to a fifth of a wait is taken off, by chance."""
    rig = app_rig(functions({"bad"}))
    rig.engine.failures._jitter = lambda: 1.0
    rig.send("t/f", "x", "bad")
    rig.run()
    assert rig.engine.next_due() == rig.now + 800


def test_a_restart(tmp_path: Path) -> None:
    """A failing address stays one over a restart, with its attempts and the time of the next."""
    rig = app_rig(functions({"bad"}), store=sqlite_store(tmp_path / "s.db"))
    rig.send("t/f", "x", "bad")
    rig.send("t/f", "x", "good")
    rig.run()
    rig.later(1_000)
    rig.restart()
    rig.run()
    assert rig.failures() == {"t/f/x": (2, "ValueError: no bad")}
    assert rig.engine.next_due() == rig.now + 2_000
    rig.later(2_000)
    assert rig.failures()["t/f/x"][0] == 3
    assert rig.records() == []


def test_skip() -> None:
    """A skipped message is kept, and the address goes on with the next one."""
    rig = app_rig(functions({"bad"}))
    for name in ("bad", "good"):
        rig.send("t/f", "x", name)
    rig.run()
    skipped = _by_hand.skip(rig.engine, rig.plan("t/f"), "x", rig.now)
    rig.run()
    assert skipped is not None
    assert (rig.records(), rig.failures()) == (["good"], {})
    (kept,) = rig.store.list_skipped(10)
    assert (kept[0].error, kept[1]) == ("ValueError: no bad", "t/f")
    assert b"bad" in kept[0].message
    assert _by_hand.skip(rig.engine, rig.plan("t/f"), "x", rig.now) is None


def test_retry_by_hand() -> None:
    """Somebody may try at once."""
    bad = {"bad"}
    rig = app_rig(functions(bad))
    rig.send("t/f", "x", "bad")
    rig.run()
    bad.clear()
    assert _by_hand.retry(rig.engine, rig.plan("t/f"), "x", rig.now)
    rig.run()
    assert rig.records() == ["bad"]
    assert not _by_hand.retry(rig.engine, rig.plan("t/f"), "x", rig.now)


def test_a_failing_first_request() -> None:
    """A function whose first request fails lets the others of its addresses try."""
    rig = app_rig(functions({"bad"}))
    rig.send("t/f", "x", "bad")
    rig.send("t/f", "y", "good")
    rig.run()
    assert rig.records() == ["good"]


def backlog(limits: Limits, count: int, ids: int, tmp_path: Path | None = None) -> tuple[Rig, dict[str, list[str]]]:
    """Return a rig with a backlog that memory does not hold, and what each address is to get."""
    store = sqlite_store(tmp_path / "s.db") if tmp_path is not None else None
    rig, endpoint = scripted("t/a", store=store, limits=limits)
    got: dict[str, list[str]] = {}

    def answer(batch: object) -> bytes:
        request = endpoint.requests[-1]
        got.setdefault(request.target.id, []).extend(unwrap(one.argument.value) for one in request.invocations)
        del batch
        return b""

    endpoint.answer = answer
    for number in range(count):
        rig.send("t/a", str(number % ids), str(number))
    return rig, got


def wanted(count: int, ids: int) -> dict[str, list[str]]:
    """Return what each address is to get."""
    return {str(id): [str(number) for number in range(id, count, ids)] for id in range(ids)}


def test_a_backlog(tmp_path: Path) -> None:
    """Messages that memory does not hold wait in the store, and every address gets its own in their order."""
    rig, got = backlog(Limits(addresses=4, messages=20, mailbox=5), 500, 13, tmp_path)
    rig.pump.commit()
    assert rig.engine.boxes.held <= 20
    rig.run()
    assert got == wanted(500, 13)
    assert rig.store.counts().waiting == 0


def test_a_backlog_over_a_restart(tmp_path: Path) -> None:
    """So it is when the process ends in between."""
    rig, got = backlog(Limits(addresses=4, messages=20, mailbox=5), 500, 13, tmp_path)
    rig.pump.commit()
    for _ in range(10):
        rig.step(7)
        rig.pump.commit()
        rig.restart()
    rig.run()
    assert got == wanted(500, 13)


def test_a_flood_for_one_address() -> None:
    """One address that gets more than its mailbox holds does not fill the memory: the others go on."""
    rig, got = backlog(Limits(addresses=10, messages=1_000, mailbox=5), 1, 1)
    rig.run()
    got.clear()
    rig.send("t/a", "flood", "first")
    call = rig.engine.step(rig.now)
    for number in range(300):
        rig.send("t/a", "flood", str(number))
    rig.pump.commit()
    assert rig.engine.boxes.held <= 6
    rig.send("t/a", "other", "m")
    rig.run()
    assert got == {"other": ["m"]}
    rig.engine.reply(call, b"", rig.now)  # type: ignore[arg-type]  # it is a Call
    rig.run()
    assert got["flood"] == [str(number) for number in range(300)]
    assert rig.store.counts().waiting == 0


def test_idle_addresses_are_forgotten() -> None:
    """No more addresses are in memory than there may be, and their states come back from the store."""
    rig = app_rig(functions(set()), limits=Limits(addresses=10))
    for _ in range(3):
        for number in range(100):
            rig.send("t/f", str(number), "m")
            rig.run()
    assert len(rig.engine.boxes.resident()) <= 11
    assert set(rig.states().values()) == {3}

"""Calls are made a few at a time; what is not made is taken back."""

from __future__ import annotations

from statefun._wire import wire_of
from statefun.runtime._boxes import Limits
from tests.runtime.rig import V3, scripted, wrap


def test_enough() -> None:
    """When it is enough, the calls that were not made are the next ones, in their order, and count as not handled."""
    rig, endpoint = scripted("t/a")
    rig.run()
    for number in range(5):
        rig.send("t/a", str(number), f"m{number}")
    rig.pump.work(rig.now, 1)  # the first one says which states there are: it goes alone
    rig.pump.work(rig.now, 100, lambda: len(endpoint.requests) >= 3)
    assert endpoint.values() == [["m0"], ["m1"], ["m2"]]
    assert (rig.pump.handled, rig.engine.calls) == (3, 0)
    rig.send("t/a", "4", "later")
    rig.pump.commit()
    assert rig.store.counts().waiting == 3
    rig.restart()
    rig.run()
    assert endpoint.values()[3:] == [["m3"], ["m4", "later"]]
    assert rig.store.counts().waiting == 0


def test_enough_at_the_first() -> None:
    """A first request that was not made is made again, though others wait for its answer."""
    rig, endpoint = scripted("t/a", "t/b")
    rig.run()
    rig.send("t/a", "1", "a")
    for id in ("1", "2"):
        rig.send("t/b", id, f"b{id}")
    rig.pump.work(rig.now, 100, lambda: True)
    assert endpoint.values() == [["a"]]
    rig.run()
    assert endpoint.values() == [["a"], ["b1"], ["b2"]]


def test_a_reply_to_many() -> None:
    """A reply may send to more new addresses than memory keeps: each gets its messages, in order, at one place."""
    rig, endpoint = scripted("t/a", "t/b", limits=Limits(addresses=4))
    reply = wire_of("v3").reply()
    for number in range(100):
        reply.send("t/b", str(number % 50), "io.statefun.types/string", wrap(str(number).encode()), None)
    encoded = reply.encode()
    endpoint.answer = lambda batch: encoded if batch.target.type == "a" else V3.FromFunction()
    rig.run()
    rig.send("t/a", "x", "go")
    rig.run()
    got = [batch.target.id for batch in endpoint.requests if batch.target.type == "b"]
    assert sorted(got, key=int) == [str(number) for number in range(50)]
    assert ["0", "50"] in endpoint.values()

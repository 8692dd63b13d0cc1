"""A group takes in what it will be done with."""

from __future__ import annotations

import asyncio
from pathlib import Path

from statefun import Context, FunctionRef, MessageEgress, StatefulFunctions
from statefun._clock import WallClock
from statefun.runtime._assembly import Runtime
from statefun.runtime._driver import Driver
from statefun.runtime._pace import Pace, Window

OUT = MessageEgress[str]("t/out")


class TestWindow:
    """How many messages fit."""

    def test_nothing_is_known(self) -> None:
        """At first it takes a few, and no more than a group holds."""
        assert Window().size(256, 0.005, fresh=True) == 32
        assert Window().size(10, 0.005, fresh=True) == 10

    def test_by_time(self) -> None:
        """What the last messages took says how many more fit; a few are not worth a look."""
        window = Window()
        window.learn(100, 100, 0.002)
        assert window.size(256, 0.004, fresh=True) == 200
        assert window.size(256, 0.00014, fresh=False) == 0
        assert window.size(256, 0.0, fresh=True) == 1

    def test_by_what_comes_of_them(self) -> None:
        """A message that leads to others counts as all of them."""
        window = Window()
        window.learn(10, 40, 0.0001)
        assert 0 < window.size(256, 1.0, fresh=True) < 256
        for _ in range(50):
            window.learn(10, 40, 0.0001)
        assert window.size(256, 1.0, fresh=True) == 64

    def test_what_says_nothing(self) -> None:
        """A group that took nothing in, or did nothing, teaches nothing."""
        window = Window()
        window.learn(0, 5, 1.0)
        window.learn(5, 0, 1.0)
        assert window.size(256, 0.005, fresh=True) == 32


def test_little_waits_at_a_commit(tmp_path: Path) -> None:
    """Nearly everything that is read from a file is handled, with what comes of it, before the next commit."""
    functions = StatefulFunctions()

    @functions.bind("t/first")
    def first(context: Context, message: str) -> None:
        context.send(FunctionRef[str]("t/second").at(message), message)

    @functions.bind("t/second")
    def second(context: Context, message: str) -> None:
        context.send_egress(OUT, message)

    count = 4_000
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f'{{"id": "{n % 50}", "value": "{n % 70}"}}\n' for n in range(count)))
    with Runtime.in_process(functions, tmp_path / "data") as runtime:
        source = runtime.jsonl(path, to="t/first", type="string")
        pace = Pace(alone_s=60.0)  # so that the machine has no say
        driver = Driver(runtime.pump, WallClock(), sources=[source], pace=pace, exit_at_end=True)
        waited: list[int] = []
        driver.on_commit.append(lambda delta: waited.append(len(delta.queued)))
        asyncio.run(driver.run())
        assert runtime.store.counts().records == count
    assert sum(waited) < count // 10
    assert len(waited) >= 2 * count // 256

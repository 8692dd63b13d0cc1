"""The app of test_crash.py, and the process that is killed."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from statefun import Context, MessageEgress, State, StatefulFunctions
from statefun.runtime import Driver, RecordClock, RecordFields, Runtime
from statefun.runtime._boxes import Limits
from statefun.runtime._driver import Pace
from statefun.runtime._jsonl import LineWriter
from statefun.runtime._retention import Keep, Retention
from statefun.runtime._sinks import FileSink

functions = StatefulFunctions()
OUT = MessageEgress[str]("t/out")


class Count(State):
    """How many came."""

    n: int = 0


@functions.bind("t/first")
def first(context: Context[Count], number: int) -> None:
    """Count, and pass on: at once, or later."""
    context.state.n += 1
    if number % 3:
        context.send(second.at(str(number % 7)), number)
    else:
        context.send_after(timedelta(milliseconds=5), second.at(str(number % 7)), number)


@functions.bind("t/second")
async def second(context: Context[Count], number: int) -> None:
    """Count, and write."""
    context.state.n += 1
    context.send_egress(OUT, str(number))


def main(folder: Path) -> None:
    """Read, handle and write until it is done or killed."""
    limits = Limits(addresses=10, messages=50, mailbox=8)
    with Runtime.in_process(functions, folder / "data", limits=limits) as runtime:
        fields = RecordFields(id="id", value="value", time="time", time_unit="milliseconds")
        source = runtime.jsonl(folder / "in.jsonl", to="t/first", type="long", fields=fields)
        sink = FileSink(folder / "out.jsonl", LineWriter(runtime.values), "t/out")
        driver = Driver(
            runtime.pump, RecordClock(), sources=[source], sinks=[sink], pace=Pace(group=16),
            retention=Retention(runtime.store, 20, {"t/out": Keep(records=10)}), exit_at_end=True,
        )  # fmt: skip
        asyncio.run(driver.run())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

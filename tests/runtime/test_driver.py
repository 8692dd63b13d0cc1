"""The driver: files in, files out, time from records, stopping, and what is committed when."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from statefun import ConfigError, Context, MessageEgress, State, StatefulFunctions, types
from statefun._clock import RecordClock, WallClock
from statefun.module._model import RecordFields
from statefun.runtime._assembly import Runtime
from statefun.runtime._driver import Driver, Full, Pace
from statefun.runtime._jsonl import BadLine, LineReader, LineWriter
from statefun.runtime._plans import Wire
from statefun.runtime._requests import argument
from statefun.runtime._retention import Retention
from statefun.runtime._sinks import FileSink, SinkError
from statefun.runtime._sources import SourceError
from tests.processes import ended

OUT = MessageEgress[str]("t/out")
ROOT = Path(__file__).parent.parent.parent


class Seen(State):
    """What is counted."""

    n: int = 0


def app() -> StatefulFunctions:
    """Return an app that counts, reminds after an hour, and is slow when told to."""
    functions = StatefulFunctions()

    @functions.bind("t/f")
    def f(context: Context[Seen], message: str) -> None:
        context.state.n += 1
        context.send_egress(OUT, f"{context.address.identity} {message} {context.state.n}")
        if message.startswith("remind"):
            context.send_after(timedelta(hours=1), f.at(context.address.identity), "now")

    @functions.bind("t/slow")
    async def slow(context: Context, message: str) -> None:
        await asyncio.sleep(float(message))
        context.send_egress(OUT, f"slept {message}")

    return functions


def lines(*records: object) -> str:
    """Write records as lines."""
    return "".join(json.dumps(record) + "\n" for record in records)


def run(
    folder: Path, *, clock: str = "wall", fields: RecordFields | None = None, type: str | None = "string"
) -> Driver:
    """Read in.jsonl to its end, and write out.jsonl."""
    with Runtime.in_process(app(), folder / "data") as runtime:
        source = runtime.jsonl(folder / "in.jsonl", to="t/f", type=type, fields=fields)
        sink = FileSink(folder / "out.jsonl", LineWriter(runtime.values), "t/out")
        chosen = RecordClock() if clock == "records" else WallClock()
        driver = Driver(runtime.pump, chosen, sources=[source], sinks=[sink], exit_at_end=True)
        asyncio.run(driver.run())
        return driver


def written(folder: Path) -> list[str]:
    """Return the values in out.jsonl."""
    return [json.loads(line)["value"] for line in (folder / "out.jsonl").read_text().splitlines()]


class TestFiles:
    def test_in_and_out(self, tmp_path: Path) -> None:
        """A file is read to its end, and what comes of it is written once; a second run reads what was appended."""
        path = tmp_path / "in.jsonl"
        path.write_text(lines({"id": "a", "value": "x"}, {"id": "b", "value": "y"}))
        assert run(tmp_path).fed == 2
        assert run(tmp_path).fed == 0
        with path.open("a") as file:
            file.write("\n" + json.dumps({"id": "a", "value": "z"}))  # an empty line, and a last one without its end
        assert run(tmp_path).fed == 1
        assert written(tmp_path) == ["a x 1", "b y 1", "a z 2"]

    def test_base64(self, tmp_path: Path) -> None:
        """The value of a line may be bytes, and its type a typename."""
        data = base64.b64encode(b"\x0a\x01x").decode()
        (tmp_path / "in.jsonl").write_text(lines({"id": "a", "type": "io.statefun.types/string", "base64": data}))
        run(tmp_path, type=None)
        assert written(tmp_path) == ["a x 1"]

    def test_foreign_lines(self, tmp_path: Path) -> None:
        """The fields of a foreign record are named; a dot goes one level down, and a number is an id."""
        (tmp_path / "in.jsonl").write_text(lines({"who": {"nr": 7}, "what": "x"}))
        run(tmp_path, fields=RecordFields(id="who.nr", value="what"))
        assert written(tmp_path) == ["7 x 1"]

    @pytest.mark.parametrize(
        ("line", "error"),
        [
            ("no", "it is no JSON: Expecting value: line 1 column 1 (char 0)"),
            ("[1]", "it is [1], and must be an object"),
            ('{"value": "x"}', "its 'id' is to be the id, and is null"),
            ('{"id": "a", "value": 5}', "5 cannot become string: it is a whole number, not text"),
            ('{"id": "a", "type": "nope", "value": 5}', "there is no type 'nope' (known: string)"),
            ('{"id": "a", "value": "x", "time": "soon"}', "its 'time' is no time: 'soon'"),
        ],
    )
    def test_a_bad_line(self, tmp_path: Path, line: str, error: str) -> None:
        """A line that is no record stops the run, with its number; nothing before it is lost."""
        path = tmp_path / "in.jsonl"
        path.write_text(lines({"id": "a", "value": "x"}) + line + "\n")
        with pytest.raises(BadLine) as caught:
            run(tmp_path)
        assert str(caught.value) == f"{path}:2: {error}"
        path.write_text(lines({"id": "a", "value": "x"}, {"id": "a", "value": "y"}))
        run(tmp_path)
        assert written(tmp_path) == ["a x 1", "a y 2"]

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ("shorter", "is shorter than what was read of it"),
            ("other", "is not the file that was read"),
        ],
    )
    def test_another_file(self, tmp_path: Path, change: str, error: str) -> None:
        """A file that was cut or replaced is refused."""
        path = tmp_path / "in.jsonl"
        text = lines({"id": "a", "value": "x"}, {"id": "b", "value": "y"})
        path.write_text(text)
        run(tmp_path)
        path.write_text(text[:10] if change == "shorter" else text.replace("y", "z"))
        with pytest.raises(SourceError) as caught:
            run(tmp_path)
        assert str(caught.value) == (
            f"{path} {error} ({len(text)} bytes)\n"
            "  help: put the old file back and append to it, or give the new one another name"
        )

    def test_what_was_written_and_not_noted(self, tmp_path: Path) -> None:
        """Lines that were written after the last commit are cut off and written again."""
        (tmp_path / "in.jsonl").write_text(lines({"id": "a", "value": "x"}))
        run(tmp_path)
        out = tmp_path / "out.jsonl"
        whole = out.read_text()
        out.write_text(whole + '{"half a li')
        run(tmp_path)
        assert out.read_text() == whole

    def test_a_shorter_output(self, tmp_path: Path) -> None:
        """A file that lost what was written to it is refused."""
        (tmp_path / "in.jsonl").write_text(lines({"id": "a", "value": "x"}))
        run(tmp_path)
        (tmp_path / "out.jsonl").write_text("")
        with pytest.raises(SinkError) as caught:
            run(tmp_path)
        assert str(caught.value) == (
            f"{tmp_path / 'out.jsonl'} is shorter than what was written to it\n"
            "  help: put the old file back, or give the egress another one"
        )

    def test_no_such_file(self, tmp_path: Path) -> None:
        """A file that is not there is named."""
        with pytest.raises(SourceError) as caught:
            run(tmp_path)
        assert str(caught.value) == f"{tmp_path / 'in.jsonl'} cannot be read: No such file or directory"

    def test_no_such_function(self, tmp_path: Path) -> None:
        """An ingress whose function is not there is refused at the start."""
        (tmp_path / "in.jsonl").write_text("")
        with Runtime.in_process(app(), tmp_path / "data") as runtime:
            source = runtime.jsonl(tmp_path / "in.jsonl", to="t/nobody", type="string")
            with pytest.raises(SourceError) as caught:
                asyncio.run(Driver(runtime.pump, WallClock(), sources=[source]).run())
        assert str(caught.value) == f"jsonl:{tmp_path / 'in.jsonl'} sends to 't/nobody', and there is no such function"

    def test_a_followed_file(self, tmp_path: Path) -> None:
        """A followed file is read on while it grows; half a line waits for its end."""
        path = tmp_path / "in.jsonl"
        path.write_text('{"id": "a", ')

        async def go() -> None:
            with Runtime.in_process(app(), tmp_path / "data") as runtime:
                source = runtime.jsonl(path, to="t/f", type="string", follow=True)
                driver = Driver(runtime.pump, WallClock(), sources=[source])
                running = asyncio.ensure_future(driver.run())
                await asyncio.sleep(0.1)
                assert driver.fed == 0
                with path.open("a") as file:
                    file.write('"value": "x"}\n')
                while driver.fed == 0:  # noqa: ASYNC110 -- the driver tells nobody
                    await asyncio.sleep(0.01)
                driver.stop()
                await running

        asyncio.run(asyncio.wait_for(go(), 10))


class TestRecordClock:
    HOUR = 3_600_000

    def test_a_day_in_no_time(self, tmp_path: Path) -> None:
        """Before the clock moves to a record all that is due till then has run; a late record does not move it back."""
        records = [
            {"id": "a", "value": "remind", "time": 0},
            {"id": "b", "value": "x", "time": self.HOUR - 1},
            {"id": "c", "value": "late", "time": 5},
            {"id": "b", "value": "y", "time": self.HOUR},
            {"id": "b", "value": "end", "time": 2 * self.HOUR},
        ]
        (tmp_path / "in.jsonl").write_text(lines(*records))
        run(tmp_path, clock="records")
        assert written(tmp_path) == ["a remind 1", "b x 1", "c late 1", "a now 2", "b y 2", "b end 3"]

    def test_it_goes_on(self, tmp_path: Path) -> None:
        """A second run goes on at the time where the first one ended."""
        path = tmp_path / "in.jsonl"
        path.write_text(lines({"id": "a", "value": "remind", "time": "2024-01-01T00:00:00Z"}))
        run(tmp_path, clock="records")
        with path.open("a") as file:
            file.write(lines({"id": "b", "value": "x", "time": "2024-01-01T02:00:00+01:00"}))
        driver = run(tmp_path, clock="records")
        assert written(tmp_path) == ["a remind 1", "a now 2", "b x 1"]
        assert driver.clock.now() == 1_704_070_800_000

    def test_the_same_every_time(self, tmp_path: Path) -> None:
        """The same records always give the same result, whatever the groups."""
        records = [{"id": str(n % 5), "value": "remind" if n % 3 else "x", "time": n * 700_000} for n in range(200)]
        results: list[list[object]] = []
        for group in (1, 7, 256):
            folder = tmp_path / str(group)
            folder.mkdir()
            (folder / "in.jsonl").write_text(lines(*records))
            with Runtime.in_process(app(), folder / "data") as runtime:
                source = runtime.jsonl(folder / "in.jsonl", to="t/f", type="string")
                pace = Pace(group=group)
                driver = Driver(runtime.pump, RecordClock(), sources=[source], pace=pace, exit_at_end=True)
                asyncio.run(driver.run())
                results.append(
                    [runtime.values.decode(r.typename, r.value) for r in runtime.store.list_records(None, 0, 9_999)]
                )
        assert results[0] == results[1] == results[2]
        assert len(results[0]) > 300


def test_committed_before_it_is_answered(tmp_path: Path) -> None:
    """What submit returns is done when the message is in the file; a reader of its own sees it."""

    async def go() -> None:
        with Runtime.in_process(app(), tmp_path / "data") as runtime:
            driver = Driver(runtime.pump, WallClock())
            running = asyncio.ensure_future(driver.run())
            plan = runtime.engine.plan("t/f")
            assert plan is not None
            for number in range(5):
                await driver.submit(plan, "a", argument("io.statefun.types/string", b"\x0a\x01x", "v3"))
                counts = runtime.store.counts()
                assert counts.records + counts.waiting == number + 1
            driver.stop()
            await running

    asyncio.run(asyncio.wait_for(go(), 10))


def test_stopping(tmp_path: Path) -> None:
    """When it is stopped, what is out is awaited and committed, and nothing more is read."""

    async def go() -> None:
        with Runtime.in_process(app(), tmp_path / "data") as runtime:
            driver = Driver(runtime.pump, WallClock())
            running = asyncio.ensure_future(driver.run())
            plan = runtime.engine.plan("t/slow")
            assert plan is not None
            await driver.commit_soon()
            await driver.submit(plan, "a", argument("io.statefun.types/string", b"\x0a\x030.2", "v3"))
            assert (runtime.store.counts().records, runtime.store.counts().waiting) == (0, 1)
            driver.stop()
            await running
            assert (runtime.store.counts().records, runtime.store.counts().waiting) == (1, 0)

    asyncio.run(asyncio.wait_for(go(), 10))


def test_a_slow_function_harms_nobody(tmp_path: Path) -> None:
    """While an async function waits, other addresses are served; each address has one request out."""

    async def go() -> None:
        with Runtime.in_process(app(), tmp_path / "data") as runtime:
            driver = Driver(runtime.pump, WallClock())
            running = asyncio.ensure_future(driver.run())
            slow, f = runtime.engine.plan("t/slow"), runtime.engine.plan("t/f")
            assert slow is not None
            assert f is not None
            await driver.submit(slow, "warm", argument("io.statefun.types/string", b"\x0a\x010", "v3"))
            began = time.monotonic()
            for id in "abcdefgh":
                await driver.submit(slow, id, argument("io.statefun.types/string", b"\x0a\x030.3", "v3"))
            await driver.submit(f, "x", argument("io.statefun.types/string", b"\x0a\x01x", "v3"))
            while runtime.store.counts().records < 10:  # noqa: ASYNC110 -- the driver tells nobody
                await asyncio.sleep(0.01)
            assert time.monotonic() - began < 1.5
            driver.stop()
            await running

    asyncio.run(asyncio.wait_for(go(), 10))


def test_full(tmp_path: Path) -> None:
    """When memory is full no message is taken."""

    async def go() -> None:
        with Runtime.in_process(app(), tmp_path / "data") as runtime:
            driver = Driver(runtime.pump, WallClock(), pace=Pace(failing=-1))
            plan = runtime.engine.plan("t/f")
            assert plan is not None
            with pytest.raises(Full):
                driver.submit(plan, "a", b"")

    asyncio.run(go())


def test_retention(tmp_path: Path) -> None:
    """Only so many records are kept, and never fewer than a file has still to be given."""
    (tmp_path / "in.jsonl").write_text(lines(*({"id": "a", "value": str(n)} for n in range(3_000))))
    with Runtime.in_process(app(), tmp_path / "data") as runtime:
        source = runtime.jsonl(tmp_path / "in.jsonl", to="t/f", type="string")
        driver = Driver(
            runtime.pump, WallClock(), sources=[source], retention=Retention(runtime.store, 100), exit_at_end=True
        )
        asyncio.run(driver.run())
        assert 100 <= runtime.store.counts().records <= 400
        assert runtime.store.last_records(None, 1)[0].seq == 3_000


def test_the_wires_do_not_mix(tmp_path: Path) -> None:
    """Data of one version of the protocol is not read with the other."""
    Runtime.in_process(app(), tmp_path / "data").close()
    with pytest.raises(ConfigError) as caught:
        Runtime.in_process(app(), tmp_path / "data", wire="v2")
    assert str(caught.value) == (
        f"the data in {tmp_path / 'data'} is of v3, and this app is served in v2\n"
        "  help: name another folder with --data, or use --wire v3"
    )


def test_the_same_on_both_wires(tmp_path: Path) -> None:
    """An app gives the same results on both wires."""
    results: list[list[str]] = []
    wires: tuple[Wire, ...] = ("v2", "v3")
    for wire in wires:
        folder = tmp_path / wire
        folder.mkdir()
        (folder / "in.jsonl").write_text(lines(*({"id": str(n % 3), "value": str(n)} for n in range(50))))
        with Runtime.in_process(app(), folder / "data", wire=wire) as runtime:
            source = runtime.jsonl(folder / "in.jsonl", to="t/f", type="string")
            asyncio.run(Driver(runtime.pump, WallClock(), sources=[source], exit_at_end=True).run())
            # the order of two addresses is nobody's promise: it depends on where a group ended
            records = [str(record) for record in runtime.records("t/out")]
            results.append(sorted(records, key=lambda record: record.split()[0]))
    assert results[0] == results[1]
    assert len(results[0]) == 50


@pytest.mark.parametrize("size", [64 << 10, 8 << 20, 64 << 20])
def test_large_messages(tmp_path: Path, size: int) -> None:
    """Messages of 64 KiB to 64 MiB go through, and into a state."""
    functions = StatefulFunctions()
    egress = MessageEgress[bytes]("t/out")

    class Kept(State):
        last: bytes = b""

    @functions.bind("t/f")
    def f(context: Context[Kept], message: bytes) -> None:
        context.state.last = message
        context.send_egress(egress, message[:1])

    with Runtime.in_process(functions, tmp_path / "data") as runtime:
        plan = runtime.engine.plan("t/f")
        assert plan is not None
        runtime.pump.work(0, 1)
        runtime.engine.feed(plan, "a", argument(runtime.values.catalog.functions["t/f"].accepts[0], bytes(size), "v3"))
        while runtime.pump.work(0, 10) is not None:
            runtime.pump.commit()
        runtime.pump.commit()
        (row,) = runtime.store.list_states("t/f", "a", 0, None, 10)
        assert len(row.value) >= size


def test_a_signal(tmp_path: Path) -> None:
    """SIGTERM lets the run end by itself, with everything committed."""
    (tmp_path / "app.py").write_text(
        "from statefun import *\nfunctions = StatefulFunctions()\n"
        "@functions.bind('t/f')\ndef f(context: Context, message: str) -> None: ...\n"
    )
    command = [sys.executable, "-m", "statefun", "run", "app:functions", "--no-http"]
    with ended(subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("data: .statefun/statefun.db")
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "")


def test_a_reader_that_resolves_nothing(tmp_path: Path) -> None:
    """The type of all lines is checked when the ingress is made."""
    del tmp_path
    from statefun.catalog import Catalog  # noqa: PLC0415 -- one use
    from statefun.runtime._catalog import StoredCatalog  # noqa: PLC0415 -- one use
    from statefun.runtime._values import ValueProblem, Values  # noqa: PLC0415 -- one use

    with pytest.raises(ValueProblem) as caught:
        LineReader(Values(StoredCatalog.of(Catalog.of(app()))), "v3", type="Nope", fields=None)
    assert str(caught.value) == "there is no type 'Nope' (known: string)"


STREAMS = """
import asyncio, sys
from pathlib import Path
from statefun import *
from statefun._clock import WallClock
from statefun.runtime._assembly import Runtime
from statefun.runtime._driver import Driver
from statefun.module._model import RecordFields
from statefun.runtime._jsonl import LineReader, LineWriter
from statefun.runtime._retention import Retention
from statefun.runtime._sinks import StdoutSink
from statefun.runtime._sources import StdinSource

functions = StatefulFunctions()
OUT = MessageEgress[str]("t/out")


@functions.bind("t/f")
def f(context: Context, message: str) -> None:
    context.send_egress(OUT, f"{context.address.identity} {message}")


async def main() -> None:
    loop = asyncio.get_running_loop()
    with Runtime.in_process(functions, Path("data")) as runtime:
        sinks = [StdoutSink(LineWriter(runtime.values), None)]
        driver = Driver(runtime.pump, WallClock(), sinks=sinks, exit_at_end=True)
        reader = LineReader(runtime.values, "v3", type="string", fields=None)
        driver.sources.append(StdinSource(reader, ("t/f",), lambda: loop.call_soon_threadsafe(driver.wake)))
        await driver.run()


asyncio.run(main())
"""


def stream(folder: Path, text: str) -> str:
    """Read standard input to its end, and return standard output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", STREAMS],
        cwd=folder,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def test_standard_input(tmp_path: Path) -> None:
    """Standard input is read to its end; another run reads what it is given, and nothing of before."""
    assert stream(tmp_path, lines({"id": "a", "value": "x"})) == '{"type":"string","value":"a x"}\n'
    assert stream(tmp_path, lines({"id": "b", "value": "y"})) == '{"type":"string","value":"b y"}\n'


def test_standard_output(tmp_path: Path) -> None:
    """Each record is printed once it is committed, and not again by the next run."""
    assert stream(tmp_path, lines({"id": "a", "value": "x"})) == '{"type":"string","value":"a x"}\n'
    assert stream(tmp_path, "") == ""


def test_a_clock_that_jumps(tmp_path: Path) -> None:
    """A clock that is set back delays what is due, and one that is set forward delivers it: nothing is lost."""

    async def go() -> None:
        with Runtime.in_process(app(), tmp_path / "data") as runtime:
            clock = WallClock()
            driver = Driver(runtime.pump, clock)
            running = asyncio.ensure_future(driver.run())
            await driver.commit_soon()
            plan = runtime.engine.plan("t/f")
            assert plan is not None
            await driver.submit(plan, "a", argument("io.statefun.types/string", b"\x0a\x06remind", "v3"))
            clock.offset_ms = -7_200_000
            await driver.commit_soon()
            assert runtime.store.counts().delayed == 1
            clock.offset_ms = 7_200_000
            driver.wake()
            await asyncio.sleep(0.05)
            assert (runtime.store.counts().delayed, runtime.store.counts().records) == (0, 2)
            driver.stop()
            await running

    asyncio.run(asyncio.wait_for(go(), 10))


def test_what_is_due_at_the_start(tmp_path: Path) -> None:
    """A run that ends by itself first delivers what became due while nothing ran."""
    functions = StatefulFunctions()
    seen: list[str] = []

    @functions.bind("t/f")
    def f(context: Context, message: str) -> None:
        seen.append(message)
        if message == "now":
            context.send_after(timedelta(hours=1), f.at("a"), "later")

    with Runtime.in_process(functions, tmp_path) as runtime:
        plan = runtime.engine.plan("t/f")
        assert plan is not None
        runtime.engine.feed(plan, "a", argument("io.statefun.types/string", types.STRING.encode("now"), "v3"))
        asyncio.run(Driver(runtime.pump, WallClock(), exit_at_end=True).run())
    assert seen == ["now"]
    with Runtime.in_process(functions, tmp_path) as runtime:
        asyncio.run(Driver(runtime.pump, WallClock(3_600_000), exit_at_end=True).run())
    assert seen == ["now", "later"]

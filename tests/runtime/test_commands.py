"""The commands, on a runtime that is stopped and on one that runs."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from shop_pb2 import Login

from statefun import Context, MessageEgress, State, StatefulFunctions
from statefun._clock import WallClock
from statefun.cli import main
from statefun.runtime._assembly import Runtime
from statefun.runtime._control import ControlServer, is_running
from statefun.runtime._driver import Driver
from statefun.runtime._operations import Operations
from statefun.runtime._session import run_driver

OUT = MessageEgress[str]("t/out")


class Seen(State):
    """What is counted."""

    n: int = 0
    last: Login | None = None


BAD: set[str] = set()


def app() -> StatefulFunctions:
    """Return an app that counts, reminds, and fails."""
    functions = StatefulFunctions()

    @functions.bind("t/f")
    def f(context: Context[Seen], message: str | Login) -> None:
        if isinstance(message, Login):
            context.state.last = message
            return
        if message in BAD:
            raise ValueError(f"no {message}")
        context.state.n += 1
        context.send_egress(OUT, f"{context.address.identity} {message} {context.state.n}")
        if message == "remind":
            context.send_after(timedelta(hours=3), f.at(context.address.identity), "now", token="t")

    return functions


@contextmanager
def running(folder: Path) -> Generator[Driver, None, None]:
    """Let a runtime work in a folder, in a thread, until the end."""
    started = threading.Event()
    made: list[Driver] = []
    loop = asyncio.new_event_loop()

    async def go() -> None:
        with Runtime.in_process(app(), folder) as runtime:
            clock = WallClock(int(runtime.store.meta("clock offset") or 0))
            driver = Driver(runtime.pump, clock)
            operations = Operations(runtime.engine, runtime.store, runtime.values, clock)
            control = ControlServer(driver, operations, folder)
            made.append(driver)
            loop.call_later(0.05, started.set)
            await run_driver(driver, beside=[control.serve])

    thread = threading.Thread(target=loop.run_until_complete, args=[go()])
    thread.start()
    started.wait(5)
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(made[0].stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder that an app has worked in."""
    BAD.clear()
    folder = tmp_path / "data"
    with running(folder):
        send(folder, "t/f/a", '"x"', "string")
        send(folder, "t/f/b", '"remind"', "string")
        send(folder, "t/f/b", '{"userId": "u"}', "shop.Login")
    return folder


def send(folder: Path, to: str, value: str, type: str) -> None:
    """Send a message by the command."""
    assert main(["send", to, value, "--type", type, "--data", str(folder)]) == 0


class Say:
    """Runs commands and returns what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self.capsys = capsys
        self.folder = folder
        self.errors = ""

    def __call__(self, *words: str, status: int = 0) -> str:
        assert main([*words, "--data", str(self.folder)]) == status
        printed = self.capsys.readouterr()
        self.errors = printed.err
        return printed.out

    def rows(self, *words: str) -> list[dict[str, object]]:
        """Return what a command prints for programs."""
        return [json.loads(line) for line in self(*words, "--json").splitlines()]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], data: Path) -> Say:
    """Return what runs commands."""
    capsys.readouterr()
    return Say(capsys, data)


@contextmanager
def maybe_running(folder: Path, *, runs: bool) -> Generator[None, None, None]:
    """Let a runtime work in a folder, or not."""
    if not runs:
        yield
        return
    with running(folder):
        assert is_running(folder)
        yield


both = pytest.mark.parametrize("runs", [False, True], ids=["stopped", "running"])


@both
def test_state(say: Say, runs: bool) -> None:
    """States are listed, read, set and removed; what the app declares is decoded without it."""
    with maybe_running(say.folder, runs=runs):
        assert sorted(say("state", "ls").splitlines()) == [
            "function  id  state  value",
            "t/f       a   n      1",
            't/f       b   last   {"userId": "u"}',
            "t/f       b   n      1",
        ]
        assert [row["value"] for row in say.rows("state", "ls", "t/f/a")] == [1]
        assert [row["value"] for row in say.rows("state", "ls", "t/f", "a")] == [1]
        assert say("state", "get", "t/f/b", "last") == '{\n  "userId": "u"\n}\n'
        say("state", "set", "t/f/a", "n", "7")
        assert say("state", "get", "t/f/a", "n") == "7\n"
        say("state", "rm", "t/f/b")
        assert say("state", "ls", "t/f/b") == "There is no state.\n"
        assert say("state", "get", "t/f/b", "n", status=1) == "t/f/b has no state 'n'\n"
        say("state", "set", "t/f/a", "n", '"x"', status=1)
        assert say.errors == 'statefun state: "x" cannot become long: it is text, not a whole number\n'
    with running(say.folder):
        send(say.folder, "t/f/a", '"y"', "string")
    say.capsys.readouterr()
    assert say("state", "get", "t/f/a", "n") == "8\n"


@both
def test_delayed(say: Say, runs: bool) -> None:
    """Delayed messages are listed, delivered at once, and taken back."""
    with maybe_running(say.folder, runs=runs):
        (row,) = say.rows("delayed", "ls")
        assert (row["to"], row["type"], row["value"], row["token"]) == ("t/f/b", "io.statefun.types/string", "now", "t")
        say("delayed", "cancel", "99", status=1)
        assert say.errors == "statefun delayed: there is no delayed message 99\n"
        say("delayed", "fire", str(row["seq"]))
        assert say("delayed", "ls") == "No message is delayed.\n"
        say("delayed", "fire", str(row["seq"]), status=1)
    with running(say.folder):
        pass
    assert "b now 2" in say("tail", "t/out")


@both
def test_cancel(say: Say, runs: bool) -> None:
    """A delayed message that is taken back does not come."""
    with maybe_running(say.folder, runs=runs):
        say("delayed", "cancel", str(say.rows("delayed", "ls")[0]["seq"]))
        assert say("delayed", "ls") == "No message is delayed.\n"


@both
def test_time(say: Say, runs: bool) -> None:
    """Time is moved on: what becomes due is delivered, now or when the runtime runs again; the offset stays."""
    with maybe_running(say.folder, runs=runs):
        say("time", "advance", "3h")
    with running(say.folder):
        pass
    assert "b now 2" in say("tail")
    assert say("time", "now") > "2024"
    with pytest.raises(SystemExit):
        say("time", "advance", "soon")
    assert "'soon' is no duration: a number and ms, s, min, h or d" in say.capsys.readouterr().err


@both
def test_failures(say: Say, runs: bool) -> None:
    """What fails is listed, shown with its message and state, tried again, and skipped."""
    BAD.update({"bad", "worse"})
    with running(say.folder):
        send(say.folder, "t/f/a", '"bad"', "string")
        send(say.folder, "t/f/a", '"worse"', "string")
    say.capsys.readouterr()
    with maybe_running(say.folder, runs=runs):
        (row,) = say.rows("failures", "ls")
        assert (row["address"], row["error"]) == ("t/f/a", "ValueError: no bad")
        shown = say("failures", "show", "t/f/a")
        assert "error: ValueError: no bad\n" in shown
        assert '"value": "bad"' in shown
        assert '"n": 1' in shown
        assert "Traceback" in shown
        assert say.rows("failures", "show", "t/f/a")[0]["state"] == {"n": 1}
        assert say("failures", "skip", "t/f/a") == "Skipped; `statefun failures ls --skipped` lists it.\n"
        (skipped,) = say.rows("failures", "ls", "--skipped")
        assert (skipped["address"], skipped["value"]) == ("t/f/a", "bad")
        say("failures", "skip", "t/f/nobody", status=1)
        assert say.errors == "statefun failures: t/f/nobody is not failing\n"
    BAD.clear()
    with running(say.folder):
        pass
    assert say("failures", "ls") == "Nothing fails.\n"
    assert "a worse 2" in say("tail")
    assert say("failures", "show", "t/f/a", status=1) == "t/f/a is not failing\n"


@both
def test_send(say: Say, runs: bool) -> None:
    """A message is sent to a runtime that runs, or waits for the next one; one that cannot be is refused."""
    with maybe_running(say.folder, runs=runs):
        send(say.folder, "t/f/c", '"hello"', "string")
        say.capsys.readouterr()
        if not runs:
            assert [row["value"] for row in say.rows("inbox", "ls")] == ["hello"]
            assert [row["to"] for row in say.rows("inbox", "ls", "t/f/c")] == ["t/f/c"]
        say("send", "t/f/c", '"hello"', status=1)
        assert say.errors == "statefun send: say the type of the message: t/f takes string, shop.Login\n"
        say("send", "t/nobody/c", '"hello"', "--type", "string", status=1)
        assert say.errors == "statefun send: there is no function 't/nobody' (t/f)\n"
    with running(say.folder):
        pass
    assert "c hello 1" in say("tail", "-n", "1")
    assert say("inbox", "ls") == "No message waits.\n"


@both
def test_status(say: Say, runs: bool) -> None:
    """The status says how much there is, and whether a runtime works."""
    with maybe_running(say.folder, runs=runs):
        status = say.rows("status")[0]
        assert {key: status[key] for key in ("running", "states", "delayed", "failing", "wire")} == {
            "running": runs, "states": 3, "delayed": 1, "failing": 0, "wire": "v3",
        }  # fmt: skip
        assert f"{'A' if runs else 'No'} runtime works in {say.folder}" in say("status")


def test_tail(say: Say) -> None:
    """The records of an egress are shown, the newest last."""
    assert say("tail", "t/out", "-n", "1") == '     2  string  "b remind 1"\n'
    assert say.rows("tail", "-n", "1") == [
        {"seq": 2, "egress": "t/out", "type": "io.statefun.types/string", "value": "b remind 1"}
    ]


def test_doctor(say: Say) -> None:
    """The doctor says that a folder is sound, or what is not."""
    assert say("doctor").endswith(f"{say.folder} is sound.\n")


def test_reset(say: Say) -> None:
    """A reset forgets everything, but not under a runtime that works."""
    with running(say.folder):
        say("reset", status=1)
        assert say.errors.startswith("statefun reset: another runtime works in ")
    assert say("reset") == f"The data in {say.folder} is gone.\n"
    assert say("reset") == f"There is no data in {say.folder}.\n"
    say("status", status=1)
    assert say.errors == (
        f"statefun status: there is no data in {say.folder}: `statefun run` makes it, --data names another folder\n"
    )


def test_the_door_asks_for_its_token(data: Path) -> None:
    """Whoever does not know the token of the control door is let do nothing."""
    with running(data):
        file = data / "control.json"
        assert file.stat().st_mode & 0o077 == 0
        known = json.loads(file.read_text())
        file.write_text(json.dumps({**known, "token": "guessed"}))
        assert main(["send", "t/f/z", '"x"', "--type", "string", "--data", str(data)]) == 1
    assert not (data / "control.json").exists()

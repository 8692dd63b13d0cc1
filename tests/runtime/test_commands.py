"""The commands, on a runtime that is stopped and on one that runs."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from shop_pb2 import Login

from statefun import Context, MessageEgress, State, StatefulFunctions
from statefun._clock import RecordClock
from statefun.cli import main
from statefun.cli._data import Data
from statefun.runtime._assembly import DATABASE, Runtime
from statefun.runtime._control import ask, is_running
from statefun.runtime._delta import Delta
from statefun.runtime._operations import OperationError, Operations
from statefun.runtime._outbox import PREFIX, Held, Progress
from statefun.runtime._sqlite import SqliteStore
from tests.processes import ended
from tests.runtime.commands import Say, running

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


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder that an app has worked in."""
    BAD.clear()
    folder = tmp_path / "data"
    with running(folder, app()):
        send(folder, "t/f/a", '"x"', "string")
        send(folder, "t/f/b", '"remind"', "string")
        send(folder, "t/f/b", '{"userId": "u"}', "shop.Login")
        until = time.monotonic() + 60
        while (counts := Data(folder).store.counts()).states < 3 or counts.waiting:  # a send is answered before
            assert time.monotonic() < until, counts
            time.sleep(0.01)
    return folder


def send(folder: Path, to: str, value: str, type: str) -> None:
    """Send a message by the command."""
    assert main(["send", to, value, "--type", type, "--data", str(folder)]) == 0


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
    with running(folder, app()):
        assert is_running(folder)
        yield


def wait_for(say: Say, text: str) -> None:
    """Look at the records until a text is among them."""
    until = time.monotonic() + 60
    while text not in say("tail", "t/out"):
        assert time.monotonic() < until, (text, say("status"), say("inbox", "ls"), say("failures", "ls"), say("tail"))
        time.sleep(0.01)


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
    with running(say.folder, app()):
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
    with running(say.folder, app()):
        wait_for(say, "b now 2")


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
    with running(say.folder, app()):
        wait_for(say, "b now 2")
    assert say("time", "now") > "2024"
    with pytest.raises(SystemExit):
        say("time", "advance", "soon")
    assert "'soon' is no duration: a number and ms, s, min, h or d" in say.capsys.readouterr().err


@both
def test_failures(say: Say, runs: bool) -> None:
    """What fails is listed, shown with its message and state, tried again, and skipped."""
    BAD.update({"bad", "worse"})
    with running(say.folder, app()):
        send(say.folder, "t/f/a", '"bad"', "string")
        send(say.folder, "t/f/a", '"worse"', "string")
        wait_failing(say)
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
    with running(say.folder, app()):
        wait_for(say, "a worse 2")
    assert say("failures", "ls") == "Nothing fails.\n"
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
    with running(say.folder, app()):
        wait_for(say, "c hello 1")
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


def test_held(say: Say) -> None:
    """The status names an egress that waits for a decision, and the decision is done."""
    why = "Kafka takes no record 2: topic 'out', key 'k', too large"
    held = Progress(sent=1, held=Held(why="refused", text=why, upto=2))
    with contextlib.closing(SqliteStore(say.folder / DATABASE)) as store:
        store.start()
        store.commit(Delta(positions={f"{PREFIX}t/out": held.to_json()}))
    assert say.rows("status")[0]["held"] == {"t/out": why}
    assert say("status").endswith(f"\negress t/out is held: {why} (statefun egress resend|confirm t/out)\n")
    assert [row["held"] for row in say.rows("egress", "ls")] == [why]
    assert say("egress", "resend", "t/out") == ""
    noted = f"{why}; resend is noted, and done while a runtime works"
    assert [row["held"] for row in say.rows("egress", "ls")] == [noted]
    assert say.rows("status")[0]["held"] == {"t/out": noted}


def test_tail(say: Say) -> None:
    """The records of an egress are shown, the newest last."""
    assert say("tail", "t/out", "-n", "1") == '     2  string  "b remind 1"\n'
    assert say.rows("tail", "-n", "1") == [
        {"seq": 2, "egress": "t/out", "type": "io.statefun.types/string", "value": "b remind 1"}
    ]


def test_doctor(say: Say) -> None:
    """The doctor says that a folder is sound, or what is not."""
    assert say("doctor").endswith(f"{say.folder} is sound.\n")


def test_the_doctor_and_the_installation(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names another distribution that owns the import name, and a protobuf without its compiled part."""
    monkeypatch.setattr("statefun.cli.doctor.foreign_distributions", lambda: ("apache-flink-statefun",))
    monkeypatch.setattr("statefun.cli.doctor.is_pure_python", lambda: True)
    first, *rest = say("doctor", status=1).splitlines()
    assert first.endswith(" in pure Python, 8 to 12 times slower: install a wheel of it")
    name = "apache-flink-statefun"
    problem = f"the distribution {name!r} has the same import name"
    help = f"pip uninstall {name} && pip install --force-reinstall statefun"
    assert rest == [f"{problem}: {help}", f"{say.folder} is sound."]


def test_reset(say: Say) -> None:
    """A reset forgets everything, but not under a runtime that works."""
    with running(say.folder, app()):
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
    with running(data, app()):
        file = data / "control.json"
        assert file.stat().st_mode & 0o077 == 0
        known = json.loads(file.read_text())
        file.write_text(json.dumps({**known, "token": "guessed"}))
        assert main(["send", "t/f/z", '"x"', "--type", "string", "--data", str(data)]) == 1
    assert not (data / "control.json").exists()


def test_retry(say: Say) -> None:
    """A failing address is tried again when somebody asks, and heals; one that does not fail is not tried."""
    BAD.add("bad")
    with running(say.folder, app()):
        send(say.folder, "t/f/a", '"bad"', "string")
        wait_failing(say)
        BAD.clear()
        say.capsys.readouterr()
        assert say("failures", "retry", "t/f/a") == ""
        wait_for(say, "a bad 2")
    assert say("failures", "ls") == "Nothing fails.\n"
    say("failures", "retry", "t/f/a", status=1)
    assert say.errors == "statefun failures: t/f/a is not failing\n"


def wait_failing(say: Say) -> None:
    """Look at the failures until there is one."""
    until = time.monotonic() + 60
    while not say.rows("failures", "ls"):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_the_doctor_finds(say: Say) -> None:
    """The doctor names failing addresses, skipped messages, and messages for a function that is gone."""
    BAD.add("bad")
    with running(say.folder, app()):
        send(say.folder, "t/f/a", '"bad"', "string")
        wait_failing(say)
        say("failures", "skip", "t/f/a")
        send(say.folder, "t/f/b", '"bad"', "string")
        wait_failing(say)
    send(say.folder, "t/f/b", '"x"', "string")
    gone = StatefulFunctions()

    @gone.bind("t/other")
    def other(context: Context, message: str) -> None:
        del context, message

    with Runtime.in_process(gone, say.folder):
        pass  # the catalog is of this app now
    say.capsys.readouterr()
    assert say("doctor", status=1).splitlines()[1:] == [
        "1 addresses fail: `statefun failures ls` says why",
        "1 messages were skipped: `statefun failures ls --skipped`",
        "messages wait for t/f, which the app does not have",
    ]


def test_a_limit(say: Say) -> None:
    """Where a limit cuts a list off, that is said."""
    heading, row = say("state", "ls", "--limit", "1").splitlines()
    assert (heading.split(), row.split()) == (["function", "id", "state", "value"], ["t/f", "a", "n", "1"])
    assert say.errors == "(the first 1; --limit shows more)\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("send", "t/f", '"x"'), "'t/f' is not an address: <namespace>/<name>/<id>"),
        (("state", "ls", "t"), "'t' is not an address: <namespace>/<name>/<id>"),
        (("send", "t/f/a", "x"), "'x' is no JSON"),
    ],
)
def test_bad_words(say: Say, words: tuple[str, ...], reason: str) -> None:
    """A word that is no address and no JSON is refused, with what it is to be."""
    with pytest.raises(SystemExit) as ended:
        say(*words)
    assert ended.value.code == 2
    assert reason in say.capsys.readouterr().err


def test_no_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What changes data makes no folder of its own."""
    assert main(["send", "t/f/a", '"x"', "--data", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == (
        f"statefun send: there is no data in {tmp_path / 'none'}: "
        "`statefun run` makes it, --data names another folder\n"
    )
    assert not (tmp_path / "none").exists()


def test_states_by_hand(say: Say) -> None:
    """A state that no function declares needs its type; a single one is removed by its name."""
    say("state", "set", "t/f/a", "more", "1", status=1)
    assert say.errors == "statefun state: t/f declares no state 'more': say its type\n"
    say("state", "set", "t/f/a", "more", "1", "--type", "long")
    say("state", "rm", "t/f/a", "n")
    assert say.rows("state", "ls", "t/f/a") == [
        {"function": "t/f", "id": "a", "state": "more", "type": "io.statefun.types/long", "value": 1, "expires": None}
    ]


def test_follow(say: Say) -> None:
    """A tail that follows shows the records that come, until it is stopped."""
    command = [sys.executable, "-m", "statefun", "tail", "-f", "--json", "--data", str(say.folder)]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline(), process.stdout.readline()]
        with running(say.folder, app()):
            send(say.folder, "t/f/c", '"hello"', "string")
        lines.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    assert [json.loads(line)["value"] for line in lines] == ["a x 1", "b remind 1", "c hello 1"]
    assert (rest, errors, process.returncode) == ("", "", 130)


def test_operations_that_are_none(data: Path) -> None:
    """The control door answers an operation that it does not have with an error, and nothing that is no request."""
    with running(data, app()):
        with pytest.raises(OperationError, match=r"^there is no operation 'dance'$"):
            ask(data, "dance", {})
        port = json.loads((data / "control.json").read_text())["port"]
        with socket.create_connection(("127.0.0.1", port), timeout=5) as door:
            door.sendall(b"no JSON\n")
            assert door.recv(100) == b""


def test_a_door_that_does_not_answer(tmp_path: Path) -> None:
    """A runtime that hangs up is an error that names its folder."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "control.json").write_text(json.dumps({"port": server.getsockname()[1], "token": "t"}))

        def hang_up() -> None:
            door, _ = server.accept()
            door.recv(1_000)
            door.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(OperationError, match=r"^the runtime in .* does not answer: "):
            ask(tmp_path, "send", {})
        thread.join(5)


def test_time_from_records(tmp_path: Path) -> None:
    """Time that comes from the records is not moved by hand."""
    with Runtime.in_process(app(), tmp_path) as runtime:
        operations = Operations(runtime.engine, runtime.store, runtime.values, RecordClock())
        with pytest.raises(OperationError, match=r"^time comes from the records here: it cannot be moved by hand$"):
            operations.advance(1)

"""`statefun deadletters`, on a runtime that is stopped, on one that runs, and on files."""

from __future__ import annotations

import base64
import json
from contextlib import nullcontext
from datetime import datetime, timezone
from pathlib import Path

import pytest
from shop_pb2 import Login

from statefun import Address, Context, KafkaEgress, KinesisEgress, MessageEgress, StatefulFunctions
from statefun._proto.wire_v3_pb2 import ToFunction
from statefun.failures import DeadLetter, DeadLetterEgress, dead_letter
from statefun.runtime._dead_letters import Found, letters_in_file, letters_of_records
from statefun.runtime._plans import Wire
from statefun.runtime._requests import argument, headers_field
from statefun.runtime._store import RecordRow
from tests.runtime.commands import Say, running

DEAD = MessageEgress[DeadLetter]("t/dead")
BAD: set[str] = set()
SEEN: list[tuple[str, str | None]] = []


def app(egress: DeadLetterEgress | KinesisEgress[DeadLetter] = DEAD) -> StatefulFunctions:
    """Return an app whose messages fail as long as they are bad."""
    functions = StatefulFunctions(on_failure=dead_letter(egress))

    @functions.bind("t/f")
    def f(context: Context, message: str | Login) -> None:
        text = message if isinstance(message, str) else message.user_id
        if text in BAD:
            raise ValueError(f"no {text}\nat all")
        SEEN.append((text, None if context.caller is None else str(context.caller)))

    @functions.bind("t/front")
    def front(context: Context, message: str) -> None:
        context.send(f.at("by-front"), message)

    return functions


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Say:
    """Return what runs commands on a folder, on a terminal that is wide enough."""
    monkeypatch.setenv("COLUMNS", "120")
    BAD.clear()
    SEEN.clear()
    return Say(capsys, tmp_path / "data")


def fail(say: Say, tmp_path: Path, functions: StatefulFunctions | None = None, wire: Wire = "v3") -> None:
    """Let three messages fail: of an ingress, of a function, and one of protobuf."""
    BAD.update(("x", "y", "u"))
    with running(tmp_path / "data", functions or app(), wire=wire, told=5_000):
        say("send", "t/f/a", '"x"', "--type", "string")
        say("send", "t/front/1", '"y"')
        say("send", "t/f/b", '{"userId": "u"}', "--type", "shop.Login")
    BAD.clear()


def test_list(say: Say, tmp_path: Path) -> None:
    """Dead letters are listed with their address, type and error."""
    fail(say, tmp_path)
    assert [line.rstrip() for line in say("deadletters", "ls").splitlines()] == [
        "nr  at                    address       type        attempts  error             replayed",
        " 1  1970-01-01 00:00:05Z  t/f/a         string             1  ValueError: no x",
        " 2  1970-01-01 00:00:05Z  t/f/by-front  string             1  ValueError: no y",
        " 3  1970-01-01 00:00:05Z  t/f/b         shop.Login         1  ValueError: no u",
    ]
    assert say.rows("deadletters", "ls", "--limit", "1") == [
        {
            "nr": 1, "egress": "t/dead", "at": 5_000, "address": "t/f/a", "caller": None,
            "type": "io.statefun.types/string", "attempts": 1, "error": "ValueError: no x", "replayed": None,
        }
    ]  # fmt: skip
    assert [row["nr"] for row in say.rows("deadletters", "ls", "--function", "t/f")] == [1, 2, 3]
    assert say("deadletters", "ls", "--function", "t/front") == (
        f"There is no dead letter among the records of {tmp_path / 'data'}.\n"
    )
    assert say.rows("deadletters", "ls", "--egress", "t/other") == []


def test_show(say: Say, tmp_path: Path) -> None:
    """A dead letter is shown whole: its message decoded, its caller, and the traceback."""
    fail(say, tmp_path)
    shown = say("deadletters", "show", "2")
    assert shown.startswith(
        't/f/by-front failed 1 time at 1970-01-01 00:00:05Z\ncaller: t/front/1\nerror: ValueError: no y\n\nstring: "y"'
    )
    assert shown.endswith("ValueError: no y\nat all\n")
    (row,) = say.rows("deadletters", "show", "3")
    assert (row["value"], row["caller"], row["headers"], row["text"]) == ({"userId": "u"}, None, [], "no u\nat all")
    say("deadletters", "show", "9", status=1)
    assert say.errors == "statefun deadletters: there is no dead letter 9: `statefun deadletters ls` lists them\n"


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("wire", ["v2", "v3"])
def test_replay(say: Say, tmp_path: Path, wire: Wire, runs: bool) -> None:
    """A message is sent again as its caller sent it, by a runtime that runs or for the next run; and only once."""
    fail(say, tmp_path, wire=wire)
    assert say("deadletters", "replay", "--all", "--dry-run").splitlines()[0] == "1  t/f/a  would be sent"
    with running(tmp_path / "data", app(), wire=wire) if runs else nullcontext():
        assert say("deadletters", "replay", "1", "2") == "1  t/f/a  sent\n2  t/f/by-front  sent\n"
        assert say.rows("deadletters", "replay", "--all") == [
            {"nr": 1, "address": "t/f/a", "outcome": "already"},
            {"nr": 2, "address": "t/f/by-front", "outcome": "already"},
            {"nr": 3, "address": "t/f/b", "outcome": "sent"},
        ]
        assert say("deadletters", "replay", "--function", "t/f", "--dry-run").splitlines()[2] == (
            "3  t/f/b  not sent: it was sent again before; --again sends it once more"
        )
        say("deadletters", "replay", "1", "--again")
    with running(tmp_path / "data", app(), wire=wire):
        pass
    assert sorted(SEEN, key=str) == [("u", None), ("x", None), ("x", None), ("y", "t/front/1")]
    assert None not in [row["replayed"] for row in say.rows("deadletters", "ls")]
    assert "sent again at 2" in say("deadletters", "show", "1")


def test_replay_what_cannot_be(say: Say, tmp_path: Path) -> None:
    """A letter for a function that is gone is not sent, and said; the others are."""
    fail(say, tmp_path)
    other = StatefulFunctions()

    @other.bind("t/new")
    def new(context: Context, message: str) -> None: ...

    with running(tmp_path / "data", other):
        assert say("deadletters", "replay", "1", status=1) == ""
        assert say.errors == "1  t/f/a  not sent: there is no function 't/f' here\n"
    assert say.rows("deadletters", "replay", "1", "--dry-run", status=1)[0]["outcome"] == "unknown"
    say("deadletters", "replay", status=1)
    assert say.errors == (
        "statefun deadletters: say which: their numbers, as `statefun deadletters ls` prints them, or --all\n"
    )
    assert say("deadletters", "replay", "--function", "t/new") == ""
    assert say.errors == "There is no dead letter to send.\n"


@pytest.mark.parametrize(
    "egress",
    [KafkaEgress[DeadLetter]("t/dead", topic="dead"), KinesisEgress[DeadLetter]("t/dead", stream="dead")],
)
def test_records_of_other_systems(
    say: Say, tmp_path: Path, egress: KafkaEgress[DeadLetter] | KinesisEgress[DeadLetter]
) -> None:
    """A letter is found in a Kafka or Kinesis record, too."""
    fail(say, tmp_path, app(egress))
    assert [row["address"] for row in say.rows("deadletters", "ls")] == ["t/f/a", "t/f/by-front", "t/f/b"]


LETTER = DeadLetter(
    Address("t", "f", "a"), None, "io.statefun.types/string", b"\x0a\x01x", "ValueError", "no", "Traceback ...",
    time=datetime(2026, 1, 2, tzinfo=timezone.utc), headers=(("h", b"1"), ("none", None)),
)  # fmt: skip


def encoded(letter: DeadLetter) -> str:
    """Return a letter as text."""
    return DeadLetter.__statefun_type__.encode(letter).decode()


def test_a_file(say: Say, tmp_path: Path) -> None:
    """A file may hold letters as an egress writes them, or as they come out of a topic; other lines are counted."""
    file = tmp_path / "dead.jsonl"
    file.write_text(
        '{"type":"statefun.python/dead-letter","value":' + encoded(LETTER) + "}\n\n"
        '{"type":"long","value":5}\n[1]\n' + encoded(LETTER) + "\n"
        '{"value":' + encoded(LETTER._replace(error=5)) + "}\n"  # type: ignore[arg-type]  # a letter of somebody else
        '{"base64":"!"}\n'
    )
    rows = say.rows("deadletters", "ls", "--file", str(file))
    assert say.errors == f"(4 lines of {file} hold no dead letter)\n"
    assert [(row["nr"], row["at"]) for row in rows] == [(1, 1767312000000), (5, 1767312000000)]
    shown = say("deadletters", "show", "1", "--file", str(file))
    assert shown.startswith("t/f/a failed 1 time at 2026-01-02 00:00:00Z\ncaller: none, it came from an ingress\n")
    assert 'headers: [["h", "MQ=="], ["none", null]]\n' in shown
    say("deadletters", "replay", "--all", "--file", str(file), status=1)
    assert say.errors.endswith(
        f"there is no data in {tmp_path / 'data'}: `statefun run` makes it, --data names another folder\n"
    )
    with running(tmp_path / "data", app()):
        say("deadletters", "replay", "1", "--file", str(file))
    assert SEEN == [("x", None)]


def test_bad_files(say: Say, tmp_path: Path) -> None:
    """A line that is no JSON, and a file that is not there, are errors that say where."""
    file = tmp_path / "dead.jsonl"
    file.write_text("{}\nno\n")
    say("deadletters", "ls", "--file", str(file), status=1)
    assert say.errors == (
        f"statefun deadletters: {file}:2: it is no JSON: Expecting value: line 1 column 1 (char 0)\n"
        "  help: a file of dead letters is JSONL: one record a line, as a JSONL egress writes it\n"
    )
    say("deadletters", "ls", "--file", str(tmp_path / "none"), status=1)
    assert say.errors == f"statefun deadletters: {tmp_path / 'none'} cannot be read: No such file or directory\n"
    file.write_text("{}\n")
    assert say("deadletters", "ls", "--file", str(file)) == f"There is no dead letter in {file}.\n"
    say("deadletters", "ls", status=1)
    assert say.errors.startswith(f"statefun deadletters: there is no data in {tmp_path / 'data'}")


def test_headers_go_along() -> None:
    """The headers of a record are sent again with its message (v3)."""
    message = argument("a/b", b"x", "v3") + headers_field(LETTER.headers)
    read = ToFunction.Invocation().argument
    read.MergeFromString(message)
    assert (read.typename, read.value) == ("a/b", b"x")
    assert [(h.key, h.value, h.has_value) for h in read.metadata] == [("h", b"1", True), ("none", b"", False)]


def test_records_that_are_no_letters() -> None:
    """A record that only looks like a letter, or like one of Kafka, is none."""
    kafka = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
    rows = [
        RecordRow(seq=1, egress="a/b", typename="io.statefun.types/string", value=b'{"payload":1}'),
        RecordRow(seq=2, egress="a/b", typename=kafka, value=b'\xff"payload"'),
        RecordRow(seq=3, egress="a/b", typename="statefun.python/dead-letter", value=b'{"payload":1}'),
        RecordRow(seq=4, egress="a/b", typename="statefun.python/dead-letter", value=encoded(LETTER).encode()),
    ]
    assert [found.number for found in letters_of_records(rows)] == [4]


def test_bytes_in_a_line(tmp_path: Path) -> None:
    """A line may give a letter in base64."""
    file = tmp_path / "dead.jsonl"
    file.write_text(json.dumps({"base64": base64.b64encode(encoded(LETTER).encode()).decode()}) + "\n")
    assert [found.letter for found in letters_in_file(file) if isinstance(found, Found)] == [LETTER]

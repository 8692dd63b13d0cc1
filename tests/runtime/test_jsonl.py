"""Lines in and out: what is fast says what is slow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from shop_pb2 import Login

from statefun import Context, KafkaEgress, MessageEgress, StatefulFunctions
from statefun._proto.egress_pb2 import KafkaProducerRecord
from statefun.catalog import Catalog
from statefun.runtime._catalog import StoredCatalog
from statefun.runtime._jsonl import BadLine, LineReader, LineWriter
from statefun.runtime._requests import argument
from statefun.runtime._sources import FileSource, Record
from statefun.runtime._store import RecordRow
from statefun.runtime._values import Values, show_bytes

LOGIN = "type.googleapis.com/shop.Login"
KAFKA = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
ADA = Login(user_id="ada").SerializeToString()


def values() -> Values:
    """Return the values of an app that takes and writes a message."""
    functions = StatefulFunctions()

    @functions.bind("t/f")
    def f(context: Context, message: Login | str) -> None:
        del context, message

    functions.uses(KafkaEgress[Login]("t/logins", topic="logins"), MessageEgress[str]("t/texts"))
    return Values(StoredCatalog.of(Catalog.of(functions)))


# --- in ---


@pytest.mark.parametrize("type", ["shop.Login", None])
@pytest.mark.parametrize(
    "line",
    [
        {"id": "a", "value": {"userId": "ada"}},
        {"id": "a", "value": {"userId": "ada"}, "time": None},
        {"value": {"user_id": "ada"}, "id": "a", "key": "k"},
    ],
)
def test_a_line(type: str | None, line: dict[str, object]) -> None:
    """A line is a message of the type of all lines, or of its own."""
    read = LineReader(values(), "v3", type=type, fields=None).read
    data = json.dumps(line if type else {**line, "type": "shop.Login"}).encode()
    for spelled in (data, b" " + data, data + b"\r"):
        assert read(spelled) == ("a", argument(LOGIN, ADA, "v3"), None)


def test_an_empty_value() -> None:
    """A message without a field set has no bytes."""
    read = LineReader(values(), "v3", type="shop.Login", fields=None).read
    assert read(b'{"id": "a", "value": {}}') == ("a", argument(LOGIN, b"", "v3"), None)


def test_two_members_that_are_not_those() -> None:
    """A line of two members may be without an id, and without a value."""
    read = LineReader(values(), "v3", type="shop.Login", fields=None).read
    with pytest.raises(BadLine, match=r"^its 'id' is to be the id, and is null$"):
        read(b'{"key": "a", "value": {}}')
    with pytest.raises(BadLine, match=r"^null cannot become shop.Login: it is null, not an object$"):
        read(b'{"id": "a", "time": 5}')


# --- by groups ---


def source(path: Path, position: str | None = None, *, follow: bool = False) -> FileSource:
    """Return a file that is read."""
    found = FileSource(path, LineReader(values(), "v3", type="string", fields=None), ("t/f",), follow=follow)
    found.open(position)
    return found


def by_peek(made: FileSource, most: int) -> list[Record]:
    """Take up to so many records one by one."""
    found: list[Record] = []
    while len(found) < most and (record := made.peek()) is not None:
        found.append(record)
        made.take()
    return found


def by_read(made: FileSource, most: int) -> list[Record]:
    """Take them at once, when the next was looked at."""
    made.peek()
    return made.read(most)


@pytest.mark.parametrize("take", [by_peek, by_read])
@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_positions(tmp_path: Path, most: int, take: Callable[[FileSource, int], list[Record]]) -> None:
    """After each group of records the position is behind its last line, however many are taken at once."""
    path = tmp_path / "in.jsonl"
    made = ['{"id": "ü", "value": "x"}', "", '{"id": "b", "value": "y"}', " \t", '{"id": "c", "value": "z"}']
    path.write_text("\n".join(made))
    first = source(path)
    ids: list[str] = []
    while group := take(first, most):
        ids += [id for id, _, _ in group]
        position = first.position()
        assert position is not None
        known = json.loads(position)
        before = path.read_bytes()[: known["offset"]]
        assert [line for line in ("ü", "b", "c") if f'"id": "{line}"'.encode() in before] == ids
        assert known["line"] == before.count(b"\n") + (len(ids) == 3)
        second = source(path, position)
        assert [id for id, _, _ in second.read(100)] == ["ü", "b", "c"][len(ids) :]
        second.close()
    assert ids == ["ü", "b", "c"]
    assert first.ended
    first.close()


def test_a_line_that_is_still_written(tmp_path: Path) -> None:
    """A followed file's last line is read when it has its end."""
    path = tmp_path / "in.jsonl"
    path.write_text('{"id": "a", "value": "x"}\n{"id": "b", ')
    made = source(path, follow=True)
    assert [id for id, _, _ in made.read(5)] == ["a"]
    assert made.read(5) == []
    with path.open("a") as file:
        file.write('"value": "y"}\n')
    assert [id for id, _, _ in made.read(5)] == ["b"]
    assert not made.ended
    made.close()


def test_a_bad_line_in_a_group(tmp_path: Path) -> None:
    """A bad line is named by its number, and nothing of its group is taken."""
    path = tmp_path / "in.jsonl"
    path.write_text('{"id": "a", "value": "x"}\n\n[1\n')
    made = source(path)
    for _ in range(2):
        with pytest.raises(BadLine) as caught:
            made.read(5)
        text = "it is no JSON: Expecting ',' delimiter: line 1 column 3 (char 2)"
        assert str(caught.value) == f"{path}:3: {text}"
    position = made.position()
    assert position is not None
    assert json.loads(position)["offset"] == 0
    made.close()


# --- out ---


def record(egress: str, typename: str, data: bytes) -> str:
    """Write a record twice, as its writer is made with the first, and return the line."""
    row = RecordRow(1, egress, typename, data)
    line, again, end = LineWriter(values()).lines([row, row]).decode().split("\n")
    assert (again, end) == (line, "")
    return line


def kafka(**fields: object) -> bytes:
    """Return a record of Kafka with a message in it."""
    return KafkaProducerRecord(topic='"logins"', value_bytes=ADA, **fields).SerializeToString()  # type: ignore[arg-type]  # a test's


def test_a_message() -> None:
    """A record is its type and its value."""
    assert record("t/x", LOGIN, ADA) == '{"type":"shop.Login","value":{"userId":"ada"}}'
    assert record("t/x", "io.statefun.types/string", b"\x0a\x02\xc3\xbc") == '{"type":"string","value":"ü"}'


def test_a_kafka_record() -> None:
    """A Kafka record is its topic, key, headers and value, as much as there is of it."""
    assert record("t/logins", KAFKA, kafka()) == '{"topic":"\\"logins\\"","value":{"userId":"ada"}}'
    assert record("t/logins", KAFKA, kafka(key="k")) == '{"topic":"\\"logins\\"","key":"k","value":{"userId":"ada"}}'
    header = KafkaProducerRecord.Header(key="h", value=b"v", has_value=True)
    line = '{"topic":"\\"logins\\"","headers":[["h","v"]],"value":{"userId":"ada"}}'
    assert record("t/logins", KAFKA, kafka(headers=[header])) == line


def test_a_kafka_record_of_an_unknown_value() -> None:
    """What the app does not say of an egress is shown as well as it can be."""
    line = {"topic": '"logins"', "value": show_bytes(ADA)}
    assert json.loads(record("t/others", KAFKA, kafka())) == line


def test_bytes_that_are_not_of_their_type() -> None:
    """Bytes that their type cannot read are shown as those of an unknown one are."""
    assert record("t/x", LOGIN, b"\xff") == '{"type":"shop.Login","value":{"base64":"/w=="}}'
    data = KafkaProducerRecord(topic="t", value_bytes=b"\xff").SerializeToString()
    assert record("t/logins", KAFKA, data) == '{"topic":"t","value":{"base64":"/w=="}}'
    assert (
        record("t/logins", KAFKA, b"\xff")
        == '{"type":"io.statefun.sdk.egress.KafkaProducerRecord","value":{"base64":"/w=="}}'
    )

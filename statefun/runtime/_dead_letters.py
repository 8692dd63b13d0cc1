"""Dead letters where they were left: among the records of a runtime, and in the lines of a file.

Here: `Found`, a dead letter and where it is, and what finds them. A record may hold one as it is or as the value of a
Kafka or Kinesis record; a line, as the egress to a file writes it, or as the value itself, which is what comes out of
a topic. How one is sent again is in `_operations`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from google.protobuf.message import DecodeError

from statefun._proto.egress_pb2 import KafkaProducerRecord, KinesisEgressRecord
from statefun.errors import PeerError, with_help
from statefun.failures import DeadLetter
from statefun.runtime._store import RecordRow

__all__ = ["REPLAYED", "Found", "LetterError", "letters_in_file", "letters_of_records"]

REPLAYED = "replayed "
"""Before the key of a letter that was sent again, in the positions of a store."""
_TYPE = DeadLetter.__statefun_type__
_MARK = b'"payload"'
_RECORDS: dict[str, type[KafkaProducerRecord | KinesisEgressRecord]] = {
    "KafkaProducerRecord": KafkaProducerRecord,
    "KinesisEgressRecord": KinesisEgressRecord,
}


class LetterError(PeerError, ValueError):
    """A file of dead letters cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A dead letter, and where it was found."""

    number: int
    """The number of the record, or of the line."""
    egress: str
    """What it left through; "" in a file."""
    letter: DeadLetter

    @property
    def key(self) -> str:
        """What tells it from others, wherever its file lies."""
        return f"{self.number} {hashlib.sha256(_TYPE.encode(self.letter)).hexdigest()[:24]}"


def letters_of_records(rows: Iterable[RecordRow]) -> Iterator[Found]:
    """Find the dead letters among records."""
    for row in rows:
        letter = _of_record(row.typename, row.value)
        if letter is not None:
            yield Found(number=row.seq, egress=row.egress, letter=letter)


def letters_in_file(path: Path) -> Iterator[Found | int]:
    """Find the dead letters of a file; a line that holds none is given as its number.

    Raises LetterError for a file that cannot be read and a line that is no JSON.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    letter = _of_line(path, number, line)
                    yield number if letter is None else Found(number=number, egress="", letter=letter)
    except OSError as error:
        raise LetterError(f"{path} cannot be read: {error.strerror}") from error


def _of_record(typename: str, value: bytes) -> DeadLetter | None:
    if _MARK not in value:
        return None
    if typename == _TYPE.typename:
        return _read(value)
    record = _RECORDS.get(typename.rpartition("/")[2].rpartition(".")[2])
    try:
        return None if record is None else _read(record.FromString(value).value_bytes)
    except (DecodeError, UnicodeDecodeError):  # the latter in pure Python
        return None


def _of_line(path: Path, number: int, line: bytes) -> DeadLetter | None:
    try:
        record: object = json.loads(line)
    except ValueError as error:
        help = "a file of dead letters is JSONL: one record a line, as a JSONL egress writes it"
        raise LetterError(with_help(f"{path}:{number}: it is no JSON: {error}", help)) from error
    if not isinstance(record, dict):
        return None
    fields = cast("dict[str, object]", record)
    encoded = fields.get("base64")
    if isinstance(encoded, str):
        try:
            return _read(base64.b64decode(encoded, validate=True))
        except ValueError:
            return None
    value = fields if "payload" in fields else fields.get("value")
    return _read(json.dumps(value).encode()) if isinstance(value, dict) else None


def _read(data: bytes) -> DeadLetter | None:
    """Read a dead letter; None for what is none, as other records of the same egress may be."""
    try:
        letter = _TYPE.decode(data)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    texts: tuple[object, ...] = (*letter.address, *(letter.caller or ()), letter.typename, letter.error, letter.text)
    return None if any(text.__class__ is not str for text in texts) else letter

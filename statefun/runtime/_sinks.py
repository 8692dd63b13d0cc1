"""Egresses that write: JSONL files, exactly once, and standard output.

Here: `Sink`, what the driver needs of one. A record is in the store when a sink gets it. How long the file was is
written down in the next commit; at a start the file is cut to that length, and what the store holds beyond is written
again: so a crash at any point neither loses nor doubles a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol, cast

from statefun.errors import ConfigError, with_help
from statefun.runtime._jsonl import LineWriter
from statefun.runtime._store import RecordRow

__all__ = ["FileSink", "Sink", "SinkError", "StdoutSink"]


class SinkError(ConfigError):
    """An egress cannot be written."""


class Sink(Protocol):
    """An egress that the driver hands committed records to."""

    name: str
    egress: str | None
    """Whose records it gets; None: all."""

    def open(self, position: str | None) -> int:
        """Begin, and return the last record that was written for good. Raises SinkError."""
        ...

    def write(self, rows: Sequence[RecordRow]) -> None:
        """Write records. Raises SinkError."""
        ...

    def position(self) -> str | None:
        """Return what is to be written down; None if it has nothing to remember."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class FileSink:
    """A JSONL file that gets every record once."""

    def __init__(self, path: Path, writer: LineWriter, egress: str | None) -> None:
        self.name = f"jsonl:{path}"
        self.egress = egress
        self.path = path
        self._writer = writer
        self._file: IO[bytes] | None = None
        self._seq = 0
        self._length = 0

    def open(self, position: str | None) -> int:
        """Cut the file to what was written for good."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab")
        except OSError as error:
            raise SinkError(f"{self.path} cannot be written: {error.strerror}") from error
        size = self._file.seek(0, os.SEEK_END)
        last = cast("dict[str, int]", json.loads(position)) if position else {"seq": 0, "length": size}
        if size < last["length"]:
            help = "put the old file back, or give the egress another one"
            raise SinkError(with_help(f"{self.path} is shorter than what was written to it", help))
        if position and size > last["length"]:
            self._file.truncate(last["length"])
        self._seq, self._length = last["seq"], last["length"]
        return self._seq

    def write(self, rows: Sequence[RecordRow]) -> None:
        """Append lines, to the disk."""
        assert self._file is not None
        data = self._writer.lines(rows)
        try:
            self._file.write(data)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            help = "make room and start again: the records are kept"
            raise SinkError(with_help(f"{self.path} cannot be written: {error.strerror}", help)) from error
        self._length += len(data)
        self._seq = rows[-1].seq

    def position(self) -> str | None:
        """Return the last record and the length of the file."""
        return json.dumps({"seq": self._seq, "length": self._length})

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # what a full disk did not take is in the store, and comes again
                self._file.close()


class StdoutSink:
    """Standard output: what was committed and not yet printed when the process is killed is not printed."""

    def __init__(self, writer: LineWriter, egress: str | None, stream: IO[str] | None = None) -> None:
        self.name = f"stdout:{egress or ''}"
        self.egress = egress
        self._writer = writer
        self._stream = stream or sys.stdout

    def open(self, position: str | None) -> int:  # noqa: ARG002 -- it has none
        """Begin with what is to come."""
        return sys.maxsize

    def write(self, rows: Sequence[RecordRow]) -> None:
        """Print records."""
        self._stream.write(self._writer.lines(rows).decode())
        self._stream.flush()

    def position(self) -> str | None:
        """Return nothing."""
        return None

    def close(self) -> None:
        """Leave it open."""

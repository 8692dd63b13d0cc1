"""Ingresses that are read: JSONL files and standard input.

Here: `Source`, what the driver needs of one, and its two kinds. A file's position is an offset and a hash of all that
went before it, so that another file under the same name is noticed.
"""

from __future__ import annotations

import hashlib
import json
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Protocol, cast

from statefun.errors import ConfigError, with_help
from statefun.runtime._jsonl import BadLine, LineReader

__all__ = ["FileSource", "Record", "Source", "SourceError", "StdinSource", "read_by_one"]

Record = tuple[str, bytes, "int | None"]
"""An id, an encoded argument, and a time."""
_CHUNK = 1 << 20
_LONGEST_LINE = 64 << 20


class SourceError(ConfigError):
    """An ingress cannot be read."""


class Source(Protocol):
    """An ingress that the driver reads when it has room."""

    name: str
    targets: tuple[str, ...]

    def open(self, position: str | None) -> None:
        """Begin, where the last run ended. Raises SourceError."""
        ...

    def peek(self) -> Record | None:
        """Return the next record without taking it; None if there is none now. Raises BadLine, SourceError."""
        ...

    def take(self) -> None:
        """Take the record that `peek` returned."""
        ...

    def read(self, most: int) -> Sequence[Record]:
        """Take up to so many records; none if there are none now. Raises BadLine, SourceError."""
        ...

    def position(self) -> str | None:
        """Return how far records were taken; None where nothing can be resumed."""
        ...

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""
        ...

    def progress(self) -> tuple[int, int]:
        """Return how much was read, and of how much (0: unknown)."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def read_by_one(source: Source, most: int) -> list[Record]:
    """Take up to so many records, where no cheaper way is known."""
    found: list[Record] = []
    while len(found) < most and (record := source.peek()) is not None:
        found.append(record)
        source.take()
    return found


class FileSource:
    """A JSONL file, to its end or on and on."""

    def __init__(self, path: Path, reader: LineReader, targets: tuple[str, ...], *, follow: bool = False) -> None:
        self.name: str = f"jsonl:{path}"
        self.targets = targets
        self.path = path
        self._reader = reader
        self._follow = follow
        self._file: IO[bytes] | None = None
        self._buffer = b""
        self._lines: list[bytes] = []  # of the buffer: cut once, as a search and a slice for each line cost more
        self._taken = 0  # of these
        self._at = 0  # in the buffer: the next line
        self._hashed = 0  # in the buffer: up to here it is in the hash
        self._base = 0  # in the file: where the buffer begins
        self._line = 0
        self._hash = hashlib.blake2b(digest_size=16)
        self._next: Record | None = None
        self._at_end = False

    def open(self, position: str | None) -> None:
        """Begin where the last run ended. Raises SourceError if the file is not the one it was."""
        try:
            self._file = self.path.open("rb")
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror}") from error
        if position is None:
            return
        last = cast("dict[str, int | str]", json.loads(position))
        offset, left = int(last["offset"]), int(last["offset"])
        while left and (part := self._file.read(min(_CHUNK, left))):
            self._hash.update(part)
            left -= len(part)
        if left or self._hash.hexdigest() != last["hash"]:
            what = "is shorter than what was read of it" if left else "is not the file that was read"
            help = "put the old file back and append to it, or give the new one another name"
            raise SourceError(with_help(f"{self.path} {what} ({offset} bytes)", help))
        self._base, self._line = offset, int(last["line"])

    def peek(self) -> Record | None:
        """Return the next record without taking it."""
        while self._next is None and self._has_lines():
            lines = self._lines[self._taken : self._taken + 1]
            found = self._parse(lines)
            if found:
                self._next = found[0]
            else:
                self._pass(lines)
        return self._next

    def take(self) -> None:
        """Take the record that `peek` returned."""
        assert self._next is not None
        self._next = None
        self._pass(self._lines[self._taken : self._taken + 1])

    def read(self, most: int) -> list[Record]:
        """Take up to so many records: their lines are counted and passed together, not one by one."""
        found: list[Record] = []
        self._next = None  # what was looked at is not taken, and comes again
        while len(found) < most and self._has_lines():
            lines = self._lines[self._taken : self._taken + most - len(found)]
            found += self._parse(lines)
            self._pass(lines)
        return found

    def _parse(self, lines: list[bytes]) -> list[Record]:
        """Return the records of the next lines; a blank one has none. Raises BadLine."""
        found: list[Record] = []
        read = self._reader.read
        for number, line in enumerate(lines, self._line + 1):
            try:
                found.append(read(line))
            except BadLine as error:  # noqa: PERF203 -- a call for each line costs more
                if line.strip():
                    raise BadLine(f"{self.path}:{number}: {error}") from error
        return found

    def _pass(self, lines: list[bytes]) -> None:
        """Go on behind the next lines."""
        self._taken += len(lines)
        self._line += len(lines)
        end = self._at + sum(map(len, lines)) + len(lines)
        self._at = min(end, len(self._buffer))  # the last line of a file may have no newline

    def _has_lines(self) -> bool:
        """Tell whether there is a line, when more was read if need be."""
        while self._taken == len(self._lines):
            if not (self._fill() or self._cut_rest()):
                return False
        return True

    def _cut_rest(self) -> bool:
        """Let the last line of a file be one without its newline; tell whether there is any."""
        rest = self._buffer[self._at :]
        if not rest or self._follow:
            return False
        self._lines = [rest]
        self._taken = 0
        return True

    def _fill(self) -> bool:
        """Read on, when all lines were taken; tell whether there was anything."""
        assert self._file is not None
        if len(self._buffer) - self._at > _LONGEST_LINE:
            raise BadLine(f"{self.path}:{self._line + 1}: the line is longer than {_LONGEST_LINE >> 20} MiB")
        part = self._file.read(_CHUNK)
        self._at_end = not part
        if not part:
            return False
        self._hash.update(self._buffer[self._hashed : self._at])
        self._base += self._at
        self._buffer = self._buffer[self._at :] + part
        self._at = self._hashed = self._taken = 0
        self._lines = self._buffer.split(b"\n")
        self._lines.pop()  # the begin of a line that is still to be read
        return True

    def position(self) -> str | None:
        """Return how far records were taken."""
        self._hash.update(self._buffer[self._hashed : self._at])
        self._hashed = self._at
        return json.dumps({"offset": self._base + self._at, "line": self._line, "hash": self._hash.hexdigest()})

    @property
    def ended(self) -> bool:
        """Whether all of it was taken, and nothing more is waited for."""
        return self._at_end and not self._follow and self._next is None and self._at == len(self._buffer)

    def progress(self) -> tuple[int, int]:
        """Return how many bytes were read, and of how many."""
        return self._base + self._at, self.path.stat().st_size

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class StdinSource:
    """Standard input. What was read of it in another run cannot be read again: it has no position."""

    def __init__(self, reader: LineReader, targets: tuple[str, ...], wake: Callable[[], None]) -> None:
        self.name = "stdin"
        self.targets = targets
        self._reader = reader
        self._wake = wake
        self._lines: queue.Queue[bytes | None] = queue.Queue(10_000)
        self._next: Record | None = None
        self._count = 0
        self._ended = False

    def open(self, position: str | None) -> None:  # noqa: ARG002 -- it has none
        """Begin to read, in a thread: reading blocks."""
        threading.Thread(target=self._read, daemon=True, name="statefun-stdin").start()

    def _read(self) -> None:
        for line in sys.stdin.buffer:
            self._lines.put(line)
            self._wake()
        self._lines.put(None)
        self._wake()

    def peek(self) -> Record | None:
        """Return the next record without taking it."""
        while self._next is None and not self._ended:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return None
            self._count += 1
            if line is None:
                self._ended = True
            elif line.strip():
                try:
                    self._next = self._reader.read(line)
                except BadLine as error:
                    raise BadLine(f"standard input, line {self._count}: {error}") from error
        return self._next

    def take(self) -> None:
        """Take the record that `peek` returned."""
        self._next = None

    def read(self, most: int) -> list[Record]:
        """Take up to so many records."""
        return read_by_one(self, most)

    def position(self) -> str | None:
        """Return nothing."""
        return None

    @property
    def ended(self) -> bool:
        """Whether its end was reached."""
        return self._ended and self._next is None

    def progress(self) -> tuple[int, int]:
        """Return how many lines were read."""
        return self._count, 0

    def close(self) -> None:
        """Leave it to the end of the process."""

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
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol, cast

from statefun.errors import ConfigError, with_help
from statefun.runtime._jsonl import BadLine, LineReader

__all__ = ["FileSource", "Record", "Source", "SourceError", "StdinSource"]

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
        self._at = 0  # in the buffer: the next line
        self._hashed = 0  # in the buffer: up to here it is in the hash
        self._base = 0  # in the file: where the buffer begins
        self._line = 0
        self._hash = hashlib.blake2b(digest_size=16)
        self._next: tuple[Record, int] | None = None
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
        while self._next is None:
            found = self._next_line()
            if found is None:
                return None
            line, after = found
            if line.strip():
                try:
                    self._next = self._reader.read(line), after
                except BadLine as error:
                    raise BadLine(f"{self.path}:{self._line + 1}: {error}") from error
            else:
                self._at = after
                self._line += 1
        return self._next[0]

    def take(self) -> None:
        """Take the record that `peek` returned."""
        assert self._next is not None
        self._at = self._next[1]
        self._line += 1
        self._next = None

    def _next_line(self) -> tuple[bytes, int] | None:
        end = self._buffer.find(b"\n", self._at)
        while end < 0 and self._fill():
            end = self._buffer.find(b"\n", self._at)
        if end >= 0:
            return self._buffer[self._at : end], end + 1
        rest = self._buffer[self._at :]
        if rest and not self._follow:
            return rest, len(self._buffer)
        return None

    def _fill(self) -> bool:
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
        self._at = self._hashed = 0
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

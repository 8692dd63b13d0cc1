"""One runtime a folder: a lock that dies with its process.

Here: `lock_folder`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO

from statefun.errors import with_help
from statefun.runtime._store import StoreError

__all__ = ["lock_folder"]


def lock_folder(folder: Path) -> IO[str]:
    """Take the lock of a data folder, until the file that is returned is closed. Raises StoreError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise StoreError(f"the data folder {folder} cannot be used: {error.strerror or error}") from error
    try:
        _lock(file)
    except OSError:
        file.close()
        help = "stop that one, or name another folder with --data"
        raise StoreError(with_help(f"another runtime works in {folder}", help)) from None
    return file


def _lock(file: IO[str]) -> None:
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 -- there is none elsewhere

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # noqa: PLC0415 -- there is none on Windows

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

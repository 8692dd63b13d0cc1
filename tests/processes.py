"""Processes of a test: none outlives it, however it ends."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Generator
from typing import AnyStr

__all__ = ["ended"]


@contextlib.contextmanager
def ended(process: subprocess.Popen[AnyStr]) -> Generator[subprocess.Popen[AnyStr]]:
    """Kill a process at the end of the block, if it still runs."""
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()

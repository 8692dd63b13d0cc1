"""The statements of the store, by name.

Here: the reader of `sql/queries.sql`, in which each statement has a name and a sentence, and of the schemas.
"""

from __future__ import annotations

import functools
from importlib import resources

__all__ = ["schema", "statements"]


@functools.cache
def statements() -> dict[str, str]:
    """Return every statement by its name."""
    found: dict[str, str] = {}
    for block in _read("queries.sql").split("\n\n")[1:]:
        heading, _, statement = block.strip().partition("\n")
        name = heading.removeprefix("-- ").partition(":")[0]
        found[name] = statement.strip()
    return found


def schema(version: int) -> str:
    """Return the script that brings a file from the version before to this one."""
    return _read(f"schema_{version}.sql")


def _read(name: str) -> str:
    return (resources.files(__package__ or "statefun.runtime") / "sql" / name).read_text(encoding="utf-8")

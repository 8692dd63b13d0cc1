"""The runtimes that read a module.yaml, and the formats they read.

Here: their names, their order, and which of them reads which format. What differs between them in a key stands beside
that key.
"""

from __future__ import annotations

from typing import Literal, get_args

__all__ = [
    "COMPONENTS",
    "EMBEDDED",
    "FORMATS",
    "RUNTIMES",
    "Format",
    "Runtime",
    "default_runtime",
    "readers",
    "reads",
    "since",
    "to_format",
]

Runtime = Literal["2.0", "2.1", "2.2", "3.0", "3.1", "3.2", "3.3", "kzm", "embedded"]
"""A release of Apache StateFun; kzm: its continuation for Flink 2; embedded: the runtime of this SDK."""
Version = Literal["1.0", "2.0", "3.0"]
"""What a file may say after `version:`."""
Format = Literal["1.0", "2.0", "3.0", "components"]
"""What a file says after `version:`; components: documents of kind and spec, since 3.1."""

RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)
FORMATS: tuple[Format, ...] = get_args(Format)
EMBEDDED = frozenset[Runtime](("embedded",))
"""Of keys and kinds that only the runtime of this SDK knows."""
COMPONENTS = frozenset[Runtime](("3.1", "3.2", "3.3", "kzm", "embedded"))
"""Those that read components."""

_READS: dict[Format, frozenset[Runtime]] = {
    "1.0": frozenset(("2.0", "2.1", "2.2", "embedded")),
    "2.0": frozenset(("2.1", "2.2", "embedded")),
    "3.0": frozenset(("3.0", *COMPONENTS)),
    "components": COMPONENTS,
}


def since(first: Runtime) -> frozenset[Runtime]:
    """Return a runtime and all later ones."""
    return frozenset(RUNTIMES[RUNTIMES.index(first) :])


def reads(runtime: Runtime, format: Format) -> bool:
    """Tell whether a runtime reads a format."""
    return runtime in _READS[format]


def readers(format: Format) -> str:
    """Write which runtimes read a format."""
    return ", ".join(runtime for runtime in RUNTIMES if runtime in _READS[format])


def to_format(version: str) -> Format | None:
    """Return the format of a file with this version."""
    return next((known for known in FORMATS if known == version and known != "components"), None)


def default_runtime(format: Format) -> Runtime:
    """Return the newest Apache release that reads a format: whose rules hold where nobody names a runtime."""
    return "2.2" if format in ("1.0", "2.0") else "3.3"

"""module.yaml: what it says, what is wrong with it, and how it fits an app.

`read` takes a file of any format that any runtime reads, and gives a frozen `Module` or a `ModuleError` that holds all
faults. Here: re-exports only.
"""

from __future__ import annotations

from statefun.findings import Finding, ModuleError, Severity
from statefun.module._check import Report, check, require
from statefun.module._model import Module
from statefun.module._read import read, read_text
from statefun.module._runtimes import FORMATS, RUNTIMES, Format, Runtime
from statefun.module._schema import json_schema
from statefun.module._update import update
from statefun.module._write import generate

__all__ = [
    "FORMATS",
    "RUNTIMES",
    "Finding",
    "Format",
    "Module",
    "ModuleError",
    "Report",
    "Runtime",
    "Severity",
    "check",
    "generate",
    "json_schema",
    "read",
    "read_text",
    "require",
    "update",
]

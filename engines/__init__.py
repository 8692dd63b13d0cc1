"""The real runtimes and a real broker, from Maven Central's jars, on this machine: `python -m engines --help`.

Here: fetching, starting and stopping them, for the tests in tests/engines and for whoever wants to try an app on one.
Each engine is a folder: what it is made of (pom.xml), how it is set (conf) and what one should know (README.md).
Nothing here is part of the package `statefun`, or imports it. Only names of the modules below are here.
"""

from __future__ import annotations

from engines.broker import Broker
from engines.errors import EngineError
from engines.flink import Job, JobOptions, newest_checkpoint, refusal
from engines.jars import ENGINES, cache, fetch, missing_tools
from engines.processes import free_port

__all__ = [
    "ENGINES",
    "Broker",
    "EngineError",
    "Job",
    "JobOptions",
    "cache",
    "fetch",
    "free_port",
    "missing_tools",
    "newest_checkpoint",
    "refusal",
]

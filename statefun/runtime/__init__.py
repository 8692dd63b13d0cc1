"""The embedded runtime: what a cluster does for an app, in one process and one SQLite file.

Here: an engine without I/O or clock, the stores behind it, and the driver that gives it both. It speaks to functions in
the bytes of the request-reply protocol alone, and knows nothing of how they are written: `_turn` is never seen here.
"""

from __future__ import annotations

from statefun._clock import Clock as Clock
from statefun._clock import RecordClock as RecordClock
from statefun._clock import VirtualClock as VirtualClock
from statefun._clock import WallClock as WallClock
from statefun.module._model import RecordFields as RecordFields
from statefun.runtime._assembly import Runtime as Runtime
from statefun.runtime._driver import Driver as Driver
from statefun.runtime._session import run_driver as run_driver
from statefun.runtime._table import table as table

__all__ = [
    "Clock",
    "Driver",
    "RecordClock",
    "RecordFields",
    "Runtime",
    "VirtualClock",
    "WallClock",
    "run_driver",
    "table",
]

"""The test kit: functions of an app called without a cluster, a server or Docker.

Only names of the modules below are here; each is documented where it is defined. Production code never imports this.
"""

from __future__ import annotations

from statefun.testing._context import (
    Delayed,
    Egressed,
    Egresses,
    MakeContext,
    Messages,
    RecordingContext,
    Sent,
    context,
)
from statefun.testing._decode import Found
from statefun.testing._faults import Faults
from statefun.testing._harness import Harness, MakeHarness
from statefun.testing._machine import HarnessError
from statefun.testing._records import Record
from statefun.testing._replay import Difference, replay
from statefun.testing._show import compare, show

__all__ = [
    "Delayed",
    "Difference",
    "Egressed",
    "Egresses",
    "Faults",
    "Found",
    "Harness",
    "HarnessError",
    "MakeContext",
    "MakeHarness",
    "Messages",
    "Record",
    "RecordingContext",
    "Sent",
    "compare",
    "context",
    "replay",
    "show",
]

"""The test kit: functions of an app called without a cluster, a server or Docker.

Only names of the modules below are here; each is documented where it is defined. Production code never imports this.
"""

from __future__ import annotations

from statefun.testing._context import Delayed, Egressed, Egresses, Messages, RecordingContext, Sent, context
from statefun.testing._replay import Difference, replay

__all__ = [
    "Delayed",
    "Difference",
    "Egressed",
    "Egresses",
    "Messages",
    "RecordingContext",
    "Sent",
    "context",
    "replay",
]

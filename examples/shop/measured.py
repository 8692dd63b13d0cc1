"""The shop as an ASGI app that is measured: `uvicorn measured:app`, in this folder (extras `serve` and `otel`).

`statefun serve shop:functions --metrics 9100` is the same for Prometheus. Here the numbers go wherever OpenTelemetry's
SDK is set up to send them, before this module is imported.
"""

from __future__ import annotations

from shop import functions

from statefun.metrics import MeasuredHandler
from statefun.serving import AsgiDoor

app = AsgiDoor(MeasuredHandler(functions))

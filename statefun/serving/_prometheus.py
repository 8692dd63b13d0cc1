"""What Prometheus asks: a meter whose numbers it reads, and the port where it does.

Here: OpenTelemetry's SDK and its Prometheus exporter (the extra [otel]). Which numbers there are is said in `metrics`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING

from statefun.errors import ConfigError, with_help

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

__all__ = ["prometheus_endpoint", "prometheus_meter"]

_HOST = "127.0.0.1"


def prometheus_meter() -> Meter:
    """Return a meter that Prometheus' registry of this process shows. Raises ConfigError without the extra."""
    try:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader  # noqa: PLC0415 -- the extra
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 -- the extra
    except ImportError as error:
        msg = with_help(
            "--metrics needs opentelemetry-exporter-prometheus, which is not installed", "pip install 'statefun[otel]'"
        )
        raise ConfigError(msg) from error
    return MeterProvider(metric_readers=[PrometheusMetricReader()], shutdown_on_exit=False).get_meter("statefun")


@contextlib.contextmanager
def prometheus_endpoint(port: int) -> Generator[int]:
    """Answer on a port of loopback while it lasts, from a thread; give the port. Raises ConfigError."""
    from prometheus_client import start_http_server  # noqa: PLC0415 -- the extra, which is there: there is a meter

    try:
        server, thread = start_http_server(port, _HOST)
    except (OSError, OverflowError) as error:
        msg = with_help(f"metrics cannot be shown on {_HOST}:{port}: {error}", "try another --metrics")
        raise ConfigError(msg) from error
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

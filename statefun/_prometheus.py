"""What Prometheus reads: OpenTelemetry's provider of this process, on a port of its own.

Here: making the one and opening the other. What is counted is the affair of `statefun.metrics`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from statefun._http import require
from statefun.errors import ConfigError, with_help

__all__ = ["provide", "scrape_port"]


def provide() -> None:
    """Make the global provider one that Prometheus can read; what functions count themselves goes with it."""
    require("opentelemetry.exporter.prometheus", "otel", what="--metrics")
    from opentelemetry import metrics  # noqa: PLC0415 -- the extra
    from opentelemetry.exporter.prometheus import PrometheusMetricReader  # noqa: PLC0415 -- the extra
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 -- the extra

    metrics.set_meter_provider(MeterProvider([PrometheusMetricReader(disable_target_info=True)]))


@contextlib.contextmanager
def scrape_port(port: int | None, host: str) -> Generator[str | None]:
    """Let the numbers be read on a port, if one is named; yield where. Raises ConfigError."""
    if port is None:
        yield None
        return
    from prometheus_client import start_http_server  # noqa: PLC0415 -- the extra

    try:
        server, thread = start_http_server(port, addr=host)
    except OSError as error:
        msg = with_help(f"cannot listen on {host}:{port}: {error.strerror}", "name another port with --metrics")
        raise ConfigError(msg) from error
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

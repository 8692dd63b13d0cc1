"""What Prometheus reads: `statefun serve --metrics`.

Here: the provider of OpenTelemetry's SDK, and the two places where it can be read: a port of its own, or a path beside
the functions. What is counted is the affair of `statefun.metrics`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, MutableMapping

from statefun._http import require
from statefun.errors import ConfigError, with_help
from statefun.serving._asgi import AsgiDoor, Receive, Send
from statefun.serving._desk import Answer

__all__ = ["Scraped", "checked", "provide", "scrape_port"]


def checked(metrics: str | None, workers: int) -> None:
    """Refuse what is neither a port nor a path, and counting in several processes. Raises ConfigError."""
    if metrics is None:
        return
    if not metrics.startswith("/") and not (metrics.isdecimal() and int(metrics) < 65_536):  # noqa: PLR2004 -- ports
        msg = f"--metrics is a port, or a path that begins with /, not {metrics!r}"
        raise ConfigError(msg)
    if workers > 1:
        help = "start that many processes, each with a port of its own, and let Prometheus read them all"
        raise ConfigError(with_help("--metrics counts in one process, and --workers starts several", help))


def provide() -> None:
    """Make the global provider one that Prometheus can read; what functions count themselves goes with it."""
    require("opentelemetry.exporter.prometheus", "otel", what="--metrics")
    from opentelemetry import metrics  # noqa: PLC0415 -- the extra
    from opentelemetry.exporter.prometheus import PrometheusMetricReader  # noqa: PLC0415 -- the extra
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 -- the extra

    metrics.set_meter_provider(MeterProvider([PrometheusMetricReader(disable_target_info=True)]))


@contextlib.contextmanager
def scrape_port(metrics: str | None, host: str) -> Generator[str | None]:
    """Let the numbers be read on a port, if one is named; yield where. Raises ConfigError."""
    if metrics is None or metrics.startswith("/"):
        yield None
        return
    from prometheus_client import start_http_server  # noqa: PLC0415 -- the extra

    try:
        server, thread = start_http_server(int(metrics), addr=host)
    except OSError as error:
        msg = with_help(f"cannot listen on {host}:{metrics}: {error.strerror}", "name another port with --metrics")
        raise ConfigError(msg) from error
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Scraped:
    """A door beside which the numbers can be read on a path, with the secret in it if there is one."""

    def __init__(self, door: AsgiDoor, path: str) -> None:
        self._door = door
        self._path = path

    async def __call__(self, scope: MutableMapping[str, object], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or not str(scope["path"]).endswith(self._path):
            await self._door(scope, receive, send)
            return
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest  # noqa: PLC0415 -- the extra

        if self._door.lets_in(str(scope["path"])):
            await self._door.write(send, Answer(200, CONTENT_TYPE_LATEST, generate_latest()))
        else:
            await self._door(scope, receive, send)

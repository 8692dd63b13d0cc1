"""The port on which Prometheus reads: opened for as long as it is wanted, or refused with a reason."""

from __future__ import annotations

import http.client
import sys
from contextlib import closing

import pytest

from statefun import _prometheus as prometheus
from statefun.errors import ConfigError


def read(port: int) -> bytes:
    """Read what Prometheus would."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/metrics")
        return connection.getresponse().read()


def test_port() -> None:
    """A port is open until the end of the block, and no other process may have it meanwhile."""
    with prometheus.scrape_port(0, "127.0.0.1") as where:
        assert where is not None
        port = int(where.removeprefix("http://127.0.0.1:").removesuffix("/metrics"))
        assert b"process_cpu_seconds_total" in read(port)
        with pytest.raises(ConfigError) as caught, prometheus.scrape_port(port, "127.0.0.1"):
            pass
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use\n  help: name another port with --metrics"
    )
    with pytest.raises(OSError, match="refused"):
        read(port)


def test_no_port() -> None:
    """Where none is named, none is opened."""
    with prometheus.scrape_port(None, "127.0.0.1") as where:
        assert where is None


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the exporter the error names the extra."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.prometheus", None)
    with pytest.raises(ConfigError) as caught:
        prometheus.provide()
    assert str(caught.value) == (
        "--metrics needs opentelemetry.exporter.prometheus, which is not installed\n"
        "  help: pip install 'statefun[otel]'"
    )

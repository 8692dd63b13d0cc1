"""One broker for all tests on real runtimes, and what is left of a job when its test is over."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from engines import Broker
from tests.engines.kafka import Kafka


def pytest_configure(config: pytest.Config) -> None:
    """Say what the tests' own mark means."""
    config.addinivalue_line("markers", "feature(name, facts): a row of the table in docs/reference/compatibility.md")
    config.addinivalue_line("markers", "way(id): the column of it, for a test that is of one way")
    config.addinivalue_line("markers", "long: only in make engines-all")


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Generator[Broker]:
    """Start a broker for all of the tests."""
    broker = Broker.start(tmp_path_factory.mktemp("broker") / "kafka")
    yield broker
    broker.stop()


@pytest.fixture
def kafka(broker: Broker) -> Kafka:
    """Return the clients' side of the broker."""
    return Kafka(broker.address)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder for a test's own files."""
    return tmp_path

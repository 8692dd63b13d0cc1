"""One broker for all tests on real runtimes; what they have seen; and that none of them is skipped unseen."""

from __future__ import annotations

import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from engines import Broker
from tests.engines.kafka import Kafka
from tests.engines.table import Seen

MARKS = (
    "feature(name, facts): a row of the table in docs/explanation/compatibility.md, and where the facts speak of it",
    "way(id): the column of the table, for a test that is of one way",
    "long: only in make engines-all",
)
SEEN: dict[tuple[str, str], Seen] = {}
ROWS: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say what is to become of the table."""
    parser.addoption("--table", choices=("check", "write"), help="hold the page on compatibility to what was seen")


def pytest_configure(config: pytest.Config) -> None:
    """Say what the tests' own marks mean; end as by Ctrl-C when somebody ends the tests, so that nothing is left."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for mark in MARKS:
        config.addinivalue_line("markers", mark)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the table last; without --table, leave it out, since it is made of all the others."""
    table = [item for item in items if item.name == "test_table"]
    items[:] = [item for item in items if item not in table] + (table if config.getoption("--table") else [])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write down what became of a test of a feature; a long one has no row, since the table is made without it."""
    report = yield
    feature, column = item.get_closest_marker("feature"), way_of(item)
    if feature is None or column is None or item.get_closest_marker("long") is not None:
        return report
    if call.when == "call" and not report.failed:
        name = str(feature.args[0])
        SEEN[name, column] = Seen(report.passed, getattr(report, "wasxfail", "").removeprefix("reason: "))
        if name not in ROWS:
            ROWS.append(name)
    return report


def way_of(item: pytest.Item) -> str | None:
    """Return the column of a test: of its parameters, or of its mark."""
    mark = item.get_closest_marker("way")
    if mark is not None:
        return str(mark.args[0]).replace(" ", "_")
    params = getattr(getattr(item, "callspec", None), "params", {})
    way = params.get("way") or params.get("app")
    return None if way is None else way.id


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if a test was skipped: whoever asks for these tests has what they need."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def seen() -> tuple[dict[tuple[str, str], Seen], list[str]]:
    """Return what was seen so far, and the rows in their order."""
    return SEEN, ROWS


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Generator[Broker]:
    """Start a broker for all of the tests."""
    broker = Broker.start(tmp_path_factory.mktemp("broker") / "kafka")
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def kafka(broker: Broker) -> Kafka:
    """Return the clients' side of the broker."""
    return Kafka(broker.address)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder for a test's own files."""
    return tmp_path

"""The installation: who else owns the name, and which protobuf runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from statefun import AsyncRequestReplyHandler, ConfigError, RequestReplyHandler, StatefulFunctions, _installation
from tests.refusals import refusal

ROOT = Path(__file__).parent.parent
RECORDS = {
    "apache-flink-statefun": "statefun/__init__.py,sha256=x,1\nstatefun/core.py,sha256=x,1\n",
    "flink-statefun": "flink_statefun/a.py,,\nstatefun/__init__.py,sha256=x,1\n",
}
TEXT = (
    "the distribution {0!r} is installed, too, and has the same import name: its files and ours lie over each other\n"
    "  help: pip uninstall {0} && pip install --force-reinstall statefun"
)


def install(folder: Path, name: str, record: str | None) -> None:
    """Write what pip writes about a distribution."""
    info = folder / f"{name.replace('-', '_')}-3.3.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 3.3.0\n", encoding="utf-8")
    if record is not None:
        (info / "RECORD").write_text(record, encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a folder of installed distributions."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    _installation.foreign_distributions.cache_clear()
    yield tmp_path
    _installation.foreign_distributions.cache_clear()


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("handler", [RequestReplyHandler, AsyncRequestReplyHandler])
def test_a_foreign_distribution(
    site: Path, name: str, handler: type[RequestReplyHandler | AsyncRequestReplyHandler]
) -> None:
    """No handler is made where another distribution has the same import name: half of the files are its."""
    install(site, name, RECORDS[name])
    assert refusal(ConfigError, lambda: handler(StatefulFunctions())) == TEXT.format(name)


def test_several_of_them(site: Path) -> None:
    """All of them are found, each once."""
    for name, record in RECORDS.items():
        install(site, name, record)
    assert _installation.foreign_distributions() == ("apache-flink-statefun", "flink-statefun")


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("statefun", "statefun/__init__.py,,\n"),
        ("statefun-tasks", "statefun_tasks/__init__.py,,\nother/statefun/__init__.py,,\n"),
        ("half-installed", None),
        ("empty", ""),
    ],
)
def test_others(site: Path, name: str, record: str | None) -> None:
    """Our own distribution, and one that owns other files or lists none, are nothing to complain about."""
    install(site, name, record)
    assert _installation.foreign_distributions() == ()
    RequestReplyHandler(StatefulFunctions())


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own."""
    paths = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONWARNINGS": "", "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


MAKE = "import statefun; statefun.RequestReplyHandler(statefun.StatefulFunctions())"


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    """The import works, since a user has to see the error of the handler; the handler then says what to do."""
    install(tmp_path, "apache-flink-statefun", RECORDS["apache-flink-statefun"])
    assert run("import statefun", tmp_path).returncode == 0
    done = run(MAKE, tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith(f"statefun.errors.ConfigError: {TEXT.format('apache-flink-statefun')}\n")


WARNING = (
    "RuntimeWarning: protobuf runs without its compiled part, which makes a request 8 to 12 times slower "
    "(benchmarks/pure_python.py): install a protobuf wheel for this platform, and unset "
    "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"
)


def test_a_slow_protobuf(tmp_path: Path) -> None:
    """A protobuf without its compiled part is warned about, once, where the handler is made."""
    twice = f"{MAKE}\nstatefun.AsyncRequestReplyHandler(statefun.StatefulFunctions())"
    done = run(twice, tmp_path, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("RuntimeWarning") == 1
    assert f"<string>:1: {WARNING}\n" in done.stderr


def test_a_fast_protobuf(tmp_path: Path) -> None:
    """With its compiled part there is nothing to say."""
    done = run(MAKE, tmp_path, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="upb")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_warning_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning comes once a process."""
    monkeypatch.setattr(_installation, "is_pure_python", lambda: True)
    _installation._warn_of_pure_python.cache_clear()
    with pytest.warns(RuntimeWarning, match="protobuf runs without its compiled part"):
        RequestReplyHandler(StatefulFunctions())
    RequestReplyHandler(StatefulFunctions())  # a second warning would be an error

"""The pytest plugin, in runs of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def run(folder: Path, code: str, *options: str) -> str:
    """Run the tests in `code`, with this plugin and no other but pytest's own; return what it printed."""
    (folder / "test_it.py").write_text(code)
    (folder / "pytest.ini").write_text("[pytest]\n")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "protos"))),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "COLUMNS": "100",
    }
    command = (sys.executable, "-m", "pytest", "-p", "statefun_pytest", "-p", "no:cacheprovider", "-q", *options)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_it_is_registered() -> None:
    """Who installs the package has the plugin."""
    assert '[project.entry-points.pytest11]\nstatefun = "statefun_pytest"\n' in (ROOT / "pyproject.toml").read_text()


def test_it_imports_nothing(tmp_path: Path) -> None:
    """Nothing of statefun is imported until one of its fixtures is used."""
    code = """
import sys

def ours():
    return [name for name in sys.modules if name.partition(".")[0] == "statefun"]

def test_nothing():
    assert ours() == []
    assert {"a": [1]} == {"a": [1]}

def test_context(statefun_context):
    assert "statefun.testing" in ours()
    assert statefun_context(address="a/b/c").address.identity == "c"
"""
    assert "2 passed" in run(tmp_path, code)


def test_it_imports_nothing_for_a_failure(tmp_path: Path) -> None:
    """Nor does it for a test that fails."""
    code = """
import sys

def test_fails():
    assert [1] == [2]

def test_nothing():
    assert not [name for name in sys.modules if name.partition(".")[0] == "statefun"]
"""
    assert "1 failed, 1 passed" in run(tmp_path, code)


APP = """
import pytest
from shop_pb2 import Greeting, GreetRequest
from statefun import Context, KafkaEgress, StatefulFunctions
from statefun.testing import Faults, Record

GREETINGS = KafkaEgress[Greeting]("example/greets", topic="greetings")
functions = StatefulFunctions()

@functions.bind("example/greeter")
def greeter(context: Context, message: GreetRequest) -> None:
    context.send_egress(GREETINGS, Greeting(text=f"Hello {message.name}"), key=message.name)
"""


def test_the_marker(tmp_path: Path) -> None:
    """A marked test runs once on each wire that it names."""
    code = f"""{APP}
@pytest.mark.statefun_wire("v2", "v3")
def test_both(statefun_harness):
    assert statefun_harness(functions).wire in ("v2", "v3")

@pytest.mark.statefun_wire("v2")
def test_old(statefun_harness, statefun_wire):
    assert statefun_harness(functions).wire == statefun_wire == "v2"

def test_plain(statefun_harness, statefun_wire):
    assert statefun_harness(functions).wire == "v3"
    assert statefun_wire is None
"""
    printed = run(tmp_path, code, "-vv", "--strict-markers")
    assert re.findall(r"::(\S+) PASSED", printed) == ["test_both[v2]", "test_both[v3]", "test_old[v2]", "test_plain"]


@pytest.mark.parametrize("wires", ['"v1"', ""])
def test_a_wrong_marker(wires: str, tmp_path: Path) -> None:
    """A wire that there is not is refused."""
    code = f"{APP}\n@pytest.mark.statefun_wire({wires})\ndef test_it(statefun_harness): ...\n"
    wrong = [wires.strip('"')] if wires else []
    assert f"test_it.py::test_it: statefun_wire takes 'v2' and 'v3', not {wrong}" in run(tmp_path, code)


def test_a_failure(tmp_path: Path) -> None:
    """A failure shows both sides decoded, and the line that does it again."""
    code = f"""{APP}
@pytest.mark.statefun_wire("v3")
def test_it(statefun_harness):
    statefun_harness(functions, faults=Faults(seed=1))
    harness = statefun_harness(functions, faults=Faults(seed=4711))
    harness.send(greeter.at("bob"), GreetRequest(name="bob"))
    harness.run()
    assert harness.egress(GREETINGS) == [Record(Greeting(text="Hello bob"), key="ann", topic="greetings")]

def test_after():
    assert 1 == 2
"""
    printed = run(tmp_path, code)
    shown = re.findall(r"^E {7}(.*\S)", printed, re.MULTILINE)
    left = "[Record(value=Greeting(text='Hello bob'), key='bob', topi..."
    right = "[Record(value=Greeting(text='Hello bob'), key='ann', topi..."
    assert shown[: shown.index("assert 1 == 2")] == [
        f"AssertionError: assert {left} == {right}",
        "  - left  + right",
        "            value=Greeting(text='Hello bob'),",
        "  -         key='bob',",
        "  +         key='ann',",
        "            topic='greetings',",
    ]
    sections = re.findall(r"^-+ statefun: again with -+\n(.*?)\n[^\n]*[=_-]{9}", printed, re.MULTILINE | re.DOTALL)
    assert sections == [
        "Harness(functions, faults=Faults(seed=1), wire='v3')\nHarness(functions, faults=Faults(seed=4711), wire='v3')"
    ]


def test_a_failure_in_full(tmp_path: Path) -> None:
    """With -vv all of both sides is shown."""
    code = f"""{APP}
def test_it():
    assert [Record(Greeting(text="Hello bob"), key="bob")] == []
"""
    printed = run(tmp_path, code, "-vvv")
    assert re.findall(r"^E {7}(.*\S)", printed, re.MULTILINE) == [
        "AssertionError: assert [Record(value=Greeting(text='Hello bob'), key='bob', topic='', headers=())] == []",
        "  - left  + right",
        "  + []",
        "  - [",
        "  -     Record(",
        "  -         value=Greeting(text='Hello bob'),",
        "  -         key='bob',",
        "  -         topic='',",
        "  -         headers=(),",
        "  -     ),",
        "  - ]",
    ]


def test_what_the_docs_show() -> None:
    """The tests with fixtures on the page about testing are those of examples/shop."""
    page = (ROOT / "docs" / "howto" / "test.md").read_text()
    tests = (ROOT / "examples" / "shop" / "test_shop.py").read_text()
    blocks = re.findall(r"^```\n(@.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    assert [block for block in blocks if block not in tests] == []

"""The pytest plugin of statefun: fixtures, a marker for the wire, and failures that can be read.

Here, beside the package and not in it: pytest loads its plugins before every run of every project, and a plugin inside
the package would import all of it. Nothing of statefun is imported until one of the fixtures is used.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, cast

import pytest

if TYPE_CHECKING:
    from statefun import StatefulFunctions
    from statefun.module import Module
    from statefun.testing import Faults, Harness, MakeContext, MakeHarness

__all__ = ["statefun_context", "statefun_harness", "statefun_wire"]

Wire = Literal["v2", "v3"]
_MARKER = "statefun_wire(*wires): run the test on these versions of the protocol, 'v2' and 'v3'"
_WIDE = 60
"""How much of each side stands in the first line."""
_HEADING = "statefun: again with"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a marked test once on each wire."""
    marker = metafunc.definition.get_closest_marker("statefun_wire")
    if marker is None or "statefun_wire" not in metafunc.fixturenames:
        return
    wrong = [wire for wire in marker.args if wire not in ("v2", "v3")]
    if wrong or not marker.args:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: statefun_wire takes 'v2' and 'v3', not {wrong}")
    metafunc.parametrize("statefun_wire", marker.args, indirect=True)


@pytest.fixture
def statefun_wire(request: pytest.FixtureRequest) -> Wire | None:
    """Return the wire that the test's marker says; None without one."""
    return cast("Wire | None", getattr(request, "param", None))  # what pytest_generate_tests has checked


@pytest.fixture
def statefun_context() -> MakeContext:
    """Return `statefun.testing.context`."""
    from statefun import testing  # noqa: PLC0415 -- not before a fixture is used

    return testing.context


@pytest.fixture
def statefun_harness(statefun_wire: Wire | None) -> MakeHarness:
    """Return what makes a `statefun.testing.Harness`, on the wire of the test's marker."""
    from statefun import testing  # noqa: PLC0415 -- not before a fixture is used

    def make(
        functions: StatefulFunctions,
        module: Module | None = None,
        *,
        faults: Faults | None = None,
        wire: Wire | None = None,
        retry: bool = False,
    ) -> Harness:
        return testing.Harness(functions, module, faults=faults, wire=wire or statefun_wire, retry=retry)

    return make


# --- what a failure says ---


class _Harness(Protocol):
    made: Sequence[str]

    def forget(self) -> None: ...


class _Show(Protocol):
    def compare(self, left: object, right: object) -> list[str]: ...

    def concerns(self, value: object) -> bool: ...

    def show(self, value: object) -> str: ...


def _harness() -> _Harness | None:
    """Return this part of the test kit if somebody has imported it: what does not use it needs no help of it."""
    return cast("_Harness | None", sys.modules.get("statefun.testing._harness"))


def _show() -> _Show | None:
    return cast("_Show | None", sys.modules.get("statefun.testing._show"))  # as above


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget the harnesses of the test before."""
    del item
    if (harness := _harness()) is not None:
        harness.forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Print the harnesses with faults that a failed test has made: the lines to paste."""
    del item
    report = yield
    harness = _harness()
    if harness is not None and call.when == "call" and report.failed and harness.made:
        report.sections.append((_HEADING, "\n".join(harness.made)))
    return report


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: object, right: object) -> list[str] | None:
    """Show both sides of a comparison of messages, records or states, decoded; all of both with -vv."""
    shown = _show()
    if op != "==" or shown is None or not (shown.concerns(left) or shown.concerns(right)):
        return None
    lines = shown.compare(left, right)
    if config.get_verbosity() >= 2:  # noqa: PLR2004 -- -vv
        return [f"{shown.show(left)} == {shown.show(right)}", "- left  + right", *lines]
    sides = (_cut(shown.show(side)) for side in (left, right))
    return [" == ".join(sides), "- left  + right", *_near(lines)]


def _cut(text: str) -> str:
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 3]}..."


def _near(lines: list[str]) -> list[str]:
    """Leave out what is far from every difference: pytest shows a few lines only."""
    changed = [number for number, line in enumerate(lines) if line[:1] in "+-"]
    return [line for number, line in enumerate(lines) if any(abs(number - at) <= 1 for at in changed)]

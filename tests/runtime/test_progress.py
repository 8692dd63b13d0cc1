"""How far a run has come: what a terminal and what a file is told."""

from __future__ import annotations

import io

import pytest

from statefun.runtime._progress import Progress


class Screen(io.StringIO):
    """A text stream that says of itself that it is a terminal."""

    def __init__(self, encoding: str | None = "UTF-8") -> None:
        super().__init__()
        self._named = encoding

    @property
    def encoding(self) -> str | None:  # type: ignore[override]  # io.StringIO has None here; typeshed knows of no None
        """Return how text is written."""
        return self._named

    def isatty(self) -> bool:
        """Return that it is a terminal."""
        return True


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the terminal 80 columns wide."""
    monkeypatch.setenv("COLUMNS", "80")


def test_plain_lines() -> None:
    """A file gets a line for each quarter that is reached, and no line twice; its end is no line of its own."""
    out = io.StringIO()
    progress = Progress(out, "records")
    for done in range(0, 4_001, 100):
        progress.show(done, done / 4_000, "1 failing" if done == 2_000 else "")
    progress.show(4_000, 1.0, final=True)
    progress.end()
    assert out.getvalue().splitlines() == [
        "      0 records    0%",
        "  1,000 records   25%",
        "  2,000 records   50%  1 failing",
        "  3,000 records   75%",
        "  4,000 records  100%",
    ]


def test_plain_lines_of_a_run_that_was_cut_off() -> None:
    """The last line of a run that ends before the whole is said, though no quarter was reached."""
    out = io.StringIO()
    progress = Progress(out, "records")
    progress.show(10, 0.1)
    progress.show(12, 0.12, "stopped", final=True)
    assert out.getvalue() == "     10 records   10%\n     12 records   12%  stopped\n"


@pytest.mark.parametrize(
    ("encoding", "full", "rest"), [("UTF-8", "━", "─"), ("utf8", "━", "─"), ("latin-1", "#", "."), (None, "#", ".")]
)
def test_bar(encoding: str | None, full: str, rest: str) -> None:
    """A terminal gets one bar, of signs that it can write, that is left where it is at the end."""
    out = Screen(encoding)
    progress = Progress(out, "records")
    progress.show(1_500, 0.5, "2 failing", final=True)
    progress.end()
    assert out.getvalue() == f"\r  {full * 14}{rest * 14}  1,500 records  2 failing\x1b[K\n"


def test_bar_not_too_often() -> None:
    """Between two looks at a terminal nothing is drawn, but for the end."""
    out = Screen()
    progress = Progress(out, "records")
    for done in range(3):
        progress.show(done, 0.0)
    progress.show(3, 1.0, final=True)
    bars = [f"\r  {sign * 28}  {done} records  \x1b[K" for sign, done in (("─", 0), ("━", 3))]
    assert out.getvalue() == "".join(bars) + "\n"


def test_bar_that_was_left() -> None:
    """A bar that is left before its end is followed by a new line, once; where none was drawn, there is nothing."""
    out = Screen()
    progress = Progress(out, "records")
    progress.end()
    progress.show(1, 0.0)
    progress.end()
    progress.end()
    assert out.getvalue() == f"\r  {'─' * 28}  1 records  \x1b[K\n"


def test_bar_in_a_narrow_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is cut so that it does not wrap."""
    monkeypatch.setenv("COLUMNS", "40")
    out = Screen()
    Progress(out, "records").show(1_234_567, 0.25, "a note", final=True)
    assert out.getvalue() == f"\r  {'━' * 7}{'─' * 21}  1,234,5\x1b[K\n"

"""What a person sees: tables on a terminal, plain text in a pipe; and what makes a shell complete words."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from statefun.cli import main
from statefun.cli._completion import SHELLS
from statefun.runtime._table import fitting, table

ROOT = Path(__file__).parent.parent.parent
PRINT = "from statefun.cli._terminal import print_table\nprint_table({headings!r}, {rows!r})\n"
HIDDEN = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "rich" else find(name)
"""
HEADINGS = ("address", "state", "value", "due")
ROWS = [
    ("shop/cart/1", "n", 3, "2018-02-07 01:56:13Z"),
    ("shop/cart/2", "items", '{"sku": "[bold]x[/bold]", "words": "' + 60 * "ü" + '"}', "2018-02-07 01:56:13Z"),
]
BOLD = re.compile("\x1b\\[[0-9;]*m")


def on_terminal(program: str, columns: int) -> str:
    """Run a Python program on a terminal of so many columns; return what stands on it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**variables, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    os.close(theirs)
    parts: list[bytes] = []
    while True:
        try:
            parts.append(os.read(ours, 65536))
        except OSError:  # the other side is closed
            break
    process.wait(30)
    os.close(ours)
    return b"".join(parts).decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_terminal(columns: int) -> None:
    """With rich a table has bold headings, no line is wider than the terminal, and values stand as they are."""
    shown = on_terminal(PRINT.format(headings=HEADINGS, rows=ROWS), columns)
    assert "\x1b[1m" in shown
    lines = [line.rstrip() for line in BOLD.sub("", shown).splitlines()]
    assert max(map(len, lines)) <= columns
    assert lines == table(HEADINGS, ROWS, width=columns).splitlines()
    assert "[bold]x[" in lines[2] or columns == 60


def test_a_terminal_without_rich() -> None:
    """Without it the table is the same, plain."""
    shown = on_terminal(HIDDEN + PRINT.format(headings=HEADINGS, rows=ROWS), 80)
    assert shown == table(HEADINGS, ROWS, width=80) + "\n"


def test_wide_letters() -> None:
    """A letter that takes two columns is counted as two."""
    rows = [("ずだ袋" * 20, "x"), ("a", "y")]
    shown = BOLD.sub("", on_terminal(PRINT.format(headings=("a", "b"), rows=rows), 40))
    first = shown.splitlines()[1]
    assert first.rstrip().endswith("  x")
    assert sum(2 if ord(char) > 0x2FFF else 1 for char in first.rstrip()) <= 40


def test_a_pipe() -> None:
    """In a pipe it is plain, whatever is installed."""
    program = PRINT.format(headings=HEADINGS, rows=ROWS)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[1].split() == ["shop/cart/1", "n", "3", "2018-02-07", "01:56:13Z"]


def test_what_gives_way() -> None:
    """The widest column gives way; a time only when nothing else can."""
    lines = [["value", "due"], ["v" * 50, "t" * 20], ["v", "t" * 20]]
    assert fitting(lines, 60) == [38, 20]
    assert fitting(lines, 31) == [9, 20]
    assert fitting(lines, 25) == [8, 15]
    assert fitting(lines, 5) == [8, 8]


# --- completion ---


def completed(script: Path, *words: str) -> list[str]:
    """Return what bash offers for the last of these words."""
    ask = (
        'source "$0"; found=$(complete -p statefun | sed "s/.*-F \\([^ ]*\\).*/\\1/"); COMP_WORDS=("$@");'
        ' COMP_CWORD=$(($#-1)); COMPREPLY=(); $found; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", ask, script, "statefun", *words], cwd=script.parent, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_bash(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Bash completes commands, verbs, options, choices and files."""
    with pytest.raises(SystemExit) as caught:
        main(["--print-completion", "bash"])
    assert caught.value.code == 0
    script = tmp_path / "completion.bash"
    script.write_text(capsys.readouterr().out)
    (tmp_path / "events.jsonl").touch()
    (tmp_path / "folder").mkdir()
    assert completed(script, "sta") == ["state", "status"]
    assert completed(script, "state", "") == ["ls", "get", "set", "rm"]
    assert completed(script, "run", "app:functions", "--st") == ["--stub-kafka"]
    assert completed(script, "run", "app:functions", "--clock", "") == ["wall", "records"]
    assert completed(script, "run", "app:functions", "--read", "ev") == ["events.jsonl"]
    assert completed(script, "run", "app:functions", "--data", "") == ["folder"]


@pytest.mark.parametrize("shell", SHELLS)
def test_shells(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    """There is a script for each shell, and every command is in it."""
    with pytest.raises(SystemExit):
        main(["--print-completion", shell])
    script = capsys.readouterr().out
    assert all(word in script for word in ("failures", "retry", "doctor", "--exit-at-end"))


def test_completion_without_shtab(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without shtab the error names the extra."""
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit) as caught:
        main(["--print-completion", "bash"])
    assert (caught.value.code, *capsys.readouterr()) == (
        1,
        "",
        "statefun: --print-completion needs shtab, which is not installed\n  help: pip install 'statefun[cli]'\n",
    )

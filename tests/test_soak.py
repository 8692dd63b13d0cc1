"""The soak of `make test-all` (`tools/soak.py`), for some seconds, and what it calls flat."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools import soak
from tools.soak import Lost, Memory, Run, Serve

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


def grown(*tenths: float) -> Memory:
    """Make the memory of a process that starts small, warms up, and then has so many bytes in each tenth."""
    warm = [(second / 10, 10) for second in range(23)]
    rest = [(2.5 + number, int(size * 1_000)) for number, size in enumerate(tenths)]
    return Memory([*warm, *rest])


def test_flat() -> None:
    """Memory is flat if no tenth after the warm-up is more than 5 % from the first, above or below."""
    assert grown(*[1.0] * 5, *[1.04] * 5).flat
    assert grown(*[1.0] * 5, *[0.96] * 5).flat
    assert not grown(*[1.0] * 9, 1.06).flat
    assert not grown(*[1.0] * 5, 0.9, *[1.0] * 4).flat


def test_memory_in_words() -> None:
    """The medians of the tenths are told in MiB."""
    assert str(Memory([(float(second), 2**20 * (100 + second)) for second in range(51)])) == (
        "111.5 MiB after the warm-up, 111.5 to 148.0 from there on, 148.0 at the end (+32.7%)"
    )


@pytest.mark.parametrize("name", ["serve", "run"])
def test_a_leak(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A server answers every message, and an app that leaks is found out by its memory."""
    assert soak.one(name, seconds=4, leak=200_000) == 1
    told = capsys.readouterr().out
    assert "each with its reply. FAILED: its memory is not flat (±5%): " in told, told


def test_a_lost_reply() -> None:
    """A reply that says something else than it must is a lost one."""
    call = Serve().call(0)
    with pytest.raises(Lost) as raised:
        call.check(500, b"no")
    assert str(raised.value) == "500: b'no'"
    with pytest.raises(Lost) as raised:
        call.check(200, b"")
    assert str(raised.value) == "200: b''"


def test_a_lost_message(tmp_path: Path) -> None:
    """A message without its record, or with two, is found when all is over."""
    (tmp_path / "out.jsonl").write_text('{"value": "0"}\n{"value": "2"}\n{"value": "2"}\n')
    with pytest.raises(Lost) as raised:
        Run().end(tmp_path, 3)
    assert str(raised.value) == "of 3 messages 1 are missing, 1 twice"

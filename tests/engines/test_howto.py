"""Every command of docs/howto/flink.md is run, in one shell, and prints what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from engines import cache, free_port
from tests.engines.served import ROOT

PAGE = ROOT / "docs" / "howto" / "flink.md"


def test_howto(folder: Path) -> None:
    """The page works from its first command to its last, and leaves nothing behind."""
    parts = re.findall(r"^```(text)?\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    script = "".join(code for kind, code in parts if not kind).replace("8000", str(free_port()))
    for name in ("engines", "examples"):
        (folder / name).symlink_to(ROOT / name)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    (folder / "cache" / "statefun-engines").mkdir(parents=True)
    (folder / "cache" / "statefun-engines" / "jars").symlink_to(cache() / "jars")
    done = subprocess.run(
        ("bash", "-euc", script), cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = "".join(line for line in done.stdout.splitlines(keepends=True) if line.startswith("Hello"))
    assert printed == "".join(code for kind, code in parts if kind)
    assert sorted(path.name for path in folder.iterdir()) == ["cache", "engines", "examples"]
    assert list((folder / "cache" / "statefun-engines" / "run").iterdir()) == []

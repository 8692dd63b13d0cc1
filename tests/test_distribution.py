"""What users get when they install the package."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_wheel_holds_the_package(tmp_path: Path) -> None:
    """The wheel holds the package (with stubs, protos, data, py.typed), its pytest plugin, the licence, and no more."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = {name for name in names if name.partition("/")[0].endswith(".dist-info")}
    assert names - metadata - {"statefun_pytest.py"} == {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "statefun").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert "statefun_pytest.py" in names
    assert {name for name in names if name.endswith("licenses/LICENSE")}

"""The jars of an engine: fetched by Maven once for each pom.xml, and kept outside the tree.

Here: where they are kept, and what the machine must have. Starting something with them is in `processes`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from engines.errors import EngineError

__all__ = ["ENGINES", "HERE", "cache", "fetch", "java", "missing_tools"]

HERE = Path(__file__).parent
ENGINES = ("kafka", "flink-3.3", "flink-2.2")
"""The engines that there are: each is a folder of this name."""


def cache() -> Path:
    """Return the folder of everything that engines leave on a machine."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "statefun-engines"


def java() -> str:
    """Return the Java that is to be used: JAVA_HOME's, or the one of the path."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java"


def missing_tools() -> list[str]:
    """Return what this machine lacks, of Java and Maven."""
    return [name for name, command in (("Java", java()), ("Maven", "mvn")) if shutil.which(command) is None]


def fetch(engine: str) -> Path:
    """Return the folder of an engine's jars; fetch them if they are not there.

    Raises EngineError without Java or Maven, or if Maven fails.
    """
    if engine not in ENGINES:
        raise EngineError(f"there is no engine {engine!r}\n  there are: {', '.join(ENGINES)}")
    pom = HERE / engine / "pom.xml"
    jars = cache() / "jars" / f"{engine}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    if jars.is_dir():
        return jars
    if missing := missing_tools():
        raise EngineError(
            f"{engine} needs {' and '.join(missing)}, which this machine has not\n"
            "  help: install a Java runtime (17) and Maven (3.6 or newer)"
        )
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jars.parent) as made:
        # in a folder of its own: Maven may write beside its pom
        shutil.copy(pom, made)
        command = ("mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", f"-DoutputDirectory={made}/jars")
        done = subprocess.run(command, cwd=made, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EngineError(f"Maven could not fetch {engine}:\n{(done.stdout + done.stderr).strip()}")
        if not jars.is_dir():  # another process may have been quicker
            (Path(made) / "jars").rename(jars)
    return jars

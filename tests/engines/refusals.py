"""What the real runtimes say of the corpus of module.yaml files: recorded in tests/module/corpus/runtimes.txt.

    python -m tests.engines.refusals    asks them again, and writes the record (6 minutes)

Components without an ingress get one first, since nothing starts without: what else is wrong would not show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from engines import refusal
from engines.flink import FlinkEngine

CORPUS = Path(__file__).parents[1] / "module" / "corpus"
RECORD = CORPUS / "runtimes.txt"
READERS: Mapping[str, FlinkEngine] = {
    "components": "flink-3.3",
    "format-3.0": "flink-3.3",
    "yaml": "flink-3.3",
    "format-1.0": "flink-2.2",
    "format-2.0": "flink-2.2",
}
INGRESS = b"""
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: added.by/the-test
  address: localhost:9092
  consumerGroupId: added
  topics: [{topic: t, valueType: a/b, targets: [a/b]}]
"""


def files() -> list[str]:
    """Return the files that are asked about, as "<folder>/<name>"."""
    return [
        path.relative_to(CORPUS).as_posix() for folder in READERS for path in sorted((CORPUS / folder).glob("*.yaml"))
    ]


def ask(name: str, folder: Path) -> str:
    """Return what the newest runtime that reads a file says: "accepted", or the cause."""
    data = (CORPUS / name).read_bytes()
    if name.startswith(("components/", "yaml/")) and b"kind" in data and b"ingress" not in data:
        data += INGRESS
    module = folder / "module.yaml"
    module.write_bytes(data)
    said = refusal(READERS[name.partition("/")[0]], module)
    return "accepted" if said is None else " ".join(said.replace(str(folder), "").split())


def read() -> dict[str, str]:
    """Return the record."""
    lines = RECORD.read_text(encoding="utf-8").splitlines()
    return dict(line.split(": ", 1) for line in lines if not line.startswith("#"))


def write(said: Iterable[tuple[str, str]]) -> None:
    """Write the record."""
    head = "# What StateFun 3.3.0 and 2.2.2 (format-1.0, format-2.0) say: python -m tests.engines.refusals\n"
    RECORD.write_text(head + "".join(f"{name}: {text}\n" for name, text in said), encoding="utf-8")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write([(one, ask(one, Path(folder))) for one in files()])

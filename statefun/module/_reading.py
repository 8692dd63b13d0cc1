"""One file being read: where it is, whose rules hold, and what was found so far.

Here: `Reading`, to which every part of the reader reports, and `Source`, by which a part of the model remembers where
it came from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from statefun.findings import Finding, Path, closest, show_path
from statefun.module._nodes import Mapping, Node, Scalar
from statefun.module._runtimes import Format, Runtime, default_runtime

__all__ = ["Reading", "Source"]

MAX_FINDINGS = 10_000
"""More of one file are not kept."""
MOST_WORDS = 100
"""Among how many the one that was meant is looked for."""
_NAMES = {"kzm": "StateFun for Flink 2 (kzm)", "embedded": "the embedded runtime"}


@dataclass(frozen=True, slots=True)
class Source:
    """Where in a file a part of the model stands."""

    file: str
    path: Path
    node: Node
    multi: bool
    """Whether the file is one of components, whose paths begin with the index of the document."""

    def place(self, *names: str) -> tuple[int, int, str]:
        """Return line, column and path of a value below, or of the nearest thing above it that is there."""
        node, path = self.node, self.path
        for name in names:
            below = node.get(name) if isinstance(node, Mapping) else None
            if below is None:
                break
            node, path = below, (*path, name)
        return node.line, node.column, show_path(path if self.multi else path[1:])

    def text(self, *names: str) -> str:
        """Return the text of a scalar below; "" if it is not there."""
        node: Node | None = self.node
        for name in names:
            node = node.get(name) if isinstance(node, Mapping) else None
        return node.text if isinstance(node, Scalar) else ""

    def finding(self, code: str, problem: str, *names: str, **more: str) -> Finding:
        """Return a finding about a value below; `more` are its other fields."""
        line, column, path = self.place(*names)
        text = more.pop("text", self.text(*names))
        return Finding(
            code=code, file=self.file, line=line, column=column, path=path, problem=problem, text=text, **more
        )


@dataclass(slots=True)
class Reading:
    """The reading of one file."""

    file: str
    runtime: Runtime
    format: Format
    multi: bool = False
    findings: list[Finding] = field(default_factory=list[Finding])

    @property
    def name(self) -> str:
        """How the runtime is called in a text."""
        return _NAMES.get(self.runtime, f"StateFun {self.runtime}")

    def report(self, code: str, node: Node, path: Path, problem: str, **more: str) -> None:
        """Add a finding; `more` are its other fields. `says` is given without the name of the runtime."""
        if len(self.findings) >= MAX_FINDINGS:
            return
        if "text" not in more and isinstance(node, Scalar):
            more["text"] = node.text
        if more.get("says"):
            # the embedded runtime keeps the rules of the newest release that reads the format
            name = f"StateFun {default_runtime(self.format)}" if self.runtime == "embedded" else self.name
            more["says"] = f"{name}: {more['says']}"
        self.findings.append(
            Finding(
                code=code, file=self.file, line=node.line, column=node.column,
                path=show_path(path if self.multi else path[1:]), problem=problem, **more,
            )
        )  # fmt: skip

    def near(self, word: str, words: Iterable[str]) -> str:
        """Return the word that was meant, or "" if none is near, or if enough was found already."""
        return "" if len(self.findings) >= MAX_FINDINGS else closest(word, islice(words, MOST_WORDS))

    def source(self, node: Node, path: Path) -> Source:
        """Return where a part of the model stands."""
        return Source(self.file, path, node, self.multi)

"""What is wrong with a module.yaml, or with how it fits the code: one Finding a fault.

Here: the shape of a finding, how it is printed, and the error that carries many. What each code means stands in
`_codes`; who reports what, in the modules that read and check.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from statefun._codes import CODES
from statefun.errors import ConfigError

__all__ = ["Finding", "ModuleError", "Severity"]

Severity = Literal["error", "warning", "note"]
Path = tuple[str | int, ...]
"""Where in the document: keys and indices; the first is the index of the document, in a file of components."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, and where."""

    code: str
    """Which kind of fault: stable, explained in the documentation."""
    file: str
    line: int
    """Counted from 1; 0 where the fault has no place in the file."""
    column: int
    path: str
    """Where in the document: `[1].spec.topics[0].valueType`."""
    problem: str
    """What is wrong, as a sentence; it quotes the offending text."""
    text: str = ""
    """The offending text, as it stands in the file; empty where something is missing."""
    expected: str = ""
    """What would be right."""
    did_you_mean: str = ""
    says: str = ""
    """Which runtime says so, in its own words where they are known."""

    @property
    def severity(self) -> Severity:
        """How bad it is: an error is refused by a runtime, at start or on the first message."""
        return CODES[self.code].severity

    def __str__(self) -> str:
        """Return the finding as it is printed: one line for the fault, one for each thing that helps."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        where = f"{self.path}: " if self.path else ""
        lines = [f"{place}: {self.severity} {self.code}: {where}{self.problem}"]
        if self.did_you_mean:
            lines.append(f"  did you mean: {self.did_you_mean}")
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.says:
            lines.append(f"  says: {self.says}")
        return "\n".join(lines)


class ModuleError(ConfigError, ValueError):
    """A module.yaml cannot be used; it holds all that is wrong."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings: tuple[Finding, ...] = tuple(findings)
        """All of them, warnings too, in the order of the file."""
        super().__init__("\n".join(str(finding) for finding in self.findings))

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Those that are refused."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def show_path(path: Path) -> str:
    """Write a path: `[1].spec.topics[0].valueType`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def closest(word: str, words: Iterable[str]) -> str:
    """Return the word that was meant, or "" if none is near."""
    known = list(words)
    folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.7)
    return folded[near[0]] if near and folded[near[0]] != word else ""

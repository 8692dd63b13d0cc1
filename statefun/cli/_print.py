"""How findings are printed: for people, for programs, and for GitHub.

Here: the three formats, which are documented and stable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from statefun.findings import Finding

__all__ = ["FORMATS", "show_findings"]

FORMATS = ("text", "json", "github")
_GITHUB = {"error": "error", "warning": "warning", "note": "notice"}
_FIELDS = ("code", "severity", "file", "line", "column", "path", "problem", "text", "expected", "did_you_mean", "says")


def show_findings(findings: Iterable[Finding], style: str) -> None:
    """Print findings in one of the formats."""
    for finding in findings:
        print({"json": _json, "github": _github}.get(style, str)(finding))


def _json(finding: Finding) -> str:
    return json.dumps({name: getattr(finding, name) for name in _FIELDS}, ensure_ascii=False)


def _github(finding: Finding) -> str:
    """Return a workflow command, which GitHub shows at the line of the file."""
    place = [f"file={_escaped(finding.file, property_=True)}"]
    if finding.line:
        place += [f"line={finding.line}", f"col={finding.column}"]
    text = str(finding).partition(f" {finding.code}: ")[2]
    title = f"title={finding.code}"
    return f"::{_GITHUB[finding.severity]} {','.join([*place, title])}::{_escaped(text, property_=False)}"


def _escaped(text: str, *, property_: bool) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if property_ else text

"""A file becomes a Module, or a ModuleError that holds all that is wrong with it.

Here: `read` and `read_text`: which format it is, whose rules hold, and the faults that concern the file as a whole.
The only code of the package that opens a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path as FilePath

from statefun._codes import CODES
from statefun.findings import Finding, ModuleError, Path
from statefun.module import _yaml
from statefun.module._components import KINDS, Part, read_component
from statefun.module._grammar import quote
from statefun.module._legacy import legacy_shape
from statefun.module._model import EGRESSES, INGRESSES, Endpoint, Module, Router
from statefun.module._nodes import Kind, Mapping, Node, Scalar, Sequence, describe
from statefun.module._reading import Reading
from statefun.module._runtimes import FORMATS, RUNTIMES, Format, Runtime, default_runtime, readers, reads, to_format

__all__ = ["read", "read_text"]

_SILENCE = re.compile(r"^#[ \t]*statefun:[ \t]*(?:silence|ignore)\b[ \t]*(\S*)[ \t]*(.*?)[ \t]*$", re.MULTILINE)


def read(path: str | FilePath, *, runtime: Runtime | None = None) -> Module:
    """Read a module.yaml by the rules of a runtime; by those of the newest that reads its format, if none is named.

    Raises ModuleError, with all faults at once.
    """
    try:
        with FilePath(path).open("rb") as file:
            data = file.read(_yaml.MAX_BYTES + 1)
    except OSError as fault:
        problem = f"the file cannot be read: {fault.strerror or fault}"
        lost = Finding(code="SF001", file=str(path), line=0, column=0, path="", problem=problem)
        raise ModuleError([lost]) from fault
    return read_text(data, runtime=runtime, file=str(path))


def read_text(text: str | bytes, *, runtime: Runtime | None = None, file: str = "module.yaml") -> Module:
    """Read the text of a module.yaml; `file` is its name in the findings. Raises ModuleError."""
    if runtime is not None and runtime not in RUNTIMES:
        raise ValueError(f"{runtime!r} is no runtime: it is one of {', '.join(RUNTIMES)}")
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    documents, faults = _yaml.parse(data)
    reading = _prepare(documents, runtime, file)
    for fault in faults:
        reading.report(fault.code, Scalar(fault.line, fault.column, fault.text, Kind.TEXT), fault.path, fault.problem)
    fatal = any(CODES[fault.code].severity == "error" for fault in faults)
    if fatal and not documents:
        raise ModuleError(reading.findings)
    parts = _read_parts(documents, reading)
    _duplicates(parts, reading)
    silenced = _silenced(data, reading)
    findings = sorted(reading.findings, key=lambda finding: (finding.line, finding.column, finding.code))
    unspoken = tuple(finding for finding in findings if finding.code in silenced)
    findings = [finding for finding in findings if finding.code not in silenced]
    if any(finding.severity == "error" for finding in findings):
        raise ModuleError(findings)
    return Module(
        path=file,
        format=reading.format,
        runtime=reading.runtime,
        endpoints=tuple(part for part in parts if isinstance(part, Endpoint)),
        ingresses=tuple(part for part in parts if isinstance(part, INGRESSES)),
        egresses=tuple(part for part in parts if isinstance(part, EGRESSES)),
        routers=tuple(part for part in parts if isinstance(part, Router)),
        findings=tuple(findings),
        silenced=silenced,
        unspoken=unspoken,
    )


AnyPart = Part | Router


def _prepare(documents: list[Node | None], runtime: Runtime | None, file: str) -> Reading:
    """Tell the format, and whose rules hold."""
    version = _version(documents)
    format_: Format = "components"
    if version is not None:
        format_ = to_format(version.text) or ("2.0" if _is_old(version.text, documents) else "3.0")
    if runtime is None:
        runtime = default_runtime(format_)
        if format_ == "components" and any(_only_embedded(document) for document in documents):
            runtime = "embedded"
    return Reading(file, runtime, format_, multi=version is None)


def _version(documents: list[Node | None]) -> Scalar | None:
    """Return what stands after `version` in a file that has one."""
    first = next((document for document in documents if document is not None), None)
    version = first.get("version") if isinstance(first, Mapping) else None
    if not isinstance(first, Mapping) or "kind" in first.entries:
        return None
    if isinstance(version, Scalar):
        return version
    return Scalar(first.line, first.column, "", Kind.NULL) if "module" in first.entries else None


def _is_old(version: str, documents: list[Node | None]) -> bool:
    """Tell whether a file whose version says nothing is one of 2.x: it has functions, not endpoints."""
    if version:
        return version.startswith(("1", "2"))
    node: Node | None = next(document for document in documents if document is not None)
    for key in ("module", "spec", "functions"):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node is not None


def _only_embedded(document: Node | None) -> bool:
    kind = document.get("kind") if isinstance(document, Mapping) else None
    known = KINDS.get(kind.text) if isinstance(kind, Scalar) else None
    return known is not None and "3.3" not in known.runtimes


def _read_parts(documents: list[Node | None], reading: Reading) -> list[AnyPart]:
    _placeholders(documents, reading)
    if reading.multi:
        return _read_components(documents, reading)
    return _read_legacy(documents, reading)


def _read_components(documents: list[Node | None], reading: Reading) -> list[AnyPart]:
    filled = [document for document in documents if document is not None]
    if not filled:
        expected = "documents with kind and spec, or one document with version and module"
        reading.report("SF011", _start(documents), (), "there is nothing in the file", text="", expected=expected)
        return []
    if not reads(reading.runtime, "components"):
        problem = f"{reading.name} reads no components: it wants one document with version and module"
        version = {"2.0": '"1.0"', "2.1": '"2.0"', "2.2": '"2.0"'}.get(reading.runtime, '"3.0"')
        reading.report(
            "SF110", filled[0], (0,), problem, text="", expected=f"version: {version}",
            says="missing key /version" if reading.runtime == "3.0" else "Unable to find a module type",
        )  # fmt: skip
        return []
    parts: list[AnyPart] = []
    for index, document in enumerate(documents):
        if document is None:
            _empty_document(index, reading)
            continue
        part = read_component(document, (index,), reading)
        if part is not None:
            parts.append(part)
    return parts


def _empty_document(index: int, reading: Reading) -> None:
    if reading.runtime == "3.1":
        says = "Invalid ComponentJsonObject"
        node = Scalar(0, 0, "", Kind.NULL)
        reading.report("SF013", node, (index,), "an empty document, which only 3.2 and later skip", says=says)


def _start(documents: list[Node | None]) -> Node:
    return next((document for document in documents if document is not None), Scalar(1, 1, "", Kind.NULL))


def _read_legacy(documents: list[Node | None], reading: Reading) -> list[AnyPart]:
    # the first that is not empty is a mapping: it has a version, or a module
    index, root = next((index, document) for index, document in enumerate(documents) if isinstance(document, Mapping))
    first_only = reading.runtime in ("2.0", "2.1", "2.2", "3.0")
    for other in documents[index + 1 :]:
        if other is None:
            continue
        if first_only or reading.runtime == "embedded":
            reading.report(
                "SF012", other, (), f"{reading.name} reads the first document only: this one is ignored", text=""
            )
        else:
            problem = "a file with a version has one document only"
            reading.report("SF014", other, (), problem, text="", says="Invalid ComponentJsonObject")
    format_ = _legacy_format(root, reading)
    if format_ is None:
        return []
    parts = legacy_shape(format_, reading.runtime).read(root, (index,), reading) or ()
    return [part for part in parts if isinstance(part, (Endpoint, Router, *INGRESSES, *EGRESSES))]


def _legacy_format(root: Mapping, reading: Reading) -> Format | None:
    node = root.get("version")
    known = [known for known in FORMATS if known != "components" and reads(reading.runtime, known)]
    expected = "version: " + " or ".join(f'"{known}"' for known in known)
    if node is None:
        near = reading.near("version", (name for name in root.entries if name != "module"))
        hint = f"{near!r} in line {root.entries[near].key.line}" if near else ""
        says = "missing key /version"
        reading.report(
            "SF101", root, (0,), "the file without 'version'", text="", expected=expected, did_you_mean=hint, says=says
        )
        return None
    if not isinstance(node, Scalar) or node.kind is not Kind.TEXT:
        hint = f'"{node.text}", in quotes' if isinstance(node, Scalar) and node.kind is Kind.REAL else ""
        says = "Wrong type for key /version not a string"
        problem = f"{describe(node)} stands here: a version is a text"
        reading.report("SF109", node, (0, "version"), problem, expected=expected, did_you_mean=hint, says=says)
        return None
    if node.text not in known:
        _not_read(node, reading, expected, known)
        return None
    return to_format(node.text)


def _not_read(node: Scalar, reading: Reading, expected: str, known: Iterable[str]) -> None:
    says = f"Unrecognized format version: {node.text}"
    problem = f"{node.text!r} is no version that {reading.name} reads"
    format_ = to_format(node.text)
    if format_ is not None:
        problem = f"{reading.name} does not read version {node.text!r}, which {readers(format_)} read"
        if reading.runtime not in ("2.0", "2.1", "2.2", "embedded"):
            says = f"Only format versions higher than or equal to 3.0 is supported. Was version {node.text}."
    near = quote(reading.near(node.text, known))
    reading.report("SF110", node, (0, "version"), problem, expected=expected, did_you_mean=near, says=says)


def _duplicates(parts: list[AnyPart], reading: Reading) -> None:
    """Report what is bound twice: two entries for one function or namespace, two ingresses or egresses of one id."""
    seen: dict[tuple[str, str], AnyPart] = {}
    for part in parts:
        if isinstance(part, Router):
            continue
        if isinstance(part, Endpoint):
            key, word = ("functions", str(part.pattern)), "the functions"
        else:
            egress = isinstance(part, EGRESSES)
            key, word = ("egress" if egress else "ingress", part.id), "the egress" if egress else "the ingress"
        first = seen.setdefault(key, part)
        if first is not part:
            line = first.source.place()[0]
            says = "A binding for the key ... was previously defined."
            if key[0] == "functions" and reading.format in ("1.0", "2.0"):
                says = "Duplicate key"
            problem = f"{word} {key[1]!r}: bound here a second time, after line {line}"
            reading.report("SF114", part.source.node, part.source.path, problem, text=key[1], says=says)


def _placeholders(documents: list[Node | None], reading: Reading) -> None:
    """Report each `${...}`: no runtime puts anything in its place."""
    stack: list[tuple[Node | None, Path]] = [(document, (index,)) for index, document in enumerate(documents)]
    while stack:
        node, path = stack.pop()
        if isinstance(node, Mapping):
            stack.extend((entry.value, (*path, name)) for name, entry in node.entries.items())
        elif isinstance(node, Sequence):
            stack.extend((item, (*path, index)) for index, item in enumerate(node.items))
        elif node is not None and "${" in node.text and re.search(r"\$\{[^}]*\}", node.text):
            found = re.search(r"\$\{[^}]*\}", node.text)
            problem = f"{found[0] if found else ''!r} is read as it stands: {reading.name} knows no placeholders"
            reading.report("SF015", node, path, problem, expected="a value put in before the file is deployed")


def _silenced(data: bytes, reading: Reading) -> dict[str, str]:
    """Read the comments that silence a code: `# statefun: silence SF142 the brokers are ours`."""
    text = data.decode("utf-8", "replace")
    silenced: dict[str, str] = {}
    for found in _SILENCE.finditer(text):
        code, reason = found[1], found[2].lstrip("-: ")
        node = Scalar(text.count("\n", 0, found.start()) + 1, 1, code, Kind.TEXT)
        if code not in CODES:
            problem = f"{code!r} is no code of a finding"
            reading.report("SF016", node, (), problem, did_you_mean=quote(reading.near(code, CODES)))
        elif CODES[code].severity == "error" and code < "SF3":
            problem = f"{code} cannot be silenced: a runtime refuses the file"
            reading.report("SF016", node, (), problem)
        elif not reason:
            problem = f"{code} is silenced without a reason"
            reading.report("SF016", node, (), problem, expected=f"# statefun: silence {code} <why>")
        else:
            silenced[code] = reason
    return silenced

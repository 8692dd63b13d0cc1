"""An existing module.yaml brought up to the code, with its comments and its order.

Here: `update`, which puts in what the check asks for and corrects expirations; it removes nothing. Components are
documents of their own, so that a file of them only grows; the lists of the older formats are changed by ruamel.yaml.
"""

from __future__ import annotations

import importlib
import io
import re
from typing import Any

from statefun.catalog import Catalog, CatalogFunction
from statefun.errors import ConfigError, with_help
from statefun.functions import StatefulFunctions
from statefun.module._compare import Comparison
from statefun.module._durations import parse_duration
from statefun.module._emit import Value, emit
from statefun.module._model import Module
from statefun.module._write import Writer

__all__ = ["update"]

_BEFORE = re.compile(r"(?:(?:[ \t]*#[^\n]*|%[^\n]*|[ \t\r]*)\n)*---[ \t]*(?:#[^\n]*)?\r?\n|(?:[ \t\r]*\n)+")
_AFTER = re.compile(r"(?m)^(?:---|\.\.\.)(?=\s|\Z)")


def update(app: StatefulFunctions | Catalog, text: str, module: Module, *, endpoint: str, kafka: str) -> str:
    """Return the text of a module.yaml with what is missing put in; `module` is what was read from it.

    Raises ConfigError where ruamel.yaml is needed and missing.
    """
    catalog = app if isinstance(app, Catalog) else Catalog.of(app)
    both = Comparison(catalog, module, endpoint)
    writer = Writer(catalog, module.format, module.runtime, endpoint, kafka)
    entries, egresses = _entries(both, writer), _egresses(both, writer)
    ingresses = [] if module.ingresses else list(writer.ingresses())
    if module.format == "components":
        parts = [*entries, *ingresses, *egresses]
        return _appended(text, parts) if parts else text
    return _changed(both, writer, text, {"entries": entries, "ingresses": ingresses, "egresses": egresses})


def _entries(both: Comparison, writer: Writer) -> list[Value]:
    """Make an entry for each function that none serves."""
    bound = [function for function in both.catalog.functions if both.serving(function.typename) is None]
    made = [writer.function(one) if writer.is_v2 else writer.entry(one.typename, writer.endpoint) for one in bound]
    unknown = [name for name in writer.elsewhere() if both.serving(name) is None]
    return [*made, *(writer.entry(name, writer.unknown_url(name)) for name in unknown)]


def _egresses(both: Comparison, writer: Writer) -> list[Value]:
    known = {egress.id for egress in both.module.egresses}
    made: dict[str, Value | None] = {}
    for egress in both.catalog.egresses:
        if egress.typename not in known and egress.typename not in made:
            made[egress.typename] = writer.egress(egress)
    return [part for part in made.values() if part is not None]


def _appended(text: str, parts: list[Value]) -> str:
    start = text if text.endswith("\n") or not text else f"{text}\n"
    ended = re.search(r"(?m)^(---|\.\.\.)[ \t]*\n?\Z", start)
    return start + ("" if ended else "---\n") + "---\n".join(emit(part) for part in parts)


def _changed(both: Comparison, writer: Writer, text: str, parts: dict[str, list[Value]]) -> str:
    wrong = {
        function.typename: function
        for function in both.catalog.functions
        if writer.is_v2 and function.states and function.typename in both.exact
    }
    if not wrong and not any(parts.values()):
        return text
    head, body, tail = _parts(text)
    yaml = _ruamel(body)
    root = yaml.load(body)
    spec = root["module"]["spec"]
    for item in spec.get("functions", ()):
        function = wrong.get(str(item["function"]["meta"]["type"]))
        if function is not None:
            _set_states(item["function"]["spec"], function, writer)
    names = {"entries": "functions" if writer.is_v2 else "endpoints"}
    for key, made in parts.items():
        if made:
            name = names.get(key, key)
            if not spec.get(name):
                spec[name] = []
            spec[name].extend(made)
    out = io.StringIO()
    yaml.dump(root, out)
    changed = out.getvalue()
    if yaml.load(changed) == yaml.load(body):
        return text
    _refuse_loss(head, body, changed, both.module)
    return head + (changed if "\r\n" not in body else changed.replace("\r\n", "\n").replace("\n", "\r\n")) + tail


def _refuse_loss(head: str, body: str, changed: str, module: Module) -> None:
    """Refuse to lose a comment: ruamel.yaml does not keep all that stand in brackets. Raises ConfigError."""
    for number, line in enumerate(body.splitlines(), head.count("\n") + 1):
        found = re.search(r"(?:^|\s)(#.*)", line)
        if found is not None and found[1].rstrip() not in changed:
            msg = f"{module.path}:{number}: the comment {found[1].rstrip()!r} would be lost"
            raise ConfigError(with_help(msg, "move it to a line of its own, outside of brackets"))


def _parts(text: str) -> tuple[str, str, str]:
    """Cut the first document out of a file: what stands around it is no part of it, and ruamel.yaml drops it."""
    start = _BEFORE.match(text)
    begins = start.end() if start else 0
    after = _AFTER.search(text, begins)
    ends = after.start() if after else len(text)
    return text[:begins], text[begins:ends], text[ends:]


def _set_states(spec: Any, function: CatalogFunction, writer: Writer) -> None:
    """Declare the missing states of a function, and correct the expirations of the others."""
    wanted = {
        str(entry if isinstance(entry, str) else entry["name"]): entry  # type: ignore[call-overload,index]
        for entry in writer.states(function)
    }
    if not spec.get("states"):
        spec["states"] = []
    states = spec["states"]
    there = {str(state["name"]) if hasattr(state, "get") else str(state): state for state in states}
    for name, entry in wanted.items():
        state = there.get(name)
        if state is None:
            states.append(entry)
        elif hasattr(state, "get"):
            _set_expiration(state, entry)


def _set_expiration(state: Any, entry: Any) -> None:
    for key in ("expireAfter", "expireMode"):
        if key not in entry:
            state.pop(key, None)
        elif not _same(key, state.get(key), entry[key]):
            state[key] = entry[key]


def _same(key: str, found: object, wanted: str) -> bool:
    if key == "expireMode" or found is None:
        return (found or "after-invoke") == wanted
    return parse_duration(str(found)) == parse_duration(wanted)


def _ruamel(text: str) -> Any:
    try:
        ruamel: Any = importlib.import_module("ruamel.yaml")
    except ImportError:
        raise ConfigError(
            "a file with a version is changed by ruamel.yaml, which is not installed\n"
            "  help: pip install 'statefun[module]'"
        ) from None
    yaml = ruamel.YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    found = re.search(
        r"(?m)^( *)(?:functions|endpoints|ingresses|egresses):[^\n]*\n(?:[ \t]*(?:#[^\n]*)?\n)*( *)- ", text
    )
    offset = len(found[2]) - len(found[1]) if found else 2
    yaml.indent(mapping=2, sequence=offset + 2, offset=offset)
    return yaml

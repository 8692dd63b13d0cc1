"""What a GET is shown: which functions are served here, what they take and what they store.

Here: the facts, and the two ways to write them, JSON and HTML. Nothing of a request is in them.
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from datetime import timedelta
from html import escape

from google.protobuf import __version__ as protobuf_version

from statefun._type import short
from statefun.functions import StatefulFunctions

__all__ = ["Page", "ServedFunction", "ServedState", "describe", "html_of", "json_of"]

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedState:
    """A state that a function declares."""

    name: str
    type: str
    expire_after_write_ms: int | None
    expire_after_call_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedFunction:
    """A function that is served."""

    function: str
    accepts: tuple[str, ...]
    """The typenames of its messages."""
    any: bool
    """Whether it takes every other message, too."""
    states: tuple[ServedState, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that is told."""

    statefun: str
    python: str
    protobuf: str
    protocols: tuple[str, ...]
    functions: tuple[ServedFunction, ...]


def describe(functions: StatefulFunctions) -> Page:
    """Look at what is bound."""
    from statefun import __version__  # noqa: PLC0415 -- the package is imported by whoever comes here

    found = [
        ServedFunction(
            function=function.typename,
            accepts=tuple(type.typename for type in function.accepts.by_class.values()),
            any=function.accepts.catch_all,
            states=tuple(
                ServedState(
                    name=spec.name,
                    type=spec.type.typename,
                    expire_after_write_ms=_ms(spec.expire_after_write),
                    expire_after_call_ms=_ms(spec.expire_after_call),
                )
                for spec in function.all_specs
            ),
        )
        for function in functions
    ]
    return Page(
        statefun=__version__,
        python=platform.python_version(),
        protobuf=protobuf_version,
        protocols=("v2", "v3"),
        functions=tuple(sorted(found, key=lambda one: one.function)),
    )


def _ms(after: timedelta | None) -> int | None:
    return None if after is None else after // _MILLISECOND


def json_of(page: Page) -> bytes:
    """Write it for programs."""
    return json.dumps(asdict(page), indent=2, ensure_ascii=False).encode() + b"\n"


_HTML = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>statefun: {title}</title>
<style>body {{ font: 16px/1.5 sans-serif; margin: 2em }} td, th {{ padding: .2em 1em .2em 0; text-align: left;
vertical-align: top }} code {{ font-size: .95em }}</style>
<h1>{title}</h1>
<table><tr><th>function</th><th>accepts</th><th>states</th></tr>
{rows}</table>
<p>statefun {statefun}, protobuf {protobuf}, Python {python}; protocols {protocols}. A StateFun runtime posts its
requests to this URL.</p>
"""


def html_of(page: Page) -> bytes:
    """Write it for a person."""
    count = len(page.functions)
    text = _HTML.format(
        title=f"{count} stateful function{'' if count == 1 else 's'}",
        rows="".join(_row(function) for function in page.functions),
        statefun=escape(page.statefun),
        protobuf=escape(page.protobuf),
        python=escape(page.python),
        protocols=" and ".join(page.protocols),
    )
    return text.encode()


def _row(function: ServedFunction) -> str:
    accepts = [*map(short, function.accepts), *(["anything else"] if function.any else [])]
    cells = ([function.function], accepts, [f"{state.name}: {short(state.type)}" for state in function.states])
    joined = ("<br>".join(f"<code>{escape(line)}</code>" for line in cell) for cell in cells)
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in joined)}</tr>\n"

"""Files of components (3.1 and later): documents with `kind` and `spec`.

Here: the kinds, which runtime knows which, and the reading of one document.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from statefun.findings import Path
from statefun.module import _embedded, _endpoints, _kafka, _kinesis, _playground
from statefun.module._dialect import Dialect, dialect
from statefun.module._fields import Fields
from statefun.module._grammar import quote, text_of
from statefun.module._model import Egress, Endpoint, Ingress
from statefun.module._nodes import Kind, Mapping, Node, Scalar, describe
from statefun.module._reading import Reading
from statefun.module._runtimes import COMPONENTS, EMBEDDED, Runtime

__all__ = ["KINDS", "Part", "read_component"]

Part = Endpoint | Ingress | Egress
FORM_SAYS = (
    "Invalid ComponentJsonObject; components should be a JSON object with the required fields [kind] and [spec]."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentKind:
    """A kind of component."""

    shape: Callable[[Dialect], Fields[Any]]
    runtimes: frozenset[Runtime] = COMPONENTS


KINDS: dict[str, ComponentKind] = {
    "io.statefun.endpoints.v1/http": ComponentKind(shape=lambda how: _endpoints.endpoint(how, "v1")),
    "io.statefun.endpoints.v2/http": ComponentKind(shape=lambda how: _endpoints.endpoint(how, "v2")),
    "io.statefun.kafka.v1/ingress": ComponentKind(shape=_kafka.kafka_ingress),
    "io.statefun.kafka.v1/egress": ComponentKind(shape=_kafka.kafka_egress),
    "io.statefun.kinesis.v1/ingress": ComponentKind(shape=_kinesis.kinesis_ingress),
    "io.statefun.kinesis.v1/egress": ComponentKind(shape=_kinesis.kinesis_egress),
    "io.statefun.playground.v1/ingress": ComponentKind(
        shape=lambda _how: _playground.playground_ingress(), runtimes=EMBEDDED
    ),
    "io.statefun.playground.v1/egress": ComponentKind(
        shape=lambda _how: _playground.playground_egress(), runtimes=EMBEDDED
    ),
    "io.statefun.embedded.v1/http-ingress": ComponentKind(shape=_embedded.http_ingress, runtimes=EMBEDDED),
    "io.statefun.embedded.v1/jsonl-ingress": ComponentKind(shape=_embedded.jsonl_ingress, runtimes=EMBEDDED),
    "io.statefun.embedded.v1/stdin-ingress": ComponentKind(shape=_embedded.stdin_ingress, runtimes=EMBEDDED),
    "io.statefun.embedded.v1/jsonl-egress": ComponentKind(shape=_embedded.jsonl_egress, runtimes=EMBEDDED),
    "io.statefun.embedded.v1/stdout-egress": ComponentKind(shape=_embedded.stdout_egress, runtimes=EMBEDDED),
    "io.statefun.embedded.v1/kept-egress": ComponentKind(shape=_embedded.kept_egress, runtimes=EMBEDDED),
}


@cache
def shape_of(kind: str, runtime: Runtime) -> Fields[Any]:
    """Return the shape of the spec of a kind."""
    return KINDS[kind].shape(dialect(runtime, "components"))


def read_component(node: Node, path: Path, reading: Reading) -> Part | None:
    """Return what a document describes."""
    if not isinstance(node, Mapping):
        problem = f"{describe(node)} stands here"
        reading.report("SF102", node, path, problem, expected="a mapping with kind and spec", says=FORM_SAYS)
        return None
    kind = _kind(node, path, reading)
    for name, entry in node.entries.items():
        if name not in ("kind", "spec"):
            near = quote(reading.near(name, ("kind", "spec")))
            problem = f"a component has no key {name!r}: it is ignored"
            reading.report("SF103", entry.key, (*path, name), problem, did_you_mean=near)
    spec = node.get("spec")
    if spec is None:
        near = reading.near("spec", (name for name in node.entries if name != "kind"))
        hint = f"{near!r} in line {node.entries[near].key.line}" if near else ""
        reading.report("SF101", node, path, "a component without 'spec'", text="", did_you_mean=hint, says=FORM_SAYS)
    if kind is None or spec is None:
        return None
    part: Part | None = shape_of(kind, reading.runtime).read(spec, (*path, "spec"), reading)
    return part


def _kind(node: Mapping, path: Path, reading: Reading) -> str | None:
    value = node.get("kind")
    what = "the kind of the component, one of " + ", ".join(
        name for name, kind in KINDS.items() if reading.runtime in kind.runtimes
    )
    if value is None:
        near = reading.near("kind", (name for name in node.entries if name != "spec"))
        hint = f"{near!r} in line {node.entries[near].key.line}" if near else ""
        reading.report(
            "SF101", node, path, "a component without 'kind'", text="",
            expected=what, did_you_mean=hint, says=FORM_SAYS,
        )  # fmt: skip
        return None
    at = (*path, "kind")
    text = text_of(value, strict=False)
    if text is None or (isinstance(value, Scalar) and value.kind is Kind.NULL):
        reading.report(
            "SF102", value, at, f"{describe(value)} stands here", expected=what, says="Invalid binder kind format."
        )
        return None
    name = text.rstrip("/")
    kind = KINDS.get(name)
    if kind is not None and reading.runtime in kind.runtimes:
        return name
    _unknown_kind(name, value, at, reading, what)
    return None


def _unknown_kind(name: str, node: Node, path: Path, reading: Reading, what: str) -> None:
    if name in KINDS:
        problem = f"{reading.name} does not know the kind {name!r}, which only the embedded runtime knows"
        hint = ""
    else:
        problem = f"{name!r} is no kind that {reading.name} knows"
        hint = _OLD_KINDS.get(name) or reading.near(
            name, (k for k, v in KINDS.items() if reading.runtime in v.runtimes)
        )
    says = f"An extension with type TypeName({name.replace('/', ', ')}) does not exist."
    if name.count("/") != 1:
        says = "Invalid binder kind format."
    if reading.runtime == "embedded":
        says = ""
    reading.report("SF108", node, path, problem, expected=what, did_you_mean=quote(hint), says=says)


_OLD_KINDS = {
    "http": "io.statefun.endpoints.v2/http",
    "io.statefun.kafka/ingress": "io.statefun.kafka.v1/ingress",
    "io.statefun.kafka/egress": "io.statefun.kafka.v1/egress",
    "io.statefun.kinesis/ingress": "io.statefun.kinesis.v1/ingress",
    "io.statefun.kinesis/egress": "io.statefun.kinesis.v1/egress",
    "statefun.kafka.io/routable-protobuf-ingress": "io.statefun.kafka.v1/ingress",
    "statefun.kafka.io/generic-egress": "io.statefun.kafka.v1/egress",
    "statefun.kinesis.io/routable-protobuf-ingress": "io.statefun.kinesis.v1/ingress",
    "statefun.kinesis.io/generic-egress": "io.statefun.kinesis.v1/egress",
}

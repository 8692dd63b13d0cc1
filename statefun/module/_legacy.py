"""Files with a version: formats 1.0 and 2.0 (StateFun 2.x) and 3.0.

Here: the nesting of these formats: `module`, its lists, and entries with `meta` and `spec`. What stands in a spec is
in the module of its kind.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from statefun.module import _endpoints, _kafka, _kinesis
from statefun.module._components import KINDS, shape_of
from statefun.module._dialect import Dialect, dialect, to_pattern
from statefun.module._entries import FunctionEntry, NamedEntry, PlainEntry
from statefun.module._fields import Field, Fields, Record
from statefun.module._grammar import Choice, Items, Shape, Text, Whole
from statefun.module._model import Endpoint, Router
from statefun.module._runtimes import Format, Runtime

__all__ = ["legacy_shape"]

ROUTER = "org.apache.flink.statefun.sdk/protobuf-router"


@cache
def legacy_shape(format: Format, runtime: Runtime) -> Fields[tuple[object, ...]]:
    """Return the shape of a whole file."""
    how = dialect(runtime, format)
    spec = Fields(
        what="the spec of the module",
        fields=tuple(Field(name=name, of=Items(of=shape, what=f"a list of {name}")) for name, shape in _lists(how)),
        make=lambda record: tuple(part for name in record.values for part in record.every(name, object)),
    )
    meta = Fields(
        what="the meta of the module",
        fields=(Field(name="type", of=_remote(), needed=True, says="Unable to find a module type"),),
        make=lambda _record: True,
    )
    module = Fields(
        what="the module",
        fields=(
            Field(name="meta", of=meta, needed=True, says="Unable to find a module type"),
            Field(name="spec", of=spec, needed=True, says="A module without a spec"),
        ),
        make=lambda record: record.every("spec", object),
    )
    return Fields(
        what="the file",
        fields=(
            Field(name="version", of=Choice(words=(format,)), needed=True),
            Field(name="module", of=module, needed=True, says="Unable to find a module type"),
        ),
        make=lambda record: record.every("module", object),
    )


def _remote() -> Choice:
    return Choice(words=("remote",), fold=True, says="Unknown module type <s>, currently supported: REMOTE")


def _lists(how: Dialect) -> tuple[tuple[str, Shape[Any]], ...]:
    """Return the lists of the spec, in the order in which the runtimes bind what they hold."""
    ingresses = NamedEntry(how, "ingress", _ingresses(how))
    egresses = NamedEntry(how, "egress", _egresses(how))
    if how.format == "3.0":
        return (
            ("endpoints", PlainEntry(how, "endpoint", _endpoint_kinds(how))),
            ("ingresses", ingresses),
            ("egresses", egresses),
        )
    functions = FunctionEntry(how, "function", {"http": _endpoints.function(how), "grpc": _grpc()})
    return (("functions", functions), ("ingresses", ingresses), ("routers", _router(how)), ("egresses", egresses))


def _ingresses(how: Dialect) -> dict[str, Fields[Any]]:
    if how.format == "3.0":
        return {
            "io.statefun.kafka/ingress": _kafka.kafka_ingress(how),
            "io.statefun.kinesis/ingress": _kinesis.kinesis_ingress(how),
            **_newer(how, "/ingress"),
        }
    return {
        "statefun.kafka.io/routable-protobuf-ingress": _kafka.kafka_ingress(how),
        "statefun.kafka.io/protobuf-ingress": _kafka.protobuf_ingress(how),
        "statefun.kinesis.io/routable-protobuf-ingress": _kinesis.kinesis_ingress(how),
    }


def _egresses(how: Dialect) -> dict[str, Fields[Any]]:
    if how.format == "3.0":
        return {
            "io.statefun.kafka/egress": _kafka.kafka_egress(how),
            "io.statefun.kinesis/egress": _kinesis.kinesis_egress(how),
            **_newer(how, "/egress"),
        }
    return {
        "statefun.kafka.io/generic-egress": _kafka.kafka_egress(how),
        "statefun.kinesis.io/generic-egress": _kinesis.kinesis_egress(how),
    }


def _endpoint_kinds(how: Dialect) -> dict[str, Fields[Any]]:
    return {"http": _endpoints.endpoint(how, "v1"), **_newer(how, "/http")}


def _newer(how: Dialect, ending: str) -> dict[str, Fields[Any]]:
    """Return the kinds of components, which 3.1 and later take in a file of format 3.0 as well."""
    if how.strict:
        return {}
    apache = (kind for kind in KINDS if kind.endswith(ending) and "3.3" in KINDS[kind].runtimes)
    return {kind: _without_id(shape_of(kind, how.runtime)) for kind in apache}


def _without_id(shape: Fields[Any]) -> Fields[Any]:
    return replace(shape, fields=tuple(field for field in shape.fields if field.name != "id"))


def _grpc() -> Fields[Endpoint]:
    def make(record: Record) -> Endpoint:
        says = "the first message fails: UnsupportedOperationException"
        record.report(
            "SF129", "", "a gRPC function can be declared, but not called", text="", expected="kind: http", says=says
        )
        return Endpoint(pattern=to_pattern("/"), url="", source=record.source())

    return Fields(
        what="a gRPC function",
        fields=(
            Field(name="host", of=Text(what="a host name"), needed=True),
            Field(name="port", of=Whole(what="a port number", least=0, most=65535), needed=True),
        ),
        make=make,
    )


def _router(how: Dialect) -> Fields[Router]:
    def text(name: str, what: str) -> Field:
        return Field(name=name, of=Text(what=what), needed=True)

    spec = Fields(
        what="a router",
        fields=(
            Field(name="ingress", of=how.name("the name of an ingress", "shop.io/orders"), needed=True),
            Field(name="target", of=Text(what="<namespace>/<name>/<id>", check=_bad_target), needed=True),
            text("messageType", "the full name of a protobuf message"),
            text("descriptorSet", "a file with a FileDescriptorSet"),
        ),
        make=lambda record: Router(
            ingress=record.get("ingress", str),
            target=record.get("target", str),
            message_type=record.get("messageType", str),
            descriptor_set=record.get("descriptorSet", str),
            source=record.source(),
        ),
    )
    kind = Choice(words=(ROUTER,), fold=True, says="Invalid router type <s>")
    meta = Fields(
        what="the meta of a router", fields=(Field(name="type", of=kind, needed=True),), make=lambda _record: True
    )
    router = Fields(
        what="a router",
        fields=(Field(name="meta", of=meta, needed=True), Field(name="spec", of=spec, needed=True)),
        make=lambda record: record.get("spec", Router),
    )
    return Fields(
        what="an item of routers",
        fields=(Field(name="router", of=router, needed=True),),
        make=lambda record: record.get("router", Router),
    )


def _bad_target(text: str) -> str:
    return "" if text.split("/")[2:] else f"{text!r} is not '<namespace>/<name>/<id>'"

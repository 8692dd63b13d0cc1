"""A module.yaml out of the code: what the check would ask for, written down.

Here: the parts that each format is made of, and `generate`. Changing a file that exists is in `_update`. Topics are a
guess: an app does not say where its messages come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from statefun.catalog import Catalog, CatalogEgress, CatalogFunction, CatalogType
from statefun.errors import ConfigError
from statefun.functions import StatefulFunctions
from statefun.module._durations import show_duration
from statefun.module._emit import Value, emit
from statefun.module._runtimes import Format, Runtime

__all__ = ["DELIVERIES", "SCHEMA_COMMENT", "TRANSPORTS", "DeliveryName", "Transport", "Writer", "generate"]

Transport: TypeAlias = Literal["async", "okhttp"]
DeliveryName: TypeAlias = Literal["exactly-once", "at-least-once", "none"]
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)
DELIVERIES: tuple[DeliveryName, ...] = get_args(DeliveryName)

SCHEMA_COMMENT = "# yaml-language-server: $schema=module.schema.json\n"
"""Editors look for the schema there: `statefun module schema > module.schema.json`."""
NO_INGRESS = "# statefun: silence SF348 no function takes records as they are\n"
MODES = {"after-call": "after-invoke", "after-write": "after-write"}
PRIMITIVES = "io.statefun.types/"
RAW = "statefun.python/bytes"
TRANSACTION_MS = 600_000
"""How long a transaction of an egress may take: less than the 15 minutes that a broker allows."""
_FORMATS: dict[Runtime, Format] = {"2.0": "1.0", "2.1": "2.0", "2.2": "2.0", "3.0": "3.0"}


def generate(
    app: StatefulFunctions | Catalog,
    *,
    runtime: Runtime,
    endpoint: str,
    kafka: str = "localhost:9092",
    transport: Transport | None = None,
    delivery: DeliveryName | None = None,
) -> str:
    """Write a module.yaml that deploys an app, in the newest format that the runtime reads.

    `endpoint` is the URL at which the app is served, `kafka` the brokers, `transport` how the runtime calls (3.1 and
    later can choose), `delivery` what the Kafka egresses promise. Raises ConfigError where a name cannot be written in
    that format, or a transport cannot be chosen in it.
    """
    catalog = app if isinstance(app, Catalog) else Catalog.of(app)
    format = _FORMATS.get(runtime, "components")
    if transport is not None and format != "components":
        raise ConfigError(f"StateFun {runtime} has one transport, okhttp: none can be chosen\n  help: leave it out")
    writer = Writer(catalog, format, runtime, endpoint, kafka, transport, delivery)
    has_ingress = writer.runtime == "embedded" or any(True for _ in writer.ingresses())
    return f"{SCHEMA_COMMENT}{'' if has_ingress else NO_INGRESS}{writer.text()}"


@dataclass(frozen=True, slots=True)
class Writer:
    """Makes the parts of one module."""

    catalog: Catalog
    format: Format
    runtime: Runtime
    endpoint: str
    kafka: str
    transport: Transport | None = None
    delivery: DeliveryName | None = None

    @property
    def is_v2(self) -> bool:
        """Whether the format declares states."""
        return self.format in ("1.0", "2.0")

    def text(self) -> str:
        """Write the whole file."""
        entries, ingresses, egresses = list(self.entries()), list(self.ingresses()), list(self.egresses())
        if self.format == "components":
            return "---\n".join(emit(part) for part in (*entries, *ingresses, *egresses))
        lists: dict[str, Value] = {"functions" if self.is_v2 else "endpoints": entries}
        lists |= {"ingresses": ingresses} if ingresses else {}
        lists |= {"egresses": egresses} if egresses else {}
        return emit({"version": self.format, "module": {"meta": {"type": "remote"}, "spec": lists}})

    # --- functions ---

    def entries(self) -> Iterator[Value]:
        """Make an entry for every function of the app, and one for every function elsewhere that it sends to."""
        elsewhere = self.elsewhere()
        if self.runtime == "embedded":  # which calls the app's own functions without an entry
            pass
        elif self.is_v2:
            yield from (self.function(function) for function in self.catalog.functions)
        else:
            shared = {name.rpartition("/")[0] for name in elsewhere}
            patterns = dict.fromkeys(
                name if (namespace := name.rpartition("/")[0]) in shared else f"{namespace}/*"
                for name in sorted(function.typename for function in self.catalog.functions)
            )
            yield from (self.entry(pattern, self.endpoint) for pattern in patterns)
        yield from (self.entry(name, self.unknown_url(name)) for name in elsewhere)

    def elsewhere(self) -> list[str]:
        """Return the functions that the app sends to and does not bind."""
        bound = {function.typename for function in self.catalog.functions}
        return [reference.typename for reference in self.catalog.references if reference.typename not in bound]

    def entry(self, pattern: str, url: str) -> Value:
        """Make the entry of a function or a namespace at some URL."""
        self._check_name(pattern)
        if self.is_v2:
            return {"function": {"meta": {"kind": "http", "type": pattern}, "spec": {"endpoint": url}}}
        spec: dict[str, Value] = {"functions": pattern, "urlPathTemplate": url}
        if self.format == "3.0":
            return {"endpoint": {"meta": {"kind": "http"}, "spec": spec}}
        transport = "okhttp" if url.lower().startswith(("http+unix:", "https+unix:")) else self.transport
        if transport is not None:
            spec = {**spec, "transport": {"type": f"io.statefun.transports.v1/{transport}"}}
        return {"kind": "io.statefun.endpoints.v2/http", "spec": spec}

    def function(self, function: CatalogFunction) -> Value:
        """Make the entry of a function with its states (2.x)."""
        spec: dict[str, Value] = {"endpoint": self.endpoint}
        if function.states:
            spec["states"] = list(self.states(function))
        return {"function": {"meta": {"kind": "http", "type": function.typename}, "spec": spec}}

    def states(self, function: CatalogFunction) -> Iterator[Value]:
        """Make the entries of a function's states (2.x)."""
        for state in function.states:
            if self.format == "1.0":
                yield state.name
                continue
            entry: dict[str, Value] = {"name": state.name}
            if state.expire_after is not None:
                entry["expireAfter"] = show_duration(state.expire_after)
                if self.runtime != "2.1":
                    entry["expireMode"] = MODES[state.expiration]
            yield entry

    @staticmethod
    def unknown_url(name: str) -> str:
        """Return a URL for a function elsewhere, to be replaced by the right one."""
        return f"http://{re.sub('[^A-Za-z0-9-]', '-', name.rpartition('/')[2])}.invalid/statefun"

    def _check_name(self, name: str) -> None:
        if self.format != "3.0" and self.is_v2:
            return
        if name.count("/") > 1:
            raise ConfigError(
                f"{name!r} has more than one slash, which StateFun {self.runtime} takes for no name\n"
                "  help: give its namespace dots instead of slashes"
            )

    # --- ingresses ---

    def ingresses(self) -> Iterator[Value]:
        """Make a Kafka ingress with a topic for each type that the app takes from outside."""
        name = self._own_namespace()
        if self.runtime == "embedded":
            yield {"kind": "io.statefun.embedded.v1/http-ingress", "spec": {"id": f"{name}/http-in"}}
            return
        topics = list(self._topics())
        if not topics:
            return
        spec: dict[str, Value] = {
            "address": self.kafka,
            "consumerGroupId": name,
            "autoOffsetResetPosition": "earliest",
            "startupPosition": {"type": "group-offsets"},
            "topics": topics,
        }
        yield self._entity("ingress", f"{name}/kafka-in", spec)

    def _topics(self) -> Iterator[Value]:
        inner = {name.typename for name in self.catalog.references if set(name.users) - {name.typename}}
        functions = [one for one in self.catalog.functions if one.typename not in inner] or self.catalog.functions
        taken: set[str] = set()
        for function in functions:
            types = list(_fed(function))
            for known in types:
                topic = function.typename.rpartition("/")[2]
                topic = topic if len(types) == 1 else f"{topic}-{_short(known)}"
                topic = topic if topic not in taken else f"{function.typename.replace('/', '.')}-{_short(known)}"
                taken.add(topic)
                key = "typeUrl" if self.is_v2 else "valueType"
                yield {"topic": topic, key: known, "targets": [function.typename]}

    def _own_namespace(self) -> str:
        names = [function.typename.rpartition("/")[0] for function in self.catalog.functions]
        return min(names, default="app").replace("/", ".")

    # --- egresses ---

    def egresses(self) -> Iterator[Value]:
        """Make an egress for each that the app uses, as far as a file can."""
        names = dict.fromkeys(egress.typename for egress in self.catalog.egresses)
        for name in names:
            kinds = [egress for egress in self.catalog.egresses if egress.typename == name]
            part = self.egress(kinds[0])
            if part is not None:
                yield part

    def egress(self, egress: CatalogEgress) -> Value | None:
        """Make an egress; None where a file can have none of its kind."""
        self._check_name(egress.typename)
        if self.runtime == "embedded":
            return {"kind": "io.statefun.embedded.v1/kept-egress", "spec": {"id": egress.typename}}
        if egress.kind == "kafka":
            return self._entity("egress", egress.typename, {"address": self.kafka, **self._delivery()})
        if egress.kind == "kinesis":
            return self._entity("egress", egress.typename, {"awsRegion": {"type": "default"}}, product="kinesis")
        return None

    def _delivery(self) -> dict[str, Value]:
        if self.delivery is None:
            return {}
        semantic: dict[str, Value] = {"type": self.delivery}
        if self.delivery == "exactly-once":
            # understood by every release; `transactionTimeout` is not
            semantic["transactionTimeoutMillis"] = TRANSACTION_MS
        return {"deliverySemantic": semantic}

    def _entity(self, word: str, name: str, spec: dict[str, Value], *, product: str = "kafka") -> Value:
        if self.format == "components":
            return {"kind": f"io.statefun.{product}.v1/{word}", "spec": {"id": name, **spec}}
        kind = f"io.statefun.{product}/{word}"
        if self.is_v2:
            kind = f"statefun.{product}.io/{'routable-protobuf-ingress' if word == 'ingress' else 'generic-egress'}"
        return {word: {"meta": {"type": kind, "id": name}, "spec": spec}}


def _fed(function: CatalogFunction) -> Iterator[str]:
    """Yield the types that a record can have as it is: a primitive is wrapped, which records are not."""
    types = [known.typename for known in function.accepts if _is_plain(known)]
    yield from types or ([RAW] if function.catch_all else [])


def _is_plain(known: CatalogType) -> bool:
    return not known.typename.startswith(PRIMITIVES)


def _short(typename: str) -> str:
    name = re.split(r"[/.]", typename)[-1]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()

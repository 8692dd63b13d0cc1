"""What a module.yaml surrounds an app with: endpoints, ingresses, egresses.

Here: a `Module` into routes, sources, sinks, senders and doors. Kinesis is not served; with a folder to stub Kafka and
it, a topic is a JSONL file of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from typing_extensions import assert_never

from statefun._http import ASGIApp, Door
from statefun.errors import ConfigError, with_help
from statefun.module._model import (
    AsyncTransport,
    Egress,
    Endpoint,
    HttpIngress,
    Ingress,
    JsonlEgress,
    JsonlIngress,
    KafkaEgress,
    KafkaIngress,
    KeptEgress,
    KinesisEgress,
    KinesisIngress,
    Module,
    OkHttpTransport,
    PlaygroundEgress,
    PlaygroundIngress,
    ProtobufKafkaIngress,
    RecordFields,
    StdoutEgress,
    Topic,
)
from statefun.runtime import _http_ingress, _playground
from statefun.runtime._driver import Driver
from statefun.runtime._endpoint import listed
from statefun.runtime._http_endpoint import Route, Transport
from statefun.runtime._jsonl import LineReader, LineWriter
from statefun.runtime._kafka_link import link_of
from statefun.runtime._kafka_source import kafka_sources
from statefun.runtime._pace import FLOOD, Pace
from statefun.runtime._plans import Wire
from statefun.runtime._retention import Keep
from statefun.runtime._senders import Sender
from statefun.runtime._sinks import FileSink, Sink, StdoutSink
from statefun.runtime._sources import FileSource, Source, StdinSource
from statefun.runtime._tls import Certificates
from statefun.runtime._values import Values

__all__ = ["Surroundings", "egress_names", "kept", "routes", "surroundings"]

PORT = 8080
OKHTTP_IDLE_S = 300.0
"""How long OkHttp keeps an idle connection."""
KAFKA_LINE = RecordFields(id="key", value="value", time="time")
"""A line that stands for a Kafka record."""


def routes(module: Module, timeout_s: float | None = None) -> list[Route]:
    """Return where each function is called; `timeout_s` goes before the limits of the file."""
    made = [_route(endpoint, Path(module.path).parent) for endpoint in module.endpoints]
    if timeout_s is None:
        return made
    return [replace(route, transport=replace(route.transport, call=timeout_s)) for route in made]


def _route(endpoint: Endpoint, base: Path) -> Route:
    return Route(
        namespace=endpoint.pattern.namespace,
        name=endpoint.pattern.name,
        url=endpoint.url,
        transport=_transport(endpoint.transport, base),
        max_batch=endpoint.max_num_batch_requests,
        states=listed(endpoint),
    )


def _transport(transport: OkHttpTransport | AsyncTransport, base: Path) -> Transport:
    match transport:
        case OkHttpTransport():
            return Transport(
                kind="okhttp",
                call=transport.call.total_seconds(),
                connect=transport.connect.total_seconds(),
                read=transport.read.total_seconds(),
                write=transport.write.total_seconds(),
                pool_ttl=OKHTTP_IDLE_S,
                largest=1 << 31,
            )
        case AsyncTransport():
            return Transport(
                kind="async",
                call=transport.call.total_seconds(),
                connect=transport.connect.total_seconds(),
                pool_size=transport.pool_size,
                pool_ttl=transport.pool_ttl.total_seconds() or None,
                largest=transport.payload_max_bytes,
                certificates=_certificates(transport, base),
            )
        case _:
            assert_never(transport)


def _certificates(transport: AsyncTransport, base: Path) -> Certificates | None:
    made = Certificates(
        base=base,
        trust_cacerts=transport.trust_cacerts,
        client_cert=transport.client_cert,
        client_key=transport.client_key,
        client_key_password=transport.client_key_password,
    )
    return None if made == Certificates(base=base) else made


def egress_names(module: Module) -> set[str]:
    """Return the egresses that functions may send to."""
    return {egress.id for egress in module.egresses}


def kept(module: Module) -> dict[str, Keep]:
    """Return how much stays of the egresses that the file says it of."""
    return {
        egress.id: Keep(
            records=egress.records,
            age_ms=None if egress.retention is None else int(egress.retention.total_seconds() * 1_000),
        )
        for egress in module.egresses
        if isinstance(egress, KeptEgress)
    }


@dataclass(slots=True)
class Surroundings:
    """What is read, what is written, and what listens: name, app, host, port."""

    sources: list[Source] = field(default_factory=list[Source])
    sinks: list[Sink] = field(default_factory=list[Sink])
    senders: list[Sender] = field(default_factory=list[Sender])
    pace: Pace = field(default_factory=Pace)
    doors: list[tuple[str, Callable[[Driver], ASGIApp], str, int]] = field(
        default_factory=list[tuple[str, Callable[[Driver], ASGIApp], str, int]]
    )


def surroundings(
    module: Module, values: Values, wire: Wire, *, stub: Path | None, wake: Callable[[], None],
    moved: Callable[[str], None], name: Callable[[], str],
) -> Surroundings:  # fmt: skip
    """Make what a file names; `name` is that of the data folder, for Kafka. Raises ConfigError for what cannot be."""
    made = Surroundings()
    base = Path(module.path).parent
    for ingress in module.ingresses:
        if isinstance(ingress, KafkaIngress) and stub is None:
            made.sources += kafka_sources(ingress, wire, wake, moved)
            made.pace = FLOOD
        else:
            _add_ingress(made, ingress, base, values, wire, stub=stub, wake=wake)
    for egress in module.egresses:
        if isinstance(egress, KafkaEgress) and stub is None:
            made.senders.append(Sender(egress.id, link_of(egress, f"statefun-{name()}-{egress.id}"), wake))
        else:
            _add_egress(made, egress, base, values, stub=stub)
    return made


def _add_ingress(
    made: Surroundings, ingress: Ingress, base: Path, values: Values, wire: Wire, *, stub: Path | None,
    wake: Callable[[], None],
) -> None:  # fmt: skip
    match ingress:
        case JsonlIngress(path=path, targets=targets, type=type, fields=fields, follow=follow):
            reader = LineReader(values, wire, type=type, fields=fields)
            if path is None:
                made.sources.append(StdinSource(reader, targets, wake))
            else:
                made.sources.append(FileSource(base / path, reader, targets, follow=follow))
        case HttpIngress(host=host, port=port):
            made.doors.append((
                "messages: POST", lambda driver: _http_ingress.HttpIngress(driver, values, Door([host])), host,
                PORT if port is None else port,
            ))  # fmt: skip
        case PlaygroundIngress(port=port):
            made.doors.append((
                "playground ingress:", lambda driver: _playground.PlaygroundIngress(driver, Door()), "127.0.0.1", port,
            ))  # fmt: skip
        case KafkaIngress(topics=topics) | KinesisIngress(topics=topics):
            made.sources += _stubbed_topics(ingress.id, topics, values, wire, stub)
        case ProtobufKafkaIngress():
            raise ConfigError(f"the ingress {ingress.id!r} needs a router, which the embedded runtime does not have")
        case _:
            assert_never(ingress)


def _stubbed_topics(
    id: str, topics: Sequence[Topic], values: Values, wire: Wire, stub: Path | None
) -> list[FileSource]:
    if stub is None:
        raise _needs_stub(f"ingress {id!r}")
    stub.mkdir(parents=True, exist_ok=True)
    sources: list[FileSource] = []
    for topic in topics:
        path = stub / f"{topic.name}.jsonl"
        path.touch()
        reader = LineReader(values, wire, type=topic.type, fields=KAFKA_LINE)
        sources.append(FileSource(path, reader, topic.targets, follow=True))
    return sources


def _needs_stub(what: str) -> ConfigError:
    help = "--stub-kafka DIR reads and writes JSONL files of the topics' names instead"
    return ConfigError(with_help(f"the {what} is Kinesis, which is not connected", help))


def _add_egress(made: Surroundings, egress: Egress, base: Path, values: Values, *, stub: Path | None) -> None:
    match egress:
        case JsonlEgress(path=path):
            made.sinks.append(FileSink(base / path, LineWriter(values), egress.id))
        case StdoutEgress():
            made.sinks.append(StdoutSink(LineWriter(values), egress.id))
        case KeptEgress():
            pass  # every record is kept
        case PlaygroundEgress(port=port, topics=topics):
            made.doors.append((
                "playground egress:", lambda driver: _playground.PlaygroundEgress(driver, topics, Door()),
                "127.0.0.1", port,
            ))  # fmt: skip
        case KafkaEgress() | KinesisEgress():
            if stub is None:
                raise _needs_stub(f"egress {egress.id!r}")
            made.sinks.append(FileSink(stub / f"{egress.id.rpartition('/')[2]}.jsonl", LineWriter(values), egress.id))
        case _:
            assert_never(egress)

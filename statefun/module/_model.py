"""What a module.yaml says, whichever format it is written in: frozen, and each part knows where it stands.

Here: the model, without a word about YAML. How it is read is in `read`, how it is checked against an app in `check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from statefun.findings import Finding
from statefun.module._reading import Source
from statefun.module._runtimes import Format, Runtime

__all__ = [
    "AsyncTransport",
    "Credentials",
    "Egress",
    "Endpoint",
    "ExactlyOnce",
    "HttpIngress",
    "Ingress",
    "InvalidRecords",
    "JsonlEgress",
    "JsonlIngress",
    "KafkaEgress",
    "KafkaIngress",
    "KeptEgress",
    "KinesisEgress",
    "KinesisIngress",
    "Module",
    "OkHttpTransport",
    "Pattern",
    "PlaygroundEgress",
    "PlaygroundIngress",
    "ProtobufKafkaIngress",
    "RecordFields",
    "Region",
    "Router",
    "StartAt",
    "StateEntry",
    "StdoutEgress",
    "Topic",
    "Transport",
]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which functions an endpoint serves: one, or all of a namespace."""

    namespace: str
    name: str | None
    """None: every function of the namespace."""

    def covers(self, typename: str) -> bool:
        """Tell whether a function is among them."""
        namespace, _, name = typename.rpartition("/")
        return namespace == self.namespace and self.name in (None, name)

    def __str__(self) -> str:
        """Return "<namespace>/<name>" or "<namespace>/*"."""
        return f"{self.namespace}/{'*' if self.name is None else self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateEntry:
    """A state that formats 1.0 and 2.0 declare."""

    name: str
    expire_after: timedelta | None = None
    mode: Literal["after-invoke", "after-write"] = "after-invoke"
    source: Source = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OkHttpTransport:
    """The older HTTP client: the only one of 2.x and 3.0, and the only one that knows unix sockets."""

    call: timedelta = timedelta(minutes=1)
    connect: timedelta = timedelta(seconds=10)
    read: timedelta = timedelta(seconds=10)
    write: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncTransport:
    """The newer HTTP client: what an endpoint of kind v2 uses since 3.2 unless it says otherwise."""

    call: timedelta = timedelta(minutes=2)
    connect: timedelta = timedelta(seconds=20)
    pool_ttl: timedelta = timedelta(seconds=15)
    pool_size: int = 1024
    payload_max_bytes: int = 32 * 1024 * 1024
    trust_cacerts: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    client_key_password: str | None = None


Transport = OkHttpTransport | AsyncTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where functions are called: an entry under `functions` (1.0, 2.0) or `endpoints` (3.0), or a component."""

    pattern: Pattern
    url: str
    """With `{function.name}` for the name of the function, in formats since 3.0."""
    transport: Transport = OkHttpTransport()
    max_num_batch_requests: int = 1000
    states: tuple[StateEntry, ...] | None = None
    """None in the formats that declare no state."""
    source: Source = field(compare=False, repr=False)

    def url_of(self, typename: str) -> str:
        """Return the URL at which a function is called."""
        return self.url.replace("{function.name}", typename.rpartition("/")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidRecords:
    """What happens to a Kafka record without key or value (kzm only)."""

    type: Literal["skip", "fail"] = "skip"
    log_level: Literal["debug", "info", "warn", "error"] = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A Kafka topic or a Kinesis stream: how its records become messages."""

    name: str
    type: str
    """`valueType` or `typeUrl`: the typename that every record is given, unread."""
    targets: tuple[str, ...]
    forward_headers: bool | None = None
    invalid_records: InvalidRecords | None = None
    source: Source = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAt:
    """Where a fresh start begins to read."""

    type: Literal["group-offsets", "earliest", "latest", "specific-offsets", "date"]
    offsets: tuple[tuple[str, int, int], ...] = ()
    """Topic, partition, offset."""
    date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaIngress:
    """Kafka topics whose records go to functions, each record to every target of its topic."""

    id: str
    address: str | None
    group: str | None
    topics: tuple[Topic, ...]
    start: StartAt | None = None
    """None: not said, which is `latest`."""
    auto_offset_reset: Literal["earliest", "latest"] = "latest"
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    forward_headers: bool = False
    invalid_records: InvalidRecords = InvalidRecords()
    source: Source = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtobufKafkaIngress:
    """Kafka topics whose records are parsed and go through a router (2.x)."""

    id: str
    address: str
    group: str | None
    topics: tuple[str, ...]
    message_type: str
    descriptor_set: str
    source: Source = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """An AWS region."""

    type: Literal["default", "specific", "custom-endpoint"] = "default"
    id: str | None = None
    endpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """AWS credentials."""

    type: Literal["default", "basic", "profile"] = "default"
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    profile_name: str | None = None
    profile_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KinesisIngress:
    """Kinesis streams whose records go to functions."""

    id: str
    topics: tuple[Topic, ...]
    start: StartAt | None = None
    region: Region = Region()
    credentials: Credentials = Credentials()
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    source: Source = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaygroundIngress:
    """HTTP requests of the StateFun playground."""

    id: str = "io.statefun.playground/ingress"
    port: int
    source: Source = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpIngress:
    """HTTP requests to the embedded runtime."""

    id: str
    host: str = "127.0.0.1"
    port: int | None = None
    """None: the runtime's own choice."""
    source: Source = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFields:
    """Which fields of a foreign JSON record are what; a dot goes one level down."""

    id: str
    type: str | None = None
    """None: every record has the ingress's `valueType`."""
    time: str | None = None
    time_unit: Literal["iso", "seconds", "milliseconds"] = "iso"
    value: str | None = None
    """None: the whole record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonlIngress:
    """Lines of JSON, from a file or from standard input, into the embedded runtime."""

    id: str
    path: str | None
    """None: standard input."""
    follow: bool = False
    """Whether to wait for more at the end of the file."""
    targets: tuple[str, ...]
    type: str | None = None
    """The typename of every record; None where the line says it."""
    fields: RecordFields | None = None
    """None: the lines have the runtime's own schema."""
    source: Source = field(compare=False, repr=False)


Ingress = KafkaIngress | ProtobufKafkaIngress | KinesisIngress | PlaygroundIngress | HttpIngress | JsonlIngress


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactlyOnce:
    """Records are written in transactions, seen by consumers that read committed ones only."""

    timeout: timedelta


Delivery = Literal["at-least-once", "none"] | ExactlyOnce


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaEgress:
    """A Kafka cluster that records are written to."""

    id: str
    address: str
    delivery: Delivery = "at-least-once"
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    source: Source = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KinesisEgress:
    """Kinesis streams that records are written to, at least once."""

    id: str
    region: Region = Region()
    credentials: Credentials = Credentials()
    max_outstanding_records: int = 1000
    properties: Mapping[str, str] = field(default_factory=dict[str, str])
    source: Source = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaygroundEgress:
    """Queues that HTTP requests pop from, of the StateFun playground."""

    id: str = "io.statefun.playground/egress"
    port: int
    topics: tuple[str, ...]
    source: Source = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonlEgress:
    """A file of JSON lines that the embedded runtime writes, each record exactly once."""

    id: str
    path: str
    source: Source = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StdoutEgress:
    """The standard output of the embedded runtime."""

    id: str
    source: Source = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEgress:
    """Records that the embedded runtime keeps, to be looked at."""

    id: str
    retention: timedelta | None = None
    """How long a record is kept; None: as long as the runtime keeps records."""
    records: int | None = None
    """How many are kept; None: as many as the runtime keeps."""
    source: Source = field(compare=False, repr=False)


Egress = KafkaEgress | KinesisEgress | PlaygroundEgress | JsonlEgress | StdoutEgress | KeptEgress


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """Takes an address out of each record of a protobuf ingress (2.x)."""

    ingress: str
    target: str
    """`<namespace>/<name>/<id>`, each part may hold {{$.a.path}}."""
    message_type: str
    descriptor_set: str
    source: Source = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A whole module.yaml."""

    path: str
    format: Format
    runtime: Runtime
    """Whose rules it was read by."""
    endpoints: tuple[Endpoint, ...]
    ingresses: tuple[Ingress, ...]
    egresses: tuple[Egress, ...]
    routers: tuple[Router, ...] = ()
    findings: tuple[Finding, ...] = ()
    """What is not refused, and is not right either."""
    silenced: Mapping[str, str] = field(default_factory=dict[str, str])
    """The codes that are not to be reported, each with the reason why."""
    unspoken: tuple[Finding, ...] = ()
    """What would be among the findings, were its code not silenced."""

    @property
    def wire(self) -> Literal["v2", "v3"]:
        """The version of the protocol that its functions are called in."""
        return "v2" if self.format in ("1.0", "2.0") else "v3"

    def endpoint_of(self, typename: str) -> Endpoint | None:
        """Return what serves a function: an entry of its own wins over one of its namespace."""
        covering = [endpoint for endpoint in self.endpoints if endpoint.pattern.covers(typename)]
        return next((one for one in covering if one.pattern.name is not None), covering[0] if covering else None)


INGRESSES = (KafkaIngress, ProtobufKafkaIngress, KinesisIngress, PlaygroundIngress, HttpIngress, JsonlIngress)
EGRESSES = (KafkaEgress, KinesisEgress, PlaygroundEgress, JsonlEgress, StdoutEgress, KeptEgress)

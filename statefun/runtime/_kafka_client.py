"""Kafka's client, confluent-kafka: imported when a Kafka kind is used, configured, and its errors told apart.

Here: `client`, the properties of module.yaml as settings of the client, and which errors mean "ask again" and which
"never". What is done with the client is in `_kafka_source` and `_kafka_link`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, cast

from statefun.errors import ConfigError, with_help

if TYPE_CHECKING:
    import confluent_kafka

__all__ = ["Clients", "ask_again", "client", "describe", "error_of", "never", "settings", "wrong"]

log = logging.getLogger("statefun.kafka")

_JVM_ONLY = frozenset((
    "key.deserializer", "value.deserializer", "key.serializer", "value.serializer", "partitioner.class",
    "interceptor.classes", "metric.reporters", "max.poll.records", "flink.partition-discovery.interval-millis",
    "register.consumer.metrics", "partition.assignment.strategy",
))  # fmt: skip
"""Properties of the JVM's client that say nothing to this one: they are left out."""
_OURS = {
    "group.id": "consumerGroupId",
    "enable.auto.commit": "",
    "auto.offset.reset": "autoOffsetResetPosition",
    "delivery.report.only.error": "",
}
_JAAS = "sasl.jaas.config"


class Clients(Protocol):
    """What is used of the module `confluent_kafka`."""

    Consumer: type[confluent_kafka.Consumer]
    Producer: type[confluent_kafka.Producer]
    TopicPartition: type[confluent_kafka.TopicPartition]
    KafkaError: type[confluent_kafka.KafkaError]
    KafkaException: type[confluent_kafka.KafkaException]


def client(who: str) -> Clients:
    """Import Kafka's client. Raises ConfigError that names the extra."""
    try:
        import confluent_kafka  # noqa: PLC0415 -- an extra
    except ImportError as error:
        msg = f"{who} is Kafka, and its client cannot be imported: {error}"
        raise ConfigError(with_help(msg, "pip install 'statefun[kafka]'")) from None
    return cast("Clients", confluent_kafka)


def settings(who: str, address: str | None, properties: Mapping[str, str]) -> dict[str, object]:
    """Make the client's settings of the properties in module.yaml. Raises ConfigError."""
    made: dict[str, object] = {}
    for name, value in properties.items():
        if name == _JAAS:
            help = "this client takes the properties sasl.username and sasl.password"
            raise ConfigError(with_help(f"{who}: there is no JAAS outside the JVM ({_JAAS})", help))
        if name in _JVM_ONLY or name in _OURS:
            log.debug("%s: the property %s is not used", who, name)
            continue
        made[name] = value
    if address:
        made["bootstrap.servers"] = address
    made["logger"] = log
    return made


def error_of(error: BaseException) -> confluent_kafka.KafkaError:
    """Return what a KafkaException carries."""
    return cast("confluent_kafka.KafkaError", error.args[0])


def describe(error: confluent_kafka.KafkaError) -> str:
    """Say what an error is about."""
    return f"{error.str()} ({error.name()})"


_AGAIN = frozenset((
    "NOT_COORDINATOR", "COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE", "UNSTABLE_OFFSET_COMMIT",
    "REQUEST_TIMED_OUT", "NETWORK_EXCEPTION", "LEADER_NOT_AVAILABLE", "_TIMED_OUT", "_TRANSPORT", "_WAIT_COORD",
    "_ALL_BROKERS_DOWN", "_RESOLVE", "_DESTROY_BROKER",
))  # fmt: skip
_NEVER = frozenset((
    "MSG_SIZE_TOO_LARGE", "INVALID_RECORD", "TOPIC_AUTHORIZATION_FAILED", "RECORD_LIST_TOO_LARGE", "POLICY_VIOLATION",
    "TOPIC_EXCEPTION", "UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION", "_INVALID_ARG",
))  # fmt: skip
_WRONG = frozenset((
    "INVALID_TRANSACTION_TIMEOUT", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED", "UNSUPPORTED_VERSION",
))  # fmt: skip


def ask_again(error: confluent_kafka.KafkaError) -> bool:
    """Tell whether an error only means that the same call may be right a moment later.

    The client's own `retriable()` is not set on all that `committed()` raises.
    """
    return not error.fatal() and (error.retriable() or error.name() in _AGAIN)


def never(error: confluent_kafka.KafkaError) -> bool:
    """Tell whether Kafka will never take a record that it refused with this error."""
    return error.name() in _NEVER


def wrong(error: confluent_kafka.KafkaError) -> bool:
    """Tell whether somebody has to change a setting or a permission before any record can be sent."""
    return error.name() in _WRONG

"""Values that deploy without a word, and then stall a job, lose records or kill it.

Here: what is known of such values from the runtimes themselves. What a runtime refuses is an error of the reader.
"""

from __future__ import annotations

from datetime import timedelta

from statefun.module._compare import Comparison
from statefun.module._durations import show_duration
from statefun.module._model import (
    AsyncTransport,
    Endpoint,
    ExactlyOnce,
    KafkaEgress,
    KafkaIngress,
    KinesisIngress,
)

__all__ = ["check_values"]

DEFAULT_BATCH = 1000
BROKER_LIMIT = timedelta(minutes=15)
"""The broker's transaction.max.timeout.ms, unless it is set otherwise."""


def check_values(both: Comparison) -> None:
    """Report each such value."""
    if both.is_embedded:
        return
    for entry in both.module.endpoints:
        if both.is_ours(entry):
            _check_endpoint(both, entry)
    for ingress in both.module.ingresses:
        if isinstance(ingress, (KafkaIngress, KinesisIngress)) and ingress.start is None:
            both.report(
                "SF345", ingress.source, f"the ingress {ingress.id!r} starts at the newest record, for lack of a"
                " startupPosition: what was written before the first start is never read",
                *_spec(both), text="", expected="startupPosition: {type: earliest}, or the one that is meant",
            )  # fmt: skip
    for egress in both.module.egresses:
        if isinstance(egress, KafkaEgress):
            _check_delivery(both, egress)
    if not both.module.ingresses:
        says = "There are no ingress defined."
        both.report("SF348", None, "no ingress: this file alone does not start a job", says=says)


def _spec(both: Comparison) -> tuple[str, ...]:
    return () if both.module.format == "components" else ("spec",)


def _check_endpoint(both: Comparison, entry: Endpoint) -> None:
    limit, spec = entry.max_num_batch_requests, _spec(both)
    if 0 < limit < DEFAULT_BATCH:
        both.report(
            "SF341", entry.source,
            f"when {limit} messages wait for one address, the whole subtask stops until it is done",
            *spec, "maxNumBatchRequests", expected="no such key (1000), or more: it is no cap on a batch",
        )  # fmt: skip
    transport = entry.transport
    if not isinstance(transport, AsyncTransport):
        return
    for name, span in (("call", transport.call), ("connect", transport.connect)):
        if not span:
            problem = f"a {name} timeout of zero: every request fails, and the job with it"
            both.report("SF342", entry.source, problem, *spec, "transport", name, expected="more than zero")
    if transport.connect > transport.call > timedelta():
        connect, call = show_duration(transport.connect), show_duration(transport.call)
        problem = f"connecting may take {connect}, and the whole call {call}"
        both.report(
            "SF343", entry.source, problem, *spec, "transport", "call", expected="connect at most as long as call"
        )


def _check_delivery(both: Comparison, egress: KafkaEgress) -> None:
    where = (*_spec(both), "deliverySemantic")
    if egress.delivery == "none":
        problem = f"the egress {egress.id!r} gives no guarantee: records are lost in every failure"
        both.report("SF324", egress.source, problem, *where, "type")
    if not isinstance(egress.delivery, ExactlyOnce):
        return
    if egress.delivery.timeout > BROKER_LIMIT:
        problem = (
            f"transactions of {show_duration(egress.delivery.timeout)} are longer than a broker allows,"
            f" unless its transaction.max.timeout.ms says more than {show_duration(BROKER_LIMIT)}"
        )
        key = "transactionTimeout" if egress.source.text(*where, "transactionTimeout") else "transactionTimeoutMillis"
        both.report("SF323", egress.source, problem, *where, key)
    problem = (
        f"the egress {egress.id!r} is exactly-once only with checkpoints, which flink-conf.yaml ships switched off"
    )
    both.report(
        "SF347", egress.source, problem, *where, "type", expected="execution.checkpointing.interval in flink-conf.yaml"
    )

"""Stateful Functions for Python, strictly typed.

Only names of the other modules are here; each is documented where it is defined.
"""

from __future__ import annotations

from statefun import errors as errors
from statefun import types as types
from statefun.address import Address
from statefun.context import Context
from statefun.egress import (
    Egress,
    KafkaEgress,
    KinesisEgress,
    MessageEgress,
    kafka_egress_record,
    kinesis_egress_record,
)
from statefun.errors import (
    BindError,
    ConfigError,
    PeerError,
    SendError,
    StateError,
    StatefunError,
    UnexpectedMessage,
    UserCodeError,
)
from statefun.failures import DeadLetter, dead_letter, raise_, skip
from statefun.functions import StatefulFunction, StatefulFunctions
from statefun.handler import AsyncRequestReplyHandler, RequestReplyHandler
from statefun.references import FunctionRef, Target
from statefun.state import State, StateHandle, ValueSpec, value
from statefun.types import Type, custom_type, json_type

__all__ = [
    "Address",
    "AsyncRequestReplyHandler",
    "BindError",
    "ConfigError",
    "Context",
    "DeadLetter",
    "Egress",
    "FunctionRef",
    "KafkaEgress",
    "KinesisEgress",
    "MessageEgress",
    "PeerError",
    "RequestReplyHandler",
    "SendError",
    "State",
    "StateError",
    "StateHandle",
    "StatefulFunction",
    "StatefulFunctions",
    "StatefunError",
    "Target",
    "Type",
    "UnexpectedMessage",
    "UserCodeError",
    "ValueSpec",
    "custom_type",
    "dead_letter",
    "errors",
    "json_type",
    "kafka_egress_record",
    "kinesis_egress_record",
    "raise_",
    "skip",
    "types",
    "value",
]
__version__ = "0.1.0"

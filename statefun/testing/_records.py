"""Records as they left, and the values that they were made of.

Here: `Record`, and how the bytes of one are read with the hint of its egress.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic

from statefun import _hints
from statefun._proto.egress_pb2 import KafkaProducerRecord, KinesisEgressRecord
from statefun._variables import TypeVar
from statefun.egress import KafkaEgress, KinesisEgress, TypedEgress
from statefun.errors import reason
from statefun.protocol import Header
from statefun.runtime._store import RecordRow
from statefun.testing._machine import HarnessError
from statefun.testing._show import Shown
from statefun.types import STRING, Type

__all__ = ["Record", "read"]

X_co = TypeVar("X_co", covariant=True)


@dataclass(frozen=True, slots=True, repr=False)
class Record(Shown, Generic[X_co]):
    """A record that left through an egress."""

    value: X_co
    key: str = ""
    """Of a Kinesis record: its partition key."""
    topic: str = ""
    """Of a Kinesis record: its stream; of a MessageEgress: nothing."""
    headers: tuple[Header, ...] = ()


def read(row: RecordRow, egress: TypedEgress[Any], wanted: type | None) -> Record[Any]:
    """Read a record of an egress; `wanted` is the class of its value, where the hint leaves it open."""
    types = {known.cls: known for known in egress.types()}
    if isinstance(egress, KafkaEgress):
        kafka = KafkaProducerRecord.FromString(row.value)
        headers = tuple((one.key, one.value if one.has_value else None) for one in kafka.headers)
        return Record(_value(kafka.value_bytes, types, egress, wanted), kafka.key, kafka.topic, headers)
    if isinstance(egress, KinesisEgress):
        kinesis = KinesisEgressRecord.FromString(row.value)
        return Record(_value(kinesis.value_bytes, types, egress, wanted), kinesis.partition_key, kinesis.stream)
    for known in types.values():
        if known.typename == row.typename:
            return Record(known.decode(row.value))
    raise HarnessError(f"{egress!r} has a record of the type {row.typename!r}, which its hint does not name")


def _value(data: bytes, types: dict[type, Type[Any]], egress: TypedEgress[Any], wanted: type | None) -> object:
    """Find out which of the types of a hint a value has: the one that makes the same bytes of it again."""
    if wanted is not None:
        if wanted not in types:
            raise HarnessError(f"{egress!r} sends no {_hints.show(wanted)}")
        return _decoder(types[wanted])(data)
    if not types:
        return data
    if len(types) == 1:
        (known,) = types.values()
        try:
            return _decoder(known)(data)
        except Exception as error:
            raise HarnessError(f"a record of {egress!r} is no {_hints.show(known.cls)}: {reason(error)}") from error
    fitting = list(_fitting(data, types))
    if len(fitting) == 1:
        return fitting[0][1]
    names = " or ".join(_hints.show(cls) for cls, _ in fitting) or "none of its types"
    raise HarnessError(
        f"a record of {egress!r} can be {names}: a record does not say what it holds\n"
        "  help: say it, egress(EGRESS, TheClass)"
    )


def _fitting(data: bytes, types: dict[type, Type[Any]]) -> Iterator[tuple[type, object]]:
    for cls, known in types.items():
        try:
            value = _decoder(known)(data)
            again = value.encode() if known is STRING else known.encode(value)
        except Exception:  # noqa: BLE001, S112 -- whatever a codec raises: it is not of this type
            continue
        if again == data:
            yield cls, value


def _decoder(known: Type[Any]) -> Callable[[bytes], Any]:
    return bytes.decode if known is STRING else known.decode

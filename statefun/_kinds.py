"""What a type checker knows of: the closed unions of what may be sent and stored.

Here: the protocols that describe the three kinds of JSON class and a class with its own codec, and the unions of which
they are part. Closed, so that `X | None` and `object` stay errors. How a value is written is not known here; the public
place of all these names is `types`.
"""

from __future__ import annotations

import enum
from typing import Any, ClassVar, Protocol

from google.protobuf.message import Message

__all__ = [
    "PROTOCOLS",
    "CodedLike",
    "DataclassLike",
    "JsonLike",
    "ModelLike",
    "Record",
    "Sendable",
    "Storable",
    "StructLike",
]


class DataclassLike(Protocol):
    """A dataclass (checkers take a msgspec Struct and a pydantic model for one, too)."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class StructLike(Protocol):
    """A msgspec.Struct."""

    __struct_fields__: ClassVar[tuple[str, ...]]


class ModelLike(Protocol):
    """A pydantic.BaseModel."""

    __pydantic_validator__: ClassVar[Any]


class CodedLike(Protocol):
    """A class of one's own that is none of these: it declares `__statefun_type__`, and `custom_type` fills it."""

    __statefun_type__: ClassVar[Any]


Record = Message | str | bytes | DataclassLike | StructLike | ModelLike | CodedLike
"""What Kafka and Kinesis carry: bytes, or what has one way to become bytes."""
Sendable = Message | bool | int | float | str | bytes | DataclassLike | StructLike | ModelLike | CodedLike
"""What may be a message or the value of an egress."""
Storable = Sendable | enum.Enum | list[Any] | dict[str, Any]
"""What may be a stored value."""

JsonLike = DataclassLike | StructLike | ModelLike
"""What is written as JSON."""

PROTOCOLS: tuple[Any, ...] = (DataclassLike, StructLike, ModelLike, CodedLike)

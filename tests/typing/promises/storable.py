"""A stored value may be what can be sent, an Enum, a list or a dict with str keys; nothing else without a Type."""

import enum
from dataclasses import dataclass
from datetime import datetime

import msgspec
import pydantic
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import SeenCount
from typing_extensions import assert_type

from statefun import ValueSpec, json_type


@json_type("shop/Order")
@dataclass
class Order:
    id: str


@json_type("shop/Parcel")
class Parcel(msgspec.Struct):
    id: str


@json_type("shop/Refund")
class Refund(pydantic.BaseModel):
    id: str


class Tier(enum.Enum):
    GOLD = 1


class Plain: ...


assert_type(ValueSpec("n", int), ValueSpec[int])
assert_type(ValueSpec("m", SeenCount), ValueSpec[SeenCount])
assert_type(ValueSpec("a", AnyPb), ValueSpec[AnyPb])
assert_type(ValueSpec("o", Order), ValueSpec[Order])
assert_type(ValueSpec("p", Parcel), ValueSpec[Parcel])
assert_type(ValueSpec("r", Refund), ValueSpec[Refund])
assert_type(ValueSpec("t", Tier), ValueSpec[Tier])
assert_type(ValueSpec("l", list[Order]), ValueSpec[list[Order]])
assert_type(ValueSpec("d", dict[str, Tier]), ValueSpec[dict[str, Tier]])

ValueSpec("x", object)  # E
ValueSpec("x", Plain)  # E
ValueSpec("x", datetime)  # E
ValueSpec("x", dict[int, str])  # E
ValueSpec("x", tuple[int, int])  # E
ValueSpec("x", set[int])  # E
ValueSpec("x", None)  # E

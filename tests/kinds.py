"""One class of every kind that can be sent or stored, and a State that holds them all."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from typing import Annotated, ClassVar, NewType

import msgspec
import pydantic
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import SeenCount, Ship, User

from statefun import State, Type, custom_type, json_type, types, value

__all__ = [
    "LEGACY",
    "WHEN",
    "Bigger",
    "Cents",
    "Item",
    "Kinds",
    "Leaf",
    "Level",
    "Money",
    "Parcel",
    "Refund",
    "Tier",
    "Undeclared",
    "Wide",
]


class Tier(enum.Enum):
    """An Enum."""

    BASIC = 0
    GOLD = 1


class Level(enum.IntEnum):
    """An Enum whose members are ints."""

    LOW = 1


@json_type("kinds/Item")
@dataclasses.dataclass
class Item:
    """A dataclass."""

    sku: str
    tier: Tier = Tier.BASIC
    tags: list[str] = dataclasses.field(default_factory=list[str])


class Bigger(Item):
    """A dataclass that has no typename of its own."""


@dataclasses.dataclass
class Undeclared:
    """A dataclass that no json_type names."""


@dataclasses.dataclass
class Leaf:
    """A dataclass that holds itself, and has no typename: it stands in another."""

    name: str
    children: list[Leaf] = dataclasses.field(default_factory=list["Leaf"])


@json_type("kinds/Wide")
@dataclasses.dataclass(kw_only=True)
class Wide:
    """A dataclass with a field of everything that has a JSON form."""

    flag: bool = False
    whole: int = 0
    real: float = 0.0
    text: str = ""
    raw: bytes = b""
    tier: Tier = Tier.BASIC
    at: dt.datetime = dt.datetime(2024, 1, 1)  # noqa: DTZ001 -- one without a zone is a value, too
    on: dt.date = dt.date(2024, 1, 1)
    price: decimal.Decimal = decimal.Decimal(0)
    number: uuid.UUID = uuid.UUID(int=0)  # noqa: RUF009 -- it cannot change
    user: User = dataclasses.field(default_factory=User)
    item: Item | None = None
    parcel: Parcel | None = None
    refund: Refund | None = None
    root: Leaf | None = None
    by_name: dict[str, list[int | None]] = dataclasses.field(default_factory=dict[str, "list[int | None]"])
    count: int = dataclasses.field(init=False, default=7)


@json_type("kinds/Parcel")
class Parcel(msgspec.Struct):
    """A msgspec Struct."""

    sku: str
    count: int = 1


@json_type("kinds/Refund")
class Refund(pydantic.BaseModel):
    """A pydantic model."""

    sku: str
    at: dt.datetime


class Money:
    """A class with a codec of its own."""

    __statefun_type__: ClassVar[Type[Money]]

    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and self.cents == other.cents

    __hash__ = None  # type: ignore[assignment]  # it can be changed


custom_type("kinds/money", Money, encode=lambda money: b"%d" % money.cents, decode=lambda data: Money(int(data)))
WHEN = Type(
    "kinds/when",
    dt.datetime,
    encode=lambda at: at.isoformat().encode(),
    decode=lambda data: dt.datetime.fromisoformat(data.decode()),
)
LEGACY = types.protobuf(User, typename="legacy/user")
Cents = NewType("Cents", int)


class Kinds(State):
    """A value of every storable type."""

    flag: bool = False
    n: Annotated[int, types.INT32] = 0
    m: int = value(default=0, type=types.INT32)
    big: int = 0
    ratio: float = 1.0
    narrow: float = value(default=0.0, type=types.FLOAT32)
    raw: bytes = b""
    tier: Tier = Tier.BASIC
    tags: list[str] = value(default_factory=list[str])
    items: dict[str, Item] = value(default_factory=dict[str, Item])
    item: Item | None = None
    wide: Wide | None = None
    parcel: Parcel | None = None
    refund: Refund | None = None
    money: Money | None = None
    cents: Cents | None = None
    at: dt.datetime | None = value(default=None, type=WHEN)
    user: User | None = value(default=None, type=LEGACY)
    seen: SeenCount | None = None
    total: SeenCount = value(default_factory=SeenCount)
    ship: Ship | None = None
    packed: AnyPb | None = None
    specs: int = 0
    keys: int = 0
    name: str = ""

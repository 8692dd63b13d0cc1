"""How a State class is made."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
from typing import Annotated, Any

import pytest
from shop_pb2 import SeenCount

from statefun import State, StateError, json_type, types, value
from statefun.state import specs_of
from tests.kinds import WHEN, Cents, Item
from tests.refusals import refusal

DAY = dt.timedelta(days=1)


class Greeted(State):
    """A State with a value of each way to be declared."""

    seen: SeenCount | None = None
    total: SeenCount = value(default_factory=SeenCount)
    visits: int = 3
    name: str | None = value(default=None, name="user_name", expire_after_write=DAY)
    narrow: Annotated[int, types.INT32] = 0
    cents: Cents | None = None
    at: dt.datetime | None = value(default=None, type=WHEN)
    tags: list[str] = value(default_factory=list[str])


def test_specs() -> None:
    """Each field is the declaration of a value: name, Type, default and expiration."""
    specs = specs_of(Greeted)
    assert [spec.name for spec in specs] == ["seen", "total", "visits", "user_name", "narrow", "cents", "at", "tags"]
    assert [spec.type.typename for spec in specs] == [
        "type.googleapis.com/shop.SeenCount",
        "type.googleapis.com/shop.SeenCount",
        "io.statefun.types/long",
        "io.statefun.types/string",
        "io.statefun.types/int",
        "io.statefun.types/long",
        "kinds/when",
        "statefun.python/json",
    ]
    assert [spec.default() if spec.default else None for spec in specs] == [
        None,
        SeenCount(),
        3,
        None,
        0,
        None,
        None,
        [],
    ]
    assert [spec.expire_after_write for spec in specs] == [None, None, None, DAY, None, None, None, None]


def test_inheritance() -> None:
    """A subclass adds values, and keeps the default of one that it annotates anew."""

    class More(Greeted):
        visits: Annotated[int, types.INT32]  # pyright: ignore[reportGeneralTypeIssues] -- run time keeps the default
        extra: int = 1

    untyped_more: Any = More

    assert [spec.name for spec in specs_of(More)][-1] == "extra"
    assert len(specs_of(More)) == 9
    assert specs_of(More)[2].type is types.INT32
    assert untyped_more(extra=2).visits == 3
    assert [spec.name for spec in specs_of(Greeted)].count("extra") == 0


def test_forward_references() -> None:
    """A hint may name what is defined later: the values are read when the class is first used."""

    class Early(State):
        late: Late | None = None

    assert Early.__statefun_state__.pending

    @dataclasses.dataclass
    class Late:
        id: str

    assert Late.__name__ == "Late"
    with pytest.raises(NameError, match="'Late'"):
        specs_of(Early)  # the names were taken when the class was made


class Module(State):
    """A State whose hint names what the module defines below."""

    later: Later | None = None


class Later(State):
    """No value, but that is said in its time."""


def test_forward_references_of_a_module() -> None:
    """A name of the module is found once it is there, and what it names is checked as ever."""
    text = refusal(StateError, lambda: specs_of(Module))
    assert text.startswith("state 'later': values of type Later cannot be stored; use a protobuf message")


def test_an_int_for_a_float() -> None:
    """A default of int for a float becomes one."""

    class Ratio(State):
        ratio: float = 1

    assert type(Ratio().ratio) is float


PROLOGUE = """from __future__ import annotations
from datetime import timedelta
import dataclasses, threading
from typing import Annotated
import msgspec
from shop_pb2 import Admin, SeenCount, User
from statefun import State, types, value
from tests.kinds import Item, Parcel, Refund
@dataclasses.dataclass
class Undeclared: ...
class Bad(State):
    """
STORABLE = (
    "cannot be stored; use a protobuf message, bool, int, float, str, bytes, an Enum, a class declared with json_type, "
    "a list or dict of these, or write a Type and name it: value(type=...)"
)
BAD: list[tuple[str, str]] = [
    (
        "visits: int",
        "Bad.visits: what is its value before the first write? Write 'visits: int | None = None' or give a default",
    ),
    (
        "seen: SeenCount = SeenCount()",
        "Bad.seen: this default would be shared by every address; write 'value(default_factory=SeenCount)'",
    ),
    (
        "seen: SeenCount = value(default=SeenCount())",
        "Bad.seen: this default would be shared by every address; write 'value(default_factory=SeenCount)'",
    ),
    (
        "tags: list[str] = []",
        "Bad.tags: this default would be shared by every address; write 'value(default_factory=list)'",
    ),
    (
        "item: Item = Item('s')",
        "Bad.item: this default would be shared by every address; write 'value(default_factory=Item)'",
    ),
    (
        "parcel: Parcel = Parcel('s')",
        "Bad.parcel: this default would be shared by every address; write 'value(default_factory=Parcel)'",
    ),
    (
        "visits: int | None = 3",
        (
            "Bad.visits: a value that may be None starts as None; write 'visits: int | None = None', "
            "or drop '| None' and keep the default"
        ),
    ),
    (
        "tags: list[str] | None = value(default_factory=list)",
        (
            "Bad.tags: a value that may be None starts as None; write 'tags: list[str] | None = None', "
            "or drop '| None' and keep the default"
        ),
    ),
    ("lock: threading.Thread | None = None", f"state 'lock': values of type Thread {STORABLE}"),
    (
        "cart: Undeclared | None = None",
        "state 'cart': Undeclared has no typename\n  help: declare it: @json_type('<namespace>/Undeclared')",
    ),
    ("n: str = value(default='', type=types.INT32)", "Bad.n: io.statefun.types/int is a type of int, not of str"),
    ("n: Annotated[str, types.INT32] = ''", "Bad.n: io.statefun.types/int is a type of int, not of str"),
    ("n: int = 'a'", "Bad.n: its default is wrong: state 'n' holds int, not str: 'a'"),
    (
        "_n: int = 0",
        "Bad._n: the name of a value does not start with '_'; write 'n: ... = value(name='_n', ...)'",
    ),
    (
        "_: int = 0",
        "Bad._: the name of a value does not start with '_'; write 'value: ... = value(name='_', ...)'",
    ),
    (
        "who: User | Admin | None = None",
        "state 'who': User | Admin is ambiguous when it is read back; use a protobuf oneof or two values",
    ),
    ("m: dict[int, str] | None = None", "state 'm': dict[int, str]: the keys of dict[int, str] must be str"),
    ("a: int = value(default=0, name='x')\n    x: int = 0", "Bad declares the state 'x' twice"),
    (
        "a: int = value(default=0, expire_after_write=timedelta(0))",
        "state 'a': an expiration must be at least one millisecond, not datetime.timedelta(0)",
    ),
    (
        "a: int = value(default=0, expire_after_write=timedelta(1), expire_after_call=timedelta(1))",
        "state 'a': give expire_after_write or expire_after_call, not both",
    ),
    (
        "batch: int = 0",
        "state 'batch': the runtime keeps a value of its own under this name, and a job that uses it crash-loops",
    ),
]


@pytest.mark.parametrize("prologue", [PROLOGUE, PROLOGUE.partition("\n")[2]], ids=["postponed", "evaluated"])
@pytest.mark.parametrize(("body", "text"), BAD, ids=[body for body, _ in BAD])
def test_bad_classes(body: str, text: str, prologue: str) -> None:
    """A class that declares what cannot be kept is refused where it stands, with and without postponed hints."""
    code = compile(prologue + body, "bad.py", "exec", dont_inherit=True)
    assert refusal(StateError, lambda: run(code)) == text


def run(code: Any) -> None:
    """Run a module."""
    exec(code, {"__name__": __name__})  # noqa: S102 -- it is written above


@json_type("test/Locked")
@dataclasses.dataclass
class Locked:
    """A dataclass with a field that has no JSON form."""

    lock: threading.Thread


def test_a_class_without_json() -> None:
    """A class that is declared and has no JSON form is refused with its field."""
    text = "state 'locked': Locked.lock: values of type Thread have no JSON form"
    assert (
        refusal(
            StateError, lambda: type("Bad", (State,), {"__annotations__": {"locked": Locked | None}, "locked": None})
        )
        == text
    )


def test_a_frozen_default() -> None:
    """A default that cannot change may be shared."""

    class Fixed(State):
        name: str = "a"
        at: dt.datetime = value(default=dt.datetime(2024, 1, 1), type=WHEN)  # noqa: DTZ001 -- one without a zone is a value, too

    assert Fixed().at == Fixed().at
    assert Item("s") == Item("s")

"""`context.state("name")` is an untyped handle, beside `context.state.name`; a value may have any name."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import GreetRequest, Login, SeenCount
from typing_extensions import assert_type

from statefun import Context, State, StatefulFunctions, StateHandle, Type, testing, types

WHEN = Type(
    "shop/when",
    datetime,
    encode=lambda at: at.isoformat().encode(),
    decode=lambda data: datetime.fromisoformat(data.decode()),
)
functions = StatefulFunctions()


class Named(State):
    """No name is taken."""

    specs: int = 0
    keys: list[str] | None = None
    name: str = ""
    state: str = ""
    fields: int = 0
    get: int = 0
    items: int = 0
    bound_to: int = 0
    call: int = 0
    cells: int = 0
    unpack: int = 0
    seen: SeenCount | None = None


@functions.bind("example/plain")
def plain(context: Context, message: GreetRequest) -> None:
    """Nobody declared a state: every name may be used, as in 2.x."""
    handle = context.state("seen")
    assert_type(handle, StateHandle)
    assert_type(handle.value, AnyPb | None)
    assert_type(handle.unpack(SeenCount), SeenCount | None)
    assert_type(handle.unpack(int), int | None)
    assert_type(handle.unpack(types.INT32), int | None)
    assert_type(handle.unpack(WHEN), datetime | None)
    seen = context.state("seen").unpack(SeenCount) or SeenCount()
    seen.value += 1
    context.state("seen").pack(seen)
    context.state("n").pack(5)
    context.state("n").pack(5, type=types.INT32)
    context.state("at").pack(datetime.now(), type=WHEN)
    context.state("seen").value = AnyPb()
    context.state("seen").value = None
    del context.state("seen").value

    context.state.seen  # E
    context.state(3)  # E
    context.state()  # E
    context.state("seen").value = SeenCount()  # E
    context.state("seen").value.type_url  # E
    context.state("seen").unpack(datetime)  # E
    context.state("seen").unpack("SeenCount")  # E
    context.state("seen").pack(None)  # E
    context.state("at").pack(datetime.now())  # E
    context.state("n").pack("5", type=types.INT32)  # E
    handle.unpack(SeenCount).value  # E
    handle.bytes()  # E
    handle.modified  # E


@functions.bind("example/named")
def named(context: Context[Named], message: Login) -> None:
    state = context.state
    assert_type(state, Named)
    assert_type(state.specs, int)
    assert_type(state.keys, list[str] | None)
    assert_type(state.name, str)
    assert_type(state("seen"), StateHandle)
    assert_type(state("seen").unpack(SeenCount), SeenCount | None)
    state.specs += 1
    state.bound_to = 3
    state.name = 3  # E
    state.other  # E


# a subclass stays a dataclass with keywords only
Named(specs=1, keys=["a"], name="n", call=2)
Named(1)  # E
Named(other=1)  # E
Named(name=1)  # E
assert_type(testing.context(Named(specs=2)).state.specs, int)

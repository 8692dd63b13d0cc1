"""No bytes of any kind make a handler raise anything but a StatefunError."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from shop_pb2 import SeenCount, Ship, User

from statefun import Context, PeerError, RequestReplyHandler, StatefulFunctions, StatefunError, types
from tests.kinds import Item, Kinds, Money, Parcel, Refund, Wide
from tests.peer import ANY, BOTH, Wire, answer_of, request, typed

Edit = Callable[[bytes], bytes]


def app() -> StatefulFunctions:
    """Make functions that look at whatever they are given."""
    functions = StatefulFunctions()

    @functions.bind("any/untyped")
    def untyped(context: Any, message: Any) -> None:
        context.send("any/untyped", "x", message)
        assert context.address.type == "untyped"
        assert list(context.headers) is not None
        if context.caller is not None and context.caller.namespace and context.caller.type:
            context.reply(message)

    @functions.bind("any/union")
    def union(
        context: Context,
        message: User | Ship | bool | int | float | str | bytes | Item | Wide | Parcel | Refund | Money,
    ) -> None:
        context.pack_and_send("any/union", "x", message)

    @functions.bind("any/narrow")
    def narrow(
        context: Context, message: Annotated[int, types.INT32] | Annotated[float, types.FLOAT32] | AnyPb
    ) -> None:
        context.pack_and_send_egress("any/out", message)

    @functions.bind("any/kinds")
    def kinds(context: Context[Kinds], message: AnyPb) -> None:
        for name in kinds.specs:
            assert getattr(context.state, name) is None or context[name] is None or context[name] is not None
            context.state(name).unpack(kinds.specs[name].type)

    @functions.bind("any/free")
    def free(context: Context, message: AnyPb) -> None:
        seen = context.state("seen")
        seen.pack(seen.unpack(SeenCount) or SeenCount(value=1))
        context["other"] = context["seen"]
        del context["gone"]

    return functions


HANDLER = RequestReplyHandler(app())
HANDLERS = [HANDLER, RequestReplyHandler(app(), wire="v2"), RequestReplyHandler(app(), wire="v3")]
FUNCTIONS = [f"any/{name}" for name in ("untyped", "union", "narrow", "kinds", "free", "nowhere")]
STATES = [*Kinds.__annotations__, "seen", "other", "gone"]
TYPENAMES = [
    "",
    ANY,
    "legacy/user",
    "kinds/when",
    "statefun.python/json",
    "statefun.python/bytes",
    *(f"io.statefun.types/{name}" for name in ("bool", "int", "long", "float", "double", "string")),
    *(f"kinds/{name}" for name in ("Item", "Wide", "Parcel", "Refund", "money")),
    *(f"type.googleapis.com/shop.{name}" for name in ("User", "Ship", "SeenCount")),
    *(f"type.googleapis.com/google.protobuf.{name}Value" for name in ("Bool", "Int32", "UInt64", "Float", "String")),
    "other.example/shop.User",
]


def served(data: bytes) -> None:
    """Hold each handler to the law."""
    for handler in HANDLERS:
        with contextlib.suppress(StatefunError):
            answer_of("v2", handler(data))  # v3 has the same fields and more


# --- bytes out of nowhere ---


@given(st.binary(max_size=200))
def test_arbitrary_bytes(data: bytes) -> None:
    """Arbitrary bytes are answered, or refused by a StatefunError."""
    served(data)


def varint(number: int) -> bytes:
    """Encode a number as protobuf does."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, content: int | bytes) -> bytes:
    """Encode a field."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


texts = st.sampled_from([*FUNCTIONS, *STATES, *TYPENAMES, "any", "union", "kinds", "free", "\N{SNOWMAN}"]).map(
    str.encode
)
leaves = st.one_of(st.binary(max_size=12), texts, st.integers(0, 2**64 - 1))
numbers = st.sampled_from([1, 2, 3, 4, 5, 100, 101])
messages = st.recursive(
    leaves,
    lambda inner: st.lists(st.builds(field, numbers, inner), max_size=5).map(b"".join),
    max_leaves=20,
)


@given(messages.filter(lambda made: isinstance(made, bytes)))
def test_arbitrary_messages(body: bytes) -> None:
    """Fields of any number and wire type are answered, or refused by a StatefunError."""
    served(body)
    served(field(100, body))
    target = field(1, field(1, b"any") + field(2, b"kinds"))
    served(field(100, target + field(3, body)))
    served(field(100, target + field(2, body) + field(3, b"")))


# --- what a runtime could send ---

payloads = st.one_of(
    st.binary(max_size=40),
    st.builds(field, numbers, leaves),
    st.text(max_size=20).map(str.encode),
    st.sampled_from(
        [b"{}", b"[]", b"null", b"NaN", b'{"sku":"s"}', b'{"real":1e999}', b"[" * 2_000, b"1" * 5_000, b'"a"']
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(Wide.__annotations__)), inner),
        max_leaves=6,
    ).map(lambda made: repr(made).replace("'", '"').encode()),
)
values = st.builds(typed, st.sampled_from(TYPENAMES) | st.text(max_size=8), payloads)
addresses = st.tuples(st.text(max_size=4), st.text(max_size=4), st.text(max_size=4))


@st.composite
def requests(draw: st.DrawFn) -> tuple[Wire, bytes]:
    """Draw a request that protobuf can read, with values that need not be what their typenames say."""
    wire = draw(st.sampled_from(BOTH))
    function = draw(st.sampled_from(FUNCTIONS))
    names = list(Kinds.__annotations__) if function == "any/kinds" else STATES
    known = draw(st.booleans())
    stored = {name: draw(st.none() | values) for name in (names if known else draw(st.sets(st.sampled_from(names))))}
    batch = draw(st.lists(values, max_size=3))
    caller = draw(st.none() | addresses)
    identity = draw(st.text(max_size=4))
    return wire, request(wire, *batch, function=function, identity=identity, states=stored, caller=caller)


@given(requests())
def test_arbitrary_values(made: tuple[Wire, bytes]) -> None:
    """Values that are not of their type are refused by a StatefunError, as messages and as states."""
    wire, data = made
    with contextlib.suppress(StatefunError):
        answer_of(wire, HANDLER(data))


def _cut(at: int, length: int) -> Edit:
    return lambda data: data[: at % (len(data) + 1)] + data[(at % (len(data) + 1)) + length :]


def _insert(at: int, part: bytes) -> Edit:
    return lambda data: data[: at % (len(data) + 1)] + part + data[at % (len(data) + 1) :]


def _flip(at: int, bits: int) -> Edit:
    return lambda data: bytes(byte ^ (bits if i == at % len(data) else 0) for i, byte in enumerate(data))


def _repeat(at: int, length: int) -> Edit:
    return lambda data: _insert(at, data[at % (len(data) + 1) :][:length])(data)


places = st.integers(0, 10_000)
edits: st.SearchStrategy[Edit] = st.one_of(
    st.builds(_cut, places, st.integers(1, 30)),
    st.builds(_insert, places, st.binary(min_size=1, max_size=5)),
    st.builds(_flip, places, st.integers(1, 255)),
    st.builds(_repeat, places, st.integers(1, 30)),
)


@given(requests(), st.lists(edits, min_size=1, max_size=4))
def test_mutated_requests(made: tuple[Wire, bytes], changes: list[Edit]) -> None:
    """A request with a few bytes cut, flipped, inserted or repeated is answered, or refused by a StatefunError."""
    data = made[1]
    for change in changes:
        data = change(data)
    served(data)


@given(requests(), st.floats(0, 1, exclude_max=True))
def test_truncated_requests(made: tuple[Wire, bytes], fraction: float) -> None:
    """A request that ends too early is refused by a PeerError: its length is written at its beginning."""
    data = made[1]
    with pytest.raises(PeerError):
        HANDLER(data[: int(len(data) * fraction)])


def test_the_law_can_fail() -> None:
    """The functions of this file do reach what they look at: a good request of each is answered."""
    message: Message = User(name="Bob")
    good = AnyPb()
    good.Pack(message)
    for wire in BOTH:
        for function in FUNCTIONS[:-1]:
            names = list(Kinds.__annotations__) if function == "any/kinds" else ["seen", "other", "gone"]
            data = request(wire, good, function=function, states=dict.fromkeys(names))
            answer = answer_of(wire, HANDLER(data))
            assert answer.missing is None
            assert bool(answer.sent or answer.egress or answer.mutations) is (function != "any/kinds")

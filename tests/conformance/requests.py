"""The requests that the golden replies of the published SDKs answer, beside the captured ones.

Here: `CASES`, a list for each wire. They are built with protobuf from the messages of `statefun/_proto`, so what an SDK
writes has no part in them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from statefun._proto import wire_v2_pb2, wire_v3_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.message import Message

__all__ = ["CASES", "Case"]

ADA = "ada"
CALLER = ("cases.nested", "caller", "caller-7")
UNICODE = "ключ/日本語 🔑"


@dataclass(frozen=True, slots=True)
class Case:
    """A request and what it is to show."""

    name: str
    what: str
    request: bytes


# --- v2: an argument is an Any, a stored value a serialized one ---


def _any(message: Message) -> AnyPb:
    packed = AnyPb()
    packed.Pack(message)
    return packed


def _v2(
    function: str,
    *arguments: Message,
    states: Mapping[str, Message | None] | None = None,
    caller: tuple[str, str, str] | None = CALLER,
    identity: str = ADA,
) -> bytes:
    request = wire_v2_pb2.ToFunction()
    batch = request.invocation
    batch.target.namespace, batch.target.type = function.split("/")
    batch.target.id = identity
    for name, value in (states or {}).items():
        entry = batch.state.add(state_name=name)
        if value is not None:
            entry.state_value = _any(value).SerializeToString()
    for argument in arguments or (StringValue(value="hi"),):
        invocation = batch.invocations.add()
        if caller is not None:
            invocation.caller.namespace, invocation.caller.type, invocation.caller.id = caller
        packed = _any(argument)
        invocation.argument.typename = packed.type_url
        if packed.value:  # as protobuf writes an Any: an empty value is not on the wire
            invocation.argument.value = packed.value
    return request.SerializeToString()


def _text(value: str) -> StringValue:
    return StringValue(value=value)


def _number(value: int) -> Int32Value:
    return Int32Value(value=value)


def _cases_v2() -> list[Case]:
    absent = {"n": None}
    five = {"n": _number(5)}
    return [
        Case("count-absent", "A state without a value is read and written.", _v2("cases/count", states=absent)),
        Case("count-present", "A state with a value is read and written.", _v2("cases/count", states=five)),
        Case(
            "count-batch-of-three",
            "A state is written by each of three messages: one write is in the reply.",
            _v2("cases/count", _text("1"), _text("2"), _text("3"), states=five),
        ),
        Case(
            "count-from-default",
            "The stored value is an Any without bytes of its own.",
            _v2("cases/count", states={"n": _number(0)}),
        ),
        Case("look-absent", "A state without a value is read only.", _v2("cases/look", states=absent)),
        Case("look-present", "A state with a value is read only: nothing is written.", _v2("cases/look", states=five)),
        Case(
            "look-default",
            "A stored default is a value, not an absent one.",
            _v2("cases/look", states={"n": _number(0)}),
        ),
        Case(
            "write-default",
            "A message of defaults is written: an Any without a value.",
            _v2("cases/write-default", states=absent),
        ),
        Case("write-any", "A state is written as an Any and read back.", _v2("cases/write-any", states=absent)),
        Case("delete-present", "A state with a value is deleted.", _v2("cases/delete", states=five)),
        Case("delete-absent", "A state without a value is deleted.", _v2("cases/delete", states=absent)),
        Case("replace-present", "A state is deleted, then written.", _v2("cases/replace", states=five)),
        Case("undo-present", "A state is written, then deleted.", _v2("cases/undo", states=five)),
        Case("undo-absent", "A state without a value is written, then deleted.", _v2("cases/undo", states=absent)),
        Case(
            "two-states",
            "Two states are written, the last one first; the request lists them in order.",
            _v2("cases/two-states", states={"a": None, "b": None}),
        ),
        Case(
            "two-states-listed-otherwise",
            "Two states are written in the order in which the request lists them.",
            _v2("cases/two-states", states={"b": None, "unused": _number(1), "a": _text("old")}),
        ),
        Case("send", "Messages to two functions, packed by the SDK and by hand; one has no bytes.", _v2("cases/send")),
        Case(
            "unicode-identities",
            "An identity that is not ASCII, of the function and of a target.",
            _v2("cases/identities", _text(UNICODE + "!"), identity=UNICODE),
        ),
        Case("reply", "Two replies to the caller, packed by the SDK and by hand.", _v2("cases/reply")),
        Case("delay", "Three delayed messages: in a day, in 1.5 ms, packed by hand.", _v2("cases/delay")),
        Case("delay-zero", "A delayed message in no time.", _v2("cases/delay-zero")),
        Case(
            "union",
            "A function that takes two kinds of messages gets both, and one without bytes.",
            _v2("cases/union", _number(1), _text("two"), _number(0)),
        ),
        Case(
            "union-stranger", "A function that takes two kinds of messages gets a third.", _v2("cases/union", Empty())
        ),
        Case(
            "any",
            "A function without a hint passes on what it gets, packed.",
            _v2("cases/any", _number(1), Empty(), _text("three"), caller=None),
        ),
        Case("nothing", "A function that does nothing.", _v2("cases/nothing", caller=None)),
        Case("kafka", "Kafka records: with a key, without one, with an empty one.", _v2("cases/kafka")),
        Case("kinesis", "Kinesis records: with an explicit hash key, without one.", _v2("cases/kinesis")),
        Case("egress", "Messages to an egress of one's own.", _v2("cases/egress")),
        Case(
            "everything",
            "All kinds of effects of two messages in one reply.",
            _v2("cases/everything", _text("1"), _text("2"), states={"a": None, "b": _text("old")}),
        ),
        Case("async", "A coroutine counts and replies.", _v2("cases/async", states=absent)),
        Case(
            "async-batch-of-three",
            "A coroutine counts and replies, three times.",
            _v2("cases/async", _text("1"), _number(2), _text("3"), states=five),
        ),
        Case("unknown-function", "A function that nobody bound.", _v2("cases/unknown")),
    ]


# --- v3: arguments and stored values are typed values ---

STRING = "io.statefun.types/string"
PROTOBUF = "type.googleapis.com/google.protobuf.StringValue"
Value = wire_v3_pb2.Value


def _typed(typename: str, value: bytes) -> Value:
    return Value(typename=typename, has_value=True, value=value)


def _string(text: str) -> Value:
    return _typed(STRING, StringValue(value=text).SerializeToString())  # both are a string in field 1


def _fixed(name: str, layout: str, value: float) -> Value:
    """Make a primitive of fixed size: a tag and little-endian bytes, and no bytes for zero."""
    packed = struct.pack("<" + layout, value)
    tag = bytes([1 << 3 | (5 if len(packed) == 4 else 1)])
    return _typed(f"io.statefun.types/{name}", tag + packed if any(packed) else b"")


def _bool(*, true: bool) -> Value:
    return _typed("io.statefun.types/bool", b"\x08\x01" if true else b"")


def _int(value: int) -> Value:
    return _fixed("int", "i", value)


def _v3(
    function: str,
    *arguments: Value,
    states: Mapping[str, Value | None] | None = None,
    caller: tuple[str, str, str] | None = CALLER,
    identity: str = ADA,
) -> bytes:
    request = wire_v3_pb2.ToFunction()
    batch = request.invocation
    batch.target.namespace, batch.target.type = function.split("/")
    batch.target.id = identity
    for name, value in (states or {}).items():
        entry = batch.state.add(state_name=name)
        if value is not None:
            entry.state_value.CopyFrom(value)
    for argument in arguments or (_string("hi"),):
        invocation = batch.invocations.add()
        if caller is not None:
            invocation.caller.namespace, invocation.caller.type, invocation.caller.id = caller
        invocation.argument.CopyFrom(argument)
    return request.SerializeToString()


def _primitives() -> list[Case]:
    values: dict[str, Sequence[Value]] = {
        "bool": [_bool(true=True), _bool(true=False)],
        "int": [_int(1), _int(0), _int(-1), _int(2**31 - 1), _int(-(2**31))],
        "long": [_fixed("long", "q", each) for each in (1, 0, -1, 2**63 - 1, -(2**63))],
        "float": [_fixed("float", "f", each) for each in (1.5, 0.0, -2.5, float("inf"), float("nan"), 1e-45)],
        "double": [_fixed("double", "d", each) for each in (0.1, 0.0, -2.5, float("-inf"), float("nan"), 5e-324)],
        "string": [_string("hi"), _string(""), _string(UNICODE), _string("x" * 200)],
    }
    cases: list[Case] = []
    for name, sent in values.items():
        cases.append(
            Case(
                f"{name}-absent",
                f"A {name} is kept where nothing was stored.",
                _v3(f"cases/{name}", sent[0], states={"last": None}),
            )
        )
        cases.append(
            Case(
                f"{name}-default",
                f"The default {name} replaces the default one: no bytes, but has_value.",
                _v3(f"cases/{name}", sent[1], states={"last": sent[1]}),
            )
        )
        cases.append(
            Case(
                f"{name}-batch",
                f"A batch of {len(sent)}: each {name} is sent on when the next one comes.",
                _v3(f"cases/{name}", *sent, states={"last": sent[0]}),
            )
        )
    return cases


def _cases_v3() -> list[Case]:
    absent = {"n": None}
    five = {"n": _int(5)}
    kept = {"kept": _int(1), "written": None, "called": None, "brief": None}
    return [
        *_primitives(),
        Case(
            "negative-zero",
            "A double of -0.0, which is not the default, though it equals it.",
            _v3(
                "cases/double",
                _typed("io.statefun.types/double", b"\x09" + struct.pack("<d", -0.0)),
                states={"last": None},
            ),
        ),
        Case(
            "json",
            "A JSON object is kept and sent.",
            _v3(
                "cases/json",
                _typed("cases/order", '{"id": "№1", "items": ["a", "b"], "total": 1.5}'.encode()),
                states={"last": None},
            ),
        ),
        Case(
            "protobuf",
            "A protobuf message is kept and sent, then one without bytes.",
            _v3(
                "cases/protobuf",
                _typed(PROTOBUF, StringValue(value="hi").SerializeToString()),
                _typed(PROTOBUF, b""),
                states={"last": _typed(PROTOBUF, b"")},
            ),
        ),
        Case(
            "custom",
            "A value of a type of one's own is kept and sent, then one without bytes.",
            _v3(
                "cases/custom",
                _typed("demo/text", b"hi"),
                _typed("demo/text", b""),
                states={"last": _typed("demo/text", b"old")},
            ),
        ),
        Case(
            "handshake-none",
            "No state is known: the reply asks for all four, three of them with an expiration.",
            _v3("cases/handshake"),
        ),
        Case(
            "handshake-some",
            "Two states are known, in another order, and one that the function does not have: the reply asks for two.",
            _v3("cases/handshake", states={"called": None, "stranger": _int(3), "kept": _int(1)}),
        ),
        Case("handshake-all", "All states are known: the function runs.", _v3("cases/handshake", states=kept)),
        Case(
            "handshake-batch-of-three",
            "No state is known, and three messages wait: none of them is handled.",
            _v3("cases/handshake", _string("1"), _string("2"), _string("3")),
        ),
        Case("look-absent", "A state without a value is read only.", _v3("cases/look", states=absent)),
        Case("look-present", "A state with a value is read only: nothing is written.", _v3("cases/look", states=five)),
        Case(
            "look-default", "A stored default is a value, not an absent one.", _v3("cases/look", states={"n": _int(0)})
        ),
        Case("delete-present", "A state with a value is deleted.", _v3("cases/delete", states=five)),
        Case("delete-absent", "A state without a value is deleted.", _v3("cases/delete", states=absent)),
        Case("replace-present", "A state is deleted, then written.", _v3("cases/replace", states=five)),
        Case("undo-present", "A state is written, then deleted.", _v3("cases/undo", states=five)),
        Case("undo-absent", "A state without a value is written, then deleted.", _v3("cases/undo", states=absent)),
        Case(
            "two-states",
            "Two states are written, the last one first; the request lists them in another order than the function.",
            _v3("cases/two-states", states={"b": None, "a": _string("old")}),
        ),
        Case("send", "One message of each type, one without bytes, one of protobuf.", _v3("cases/send")),
        Case(
            "unicode-identities",
            "An identity that is not ASCII, of the function and of a target.",
            _v3("cases/identities", _string(UNICODE + "!"), identity=UNICODE),
        ),
        Case(
            "empty-identity",
            "The function's own identity is empty: a Kafka record with an empty key.",
            _v3("cases/identities", _string("x"), identity=""),
        ),
        Case("reply", "A reply to the caller.", _v3("cases/reply")),
        Case("caller", "The caller of a message of a function.", _v3("cases/caller")),
        Case(
            "caller-of-an-ingress", "The caller of a message of an ingress: nobody.", _v3("cases/caller", caller=None)
        ),
        Case(
            "forward",
            "Messages of types that the function does not know are passed on as they are.",
            _v3("cases/forward", _typed("who/knows", b"\xff\x00\xfe"), _int(0), _string("hi"), _typed(PROTOBUF, b"")),
        ),
        Case("delay", "Delayed messages and cancellations, in the order in which they were given.", _v3("cases/delay")),
        Case("nothing", "A function that does nothing.", _v3("cases/nothing", caller=None)),
        Case(
            "kafka",
            "Kafka records: text and bytes; with a key, without one, with an empty one; typed.",
            _v3("cases/kafka", _string("значение")),
        ),
        Case(
            "kinesis",
            "Kinesis records: with an explicit hash key, without one; typed.",
            _v3("cases/kinesis", _string("значение")),
        ),
        Case("egress", "Values to an egress of one's own.", _v3("cases/egress", _string("out"))),
        Case(
            "everything",
            "All kinds of effects of two messages in one reply.",
            _v3("cases/everything", _string("1"), _string("2"), states={"a": None, "b": _string("old")}),
        ),
        Case("async", "A coroutine counts and replies.", _v3("cases/async", states=absent)),
        Case("async-handshake", "A coroutine whose state is not known.", _v3("cases/async")),
        Case(
            "async-batch-of-three",
            "A coroutine counts and replies, three times.",
            _v3("cases/async", _string("1"), _string("2"), _string("3"), states=five),
        ),
        Case("unknown-function", "A function that nobody bound.", _v3("cases/unknown")),
    ]


def _cases_cart() -> list[Case]:
    tea = _typed("shop/item", '{"sku": "tea", "count": 2, "price": 3.25, "für": "ключ"}'.encode())
    note = _typed("shop/google.protobuf.StringValue", StringValue(value="ring twice").SerializeToString())
    empty: dict[str, Value | None] = dict.fromkeys(("items", "total", "note", "day"))
    day = _typed("shop/day", b"2026-11-24")
    full = {"items": _int(3), "total": _fixed("float", "f", 9.75), "note": note, "day": day}
    front = ("shop", "front", "f1")
    return [
        Case("cart-handshake", "The first call: four states are asked for.", _v3("shop/cart", tea, caller=None)),
        Case("cart-first-item", "An item in an empty cart.", _v3("shop/cart", tea, states=empty, caller=None)),
        Case("cart-next-item", "Two more items.", _v3("shop/cart", tea, tea, states=full, caller=None)),
        Case("cart-note", "A protobuf message under a namespace of its own.", _v3("shop/cart", note, states=empty)),
        Case("cart-day", "A type of one's own.", _v3("shop/cart", _string("deliver 2026-12-24"), states=full)),
        Case("cart-remind", "A message that nothing is done with.", _v3("shop/cart", _string("remind"), states=full)),
        Case(
            "cart-checkout", "A receipt, to Kafka and to the caller.",
            _v3("shop/cart", _string("checkout"), states=full, caller=front),
        ),
        Case(
            "cart-checkout-of-an-ingress", "A receipt that nobody waits for.",
            _v3("shop/cart", _string("checkout"), states=full, caller=None),
        ),
        Case("cart-stock", "A coroutine counts down.", _v3("shop/stock", _int(-2), _int(-3), states={"left": _int(9)})),
    ]  # fmt: skip


CASES = {"v2": _cases_v2(), "v3": [*_cases_v3(), *_cases_cart()]}
"""By wire."""

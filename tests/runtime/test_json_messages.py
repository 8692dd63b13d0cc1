"""JSON of protobuf messages: the table says what json_format says, about good values and odd ones."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from google.protobuf import descriptor_pb2, json_format, timestamp_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from statefun.runtime._json_messages import parse, to_json

F = descriptor_pb2.FieldDescriptorProto
KINDS = {
    "text": F.TYPE_STRING, "data": F.TYPE_BYTES, "yes": F.TYPE_BOOL, "i32": F.TYPE_INT32, "i64": F.TYPE_INT64,
    "u32": F.TYPE_UINT32, "u64": F.TYPE_UINT64, "s32": F.TYPE_SINT32, "f64": F.TYPE_DOUBLE, "f32": F.TYPE_FLOAT,
    "color": F.TYPE_ENUM, "inner_one": F.TYPE_MESSAGE, "at_time": F.TYPE_MESSAGE,
}  # fmt: skip
ODD: list[object] = [
    0, 1, -1, 1.0, 1.5, -0.0, True, False, None, "", "1", "-1", "1.0", "x", "RED", "AAEC", "AA", "A-_=", "NaN",
    "Infinity", [], [1], ["a"], [None], [True], ["1", 2], {}, {"a": "b"}, {"sku": "q"}, {"sku": 1}, {"sku": None}, [{}],
    [{"sku": "x"}],
    [{"nope": 1}], [[]], 2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 1e300, float("inf"), float("nan"),
    "2026-01-02T03:04:05Z", "2026-01-02", "\ud800", "ü", 5, "5s",
]  # fmt: skip


def make() -> tuple[type[Message], DescriptorPool]:
    """Make a message with a field of every kind, single and repeated, a oneof, a map and other names."""
    pool = DescriptorPool()
    time = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(time)
    pool.Add(time)
    file = descriptor_pb2.FileDescriptorProto(
        name="kinds.proto", package="kinds", syntax="proto3", dependency=["google/protobuf/timestamp.proto"]
    )
    enum = file.enum_type.add(name="Color")
    for number, name in enumerate(("NONE", "RED", "BLUE")):
        enum.value.add(name=name, number=number)
    item = file.message_type.add(name="Item")
    item.field.add(name="sku", number=1, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL)
    item.field.add(name="how_many", number=2, type=F.TYPE_INT32, label=F.LABEL_OPTIONAL)
    every = file.message_type.add(name="Every")
    every.oneof_decl.add(name="choice")
    numbers = itertools.count(1)
    names = {"color": ".kinds.Color", "inner_one": ".kinds.Item", "at_time": ".google.protobuf.Timestamp"}
    for name, kind in KINDS.items():
        for label in (F.LABEL_OPTIONAL, F.LABEL_REPEATED):
            field = every.field.add(
                name=name + "_all" * (label == F.LABEL_REPEATED), number=next(numbers), type=kind, label=label
            )
            if name in names:
                field.type_name = names[name]
    for name, number in (("left", F.TYPE_STRING), ("right_side", F.TYPE_INT32)):
        every.field.add(name=name, number=next(numbers), type=number, label=F.LABEL_OPTIONAL, oneof_index=0)
    entry = every.nested_type.add(name="LabelsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL)
    labels = ".kinds.Every.LabelsEntry"
    every.field.add(name="labels", number=next(numbers), type=F.TYPE_MESSAGE, label=F.LABEL_REPEATED, type_name=labels)
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("kinds.Every")), pool


EVERY, POOL = make()


def outcome(value: dict[str, object], *, table: bool) -> object:
    """Return the message that a JSON object is, or the error."""
    try:
        if table:
            return parse(EVERY, value, POOL).SerializeToString(deterministic=True)  # a NaN is not equal to itself
        return json_format.ParseDict(value, EVERY(), descriptor_pool=POOL).SerializeToString(deterministic=True)
    except Exception as error:  # noqa: BLE001 -- whichever it is, it must be the same
        return type(error), re.sub(r" at 0x[0-9a-f]+", "", str(error))  # protobuf itself fails on a lone surrogate


@pytest.mark.parametrize("field", [field.name for field in EVERY.DESCRIPTOR.fields])
def test_every_value(field: str) -> None:
    """Each field with each odd value, under both of its names, gives the message or the error of json_format."""
    descriptor = EVERY.DESCRIPTOR.fields_by_name[field]
    for name, odd in itertools.product({descriptor.name, descriptor.json_name}, ODD):
        assert outcome({name: odd}, table=True) == outcome({name: odd}, table=False), (name, odd)


@pytest.mark.parametrize(
    "value",
    [
        {"left": "x", "rightSide": 1}, {"left": None, "rightSide": 1}, {"i32": 1, "nope": 2},
        {"innerOne": {}, "inner_one": {}},
        {"innerOne": {"howMany": 1, "how_many": 2}}, {"i32All": [1, None]}, {"i32": "x", "text": 5}, {},
        {"text": "a", "data": "AAEC", "i64": "5", "colorAll": ["RED", "BLUE"],
         "innerOneAll": [{"sku": "a"}, {"howMany": 2}]},
    ],
)  # fmt: skip
def test_together(value: dict[str, object]) -> None:
    """Two members of a oneof, two names of a field, unknown fields and several faults are what json_format says."""
    assert outcome(value, table=True) == outcome(value, table=False)


@pytest.mark.parametrize("drop", ["f32", "labels", ""])
def test_shown(drop: str) -> None:
    """A message is shown as json_format shows it."""
    message = EVERY()
    json_format.ParseDict(
        {
            "text": "ü", "data": "AAEC", "yes": True, "i32": -5, "i64": "-9007199254740993",
            "u64": "18446744073709551615",
            "f64": 1.0, "f64All": [0.1, "NaN", "-Infinity"], "f32": 0.1, "color": "RED", "colorAll": ["BLUE", 7],
            "innerOne": {"sku": "a"}, "innerOneAll": [{}, {"howMany": 3}], "left": "",
            "atTime": "2026-01-02T03:04:05.5Z",
            "labels": {"a": "b"},
        },
        message, descriptor_pool=POOL,
    )  # fmt: skip
    if drop:
        message.ClearField(drop)
    assert json.dumps(to_json(message, POOL)) == json.dumps(json_format.MessageToDict(message, descriptor_pool=POOL))

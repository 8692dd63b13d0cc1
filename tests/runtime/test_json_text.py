"""The text of messages: what json.dumps makes of what json_format says, for all kinds of fields."""

from __future__ import annotations

import json

import pytest
from google.protobuf import descriptor_pb2, json_format, timestamp_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from statefun.runtime._json_text import writer_of

F = descriptor_pb2.FieldDescriptorProto
KINDS = {
    "text": F.TYPE_STRING, "data": F.TYPE_BYTES, "yes": F.TYPE_BOOL, "i32": F.TYPE_INT32, "u64": F.TYPE_UINT64,
    "s64": F.TYPE_SINT64, "f64": F.TYPE_DOUBLE, "color": F.TYPE_ENUM, "inner": F.TYPE_MESSAGE,
    "at_time": F.TYPE_MESSAGE,
}  # fmt: skip
NAMES = {"color": ".texts.Color", "inner": ".texts.Narrow", "at_time": ".google.protobuf.Timestamp"}
WIDE = 40


def make() -> tuple[type[Message], type[Message], DescriptorPool]:
    """Make a message with a field of every kind, and one of many fields."""
    pool = DescriptorPool()
    time = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(time)
    pool.Add(time)
    file = descriptor_pb2.FileDescriptorProto(
        name="texts.proto", package="texts", syntax="proto3", dependency=["google/protobuf/timestamp.proto"]
    )
    enum = file.enum_type.add(name="Color")
    for number, name in enumerate(("NONE", "RED")):
        enum.value.add(name=name, number=number)
    narrow = file.message_type.add(name="Narrow")
    for number, (name, kind) in enumerate(KINDS.items()):
        narrow.field.add(  # the numbers go down: it is written by number
            name=name, number=WIDE - number, type=kind, label=F.LABEL_OPTIONAL, type_name=NAMES.get(name)
        )
    narrow.field.add(name="all_f64", number=1, type=F.TYPE_DOUBLE, label=F.LABEL_REPEATED)
    narrow.field.add(name="all_texts", number=2, type=F.TYPE_STRING, label=F.LABEL_REPEATED)
    narrow.oneof_decl.add(name="choice")
    narrow.field.add(name="left", number=3, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL, oneof_index=0)
    narrow.field.add(name="right", number=4, type=F.TYPE_BOOL, label=F.LABEL_OPTIONAL, oneof_index=0)
    wide = file.message_type.add(name="Wide")
    for number in range(1, WIDE):
        wide.field.add(name=f"f_{number}", number=number, type=F.TYPE_INT64, label=F.LABEL_OPTIONAL)
    pool.Add(file)
    found = [GetMessageClass(pool.FindMessageTypeByName(f"texts.{name}")) for name in ("Narrow", "Wide")]
    return found[0], found[1], pool


NARROW, BROAD, POOL = make()


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"text": 'ü "quoted"\n\u2028', "data": "AAEC", "yes": True, "i32": -5, "u64": "18446744073709551615"},
        {"s64": "-9007199254740993", "f64": 1.0, "color": "RED", "atTime": "2026-01-02T03:04:05.5Z"},
        {"f64": -0.0}, {"f64": 1e300}, {"f64": "NaN"}, {"f64": "-Infinity"}, {"color": 7}, {"inner": {}},
        {"text": "", "yes": False, "i32": 0, "u64": 0, "f64": 0.0, "color": "NONE", "data": ""},
        {"inner": {"inner": {"text": "x", "f64": -0.0}}, "allF64": [0.0, -0.0, "NaN"], "allTexts": ["", "ü"]},
        {"left": ""}, {"left": "x"}, {"right": False}, {"right": True, "i32": 1},
    ],
)  # fmt: skip
def test_every_kind(value: dict[str, object]) -> None:
    """A message is written as json_format shows it: what is set and no more, by number, in one line."""
    message = json_format.ParseDict(value, NARROW(), descriptor_pool=POOL)
    shown = json_format.MessageToDict(message, descriptor_pool=POOL)
    assert writer_of(NARROW, POOL)(message) == json.dumps(shown, ensure_ascii=False, separators=(",", ":"))


def test_many_fields() -> None:
    """A message of many fields is written so, too."""
    message = json_format.ParseDict({"f_7": 1, "f_39": -1}, BROAD(), descriptor_pool=POOL)
    assert writer_of(BROAD, POOL)(message) == '{"f7":"1","f39":"-1"}'

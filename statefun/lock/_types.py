"""Two shapes of one type: what of the old bytes the new code still reads.

Here: the rules of protobuf and of this SDK's JSON. Functions and states are compared in `_lock`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from statefun.lock._shapes import Plain

__all__ = ["compare_types"]

Change = tuple[str, str, str, str]
Shape = Mapping[str, Plain]
Inner = dict[str, dict[str, Plain]]

_SAME_WIRE = (
    {"int32", "int64", "uint32", "uint64", "bool"},
    {"sint32", "sint64"},
    {"fixed32", "sfixed32"},
    {"fixed64", "sfixed64"},
    {"string", "bytes"},
)
"""Types that read each other's bytes, if the values fit."""
_WIDENED = {("int32", "int64"), ("uint32", "uint64"), ("sint32", "sint64"), ("bool", "int32"), ("bool", "int64")}


def compare_types(name: str, was: Shape, now: Shape) -> Iterator[Change]:
    """Tell what changed in a type."""
    if was.keys() != now.keys():
        kinds = f"{next(iter(was))} before, and is {next(iter(now))} now"
        yield "SF215", name, f"the type was {kinds}: the old bytes cannot be read", "give the new type a new typename"
    elif "protobuf" in was:
        yield from _protobuf(name, cast("Inner", was["protobuf"]), cast("Inner", now["protobuf"]))
    elif "json" in was:
        yield from _json(name, cast("Inner", was["json"]), cast("Inner", now["json"]))
    else:
        problem = (
            f"the type was {next(iter(was.values()))}, and is {next(iter(now.values()))} now: its bytes are not known"
        )
        yield "SF218", name, problem, "see that the new code reads the old bytes"


def _protobuf(name: str, was: Inner, now: Inner) -> Iterator[Change]:
    if was["message"] != now["message"]:
        problem = f"the message was {was['message']}, and is {now['message']} now"
        yield "SF215", name, problem, "give the new message a new typename"
        return
    messages = cast("dict[str, Inner]", now["messages"])
    for message, shape in cast("dict[str, Inner]", was["messages"]).items():
        if message in messages:
            yield from _fields(f"{name} {message}", shape, messages[message])
    enums = cast("dict[str, dict[str, int]]", now["enums"])
    for enum, values in cast("dict[str, dict[str, int]]", was["enums"]).items():
        if enum in enums:
            yield from _enum(f"{name} {enum}", values, enums[enum])


def _fields(subject: str, was: Inner, now: Inner) -> Iterator[Change]:
    before = cast("Inner", was["fields"])
    after = cast("Inner", now["fields"])
    for number, field in before.items():
        there = after.get(number)
        if there is not None:
            yield from _field(subject, number, field, there)
        elif not _is_reserved(number, cast("list[str]", now["reserved"])):
            problem = f"field {number} ({field['name']}) is gone, and its number is free to be used again"
            yield "SF208", subject, problem, f"reserved {number};"
    for number in after.keys() - before.keys():
        yield "SF216", subject, f"a new field {number} ({after[number]['name']})", ""


def _field(subject: str, number: str, was: dict[str, Plain], now: dict[str, Plain]) -> Iterator[Change]:
    old, new = str(was["type"]), str(now["type"])
    label = {True: "repeated ", False: ""}
    before = f"{label[bool(was.get('repeated'))]}{old}"
    after = f"{label[bool(now.get('repeated'))]}{new}"
    title = f"field {number} ({was['name']})"
    if before != after:
        compatible = was.get("repeated") == now.get("repeated") and any({old, new} <= group for group in _SAME_WIRE)
        if not compatible:
            problem = f"{title} was {before}, and is {after} ({now['name']}) now: the old bytes are read wrongly"
            yield "SF207", subject, problem, "give the new field a new number"
        elif (old, new) not in _WIDENED:
            problem = f"{title} was {before}, and is {after} now: values that do not fit are read wrongly"
            yield "SF218", subject, problem, "give the new field a new number"
        else:
            yield "SF214", subject, f"{title} was {before}, and is {after} now: the old bytes are read as before", ""
    elif was["name"] != now["name"]:
        problem = f"field {number} was {was['name']}, and is {now['name']} now: a rename, or a number used again?"
        yield "SF214", subject, problem, ""
    if was.get("oneof") != now.get("oneof"):
        problem = f"{title} moved from {_oneof(was)} to {_oneof(now)}: messages that set several fields lose some"
        yield "SF218", subject, problem, "leave it where it was"


def _oneof(field: dict[str, Plain]) -> str:
    return f"the oneof {field['oneof']}" if "oneof" in field else "no oneof"


def _is_reserved(number: str, reserved: list[str]) -> bool:
    for span in reserved:
        first, _, last = span.partition("-")
        if int(first) <= int(number) <= int(last or first):
            return True
    return False


def _enum(subject: str, was: dict[str, int], now: dict[str, int]) -> Iterator[Change]:
    for name, number in was.items():
        if name not in now:
            renamed = next((other for other, same in now.items() if same == number), None)
            what = f"is {renamed} now" if renamed else "is gone"
            yield ("SF214" if renamed else "SF210"), subject, f"the value {name} = {number} {what}", ""
        elif now[name] != number:
            problem = f"the value {name} was {number}, and is {now[name]} now: the old bytes mean something else"
            yield "SF209", subject, problem, f"{name} = {number};"
    for name in now.keys() - was.keys():
        if now[name] not in was.values():
            yield "SF216", subject, f"a new value {name} = {now[name]}", ""


def _json(name: str, was: Inner, now: Inner) -> Iterator[Change]:
    if was["type"] != now["type"]:
        yield "SF213", name, f"the type was {was['type']}, and is {now['type']} now", "give the new one a new name"
        return
    classes = cast("dict[str, Inner]", now["classes"])
    for cls, shape in cast("dict[str, Inner]", was["classes"]).items():
        there = classes.get(cls)
        if there is None:
            continue
        if "names" in shape and "names" in there:
            yield from _names(f"{name} {cls}", cast("list[str]", shape["names"]), cast("list[str]", there["names"]))
        elif "names" in shape or "names" in there:
            yield (
                "SF213",
                f"{name} {cls}",
                f"{cls} was {_sort(shape)}, and is {_sort(there)} now",
                "give it another name",
            )
        else:
            yield from _keys(f"{name} {cls}", cast("Inner", shape["keys"]), cast("Inner", there["keys"]))


def _sort(shape: Inner) -> str:
    return "an Enum" if "names" in shape else "a class"


def _names(subject: str, was: list[str], now: list[str]) -> Iterator[Change]:
    for name in was:
        if name not in now:
            yield "SF217", subject, f"the name {name} is gone: what was stored under it cannot be read", f"keep {name}"
    for name in now:
        if name not in was:
            yield "SF216", subject, f"a new name {name}", ""


def _keys(subject: str, was: Inner, now: Inner) -> Iterator[Change]:
    for key, shape in was.items():
        there = now.get(key)
        if there is None:
            yield "SF212", subject, f"the key {key!r} is gone: what it holds is dropped when it is read", ""
        elif there["type"] != shape["type"]:
            problem = f"the key {key!r} was {shape['type']}, and is {there['type']} now"
            yield "SF213", subject, problem, "give the new key a new name"
        elif there.get("required") and not shape.get("required"):
            problem = f"the key {key!r} must be there now: what was written without it cannot be read"
            yield "SF211", subject, problem, "give it a default"
    for key, shape in now.items():
        if key not in was and shape.get("required"):
            problem = f"the new key {key!r} must be there: what was written before has none"
            yield "SF211", subject, problem, "give it a default"
        elif key not in was:
            yield "SF216", subject, f"a new key {key!r}", ""

"""protobuf messages from JSON and to it, by a table made once a message class.

Here: a fast way that takes only what is exactly as expected, and gives up on everything else: then `json_format` does
it from the beginning, and so decides what is accepted and what an error says.
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Callable
from typing import cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import EncodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

__all__ = ["Encode", "Show", "encoder_of", "is_repeated", "parse", "shows_of", "to_json"]

Json = object
Set = Callable[[Message, object], bool]
"""Sets one field from a JSON value; False: this is not for the fast way."""
Encode = Callable[[object], "bytes | None"]
"""Makes the bytes of a message from a JSON value; None: this is not for the fast way."""
Show = Callable[[object], Json]
_Field = tuple[str, "type[object] | None", Set, "str | None"]
"""Its name; the class of the values that are set as they are; what sets others; what no other key may say again."""

_INTS = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32}
_LONGS = {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}
_EXACT = 2**53
_digits = re.compile(r"-?[0-9]{1,18}", re.ASCII).fullmatch
_base64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?").fullmatch
_TIMES = ("google.protobuf.Timestamp", "google.protobuf.Duration")


def parse(cls: type[Message], value: dict[str, Json], pool: DescriptorPool) -> Message:
    """Return the message that a JSON object is. Raises ParseError."""
    message = cls()
    try:
        if _fill(message, value, _setters(_descriptor(cls))):
            return message
    except (ValueError, TypeError):
        pass  # json_format says what is wrong
    return json_format.ParseDict(value, cls(), descriptor_pool=pool)


def encoder_of(cls: type[Message]) -> Encode:
    """Return what makes the bytes that `parse` leads to, where it takes its fast way, and None where it does not.

    The table and the class are looked up here, once, and not for each value.
    """
    fields = _setters(_descriptor(cls))

    def encode(value: object) -> bytes | None:
        if value.__class__ is not dict:
            return None
        message = cls()
        try:
            known = _fill(message, cast("dict[str, Json]", value), fields)
            return message.SerializeToString() if known else None
        except (ValueError, TypeError, EncodeError):  # the last for a required field (proto2) that is missing
            return None

    return encode


def _fill(message: Message, value: dict[str, Json], fields: dict[str, _Field]) -> bool:
    """Set the fields of a message; False: this is not for the fast way."""
    seen: set[str] | None = None
    for key, item in value.items():
        found = fields.get(key)
        if found is None:
            return False
        name, exact, setter, once = found
        if once is not None:  # it has two names, or shares a oneof: which may be there once
            if seen is None:
                seen = {once}
            elif once in seen:
                return False
            else:
                seen.add(once)
        if item.__class__ is exact:
            setattr(message, name, item)
        elif not setter(message, item):
            return False
    return True


def to_json(message: Message, pool: DescriptorPool) -> Json:
    """Return a message as JSON."""
    table = shows_of(_descriptor(type(message)))
    if table is None:
        return cast("Json", json_format.MessageToDict(message, descriptor_pool=pool))
    return {table[field.number][0]: table[field.number][1](value) for field, value in message.ListFields()}


def _descriptor(cls: type[Message]) -> Descriptor:
    return cast("Descriptor", cls.DESCRIPTOR)


def _inner(field: FieldDescriptor) -> Descriptor:
    """Return what a field of messages holds."""
    return cast("Descriptor", field.message_type)


def _names(field: FieldDescriptor) -> list[tuple[str, int]]:
    """Return the values of an enum."""
    return [(value.name, value.number) for value in cast("EnumDescriptor", field.enum_type).values]


def _is_null(field: FieldDescriptor) -> bool:
    return cast("EnumDescriptor", field.enum_type).full_name == "google.protobuf.NullValue"


# --- from JSON ---


@functools.lru_cache(1_024)
def _setters(descriptor: Descriptor) -> dict[str, _Field]:
    """Return what is known of each field, by the keys that it may have."""
    found: dict[str, _Field] = {}
    for field in descriptor.fields:
        oneof = field.containing_oneof
        shared = oneof is not None and len(oneof.fields) > 1
        once: str | None = oneof.name if oneof is not None and shared else field.name
        if not shared and field.json_name == field.name:
            once = None
        found[field.name] = found[field.json_name] = field.name, _exact(field), _setter(field), once
    return found


def _exact(field: FieldDescriptor) -> type[object] | None:
    """Return the class whose every value is a value of the field, or is refused when it is set."""
    if is_repeated(field):
        return None
    kind = field.cpp_type
    if kind in _INTS or kind in _LONGS:
        return int
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return bool
    return str if field.type == FieldDescriptor.TYPE_STRING else None


def _refuse(_message: Message, _value: object) -> bool:
    return False


def _setter(field: FieldDescriptor) -> Set:
    if is_repeated(field):
        return _repeated(field)
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        return _message_setter(field)
    convert = _converter(field)
    if convert is None:
        return _refuse
    name = field.name

    def set_field(message: Message, value: object) -> bool:
        converted = convert(value)
        if converted is None:
            return False
        setattr(message, name, converted)
        return True

    return set_field


def is_repeated(field: FieldDescriptor) -> bool:
    known = getattr(field, "is_repeated", None)  # since protobuf 6
    return bool(field.label == FieldDescriptor.LABEL_REPEATED) if known is None else bool(known)  # type: ignore[attr-defined]  # gone in 7


def _converter(field: FieldDescriptor) -> Callable[[object], object | None] | None:
    """Return what turns a JSON value into a field's; it returns None for what is not for the fast way."""
    kind = field.cpp_type
    if kind in _INTS:
        return lambda value: value if value.__class__ is int else None
    if kind in _LONGS:
        return _long
    if kind == FieldDescriptor.CPPTYPE_DOUBLE:
        return _double
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return lambda value: value if value.__class__ is bool else None
    if kind == FieldDescriptor.CPPTYPE_STRING:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return _bytes
        return lambda value: value if value.__class__ is str else None
    if kind == FieldDescriptor.CPPTYPE_ENUM and not _is_null(field):
        numbers = dict(_names(field))
        return lambda value: numbers.get(value) if isinstance(value, str) else None
    return None  # float: its range is json_format's affair


def _long(value: object) -> object | None:
    if value.__class__ is int:
        return value
    return int(value) if isinstance(value, str) and _digits(value) else None


def _double(value: object) -> object | None:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return float(value) if -_EXACT < value < _EXACT else None


def _bytes(value: object) -> object | None:
    return base64.b64decode(value) if isinstance(value, str) and _base64(value) else None


def _repeated(field: FieldDescriptor) -> Set:
    name = field.name
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        return _repeated_messages(field)
    convert = _converter(field)
    if convert is None:
        return _refuse

    def set_field(message: Message, value: object) -> bool:
        if not isinstance(value, list):
            return False
        converted = [convert(item) for item in cast("list[object]", value)]
        if None in converted:
            return False
        getattr(message, name).extend(converted)
        return True

    return set_field


def _repeated_messages(field: FieldDescriptor) -> Set:
    name = field.name
    inner = _inner(field)
    if inner.GetOptions().map_entry or inner.full_name.startswith("google.protobuf."):
        return _refuse

    def set_field(message: Message, value: object) -> bool:
        if not isinstance(value, list):
            return False
        target = getattr(message, name)
        return all(
            isinstance(item, dict) and _fill(target.add(), cast("dict[str, object]", item), _setters(inner))
            for item in cast("list[object]", value)
        )

    return set_field


def _message_setter(field: FieldDescriptor) -> Set:
    name = field.name
    inner = _inner(field).full_name
    if inner in _TIMES:

        def set_time(message: Message, value: object) -> bool:
            if not isinstance(value, str):
                return False
            getattr(message, name).FromJsonString(value)
            return True

        return set_time
    if inner.startswith("google.protobuf."):
        return _refuse

    def set_field(message: Message, value: object) -> bool:
        if not isinstance(value, dict):
            return False
        target = getattr(message, name)
        target.SetInParent()
        return _fill(target, cast("dict[str, object]", value), _setters(_inner(field)))

    return set_field


# --- to JSON ---


@functools.lru_cache(1_024)
def shows_of(descriptor: Descriptor) -> dict[int, tuple[str, Show]] | None:
    """Return by field number: the key, and what shows the value; None where the class is not for the fast way."""
    if descriptor.full_name.startswith("google.protobuf.") or descriptor.is_extendable:
        return None
    found: dict[int, tuple[str, Show]] = {}
    for field in descriptor.fields:
        show = _show(field)
        if show is None:
            return None
        if is_repeated(field):
            show = functools.partial(_each, show)
        found[field.number] = field.json_name, show
    return found


def _each(show: Show, values: object) -> Json:
    return [show(value) for value in cast("list[object]", values)]


def _as_it_is(value: object) -> Json:
    return value


def _show(field: FieldDescriptor) -> Show | None:
    kind = field.cpp_type
    if kind in _LONGS:
        return str
    if kind in _INTS or kind == FieldDescriptor.CPPTYPE_BOOL:
        return _as_it_is
    if kind == FieldDescriptor.CPPTYPE_DOUBLE:
        return _show_double
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return _show_bytes if field.type == FieldDescriptor.TYPE_BYTES else _as_it_is
    if kind == FieldDescriptor.CPPTYPE_ENUM and not _is_null(field):
        names: dict[object, str] = {}
        for name, number in _names(field):
            names.setdefault(number, name)
        return lambda number: names.get(number, number)
    if kind == FieldDescriptor.CPPTYPE_MESSAGE and not _inner(field).GetOptions().map_entry:
        return _show_message(_inner(field))
    return None


def _show_double(value: object) -> Json:
    number = cast("float", value)
    if number - number == 0:
        return number
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"  # noqa: PLR0124 -- only NaN is so


def _show_bytes(value: object) -> Json:
    return base64.b64encode(cast("bytes", value)).decode()


def _show_message(descriptor: Descriptor) -> Show | None:
    if descriptor.full_name in _TIMES:
        return lambda value: cast("Timestamp", value).ToJsonString()  # a Duration has it, too
    if descriptor.full_name.startswith("google.protobuf.") or descriptor.is_extendable:
        return None

    def show(value: object) -> Json:
        table = shows_of(descriptor)
        message = cast("Message", value)
        if table is None:
            return cast("Json", json_format.MessageToDict(message))
        return {table[field.number][0]: table[field.number][1](item) for field, item in message.ListFields()}

    return show

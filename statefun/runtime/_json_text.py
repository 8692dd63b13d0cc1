"""protobuf messages as the text of their JSON, written by a table made once a message class.

Here: `writer_of`, which writes what `json.dumps` makes of `to_json`, without the dict between them. Only flat work is
done here; what a value looks like that is no text, number or flag, `to_json` says.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from statefun.runtime._json_messages import Show, is_repeated, shows_of, to_json

__all__ = ["dump", "quoted", "writer_of"]

Write = Callable[[object], str]

dump: Callable[[object], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
"""Write JSON as the lines have it. Made once: `json.dumps` would make an encoder for each call."""
quoted: Callable[[str], str] = encode_basestring
"""Write text as JSON; what `dump` does for it, without the looks at what else it may be."""
_FLAGS = {True: "true", False: "false"}
_WIDE = 16
"""From so many fields on, asking each of them costs more than `ListFields`, which knows those that are set."""
_LONGS = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
_INTS = (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32)
_Field = tuple[str, str, "bool | None", Write]
"""Its name; its key with the colon; whether it can be absent (None: it is a number with a sign of zero); its text."""


def writer_of(cls: type[Message], pool: DescriptorPool) -> Callable[[Message], str]:
    """Return what writes messages of a class."""
    fields = _fields(cast("Descriptor", cls.DESCRIPTOR))
    if fields is None:
        return lambda message: dump(to_json(message, pool))
    return functools.partial(_write, fields)


def _write(fields: list[_Field], message: Message) -> str:
    parts: list[str] = []
    for name, key, optional, write in fields:
        if optional:
            if message.HasField(name):
                parts.append(key + write(getattr(message, name)))
            continue
        value = getattr(message, name)
        if value or (optional is None and str(value) != "0.0"):  # -0.0 is set, and not true
            parts.append(key + write(value))
    return f"{{{','.join(parts)}}}"


@functools.lru_cache(1_024)
def _fields(descriptor: Descriptor) -> list[_Field] | None:
    """Return how each field is written, by their numbers; None where the class is not for the fast way."""
    shows = shows_of(descriptor)
    if shows is None or len(shows) > _WIDE:
        return None
    found: list[_Field] = []
    for field in sorted(descriptor.fields, key=lambda field: field.number):
        key, show = shows[field.number]
        signed = field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE and not is_repeated(field)
        optional = True if field.has_presence else None if signed else False
        found.append((field.name, f"{quoted(key)}:", optional, _writer(field, show)))
    return found


def _writer(field: FieldDescriptor, show: Show) -> Write:
    if is_repeated(field):
        return lambda value: dump(show(value))
    if field.type == FieldDescriptor.TYPE_STRING:
        return cast("Write", quoted)
    if field.cpp_type in _LONGS:
        return '"%d"'.__mod__
    if field.cpp_type in _INTS:
        return str
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return cast("Write", _FLAGS.__getitem__)
    return lambda value: dump(show(value))

"""What the bytes of a type depend on, as plain data: fields and numbers of a message, keys and types of a JSON class.

Here: from a `Type` to its shape, for the lock file. What a change of a shape means is in `_types`.
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Iterator
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from statefun import _hints
from statefun._json import kind_of
from statefun._type import Type

__all__ = ["Plain", "shape_of"]

Plain = str | int | bool | list["Plain"] | dict[str, "Plain"] | None
"""What JSON can hold."""

_TYPES = {
    number: name.removeprefix("TYPE_").lower() for name, number in vars(FieldDescriptor).items() if name[:5] == "TYPE_"
}
_WELL_KNOWN = "google.protobuf."


def shape_of(found: Type[Any]) -> dict[str, Plain]:
    """Return the shape of a type: {"protobuf": ...}, {"json": ...}, or {"opaque": ...} for a codec of one's own."""
    cls = found.cls
    if _hints.is_class(cls) and issubclass(cls, Message):
        return {"protobuf": _message(cls.DESCRIPTOR)}
    if found.constant:
        return {"primitive": found.constant}
    if kind_of(cls) or _hints.is_list_or_dict(cls) or (_hints.is_class(cls) and issubclass(cls, enum.Enum)):
        return {"json": _json(cls)}
    return {"opaque": _hints.show(cls)}


# --- protobuf ---


def _message(descriptor: Any) -> dict[str, Plain]:
    messages: dict[str, Plain] = {}
    enums: dict[str, Plain] = {}
    stack: list[Descriptor] = [descriptor]
    while stack:
        message = stack.pop()
        if message.full_name in messages:
            continue
        messages[message.full_name] = {
            "fields": {str(field.number): _field(field) for field in message.fields},
            "reserved": _reserved(message),
        }
        for field in message.fields:
            if field.message_type is not None and _is_own(field.message_type):
                stack.append(field.message_type)
            if field.enum_type is not None and _is_own(field.enum_type):
                enums[field.enum_type.full_name] = {value.name: value.number for value in field.enum_type.values}
    return {"message": descriptor.full_name, "messages": messages, "enums": enums}


def _is_own(descriptor: Descriptor | EnumDescriptor) -> bool:
    return not descriptor.full_name.startswith(_WELL_KNOWN)


def _field(field: FieldDescriptor) -> dict[str, Plain]:
    kind = _TYPES[field.type]
    named = field.message_type or field.enum_type
    shape: dict[str, Plain] = {"name": field.name, "type": f"{kind} {named.full_name}" if named else kind}
    if _is_repeated(field):
        shape["repeated"] = True
    oneof = field.containing_oneof
    if oneof is not None and not oneof.name.startswith("_"):  # that of an optional field
        shape["oneof"] = oneof.name
    return shape


def _is_repeated(field: Any) -> bool:
    """Tell whether it is repeated: `label` is gone from newer protobufs, `is_repeated` is not in older ones."""
    found = getattr(field, "is_repeated", None)
    return bool(field.label == FieldDescriptor.LABEL_REPEATED if found is None else found)


def _reserved(message: Any) -> list[Plain]:
    """Return the numbers that are reserved, as "2" and "9-11"."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto  # noqa: PLC0415 -- the lock alone needs it

    # through the file: a message that was made at run time cannot copy itself in pure Python
    file = FileDescriptorProto()
    message.file.CopyToProto(file)
    names = message.full_name.removeprefix(f"{file.package}.").split(".")
    proto = next(top for top in file.message_type if top.name == names[0])
    for name in names[1:]:
        proto = next(nested for nested in proto.nested_type if nested.name == name)
    spans = [(span.start, span.end - 1) for span in proto.reserved_range]
    return [str(first) if first == last else f"{first}-{last}" for first, last in spans]


# --- JSON ---


def _json(hint: Any) -> dict[str, Plain]:
    classes: dict[str, Plain] = {}
    stack: list[Any] = [hint]
    while stack:
        found = stack.pop()
        stack.extend(typing.get_args(found))
        if not _hints.is_class(found) or found.__qualname__ in classes:
            continue
        if issubclass(found, enum.Enum):
            classes[found.__qualname__] = {"names": list(found.__members__)}
        elif kind_of(found):
            fields = list(_keys(found))
            classes[found.__qualname__] = {
                "keys": {name: _key(inner, required=required) for name, inner, required in fields}
            }
            stack.extend(inner for _, inner, _ in fields)
    return {"type": _hints.show(hint), "classes": classes}


def _key(hint: Any, *, required: bool) -> dict[str, Plain]:
    shape: dict[str, Plain] = {"type": _hints.show(hint)}
    return {**shape, "required": True} if required else shape


def _keys(cls: Any) -> Iterator[tuple[str, Any, bool]]:
    """Yield the keys of a JSON class, as they are written, with their types and whether they must be there."""
    kind = kind_of(cls)
    hints = _hints.class_hints(cls)
    if kind == "dataclass":
        for field in dataclasses.fields(cls):
            missing = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if field.init:
                yield field.name, hints[field.name], missing
    elif kind == "struct":
        names = cast("tuple[str, ...]", cls.__struct_fields__)
        first_default = len(names) - len(cls.__struct_defaults__)
        written = cast("tuple[str, ...]", cls.__struct_encode_fields__)
        for index, name in enumerate(names):
            required = index < first_default or repr(cls.__struct_defaults__[index - first_default]) == "NODEFAULT"
            yield written[index], hints[name], required
    else:
        for name, field in cls.model_fields.items():
            yield field.serialization_alias or field.alias or name, hints.get(name, Any), field.is_required()

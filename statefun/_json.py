"""Dataclasses, and what may stand in them, as JSON.

Here: the one JSON form of dataclasses, lists, dicts and Enums, compiled once a class into closures. msgspec Structs and
pydantic models write themselves. Typenames are not known here.

UTF-8, no blanks, fields in the order of their declaration; bytes and protobuf messages in base64 (nothing is lost, also
not a field that this version of the message does not know), an Enum by its name, datetime and date in ISO 8601, Decimal
and UUID as strings; NaN and infinities are refused, since other languages cannot read them. Unknown keys are ignored, a
missing one takes its default.
"""

from __future__ import annotations

import base64
import datetime as dt
import enum
import json
import math
import sys
import typing
from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError, Message

from statefun import _hints
from statefun.errors import DeclarationError, SendError

__all__ = ["codec", "dumps", "kind_of"]

Convert = Callable[[Any], Any]
_BY_TEXT = {("decimal", "Decimal"), ("uuid", "UUID")}


def kind_of(cls: object) -> typing.Literal["struct", "model", "dataclass", ""]:
    """Tell which of the three kinds that can be JSON a class is; "" for none of them."""
    if not _hints.is_class(cls):
        return ""
    if hasattr(cls, "__struct_fields__"):
        return "struct"
    if hasattr(cls, "__pydantic_validator__") and hasattr(cls, "model_validate_json"):
        return "model"
    # a State is a dataclass, too, but stored field by field
    return "dataclass" if hasattr(cls, "__dataclass_fields__") and not hasattr(cls, "__statefun_state__") else ""


def codec(hint: Any) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    """Make the encoder to and the decoder from UTF-8 JSON of a class, list[...], dict[str, ...] or Enum.

    Raises DeclarationError for what has no JSON, NameError for a hint that is not defined yet. The encoder raises
    SendError, the decoder ValueError with the path of what is wrong.
    """
    kind = kind_of(hint)
    if kind == "struct":
        msgspec = sys.modules["msgspec"]  # it is imported: the class is there
        return msgspec.json.Encoder().encode, msgspec.json.Decoder(hint).decode
    if kind == "model":
        return (lambda model: model.model_dump_json().encode()), hint.model_validate_json
    to_json, from_json = _compile(hint, _hints.show(hint), {})

    def decode(data: bytes) -> Any:
        return _at(from_json, json.loads(data), "$")

    def encode(value: Any) -> bytes:
        try:
            plain = to_json(value)
        except _Wrong as error:
            msg = f"{_hints.show(value.__class__)} has no JSON form: ${error.path}: {error.problem}"
            raise SendError(msg) from None
        except (TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
            msg = f"{_hints.show(value.__class__)} has no JSON form: {error}"
            raise SendError(msg) from None
        return dumps(plain)

    return encode, decode


def dumps(value: object) -> bytes:
    """Write plain JSON data. Raises SendError."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError, RecursionError) as error:
        msg = f"{value!r} has no JSON form: {error}"
        raise SendError(msg) from None


def _at(convert: Convert, value: Any, path: str) -> Any:
    try:
        return convert(value)
    except _Wrong as error:
        msg = f"{path}{error.path}: {error.problem}"
        raise ValueError(msg) from None


class _Wrong(Exception):
    """A JSON value of the wrong kind; the path grows while it travels up."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = path


def _compile(hint: Any, where: str, seen: dict[Any, list[Convert]]) -> tuple[Convert, Convert]:
    """Make the converters of one hint. `seen` breaks the recursion of a class that holds itself."""
    plain, optional, _ = _hints.without_none(hint, object)
    to_json, from_json = _compile_plain(plain, where, seen)
    if not optional:
        return to_json, from_json
    return (
        lambda value: None if value is None else to_json(value),
        lambda value: None if value is None else from_json(value),
    )


def _compile_plain(tp: Any, where: str, seen: dict[Any, list[Convert]]) -> tuple[Convert, Convert]:
    origin, arguments = typing.get_origin(tp), typing.get_args(tp)
    if origin is list:
        return _list_of(*_compile(arguments[0], where, seen))
    if origin is dict:
        if arguments[0] is not str:
            msg = f"{where}: the keys of {_hints.show(tp)} must be str"
            raise DeclarationError(msg)
        return _dict_of(*_compile(arguments[1], where, seen))
    if _hints.is_union(tp):
        msg = f"{where}: {_hints.show(tp)} is ambiguous when it is read back; use a protobuf oneof or two values"
        raise DeclarationError(msg)
    if _hints.is_class(tp):
        found = _compile_class(tp, where, seen)
        if found is not None:
            return found
    msg = f"{where}: values of type {_hints.show(tp)} have no JSON form"
    raise DeclarationError(msg)


def _compile_class(tp: type[Any], where: str, seen: dict[Any, list[Convert]]) -> tuple[Convert, Convert] | None:
    if tp in _SCALARS:
        return _SCALARS[tp]
    if issubclass(tp, enum.Enum):
        return _enum(tp)
    if issubclass(tp, Message) and tp is not Message:
        return _message(tp)
    kind = kind_of(tp)
    if kind == "dataclass":
        return _dataclass(tp, where, seen)
    if kind:
        encode, decode = codec(tp)
        return (lambda value: json.loads(encode(value))), (lambda value: decode(json.dumps(value).encode()))
    if (tp.__module__, tp.__qualname__) in _BY_TEXT:
        return _text(tp)
    return None


def _exactly(cls: type, name: str) -> tuple[Convert, Convert]:
    def convert(value: Any) -> Any:
        if value.__class__ is not cls:
            msg = f"expected {name}, not {value!r}"
            raise _Wrong(msg)
        return value

    return convert, convert


def _number() -> tuple[Convert, Convert]:
    def to_json(value: Any) -> float:
        if value.__class__ not in (int, float) or not math.isfinite(value):
            msg = f"expected a finite number, not {value!r}"
            raise _Wrong(msg)
        return float(value)

    def from_json(value: Any) -> float:
        if value.__class__ not in (int, float) or not math.isfinite(value):
            msg = f"expected a finite number, not {value!r}"
            raise _Wrong(msg)
        return float(value)

    return to_json, from_json


def _parsed(cls: type[Any], name: str, write: Convert, parse: Convert) -> tuple[Convert, Convert]:
    def to_json(value: Any) -> Any:
        if not isinstance(value, cls):
            msg = f"expected {name}, not {value!r}"
            raise _Wrong(msg)
        return write(value)

    def from_json(value: Any) -> Any:
        try:
            return parse(value)
        except (ValueError, TypeError, AttributeError, ArithmeticError, DecodeError):
            msg = f"expected {name}, not {value!r}"
            raise _Wrong(msg) from None

    return to_json, from_json


def _unbase64(value: str) -> bytes:
    return base64.b64decode(value.encode("ascii"), validate=True)


def _parse_datetime(value: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{value[:-1]}+00:00" if value.endswith("Z") else value)


def _isoformat(value: Any) -> Any:
    return value.isoformat()


def _text(tp: type[Any]) -> tuple[Convert, Convert]:
    return _parsed(tp, f"a {tp.__name__}", str, tp)


def _enum(tp: type[enum.Enum]) -> tuple[Convert, Convert]:
    names = tp.__members__

    def to_json(value: Any) -> Any:
        if not isinstance(value, tp) or value.name not in names:
            msg = f"expected a {tp.__name__}, not {value!r}"
            raise _Wrong(msg)
        return value.name

    def from_json(value: Any) -> Any:
        if value.__class__ is not str or value not in names:
            msg = f"expected one of {', '.join(names)}, not {value!r}"
            raise _Wrong(msg)
        return names[value]

    return to_json, from_json


def _message(tp: type[Message]) -> tuple[Convert, Convert]:
    def to_json(value: Any) -> str:
        return base64.b64encode(value.SerializeToString(deterministic=True)).decode()

    return _parsed(tp, f"a {tp.DESCRIPTOR.name} in base64", to_json, lambda value: tp.FromString(_unbase64(value)))


def _list_of(to_item: Convert, from_item: Convert) -> tuple[Convert, Convert]:
    def from_json(value: Any) -> list[Any]:
        if value.__class__ is not list:
            msg = f"expected a list, not {value!r}"
            raise _Wrong(msg)
        return [_step(from_item, item, f"[{index}]") for index, item in enumerate(value)]

    def to_json(value: Any) -> list[Any]:
        if not _is_a(list, value):
            msg = f"expected a list, not {value!r}"
            raise _Wrong(msg)
        return [_step(to_item, item, f"[{index}]") for index, item in enumerate(value)]

    return to_json, from_json


def _dict_of(to_item: Convert, from_item: Convert) -> tuple[Convert, Convert]:
    def to_json(value: Any) -> dict[str, Any]:
        if not _is_a(dict, value):
            msg = f"expected a dict, not {value!r}"
            raise _Wrong(msg)
        for key in value:
            if key.__class__ is not str:
                msg = f"expected keys of str, not {key!r}"
                raise _Wrong(msg)
        return {key: _step(to_item, item, f".{key}") for key, item in value.items()}

    def from_json(value: Any) -> dict[str, Any]:
        if value.__class__ is not dict:
            msg = f"expected an object, not {value!r}"
            raise _Wrong(msg)
        return {key: _step(from_item, item, f".{key}") for key, item in value.items()}

    return to_json, from_json


def _is_a(cls: type, value: object) -> bool:
    """Tell whether a value is of a class, without narrowing what is Any."""
    return isinstance(value, cls)


def _step(convert: Convert, value: Any, path: str) -> Any:
    try:
        return convert(value)
    except _Wrong as error:
        raise _Wrong(error.problem, path + error.path) from None


def _dataclass(tp: type[Any], where: str, seen: dict[Any, list[Convert]]) -> tuple[Convert, Convert]:
    import dataclasses  # noqa: PLC0415 -- 10 ms that `import statefun` must not cost; who has one has paid

    if tp in seen:  # it holds itself: looked up when it is used
        done = seen[tp]
        return (lambda value: done[0](value)), (lambda value: done[1](value))  # noqa: PLW0108 -- `done` is filled later
    seen[tp] = []
    hints = _hints.class_hints(tp)
    missing = dataclasses.MISSING
    fields = [
        (field, *_compile(hints[field.name], f"{where}.{field.name}", seen))
        for field in dataclasses.fields(tp)
        if field.init
    ]
    required = [f.name for f, _, _ in fields if f.default is missing and f.default_factory is missing]

    def to_json(value: Any) -> dict[str, Any]:
        if value.__class__ is not tp:  # of a subclass, the fields it adds would be lost
            msg = f"expected a {tp.__name__}, not {value!r}"
            raise _Wrong(msg)
        return {
            field.name: _step(to_item, getattr(value, field.name), f".{field.name}") for field, to_item, _ in fields
        }

    def from_json(value: Any) -> Any:
        if value.__class__ is not dict:
            msg = f"expected an object, not {value!r}"
            raise _Wrong(msg)
        for name in required:
            if name not in value:
                msg = f"the key {name!r} of {tp.__name__} is missing"
                raise _Wrong(msg)
        known = [(f.name, from_item) for f, _, from_item in fields if f.name in value]
        return tp(**{name: _step(from_item, value[name], f".{name}") for name, from_item in known})

    seen[tp] += [to_json, from_json]
    return to_json, from_json


_SCALARS: dict[type, tuple[Convert, Convert]] = {
    bool: _exactly(bool, "true or false"),
    int: _exactly(int, "a whole number"),
    str: _exactly(str, "a string"),
    float: _number(),
    bytes: _parsed(bytes, "bytes in base64", lambda value: base64.b64encode(value).decode(), _unbase64),
    dt.datetime: _parsed(dt.datetime, "a datetime in ISO 8601", _isoformat, _parse_datetime),
    dt.date: _parsed(dt.date, "a date in ISO 8601", _isoformat, dt.date.fromisoformat),
}

"""How a State class is made, and what its fields declare.

Here: the checks of its body, the dataclass it becomes, and the ValueSpec of each field. Apart from `state`, because it
needs `dataclasses` and `inspect`, which cost 10 ms at an import.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from statefun import _hints
from statefun._specs import ValueSpec
from statefun._type import Type
from statefun.errors import StateError

__all__ = ["field", "make", "read_specs"]

_OPTIONS = "statefun"


def field(default: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """Make a field with options; `default` holds a default, a default_factory, or nothing."""
    return dataclasses.field(**default, metadata={_OPTIONS: options})


def make(cls: type[Any]) -> tuple[str, ...]:
    """Make a keyword-only dataclass of a State class, and return its fields. Raises StateError."""
    _check_defaults(cls)
    _inherit_defaults(cls)
    dataclasses.dataclass(kw_only=True)(cls)
    names = tuple(found.name for found in _dataclass_fields(cls))
    for name in names:
        _check_field_name(cls, name)
    return names


def read_specs(cls: type[Any], scope: _hints.Scope) -> tuple[ValueSpec[Any, Any], ...]:
    """Return the declaration of each field. Raises StateError; NameError where a hint names what is not defined yet."""
    specs = tuple(_spec_of(cls, found, _hints.evaluate(found.type, scope)) for found in _dataclass_fields(cls))
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            msg = f"{cls.__qualname__} declares the state {name!r} twice"
            raise StateError(msg)
    return specs


def _dataclass_fields(cls: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)


def _check_field_name(cls: type[Any], name: str) -> None:
    if name.startswith("_"):
        plain = name.strip("_") or "value"
        write = f"{plain}: ... = value(name={name!r}, ...)"
        msg = f"{cls.__qualname__}.{name}: the name of a value does not start with '_'; write '{write}'"
        raise StateError(msg)


def _check_defaults(cls: type[Any]) -> None:
    """Refuse a default that can change in place: every address would see the change."""
    annotated = inspect.get_annotations(cls)
    for name, given in vars(cls).items():
        default: object = _default_of_field(given) if isinstance(given, dataclasses.Field) else given
        if name in annotated and not _is_hashable(default):
            factory = default.__class__.__name__
            msg = (
                f"{cls.__qualname__}.{name}: this default would be shared by every address; "
                f"write 'value(default_factory={factory})'"
            )
            raise StateError(msg)


def _default_of_field(given: Any) -> object:
    return given.default


def _is_hashable(value: object) -> bool:
    """Tell whether a value can be hashed, which what changes in place cannot be."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _inherit_defaults(cls: type[Any]) -> None:
    """Keep the default of a field that a subclass annotates anew: it is no class attribute any more."""
    inherited: dict[str, dataclasses.Field[Any]] = {}
    for base in reversed(cls.__mro__[1:]):
        inherited |= vars(base).get("__dataclass_fields__", {})
    for name in inspect.get_annotations(cls):
        if name in inherited and name not in vars(cls):
            old = inherited[name]
            new: Any = dataclasses.field(metadata=old.metadata)
            new.default, new.default_factory = old.default, old.default_factory
            setattr(cls, name, new)


def _spec_of(cls: type[Any], field: dataclasses.Field[Any], hint: Any) -> ValueSpec[Any, Any]:
    where = f"{cls.__qualname__}.{field.name}"
    options: dict[str, Any] = dict(field.metadata.get(_OPTIONS, {}))
    name: str = options.pop("name", None) or field.name
    plain, optional, annotated = _hints.without_none(hint, Type)
    named: Type[Any] | None = options.pop("type", None) or annotated
    if named is not None and named.cls is not plain:
        msg = f"{where}: {named.typename} is a type of {_hints.show(named.cls)}, not of {_hints.show(plain)}"
        raise StateError(msg)
    stored: Any = named or plain
    if optional:
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if has_default and field.default is not None:
            write = f"{field.name}: {_hints.show(plain)} | None = None"
            msg = (
                f"{where}: a value that may be None starts as None; write '{write}', "
                "or drop '| None' and keep the default"
            )
            raise StateError(msg)
        return ValueSpec(name, stored, **options)
    spec = ValueSpec(name, stored, default=_default_of(field, where, plain), **options)
    return _with_checked_default(spec, field, where)


def _default_of(field: dataclasses.Field[Any], where: str, plain: Any) -> Callable[[], Any]:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory
    if field.default is not dataclasses.MISSING:
        default = field.default
        return lambda: default
    msg = (
        f"{where}: what is its value before the first write? Write '{field.name}: {_hints.show(plain)} | None = None' "
        "or give a default"
    )
    raise StateError(msg)


def _with_checked_default(spec: ValueSpec[Any, Any], field: dataclasses.Field[Any], where: str) -> ValueSpec[Any, Any]:
    if field.default is not dataclasses.MISSING:
        try:
            kept = spec.check(field.default)
        except StateError as error:
            msg = f"{where}: its default is wrong: {error}"
            raise StateError(msg) from None
        spec.default = lambda: kept
    return spec

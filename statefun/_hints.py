"""Type hints: evaluated, taken apart, and written out as a person would.

Here: the only caller of `typing.get_type_hints`, and the only code that looks inside a hint. What a hint means for
dispatch or for state is decided by `_signature`, `state` and `egress`.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeGuard

__all__ = [
    "Member",
    "Scope",
    "caller_scope",
    "class_hints",
    "evaluate",
    "is_class",
    "members",
    "own_annotations",
    "show",
    "without_none",
]


class Scope(NamedTuple):
    """The names that a hint written as a string may use."""

    globalns: Mapping[str, Any]
    localns: Mapping[str, Any]


class Member(NamedTuple):
    """One alternative of a hint."""

    cls: Any
    """What it is at run time: a class, usually."""
    source: Any
    """What stands in the hint for it: a NewType, an Annotated, or the class itself."""
    extra: Any
    """The first thing of the wanted kind in its Annotated; None if there is none."""


def evaluate(hint: object, scope: Scope) -> Any:
    """Evaluate a hint that may be, or hold, strings; raise what evaluating it raises."""
    holder = types.SimpleNamespace(__annotations__={"hint": hint})
    hints = typing.get_type_hints(holder, globalns=dict(scope.globalns), localns=scope.localns, include_extras=True)
    return hints["hint"]


def class_hints(cls: type[Any]) -> dict[str, Any]:
    """Return the evaluated hints of a class's fields; raises NameError where one is not defined yet."""
    return typing.get_type_hints(cls, include_extras=True)


def own_annotations(cls: type[Any]) -> Mapping[str, Any]:
    """Return the hints that stand in the body of a class itself, as they stand there."""
    import inspect  # noqa: PLC0415 -- 10 ms that `import statefun` must not cost

    return inspect.get_annotations(cls)


def caller_scope(depth: int) -> Scope:
    """Return the names that are visible `depth` frames above the caller, past the frames of `typing` itself.

    `typing` stands between `FunctionRef[...](...)` and `FunctionRef.__init__`.
    """
    frame = sys._getframe(depth + 1)  # noqa: SLF001 -- inspect.currentframe() and f_back, without the walk
    while frame.f_globals.get("__name__") == "typing" and frame.f_back is not None:
        frame = frame.f_back
    return Scope(frame.f_globals, frame.f_locals)


def is_class(hint: object) -> TypeGuard[type[Any]]:
    """Tell whether it is a class, and not list[str], which `isinstance` takes for one."""
    return isinstance(hint, type) and typing.get_origin(hint) is None


def has_utf8(text: object) -> bool:
    """Tell whether it is a text that can be written as UTF-8: one with a lone surrogate cannot."""
    if not isinstance(text, str):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_list_or_dict(hint: object) -> bool:
    """Tell whether it is list[...] or dict[..., ...]."""
    return typing.get_origin(hint) in (list, dict)


def is_never(hint: object) -> bool:
    """Tell whether it is Never or NoReturn."""
    modules = (typing, sys.modules.get("typing_extensions"))  # where it was imported from, if it was
    return hint is typing.NoReturn or any(hint is getattr(module, "Never", hint.__class__) for module in modules)


def is_alias(hint: object) -> bool:
    """Tell whether it is `type X = ...`, of typing or of typing_extensions."""
    return type(hint).__name__ == "TypeAliasType"


def is_union(hint: object) -> bool:
    """Tell whether it is Union[...], Optional[...] or X | Y."""
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def annotated(hint: object, kind: type[Any]) -> Any:
    """Return the first extra of this kind in an Annotated; None if there is none."""
    return next((extra for extra in typing.get_args(hint)[1:] if isinstance(extra, kind)), None)


def members(hint: Any, scope: Scope, kind: type[Any]) -> Iterator[Member]:
    """List the alternatives of a hint: unions, aliases, NewTypes and Annotated taken apart.

    `kind` is the class of what is looked for in an Annotated. Raises NameError where a name is not defined.
    """
    yield from _members(Member(hint, hint, None), scope, kind)


def _members(found: Member, scope: Scope, kind: type[Any]) -> Iterator[Member]:
    hint = found.cls
    origin = typing.get_origin(hint)
    if isinstance(hint, (str, typing.ForwardRef)):
        text = hint if isinstance(hint, str) else hint.__forward_arg__
        yield from _members(Member(evaluate(text, scope), text, found.extra), scope, kind)
    elif is_alias(hint):
        yield from _members(Member(hint.__value__, hint, found.extra), scope, kind)
    elif is_alias(origin):  # type X[T] = T | B, used as X[A]
        value = origin.__value__[typing.get_args(hint)]
        yield from _members(Member(value, hint, found.extra), scope, kind)
    elif isinstance(hint, typing.NewType):
        for member in _members(Member(hint.__supertype__, hint, found.extra), scope, kind):
            yield Member(member.cls, hint, member.extra)
    elif origin is typing.Annotated:
        extra = annotated(hint, kind) or found.extra
        source = hint if extra is not None else found.source
        yield from _members(Member(typing.get_args(hint)[0], source, extra), scope, kind)
    elif is_union(hint):
        for argument in typing.get_args(hint):
            yield from _members(Member(argument, argument, found.extra), scope, kind)
    else:
        yield found if found.extra is not None else Member(hint, hint, None)


def without_none(hint: Any, kind: type[Any]) -> tuple[Any, bool, Any]:
    """Take the hint of a stored value apart.

    Returns what is left without NewType, Annotated and None; whether None was in it; the extra of this kind in its
    Annotated, None if there is none.
    """
    if is_alias(hint):
        return without_none(hint.__value__, kind)
    if isinstance(hint, typing.NewType):
        return without_none(hint.__supertype__, kind)
    if typing.get_origin(hint) is typing.Annotated:
        plain, optional, extra = without_none(typing.get_args(hint)[0], kind)
        return plain, optional, extra or annotated(hint, kind)
    if not is_union(hint):
        return hint, False, None
    rest = [argument for argument in typing.get_args(hint) if argument is not type(None)]
    optional = len(rest) < len(typing.get_args(hint))
    if len(rest) == 1:
        plain, _, extra = without_none(rest[0], kind)
        return plain, optional, extra
    return typing.Union[tuple(rest)], optional, None  # noqa: UP007 -- a union of a computed tuple has no other spelling


def show(hint: Any) -> str:
    """Write a hint as one would write it in code."""
    if hint is None or hint is type(None):
        return "None"
    if is_class(hint):
        return hint.__qualname__
    if hint is ...:
        return "..."
    if isinstance(hint, (typing.NewType, typing.TypeVar)) or is_alias(hint):
        return str(hint.__name__)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_union(hint):
        return " | ".join(show(argument) for argument in arguments)
    if origin is typing.Annotated:
        # a statefun.types.Type, which this module must not know, says how it is written in a hint
        names = [name for extra in arguments[1:] if (name := getattr(extra, "hint_name", None))]
        return f"Annotated[{show(arguments[0])}, {names[0]}]" if names else show(arguments[0])
    if is_class(origin) and arguments:
        return f"{origin.__name__}[{', '.join(show(argument) for argument in arguments)}]"
    return str(hint).removeprefix("typing.").removeprefix("typing_extensions.")

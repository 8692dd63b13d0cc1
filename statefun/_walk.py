"""What the code of a function refers to: the objects that its names stand for.

Here: the walk over globals, closures, defaults and attributes of a function and of the functions of the same package
that it calls. Nothing is called and nothing is imported; what is computed at run time is not found.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

__all__ = ["Walk", "codes_of"]

_MOST = 50_000
"""Objects looked at for one function: a bound for odd graphs, not a number one meets."""


class Walk:
    """One walk over an app: what an object refers to is looked at once, however many functions reach it."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], tuple[object, tuple[object, ...]]] = {}

    def reachable(self, fn: object) -> Iterator[object]:
        """Yield the objects that a callable refers to, itself first, each once."""
        root = _root(fn)
        seen: set[int] = set()
        stack: list[object] = [fn]
        while stack and len(seen) < _MOST:
            found = stack.pop()
            if id(found) in seen:
                continue
            seen.add(id(found))
            yield found
            stack.extend(self._referred(found, root))

    def _referred(self, found: object, root: str) -> tuple[object, ...]:
        known = self._known.get((id(found), root))
        if known is None:  # the object is kept with what it refers to, so that its id is not given to another
            known = self._known[id(found), root] = (found, tuple(_below(found, root)))
        return known[1]


def codes_of(fn: types.FunctionType) -> Iterator[types.CodeType]:
    """Yield the code of a function and of the functions that stand inside it."""
    stack = [fn.__code__]
    while stack:
        code = stack.pop()
        yield code
        stack.extend(const for const in code.co_consts if isinstance(const, types.CodeType))


def _root(fn: object) -> str:
    plain = next((one for one in _chain(fn) if isinstance(one, types.FunctionType)), None)
    return _package(plain if plain is not None else type(fn))


def _package(found: type | types.FunctionType) -> str:
    return (found.__module__ or "").partition(".")[0]


def _chain(fn: object) -> Iterator[object]:
    """Follow partials, methods and decorators down to the function."""
    while fn is not None:
        yield fn
        if isinstance(fn, functools.partial):
            fn = cast("object", fn.func)
        elif isinstance(fn, types.MethodType):
            fn = fn.__func__
        else:
            fn = getattr(fn, "__wrapped__", None) or getattr(fn, "fn", None)


def _below(found: Any, root: str) -> Iterable[object]:
    if isinstance(found, (list, tuple, set, frozenset)):
        return cast("Iterable[object]", found)
    for known, look in _LOOKS.items():
        if isinstance(found, known):
            return look(found, root)
    kind = cast("type[object]", type(found))
    if _package(kind) == root:
        return (kind, *getattr(found, "__dict__", {}).values())
    return (found.fn,) if callable(getattr(found, "fn", None)) else ()  # fn: a bound function


def _of_class(cls: type, root: str) -> Iterable[object]:
    return vars(cls).values() if _package(cls) == root else ()


def _of_descriptor(found: Any, _root: str) -> Iterable[object]:
    return (getattr(found, name, None) for name in ("__func__", "fget", "fset", "fdel"))


def _of_function(fn: types.FunctionType, root: str) -> Iterator[object]:
    if _package(fn) != root:
        return
    yield getattr(fn, "__wrapped__", None)
    yield from fn.__defaults__ or ()
    yield from (fn.__kwdefaults__ or {}).values()
    yield from inspect.getclosurevars(fn).nonlocals.values()
    names = {name for code in codes_of(fn) for name in code.co_names}
    for name in names & fn.__globals__.keys():
        value = fn.__globals__[name]
        if isinstance(value, types.ModuleType):
            yield from _of_module(value, names)
        else:
            yield value


def _of_module(module: types.ModuleType, names: set[str]) -> Iterator[object]:
    """Yield the members of a module that the code may mean, of modules inside it too."""
    members: dict[str, Any] = vars(module)
    for name in names & members.keys():
        value = members[name]
        if not isinstance(value, types.ModuleType):
            yield value
        elif value.__name__.startswith(f"{module.__name__}."):
            yield from _of_module(value, names - {name})


_LOOKS: dict[type, Callable[[Any, str], Iterable[object]]] = {
    types.FunctionType: _of_function,
    functools.partial: lambda found, _root: (found.func, *found.args, *found.keywords.values()),
    types.MethodType: lambda found, _root: (found.__func__, found.__self__),
    Mapping: lambda found, _root: found.values(),
    type: _of_class,
    staticmethod: _of_descriptor,
    classmethod: _of_descriptor,
    property: _of_descriptor,
}
"""How to look below an object of each kind."""

"""From a callable to what is known of it: the messages it takes, its State class, whether it is async.

Here: everything that can be wrong with a callable, refused as a BindError when it is bound; nothing is evaluated later.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any, cast

from statefun import _hints
from statefun._dispatch import Accepts, accepted
from statefun.context import Context
from statefun.errors import BindError, StateError
from statefun.state import State, ValueSpec, specs_of

__all__ = ["Signature", "describe", "is_async", "read_signature", "why_no_middleware"]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_STARS: dict[object, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
_CONTEXT_AND_MESSAGE = 2


@dataclass(frozen=True, slots=True)
class Signature:
    """What bind reads from a callable."""

    accepts: Accepts
    state_class: type[State]
    specs: tuple[ValueSpec[Any, Any], ...]
    """The declarations of the State class."""
    is_async: bool


def read_signature(typename: str, fn: object, scope: _hints.Scope) -> Signature:
    """Read a callable that is bound to a typename. Raises BindError, StateError."""
    reader = _Reader(typename, fn, scope)
    inner = reader.function()
    context, message = reader.parameters(inner)
    context_hint, message_hint = reader.hint(inner, context), reader.hint(inner, message)
    if _class_of(message_hint) is Context:
        raise reader.error(
            f"its first parameter {context.name!r} is hinted {_hints.show(context_hint)}, "
            "but the first parameter is the context",
            "swap the two parameters",
        )
    accepts = reader.accepts(inner, message, message_hint)
    state_class, specs = reader.state(context_hint)
    return Signature(accepts, state_class, specs, is_async(fn))


class _Reader:
    """The reading of one callable: where its errors are made."""

    def __init__(self, typename: str, fn: object, scope: _hints.Scope) -> None:
        self._typename = typename
        self._fn = fn
        self._scope = scope
        self._where = describe(fn)

    def error(self, problem: str, help: str = "") -> BindError:
        return BindError(self._typename, self._where, problem, help)

    def function(self) -> FunctionType:
        """Return the def behind the callable."""
        fn = self._fn
        if isinstance(fn, type):
            raise self.error(
                "it is a class", f"bind an instance: functions.register({self._typename!r}, {fn.__name__}())"
            )
        if not callable(fn):
            raise self.error("it cannot be called")
        inner = innermost(fn)
        if inner is None:
            raise self.error("it has no Python signature to read the message types from", "wrap it in a def")
        if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
            raise self.error(
                "it is a generator function: calling it would run nothing", "use 'def' or 'async def' without yield"
            )
        return inner

    def parameters(self, inner: FunctionType) -> tuple[inspect.Parameter, inspect.Parameter]:
        """Return the parameters that take the context and the message."""
        try:
            parameters = list(inspect.signature(cast("Callable[..., object]", self._fn)).parameters.values())
        except (ValueError, TypeError) as error:
            raise self.error(f"its signature cannot be read: {error}") from error
        positional = [p for p in parameters if p.kind in _POSITIONAL]
        shown = f"({', '.join(_STARS.get(p.kind, '') + p.name for p in parameters)})"
        if any(p.kind is p.VAR_POSITIONAL for p in parameters) and len(positional) < _CONTEXT_AND_MESSAGE:
            raise self.error(
                f"its signature {shown} hides the message type",
                "if a decorator made it, let that use functools.wraps; otherwise write (context, message)",
            )
        for p in parameters:
            if p.kind is p.KEYWORD_ONLY and p.default is p.empty:
                raise self.error(
                    f"nothing would pass its keyword argument {p.name!r}",
                    "give it a default, or bind a functools.partial",
                )
        required = [p for p in positional[_CONTEXT_AND_MESSAGE:] if p.default is p.empty]
        if len(positional) < _CONTEXT_AND_MESSAGE or required:
            unbound = len(positional) == _CONTEXT_AND_MESSAGE + 1 and positional[0].name == "self"
            raise self.error(
                f"a stateful function takes two positional parameters, (context, message); this one takes {shown}",
                f"bind the method of an instance: functions.register({self._typename!r}, instance.{inner.__name__})"
                if unbound
                else "",
            )
        return positional[0], positional[1]

    def hint(self, inner: FunctionType, parameter: inspect.Parameter) -> Any:
        """Return the evaluated hint of a parameter; None if it has none."""
        if parameter.annotation is parameter.empty:
            return None
        try:
            return _hints.evaluate(parameter.annotation, self._scope_of(inner))
        except Exception as error:
            raise self._unevaluable(inner, parameter, error) from error

    def accepts(self, inner: FunctionType, message: inspect.Parameter, hint: Any) -> Accepts:
        """Make the dispatch table of the message's hint."""
        shown = f"{message.name}: {_hints.show(hint)}"
        namespace = self._typename.rpartition("/")[0]
        try:
            return accepted(hint, self._scope_of(inner), shown, namespace, self.error)
        except NameError as error:  # `type` aliases, and the fields of a dataclass, are evaluated late
            raise self._unevaluable(inner, message, error) from error

    def state(self, hint: Any) -> tuple[type[State], tuple[ValueSpec[Any, Any], ...]]:
        """Return the State class that the hint of the context names, and what it declares."""
        found = _class_of(hint)
        if hint is None or hint is Any:
            return State, ()
        if not (isinstance(found, type) and issubclass(found, Context)):
            raise self.error(
                f"its first parameter is hinted {_hints.show(hint)}",
                "the first parameter is the context: 'context: Context' or 'context: Context[MyState]'",
            )
        (named, *_) = typing.get_args(hint) or (State,)
        if named is Any or isinstance(named, typing.TypeVar):
            return State, ()
        if not (isinstance(named, type) and issubclass(named, State)):
            raise self.error(f"the state of its context is {_hints.show(named)}", "name a subclass of statefun.State")
        try:
            return named, specs_of(named)
        except NameError as error:
            raise self.error(
                f"the values of {named.__qualname__} cannot be read: {error}",
                "define the class before the function is bound",
            ) from error
        except StateError as error:
            raise self.error(str(error)) from error

    def _scope_of(self, inner: FunctionType) -> _hints.Scope:
        return _hints.Scope(inner.__globals__, self._scope.localns)

    def _unevaluable(self, inner: FunctionType, parameter: inspect.Parameter, error: Exception) -> BindError:
        problem = f"the type hint of {parameter.name!r} cannot be evaluated: {error}"
        if not isinstance(error, NameError):
            return self.error(problem)
        line = _type_checking_import(inner, error.name or "")
        if line:
            return self.error(
                f"{problem} ({error.name!r} is imported only under 'if TYPE_CHECKING:', line {line})",
                "the class is needed at run time to unpack messages: import it outside the 'if'",
            )
        return self.error(
            problem, "define or import it before the function is bound, at module level or in the function that binds"
        )


def describe(fn: Any) -> str:
    """Name a callable and say where it is: "greeter (app.py:12)"."""
    inner = innermost(fn)
    name = getattr(fn, "__qualname__", None) or getattr(inner, "__qualname__", None) or repr(fn)
    if inner is None:
        return str(name)
    code = inner.__code__
    return f"{name} ({code.co_filename.replace(chr(92), '/').rpartition('/')[2]}:{code.co_firstlineno})"


def innermost(fn: Any) -> FunctionType | None:
    """Return the def behind partials, methods, callable objects and functools.wraps; None if there is none."""
    for _ in range(100):  # a wrapper may wrap itself
        if isinstance(fn, FunctionType) and not hasattr(fn, "__wrapped__"):
            return fn
        if isinstance(fn, functools.partial):
            fn = fn.func
        elif inspect.ismethod(fn):
            fn = fn.__func__
        elif hasattr(fn, "__wrapped__"):
            fn = getattr(fn, "__wrapped__")  # noqa: B009 -- to a checker, a function has no such attribute
        elif not isinstance(fn, type) and isinstance(_call_of(fn), FunctionType):
            fn = _call_of(fn)
        else:
            return None
    return None


def _call_of(fn: object) -> object:
    """Return what calling an object runs; None if it cannot be called."""
    return getattr(type(fn), "__call__", None)  # noqa: B004 -- the def itself, not whether there is one


def is_async(fn: Any) -> bool:
    """Tell whether calling it makes a coroutine."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    known = getattr(fn, "is_async", None)  # a bound function, bound once more
    if isinstance(known, bool):
        return known
    call: object = getattr(fn, "__call__", None)  # noqa: B004 -- an object's own, not whether there is one
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(call)


def why_no_middleware(fn: Any) -> tuple[str, str]:
    """Say why a callable cannot be a middleware, and what to do; two empty texts if it can."""
    inner = innermost(fn)
    if inner is not None and (inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)):
        return "it is a generator function: calling it would run nothing", "call proceed() where it yields"
    try:
        inspect.signature(fn).bind("context", "message", "proceed")
    except (TypeError, ValueError) as error:
        return f"it cannot be called with a context, a message and what runs the function: {error}", (
            "def timed(context: Context, message: Sendable, proceed: Callable[[], None]) -> None"
        )
    return "", ""


def _class_of(hint: Any) -> Any:
    return typing.get_origin(hint) or hint


def _type_checking_import(fn: FunctionType, name: str) -> int:
    """Return the line on which `name` is imported under `if TYPE_CHECKING:` in the function's module, or 0."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[fn.__module__]))
    except (OSError, TypeError, KeyError, SyntaxError):
        return 0
    guarded = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
    ]
    for statement in [statement for node in guarded for statement in node.body]:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            names = [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
            if name in names:
                return statement.lineno
    return 0

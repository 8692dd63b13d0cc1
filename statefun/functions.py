"""The functions of an app: bound by name, looked up by the handler.

Here: `StatefulFunctions`, the registry, and `StatefulFunction`, what `bind` returns. What a callable may look like is
decided in `_signature`; running one is `_turn`'s affair.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, cast

from statefun import _hints
from statefun._cells import Cell
from statefun._type import Type, short
from statefun._variables import TypeVar
from statefun.address import split_typename
from statefun.context import Context
from statefun.errors import BindError, DeclarationError, UnknownFunction, with_help
from statefun.failures import OnFailure, Raise, checked, raise_
from statefun.middleware import AsyncMiddleware, Layer, Middleware, around_async, composed
from statefun.references import FunctionRef
from statefun.state import State, ValueSpec
from statefun.types import Sendable

__all__ = ["StatefulFunction", "StatefulFunctions"]

M = TypeVar("M", bound=Sendable)
M_contra = TypeVar("M_contra", bound=Sendable, contravariant=True)
S = TypeVar("S", bound=State)
S_contra = TypeVar("S_contra", bound=State, contravariant=True, default=Any)
R = TypeVar("R", bound=Awaitable[None] | None)  # def, or async def
R_co = TypeVar("R_co", covariant=True, default=Any)
W = TypeVar("W", bound=Middleware | AsyncMiddleware)


class StatefulFunction(FunctionRef[M_contra], Generic[M_contra, S_contra, R_co]):
    """A bound function: callable like the function itself, and a reference to it."""

    is_async: bool
    on_loop: bool
    off_loop: bool
    blocking: bool
    guarded: bool
    known_types: dict[type, Type[Any]]
    decoders: dict[str, Callable[[bytes], Any]]
    state_class: type[State]
    all_specs: tuple[ValueSpec[Any, Any], ...]
    by_name: dict[str, int]
    fn: Callable[..., Any]
    call: Callable[..., Any]
    on_failure: OnFailure

    def __init__(
        self, typename: str, fn: Callable[..., Any], states: Sequence[ValueSpec[Any, Any]], scope: _hints.Scope
    ) -> None:
        from statefun._signature import describe, read_signature  # noqa: PLC0415 -- inspect costs 10 ms; who binds pays

        try:
            super().__init__(typename)
        except (DeclarationError, AttributeError, TypeError) as error:
            help = f"e.g. 'example/{getattr(fn, '__name__', 'greeter')}'"
            raise BindError(typename, describe(fn), "the typename is not '<namespace>/<name>'", help) from error
        signature = read_signature(typename, fn, scope)
        self._accepts = signature.accepts
        self.known_types = dict(signature.accepts.by_class)
        self.decoders = signature.accepts.decoders
        """What decodes a message, by its typename."""
        self.fn = fn
        """The callable that was bound."""
        self.call = fn
        """What a message runs: the callable, with the middleware around it."""
        self.is_async = self.on_loop = signature.is_async
        self.off_loop = False
        """Whether it is plain, and a middleware around it is async."""
        self.blocking = False
        """Whether it gets a thread where plain functions run on the loop."""
        self.on_failure = raise_
        self.guarded = False
        """Whether something else is done about a failure than to raise it."""
        self.state_class = signature.state_class
        """What `context.state` is an instance of."""
        self.all_specs = (*signature.specs, *states)
        self.by_name = {spec.name: index for index, spec in enumerate(self.all_specs)}
        """State name -> its place among the declarations."""
        if len(self.by_name) < len(self.all_specs):
            names = [spec.name for spec in self.all_specs]
            twice = next(name for name in names if names.count(name) > 1)
            raise BindError(typename, describe(fn), f"the state {twice!r} is declared twice")
        self.closed: list[Cell | None] = [None] * len(self.all_specs)
        """What is open of its state when a batch is over: one list for all of them, never written to."""
        self.learned: tuple[str, ...] = ()
        """The states that it was seen to use without declaring them (v3 has to be asked for each)."""
        self.located: tuple[int, list[int]] = (-1, [])
        """How many states the latest request held, and where each declared one stood in it."""
        functools.update_wrapper(cast("Any", self), fn, updated=())

    @property
    def specs(self) -> Mapping[str, ValueSpec[Any, Any]]:
        """The states that it declares, by name."""
        return MappingProxyType({spec.name: spec for spec in self.all_specs})

    @property
    def declares_state(self) -> bool:
        """Whether it declares any state; if not, it may name states freely, as in 2.x."""
        return bool(self.all_specs)

    if not TYPE_CHECKING:

        def __class_getitem__(cls, parameters: Any) -> Any:
            """Fill in what `StatefulFunction[Login]` leaves out."""
            from statefun import _variables  # noqa: PLC0415 -- a checker sees no use of it in this block

            return super().__class_getitem__(
                _variables.pad(parameters, Any, Any) if cls is StatefulFunction else parameters
            )

    def __call__(self, context: Context[S_contra], message: M_contra, /) -> R_co:
        """Call the function itself: what a unit test does."""
        return cast("R_co", self.fn(context, message))  # bind took the type from the callable

    def guard(self, on_failure: OnFailure) -> None:
        """Say what is done about a failure."""
        self.on_failure = on_failure
        self.guarded = not isinstance(on_failure, Raise)

    def wrap(self, layers: Sequence[Layer]) -> None:
        """Put the middleware around the callable. Raises BindError for what cannot be around it."""
        from statefun._signature import describe  # noqa: PLC0415 -- as above

        described = describe(self)
        if self.is_async:
            for layer in layers:
                if not layer.is_async:
                    raise around_async(layer, self.typename, described, "it is async")
        self.call = composed(layers, self.fn, self.typename, described, is_async=self.is_async)
        self.on_loop = self.is_async or any(layer.is_async for layer in layers)
        self.off_loop = self.on_loop and not self.is_async


class StatefulFunctions:
    """The functions that one handler serves.

    `on_failure` says what is done about a message that fails: `raise_` (the request fails, and the runtime sends it
    again), `skip`, `dead_letter(EGRESS, retries=n)`, or a function that decides by the exception. Raises
    DeclarationError for something else.
    """

    def __init__(self, *, on_failure: OnFailure = raise_) -> None:
        self.table: dict[tuple[str, str], StatefulFunction[Any, Any, Any]] = {}
        """The functions by namespace and type: what a handler looks into."""
        self.layers: list[Layer] = []
        """The middleware, the first one outermost."""
        self._on_failure = checked(on_failure)
        self._used: tuple[object, ...] = ()
        self._frozen = False

    def bind(
        self,
        typename: str,
        *,
        states: Sequence[ValueSpec[Any, Any]] = (),
        on_failure: OnFailure | None = None,
        blocking: bool = False,
    ) -> Callable[[Callable[[Context[S], M], R]], StatefulFunction[M, S, R]]:
        """Bind the function below to a name: @functions.bind("example/greeter").

        `states` are values that are used as `context[SPEC]`; those of the State class need not be listed. `on_failure`
        goes before the registry's. `blocking` is said of a plain function that waits or computes for long: it gets a
        thread where plain functions would run on the event loop. Raises BindError, where the function stands.
        """
        scope = _hints.caller_scope(1)

        def decorate(fn: Callable[[Context[S], M], R]) -> StatefulFunction[M, S, R]:
            return self._add(typename, fn, states, scope, on_failure, blocking=blocking)

        return decorate

    def register(
        self,
        typename: str,
        fun: Callable[[Context[S], M], R],
        *,
        states: Sequence[ValueSpec[Any, Any]] = (),
        on_failure: OnFailure | None = None,
        blocking: bool = False,
    ) -> StatefulFunction[M, S, R]:
        """Bind a function to a name: functions.register("example/greeter", greeter). Raises BindError."""
        return self._add(typename, fun, states, _hints.caller_scope(1), on_failure, blocking=blocking)

    def _add(
        self,
        typename: str,
        fn: Callable[[Context[S], M], R],
        states: Sequence[ValueSpec[Any, Any]],
        scope: _hints.Scope,
        on_failure: OnFailure | None,
        *,
        blocking: bool,
    ) -> StatefulFunction[M, S, R]:
        from statefun._signature import describe  # noqa: PLC0415 -- as above

        # with its parameters in a subscript it would be told twice what it reads from fn
        handle = cast("StatefulFunction[M, S, R]", StatefulFunction(typename, fn, states, scope))
        if blocking and handle.is_async:
            help = "await what blocks, or make it a plain def"
            raise BindError(typename, describe(fn), "it is async, and blocking=True gives a plain one a thread", help)
        handle.blocking = blocking
        handle.guard(self._on_failure if on_failure is None else checked(on_failure))
        handle.wrap(self.layers)  # refuses early what cannot be around it; the middleware that comes later does, too
        key = handle.namespace, handle.type
        other = self.table.get(key)
        if other is not None and not _same_cell(other, handle):
            raise BindError(typename, describe(fn), f"it is already bound to {describe(other)}")
        if self._frozen:
            problem = (
                "a request was answered already, and what is bound now would be known to some of the requests only"
            )
            raise BindError(typename, describe(fn), problem, "bind every function before the first request")
        self.table[key] = handle
        return handle

    def middleware(self, fn: W) -> W:
        """Put the function below around every call, also of functions that are bound already.

        It is called with the context, the message, and `proceed`, which runs what is inside; the first one that is
        registered is the outermost. Raises DeclarationError; BindError for a plain one around an async function.
        """
        from statefun._signature import describe, is_async, why_no_middleware  # noqa: PLC0415 -- as above

        described = describe(fn)
        layer = Layer(fn, is_async(fn), described)
        problem, help = why_no_middleware(fn)
        outer = [other.described for other in self.layers if not other.is_async]
        if self._frozen:
            problem, help = "a request was answered already", "register it before the first request"
        elif layer.is_async and outer:
            problem, help = (
                f"it is async, and {outer[-1]} around it is plain",
                "register the async ones first, or make both async",
            )
        if problem:
            raise DeclarationError(with_help(f"{described} cannot be a middleware: {problem}", help))
        for function in self:
            function.wrap([*self.layers, layer])
        self.layers.append(layer)
        return fn

    def freeze(self) -> None:
        """Refuse every later bind: a handler does it at its first request."""
        self._frozen = True

    def uses(self, *used: object) -> None:
        """Name egresses and references that the checks against module.yaml cannot find by themselves."""
        self._used += used

    @property
    def used(self) -> tuple[object, ...]:
        """What was named with `uses`."""
        return self._used

    def for_type(self, namespace: str, type: str) -> StatefulFunction[Any, Any, Any]:
        """Return the function with this name. Raises UnknownFunction."""
        try:
            return self.table[namespace, type]
        except KeyError:
            known = ", ".join(sorted(function.typename for function in self)) or "none"
            msg = f"no function is bound to {f'{namespace}/{type}'!r} (bound: {known})"
            raise UnknownFunction(msg) from None

    def stand_in(self, namespace: str, type: str) -> StatefulFunction[Any, Any, Any]:
        """Return what stands in for a function that is not bound: each message for it fails as `on_failure` says.

        Raises UnknownFunction itself where that is to raise, or nothing is bound in the namespace.
        """
        try:
            return self.for_type(namespace, type)
        except UnknownFunction as error:
            if isinstance(self._on_failure, Raise) or all(function.namespace != namespace for function in self):
                raise
            text = str(error)

        def unknown(_context: Any, _message: Any) -> None:
            raise UnknownFunction(text)

        made: StatefulFunction[Any, Any, Any] = StatefulFunction("unknown/function", unknown, (), _hints.Scope({}, {}))
        made.guard(self._on_failure)
        return made

    def __getitem__(self, typename: str) -> StatefulFunction[Any, Any, Any]:
        """Return the function with this name, "<namespace>/<type>". Raises UnknownFunction, DeclarationError."""
        return self.for_type(*split_typename(typename))

    def __contains__(self, typename: object) -> bool:
        return any(function.typename == typename for function in self)

    def __iter__(self) -> Iterator[StatefulFunction[Any, Any, Any]]:
        return iter(self.table.values())

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        """Draw the dispatch table."""
        rows = [("function", "accepts", "state"), *(_row(function) for function in self)]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join(lines)


def _row(function: StatefulFunction[Any, Any, Any]) -> tuple[str, str, str]:
    accepts = function.accepts
    names = [short(found.typename) for found in accepts.by_class.values()]
    states = [spec.name for spec in function.all_specs]
    return function.typename, " | ".join([*names, "Any"] if accepts.catch_all else names), ", ".join(states) or "-"


def _same_cell(old: StatefulFunction[Any, Any, Any], new: StatefulFunction[Any, Any, Any]) -> bool:
    """Tell whether a notebook's cell was run again: it binds the same name of `__main__` anew."""
    return all(getattr(fn, "__module__", "") == "__main__" for fn in (old.fn, new.fn)) and (
        getattr(old.fn, "__qualname__", 0) == getattr(new.fn, "__qualname__", 1)
    )

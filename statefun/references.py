"""Functions by name: where typed messages are sent to.

Here: `FunctionRef`, a function that may live elsewhere with the messages it accepts, and `Target`, one instance of it.
A function that is bound here is a `StatefulFunction` (`functions`), which is a FunctionRef.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, overload

from google.protobuf.any_pb2 import Any as AnyPb

from statefun import _hints
from statefun._dispatch import Accepts, accepted
from statefun._variables import TypeVar
from statefun.address import split_typename
from statefun.errors import DeclarationError, SendError, with_help
from statefun.types import Sendable, Type

__all__ = ["Envelope", "FunctionRef", "Target"]

M_contra = TypeVar("M_contra", bound=Sendable, contravariant=True)


class Envelope(NamedTuple):
    """A message on its way: to whom, and its bytes."""

    target: str
    """The typename of the function."""
    identity: str
    typename: str
    """The typename of the message."""
    data: bytes
    type: Type[Any] | None
    """What it was encoded with; None for an Any."""
    token: str | None = None
    """What a delayed message can be cancelled with."""


class Target(Generic[M_contra]):
    """One instance of a function: where messages of type M may be sent."""

    __slots__ = ("function", "id")

    function: FunctionRef[Any]
    id: str

    def __init__(self, function: FunctionRef[Any], id: str) -> None:
        self.function = function
        self.id = id
        if id.__class__ is not str or not id:
            raise _no_identity(function, id)

    def envelope(self, message: M_contra, /) -> Envelope:
        """Say what `context.send` takes, and encode it. Raises SendError."""
        return self._envelope(message, None)

    def delayed_envelope(self, message: M_contra, /, *, token: str | None = None) -> Envelope:
        """Say what `context.send_after` takes, and encode it; `context.cancel(token)` undoes it. Raises SendError."""
        return self._envelope(message, token)

    def _envelope(self, message: Any, token: str | None) -> Envelope:
        function = self.function
        found = function.type_for(message)
        if found is None:
            return Envelope(function.typename, self.id, message.type_url, message.value, None, token)
        return Envelope(function.typename, self.id, found.typename, found.encode(message), found, token)

    def __repr__(self) -> str:
        return f"{self.function!r}.at({self.id!r})"


class FunctionRef(Generic[M_contra]):
    """Name a function, and the messages it accepts.

    SHIPPING = FunctionRef[Ship | Cancel]("shop/shipping")

    What is sent to it is checked against them, by a type checker and at the call. Raises DeclarationError.
    """

    namespace: str
    type: str
    typename: str

    def __init__(self, typename: str) -> None:
        self.namespace, self.type = split_typename(typename)
        self.typename = typename
        """Its name, "<namespace>/<type>"."""
        self.known_types: dict[type, Type[Any]] = {}
        """The classes that were sent, or are accepted, by exact class: the first look of every send."""
        self._accepts: Accepts | None = None
        self._scope = _hints.caller_scope(1)

    if not TYPE_CHECKING:

        def __class_getitem__(cls, hint: Any) -> Any:
            """Refuse `FunctionRef[X | None]` on the line where it is written."""
            if cls is FunctionRef and not isinstance(hint, typing.TypeVar):
                _table(hint, _hints.Scope({}, {}), lenient=True)
            return super().__class_getitem__(hint)

    @overload
    def at(self: FunctionRef[AnyPb], id: str) -> Target[Sendable]: ...
    @overload
    def at(self, id: str) -> Target[M_contra]: ...
    def at(self, id: str) -> Target[Any]:
        """Return the instance with this id, which is not empty. A function that takes Any can be sent every message."""
        if id.__class__ is not str or not id:
            raise _no_identity(self, id)
        target = _new_target(Target)  # what Target(self, id) does, without the call: one is made for every send
        target.function, target.id = self, id
        return target

    @property
    def accepts(self) -> Accepts:
        """What it accepts: typename -> class. Where nothing is known of it, everything."""
        if self._accepts is None:
            arguments = typing.get_args(getattr(self, "__orig_class__", None))
            known = arguments and not isinstance(arguments[0], typing.TypeVar)
            self._accepts = _table(arguments[0] if known else None, self._scope, lenient=False)
        return self._accepts

    def type_for(self, message: object) -> Type[Any] | None:
        """Return what a message is sent as; None for an Any. Raises SendError."""
        found = self.accepts.type_for(message, self.typename)
        if found is not None:
            self.known_types[message.__class__] = found
        return found

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.typename!r})"


_new_target: Callable[[type[Target[Any]]], Target[Any]] = object.__new__


def _no_identity(function: FunctionRef[Any], id: object) -> SendError:
    return SendError(f"{function.typename}: {no_identity(id)}")


def no_identity(id: object) -> str:
    """Say why something is no identity to send to."""
    return f"the id of the receiver is a str that is not empty, not {id!r}"


def _table(hint: Any, scope: _hints.Scope, *, lenient: bool) -> Accepts:
    shown = f"FunctionRef[{_hints.show(hint)}]"

    def refuse(problem: str, help: str) -> DeclarationError:
        return DeclarationError(
            with_help(problem.replace("'", "", 2) if problem.startswith(f"'{shown}'") else problem, help)
        )

    try:
        return accepted(hint, scope, shown, "<namespace>", refuse)
    except NameError as error:
        if lenient:  # a forward reference: looked at when something is sent
            return Accepts({}, catch_all=True)
        msg = f"{shown} cannot be evaluated: {error}"
        raise DeclarationError(msg) from error

"""The declaration of one stored value: its name, its type, what it reads as when it is absent, when it expires.

Here: `ValueSpec`, and everything that can be wrong with one. A State class (`state`) makes one of each of its fields.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, overload

from statefun import _hints, _variables
from statefun._cells import check_name
from statefun._variables import TypeVar
from statefun.errors import SendError, StateError
from statefun.protocol import ANY
from statefun.types import Storable, Type, storable

if TYPE_CHECKING:
    from typing_extensions import Never

__all__ = ["ValueSpec"]

T = TypeVar("T")  # invariant: it is read and written
D = TypeVar("D", default=None)  # what an absent value reads as: None, or Never when there is a default
V = TypeVar("V", bound=Storable)  # method-scoped twin of T: pyright wants no class-scoped variable in an annotated self
U = TypeVar("U")  # the class of a Type: anything

_MILLISECOND = timedelta(milliseconds=1)


class ValueSpec(Generic[T, D]):
    """Declare one stored value.

    ValueSpec("seen", SeenCount)                    reads as  SeenCount | None
    ValueSpec("seen", SeenCount, default=SeenCount) reads as  SeenCount
    ValueSpec("n", types.INT32)                     reads as  int | None

    Expirations are at least one millisecond: `expire_after_write` counts from the last write (`AFTER_WRITE` in v3),
    `expire_after_call` from the last invocation of the address (`AFTER_INVOKE`). In v2, module.yaml declares them.
    Raises StateError.
    """

    __slots__ = ("_wanted", "default", "expire_after_call", "expire_after_write", "is_any", "name", "type")

    name: str
    is_any: bool
    default: Callable[[], Any] | None
    expire_after_write: timedelta | None
    expire_after_call: timedelta | None

    @overload
    def __init__(
        self: ValueSpec[V, None], name: str, type: type[V], *,
        expire_after_write: timedelta | None = None, expire_after_call: timedelta | None = None,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: ValueSpec[V, Never], name: str, type: type[V], *, default: Callable[[], V],
        expire_after_write: timedelta | None = None, expire_after_call: timedelta | None = None,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: ValueSpec[U, None], name: str, type: Type[U], *,
        expire_after_write: timedelta | None = None, expire_after_call: timedelta | None = None,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: ValueSpec[U, Never], name: str, type: Type[U], *, default: Callable[[], U],
        expire_after_write: timedelta | None = None, expire_after_call: timedelta | None = None,
    ) -> None: ...  # fmt: skip
    def __init__(
        self,
        name: str,
        type: Any,
        *,
        default: Callable[[], Any] | None = None,
        expire_after_write: timedelta | None = None,
        expire_after_call: timedelta | None = None,
    ) -> None:
        check_name(name)
        _check_expirations(name, expire_after_write, expire_after_call)
        self.name = name
        self.type: Type[Any] = storable(type, f"state {name!r}")
        _check_typename(name, self.type.typename)
        self._wanted: Any = typing.get_origin(self.type.cls) or self.type.cls
        self.is_any = self.type.typename == ANY
        """Whether what is stored is an Any, with whatever is in it."""
        self.default = default
        """Makes what an absent value reads as; None: it reads as None."""
        self.expire_after_write = expire_after_write
        self.expire_after_call = expire_after_call

    if not TYPE_CHECKING:

        def __class_getitem__(cls, parameters: Any) -> Any:
            """Fill in what `ValueSpec[int]` leaves out."""
            return super().__class_getitem__(_variables.pad(parameters, None))

    def __repr__(self) -> str:
        return f"ValueSpec({self.name!r}, {_hints.show(self.type.cls)})"

    def check(self, value: Any, /) -> Any:
        """Return the value as it is kept: an int for a float becomes one.

        Raises StateError for what a type checker would refuse, and for what has no bytes.
        """
        if value.__class__ is not self._wanted:  # which nearly every value is
            value = self._converted(value)
        try:
            self.type.validate(value)
        except SendError as error:
            msg = f"state {self.name!r}: {error}"
            raise StateError(msg) from None
        return value

    def _converted(self, value: Any) -> Any:
        wanted = self._wanted
        if value.__class__ is int and wanted is float:
            return _as_float(self.name, value)
        exactly = self.type.exact  # of a subclass, the fields it adds would be lost
        if exactly or not isinstance(value, wanted) or value.__class__ is bool:
            msg = (
                f"state {self.name!r} holds {_hints.show(self.type.cls)}, not {_hints.show(value.__class__)}: {value!r}"
            )
            raise StateError(msg)
        return value


def _as_float(name: str, value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        msg = f"state {name!r}: {value!r} does not fit into 64 bits"
        raise StateError(msg) from None


def _check_expirations(name: str, after_write: object, after_call: object) -> None:
    if after_write is not None and after_call is not None:
        msg = f"state {name!r}: give expire_after_write or expire_after_call, not both"
        raise StateError(msg)
    for after in (after_write, after_call):
        if after is not None and not isinstance(after, timedelta):
            msg = f"state {name!r}: an expiration is a timedelta, not {after!r}"
            raise StateError(msg)
        if after is not None and after < _MILLISECOND:
            msg = f"state {name!r}: an expiration must be at least one millisecond, not {after!r}"
            raise StateError(msg)


def _check_typename(name: str, typename: str) -> None:
    if typename.count("/") > 1:
        msg = f"state {name!r}: its typename {typename!r} has more than one '/', which crash-loops a job on 3.x"
        raise StateError(msg)

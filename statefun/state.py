"""State: the stored values of a function, declared as a dataclass or one by one.

Here: `State` and `value()`, `ValueSpec`, and `StateHandle`, the untyped view of one value. What happens to a value
during a batch is in `_cells`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, overload

from statefun import _hints
from statefun._cells import Cell, Cells
from statefun._specs import ValueSpec
from statefun._type import decoder, short
from statefun._variables import TypeVar, dataclass_transform
from statefun.errors import UndeclaredState, UndecodableState, reason
from statefun.types import Sendable, Storable, Type, pack, storable

if TYPE_CHECKING:
    from google.protobuf.any_pb2 import Any as AnyPb
    from typing_extensions import Self

__all__ = ["State", "StateHandle", "ValueSpec", "value"]

T = TypeVar("T")  # what a field is
V = TypeVar("V", bound=Storable)  # method-scoped twin of T: pyright wants no class-scoped variable in an annotated self
U = TypeVar("U")  # the class of a Type: anything
S = TypeVar("S", bound="State")


# --- the State class ---

_MISSING = object()


@overload
def value(
    *, default: T, name: str | None = None,
    expire_after_write: timedelta | None = None, expire_after_call: timedelta | None = None,
) -> T: ...  # fmt: skip
@overload
def value(
    *, default: None, type: Type[T], name: str | None = None,
    expire_after_write: timedelta | None = None, expire_after_call: timedelta | None = None,
) -> T | None: ...  # fmt: skip
@overload
def value(
    *, default: T, type: Type[T], name: str | None = None,
    expire_after_write: timedelta | None = None, expire_after_call: timedelta | None = None,
) -> T: ...  # fmt: skip
@overload
def value(
    *, default_factory: Callable[[], T], type: Type[T] | None = None, name: str | None = None,
    expire_after_write: timedelta | None = None, expire_after_call: timedelta | None = None,
) -> T: ...  # fmt: skip
def value(
    *,
    default: Any = _MISSING,
    default_factory: Any = _MISSING,
    type: Type[Any] | None = None,
    name: str | None = None,
    expire_after_write: timedelta | None = None,
    expire_after_call: timedelta | None = None,
) -> Any:
    """Give a field of a State options: a default factory, its Type, the name it is stored under, an expiration."""
    from statefun._state_class import field  # noqa: PLC0415 -- dataclasses costs 10 ms; who declares a State pays

    options = {
        "name": name,
        "type": type,
        "expire_after_write": expire_after_write,
        "expire_after_call": expire_after_call,
    }
    given = {"default": default, "default_factory": default_factory}
    return field({name: found for name, found in given.items() if found is not _MISSING}, options)


class _Fields:
    """What a State class keeps beside its fields, under one dunder name."""

    __slots__ = ("by_name", "names", "pending", "positions", "scope", "specs")

    names: tuple[str, ...]
    scope: _hints.Scope
    pending: bool

    def __init__(self, names: tuple[str, ...], scope: _hints.Scope) -> None:
        self.names = names
        """The fields, in order."""
        self.positions: dict[str, int] = {name: index for index, name in enumerate(names)}
        self.scope = scope
        self.specs: tuple[ValueSpec[Any, Any], ...] = ()
        """The declaration of each field."""
        self.by_name: dict[str, int] = {}
        """State name -> index of the field."""
        self.pending = True
        """Whether a hint could not be evaluated yet."""


@dataclass_transform(kw_only_default=True, field_specifiers=(value,))
class State:
    """The base class of the stored values of a function.

    class GreeterState(State):
        seen: SeenCount | None = None                            # absent reads as None
        visits: int = 0                                          # absent reads as 0
        last: str | None = value(default=None, expire_after_write=timedelta(days=1))

    A subclass is a keyword-only dataclass. Inside a function its values are decoded when they are first looked at, and
    written back where they were assigned or changed in place; in a test it is built like any dataclass. A value may
    have any name: State has no public name of its own. `state("seen")` is the untyped handle of one value.
    """

    __statefun_state__: ClassVar[_Fields] = _Fields((), _hints.Scope({}, {}))
    __slots__ = ("_cells",)
    _cells: Cells

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        from statefun._state_class import make  # noqa: PLC0415 -- dataclasses costs 10 ms; who declares a State pays

        names = make(cls)
        scope = _hints.caller_scope(1)
        local = {} if scope.localns is scope.globalns else dict(scope.localns)
        cls.__statefun_state__ = _Fields(names, _hints.Scope(scope.globalns, local))
        for index, name in enumerate(names):
            setattr(cls, name, _accessor(index))
        try:  # noqa: SIM105 -- contextlib costs 3 ms at an import
            specs_of(cls)
        except NameError:
            pass  # a forward reference: declared when the function is bound

    if not TYPE_CHECKING:  # to a type checker, an undeclared value is an error

        def __new__(cls, *_args: object, **_values: object) -> Self:
            """Make a State that stands for itself: what it is given is kept in cells without a source."""
            self = object.__new__(cls)
            set_cells(self, detached(cls))
            return self

        def __setattr__(self, name: str, value: object) -> None:
            index = self.__statefun_state__.positions.get(name)
            if index is None:
                raise UndeclaredState(_undeclared(type(self), name))
            (self._cells.opened[index] or self._cells.open(index)).write(value)

        def __getattr__(self, name: str) -> Any:
            raise UndeclaredState(_undeclared(type(self), name))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by values: a copy has cells of its own, with nothing behind them."""
        names = self.__statefun_state__.names
        return _made, (type(self), {name: getattr(self, name) for name in names})

    def __call__(self, name: str) -> StateHandle:
        """Return the untyped handle of the value stored under this name."""
        cell = self._cells.by_hand(name)
        if cell is None:
            raise UndeclaredState(_undeclared(type(self), name))
        return StateHandle(cell)


State.__statefun_state__.pending = False  # the base declares nothing
new_state: Callable[[type[State]], State] = object.__new__  # past State.__new__, which makes cells
set_cells: Callable[[State, Cells], None] = vars(State)["_cells"].__set__  # past State.__setattr__, for speed


def _made(cls: type[S], values: dict[str, Any]) -> S:
    return cls(**values)


def _accessor(index: int) -> property:
    """Make the attribute of one field. A property costs half of what `__get__` in Python does."""

    def get(state: State) -> Any:
        cells = state._cells
        cell = cells.opened[index]
        if cell is None:
            return cells.look(index)
        return cell.value if cell.live else cell.load()

    def delete(state: State) -> None:
        (state._cells.opened[index] or state._cells.open(index)).delete()

    return property(get, fdel=delete)  # what is assigned goes to State.__setattr__


def specs_of(cls: type[State]) -> tuple[ValueSpec[Any, Any], ...]:
    """Return the declarations of a State class, in the order of its fields.

    Raises StateError; NameError where a hint names what is not defined yet.
    """
    fields = cls.__statefun_state__
    if fields.pending:
        from statefun._state_class import read_specs  # noqa: PLC0415 -- as above

        fields.specs = read_specs(cls, fields.scope)
        fields.by_name = {spec.name: index for index, spec in enumerate(fields.specs)}
        fields.pending = False
    return fields.specs


def detached(cls: type[State]) -> Cells:
    """Return empty cells for a State class, with nothing behind them."""
    specs = specs_of(cls)
    return Cells(specs, cls.__statefun_state__.by_name)


def cells_of(state: State) -> Cells:
    """Return the cells behind a State."""
    return state._cells


def _undeclared(cls: type[State], name: str) -> str:
    declared = ", ".join(cls.__statefun_state__.names) or "nothing"
    return f"{cls.__qualname__} declares no state {name!r} (it declares {declared})"


# --- by hand ---


class StateHandle:
    """One stored value, untyped: `context.state("seen")`."""

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    @property
    def value(self) -> AnyPb | None:
        """The value, packed; None if there is none. Each look makes a copy."""
        return self._cell.read_any()

    @value.setter
    def value(self, value: AnyPb | None) -> None:
        self._cell.write_any(value)

    @value.deleter
    def value(self) -> None:
        self._cell.delete()

    @overload
    def unpack(self, into_class: type[V]) -> V | None: ...
    @overload
    def unpack(self, into_class: Type[U]) -> U | None: ...
    def unpack(self, into_class: Any) -> Any:
        """Return the value as a class or Type reads it; None if there is none.

        Raises UndecodableState for a value of another type, and StateError for what cannot be stored at all.
        """
        wanted = storable(into_class, "unpack")
        stored = self.value
        if stored is None:
            return None
        decode = decoder(wanted, stored.type_url)
        if decode is None:
            held = short(stored.type_url) or "a value without a type"
            msg = f"the state holds {held}, which is no {_hints.show(wanted.cls)}"
            raise UndecodableState(msg)
        try:
            return decode(stored.value)
        except Exception as error:
            msg = f"the state cannot be read as {short(stored.type_url)}: {reason(error)}"
            raise UndecodableState(msg) from error

    @overload
    def pack(self, message: Sendable) -> None: ...
    @overload
    def pack(self, message: U, *, type: Type[U]) -> None: ...
    def pack(self, message: Any, *, type: Type[Any] | None = None) -> None:
        """Store a value; its class says how, or `type`. Raises SendError, StateError."""
        self._cell.write_any(pack(message, type))

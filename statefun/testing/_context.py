"""A context to call a function with, which remembers what the function did.

Here: `context()`, and the recording stand-ins for a batch and its reply. State goes through the same specs and cells as
in production, and messages through the same encoding: what is remembered is what would have left.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, NamedTuple, Protocol, cast, overload

from google.protobuf.any_pb2 import Any as AnyPb

from statefun._cells import Cell, Declared
from statefun._surroundings import Surroundings
from statefun._variables import TypeVar
from statefun.address import Address, split_typename
from statefun.context import Context
from statefun.egress import TypedEgress
from statefun.protocol import Header, Invocation, Mark, StateEntry, Stored
from statefun.references import FunctionRef, Target
from statefun.state import State, ValueSpec, cells_of, specs_of
from statefun.testing._show import Shown
from statefun.types import Sendable, Type

__all__ = ["Delayed", "Egressed", "Egresses", "MakeContext", "Messages", "RecordingContext", "Sent", "context"]

S = TypeVar("S", bound=State)
S_co = TypeVar("S_co", bound=State, covariant=True, default=State)
M = TypeVar("M", bound=Sendable)
X = TypeVar("X")


@dataclass(frozen=True, slots=True, repr=False)
class Sent(Shown):
    """A message that was sent, decoded from what would have left."""

    to: Address
    message: Any


@dataclass(frozen=True, slots=True, repr=False)
class Delayed(Sent):
    """A message that was sent with a delay, of whole milliseconds."""

    delay: timedelta
    token: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Egressed(Shown):
    """A value that was sent out, with its options (key=...), and the record that would have left."""

    egress: str
    value: Any
    options: Mapping[str, Any]
    record: AnyPb


E = TypeVar("E", bound=Sent)


class Messages(list[E], Generic[E]):
    """What was sent, in order; `to` picks the messages for one function, or one instance of it, typed by its handle."""

    def to(self, receiver: FunctionRef[M] | Target[M]) -> list[M]:
        """Return the messages for this receiver, in order."""
        function, identity = (receiver.function, receiver.id) if isinstance(receiver, Target) else (receiver, None)
        return [
            sent.message
            for sent in self
            if sent.to.typename() == function.typename and identity in (None, sent.to.identity)
        ]


class Egresses(list[Egressed]):
    """What was sent out, in order; `to` picks the values of one egress, typed by it."""

    def to(self, egress: TypedEgress[X]) -> list[X]:
        """Return the values for this egress, in order."""
        return [left.value for left in self if left.egress == egress.typename]


class RecordingContext(Context[S_co]):
    """A Context that tells what was done with it, also after the call."""

    __slots__ = ("_egressed", "_recorded", "_undeclared")

    def __init__(self, around: _HandMade) -> None:
        super().__init__(around, _NO_INVOCATION)
        self._recorded = cast("_Recorded", around.reply)  # _NoRuntime makes it
        self._egressed: list[tuple[Any, dict[str, Any]]] = []
        self._undeclared: dict[str, Cell] = {}

    @property
    def sent(self) -> Messages[Sent]:
        """What was sent, in order; replies too."""
        return Messages(self._recorded.sent)

    @property
    def delayed(self) -> Messages[Delayed]:
        """What was sent with a delay, in order, also if it was cancelled."""
        return Messages(self._recorded.delayed)

    @property
    def cancelled(self) -> list[str]:
        """The tokens that were cancelled, in order."""
        return list(self._recorded.cancelled)

    @property
    def egress(self) -> Egresses:
        """What was sent out, in order."""
        return Egresses(
            Egressed(typename, value, options, record)
            for (typename, record), (value, options) in zip(self._recorded.egressed, self._egressed, strict=True)
        )

    def send_egress(self, *args: Any, **kwargs: Any) -> None:
        """Send out, and remember the value and its options."""
        options = dict(kwargs)
        options.pop("typename", None)
        value = copy.deepcopy(args[1] if len(args) > 1 else options.pop("message", None))
        super().send_egress(*args, **kwargs)
        self._egressed.append((value, options))

    def pack_and_send_egress(self, typename: str, message: Sendable) -> None:
        """Send out by name, and remember the value."""
        value = copy.deepcopy(message)
        super().pack_and_send_egress(typename, message)
        self._egressed.append((value, {}))

    def _cell(self, key: str | ValueSpec[Any, Any]) -> Cell:
        """Take a ValueSpec that is listed where the function is bound, which a context without function cannot know."""
        name = key if isinstance(key, str) else key.name
        if isinstance(key, ValueSpec) and self._around.named(name) is None:
            return self._undeclared.setdefault(name, Cell(key, None))
        return self._undeclared.get(name) or super()._cell(key)


@overload
def context(
    *, address: str | Address = ..., caller: str | Address | None = ..., headers: Sequence[Header] = ...
) -> RecordingContext: ...
@overload
def context(
    state: S, *, address: str | Address = ..., caller: str | Address | None = ..., headers: Sequence[Header] = ...
) -> RecordingContext[S]: ...
def context(
    state: State | None = None,
    *,
    address: str | Address = "test/function/id",
    caller: str | Address | None = None,
    headers: Sequence[Header] = (),
) -> RecordingContext[Any]:
    """Make a context for one call of a function: context(GreeterState(visits=2), address="example/greeter/bob").

    `state` is what is stored before the call; it stays as it is, and what the call left is `context.state`. Addresses
    are "<namespace>/<type>/<identity>". Raises DeclarationError for another text.
    """
    given = State() if state is None else state
    around = _HandMade(parse_address(address), None if caller is None else parse_address(caller), tuple(headers), given)
    return RecordingContext(around)


class MakeContext(Protocol):
    """What the fixture `statefun_context` is: called like `context`."""

    @overload
    def __call__(
        self, *, address: str | Address = ..., caller: str | Address | None = ..., headers: Sequence[Header] = ...
    ) -> RecordingContext: ...
    @overload
    def __call__(
        self,
        state: S,
        *,
        address: str | Address = ...,
        caller: str | Address | None = ...,
        headers: Sequence[Header] = ...,
    ) -> RecordingContext[S]: ...


def parse_address(given: str | Address) -> Address:
    """Return an address, given as one or as its text. Raises DeclarationError."""
    return given if isinstance(given, Address) else Address.parse(given)


def _stored_of(state: State) -> dict[str, Stored]:
    """Encode a State that was built by hand. What equals the default is not stored: nothing was written yet."""
    found: dict[str, Stored] = {}
    for index, spec in enumerate(specs_of(type(state))):
        stored = cells_of(state).open(index).stored()
        if stored is not None and (spec.default is None or spec.type.encode(spec.default()) != stored[1]):
            found[spec.name] = stored
    return found


class _Nothing:
    """The message of an invocation that came by hand: the function gets it as an argument."""

    typename = ""
    value = b""


class _NoInvocation:
    argument = _Nothing()


_NO_INVOCATION: Invocation = _NoInvocation()


class _NoRuntime:
    """The batch of a call that no runtime made (protocol.Batch), and what a version would have of its own."""

    registers_states = True
    state: Sequence[StateEntry] = ()
    invocations: Sequence[Invocation] = (_NO_INVOCATION,)

    def __init__(self, address: Address, caller: Address | None, headers: tuple[Header, ...]) -> None:
        self.target = _Target(address.namespace, address.type, address.identity)
        self._caller = caller
        self._headers = headers

    def stored(self, entry: StateEntry, declared: str, /) -> Stored | None:
        raise NotImplementedError  # _HandMade has the values

    def caller(self, _invocation: Invocation, /) -> Address | None:
        return self._caller

    def sender(self, _invocation: Invocation, /) -> tuple[str, str] | None:
        caller = self._caller
        return None if caller is None else (caller.typename(), caller.identity)

    def headers(self, _invocation: Invocation, /) -> Sequence[Header]:
        return self._headers

    def reply(self) -> _Recorded:
        return _Recorded()


class _Target(NamedTuple):
    namespace: str
    type: str
    id: str


class _Owner:
    """The function of a call that is made by hand: known by its name and its State."""

    def __init__(self, typename: str, state_class: type[State]) -> None:
        self.typename = typename
        self.state_class = state_class
        self.all_specs = specs_of(state_class)
        self.by_name = state_class.__statefun_state__.by_name
        self.closed: list[Cell | None] = [None] * len(self.all_specs)


class _HandMade(Surroundings):
    """What a call that is made by hand has around it."""

    def __init__(self, address: Address, caller: Address | None, headers: tuple[Header, ...], state: State) -> None:
        no_runtime = _NoRuntime(address, caller, headers)
        super().__init__(_Owner(address.typename(), type(state)), no_runtime, no_runtime)
        self._stored = _stored_of(state)

    def load(self, _index: int, spec: Declared, /) -> Stored | None:
        return self._stored.get(spec.name)

    def load_undeclared(self, name: str, /) -> Stored | None:
        return self._stored.get(name)


class _Recorded:
    """A reply that keeps its effects decoded (protocol.Reply)."""

    speaks_cancellation = True

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.delayed: list[Delayed] = []
        self.cancelled: list[str] = []
        self.egressed: list[tuple[str, AnyPb]] = []

    def send(self, target: str, identity: str, typename: str, data: bytes, type: Type[Any] | None) -> None:
        self.sent.append(Sent(_to(target, identity), _decoded(typename, data, type)))

    def send_after(
        self, delay_ms: int, target: str, identity: str, typename: str, data: bytes, type: Type[Any] | None, token: str
    ) -> None:
        message = _decoded(typename, data, type)
        self.delayed.append(Delayed(_to(target, identity), message, timedelta(milliseconds=delay_ms), token or None))

    def cancel(self, token: str) -> None:
        self.cancelled.append(token)

    def egress(self, egress: str, typename: str, data: bytes) -> None:
        split_typename(egress)  # as the wire takes it apart
        self.egressed.append((egress, AnyPb(type_url=typename, value=data)))

    def write_state(self, name: str, typename: str, data: bytes) -> None:
        raise NotImplementedError  # a hand-made call settles nothing: its cells stay readable

    def delete_state(self, name: str) -> None:
        raise NotImplementedError

    def encode(self) -> bytes:
        raise NotImplementedError  # there is no wire

    @property
    def effects(self) -> tuple[list[Sent], list[Delayed], list[tuple[str, AnyPb]]]:
        return self.sent, self.delayed, self.egressed

    def mark(self) -> Mark:
        return len(self.cancelled), len(self.sent), len(self.delayed), len(self.egressed)

    def rollback(self, mark: Mark) -> None:
        cancelled, sent, delayed, egressed = mark
        del self.sent[sent:], self.delayed[delayed:], self.cancelled[cancelled:], self.egressed[egressed:]


def _to(target: str, identity: str) -> Address:
    return Address(*split_typename(target), identity)


def _decoded(typename: str, data: bytes, type: Type[Any] | None) -> Any:
    return AnyPb(type_url=typename, value=data) if type is None else type.decode(data)

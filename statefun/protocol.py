"""What the handler, the wire, the embedded runtime and the test kit share about one batch.

Here: the shape of a batch as it came, of the reply that takes its effects, and the two ways a batch ends. No bytes of
the wire, no policy: `_wire` makes these, `_turn` works on them, `testing` stands in for the wire.

The protocols name the fields of the runtime's messages (`ToFunction.InvocationBatchRequest`, http-function.proto of 2.x
and request-reply.proto of 3.x), so that a parsed request satisfies them as it is and nothing is copied for a message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from statefun._type import Type
    from statefun.address import Address

__all__ = [
    "ANY",
    "Argument",
    "Batch",
    "Invocation",
    "Mark",
    "MissingStateSpec",
    "MissingStates",
    "Reply",
    "StateEntry",
    "Stored",
    "TargetAddress",
    "Wire",
]

ANY = "type.googleapis.com/google.protobuf.Any"
"""The typename of a stored Any: what a function that declares no state keeps (an app written for 2.x)."""

Stored = tuple[str, bytes]
"""A value as it is kept: its typename, and its bytes."""

Header = tuple[str, "bytes | None"]
"""One header of the record that a message came in; None is a header without a value."""


class Argument(Protocol):
    """A message: `google.protobuf.Any` in v2, `TypedValue` in v3."""

    @property
    def typename(self) -> str:
        """What it is."""
        ...

    @property
    def value(self) -> bytes:
        """Its bytes."""
        ...


class Invocation(Protocol):
    """One message of a batch (`ToFunction.Invocation`)."""

    @property
    def argument(self) -> Argument:
        """The message itself."""
        ...


class StateEntry(Protocol):
    """One stored value of a batch (`ToFunction.PersistedValue`)."""

    @property
    def state_name(self) -> str:
        """Its name."""
        ...


class TargetAddress(Protocol):
    """The address that a batch is for (`Address`)."""

    @property
    def namespace(self) -> str:
        """The namespace of the function."""
        ...

    @property
    def type(self) -> str:
        """The name of the function."""
        ...

    @property
    def id(self) -> str:
        """The instance of it; may be empty."""
        ...


class Batch(Protocol):
    """Messages for one address, and its stored values (`ToFunction.InvocationBatchRequest`)."""

    @property
    def target(self) -> TargetAddress:
        """The address."""
        ...

    @property
    def state(self) -> Sequence[StateEntry]:
        """The stored values, in no order to rely on."""
        ...

    @property
    def invocations(self) -> Sequence[Invocation]:
        """The messages, in the order of their arrival."""
        ...


Mark = tuple[int, int, int, int]
"""A point in a reply to which it can be rolled back: how many state changes, messages, delayed ones, records it has."""


class Reply(Protocol):
    """Where the effects of a batch go. What is given is encoded at the call: later changes of a message do not show."""

    @property
    def speaks_cancellation(self) -> bool:
        """Whether the runtime knows tokens and cancellation (v3)."""
        ...

    def send(self, target: str, identity: str, typename: str, data: bytes, type: Type[Any] | None) -> None:
        """Send a message; `type` is what it was encoded with, None for an Any."""
        ...

    def send_after(
        self, delay_ms: int, target: str, identity: str, typename: str, data: bytes, type: Type[Any] | None, token: str
    ) -> None:
        """Send a message later; an empty token is none."""
        ...

    def cancel(self, token: str) -> None:
        """Take back the delayed message with this token."""
        ...

    def egress(self, egress: str, typename: str, data: bytes) -> None:
        """Send a record out of the application."""
        ...

    def write_state(self, name: str, typename: str, data: bytes) -> None:
        """Store a value."""
        ...

    def delete_state(self, name: str) -> None:
        """Delete a value."""
        ...

    def encode(self) -> bytes:
        """Return the bytes of the reply."""
        ...

    @property
    def effects(self) -> tuple[Sized, Sized, Sized]:
        """What messages, delayed messages and records are appended to; their lengths are the last three of a mark."""
        ...

    def mark(self) -> Mark:
        """Return the point reached."""
        ...

    def rollback(self, mark: Mark) -> None:
        """Take back everything since that point."""
        ...


class Wire(Protocol):
    """What is different between the versions of the protocol."""

    @property
    def registers_states(self) -> bool:
        """Whether a state that is missing can be asked for (v3); otherwise module.yaml has to list it (v2)."""
        ...

    def stored(self, entry: StateEntry, declared: str, /) -> Stored | None:
        """Return what an entry holds, None if nothing; `declared` is the typename that is expected.

        Raises UndecodableState.
        """
        ...

    def caller(self, invocation: Invocation, /) -> Address | None:
        """Return who sent a message; None if it came from an ingress."""
        ...

    def sender(self, invocation: Invocation, /) -> tuple[str, str] | None:
        """Return the same as a typename and an id: what a reply is sent to."""
        ...

    def headers(self, invocation: Invocation, /) -> Sequence[Header]:
        """Return the headers of the record that a message came in, in order."""
        ...

    @property
    def reply(self) -> Callable[[], Reply]:
        """Makes an empty reply."""
        ...


class MissingStates(NamedTuple):
    """The runtime has to register these states and send the batch again (v3: `IncompleteInvocationContext`)."""

    states: tuple[MissingStateSpec, ...]


class MissingStateSpec(NamedTuple):
    """A state to register (v3: `PersistedValueSpec`); None as milliseconds is no expiration."""

    name: str
    typename: str
    expire_after_write_ms: int | None = None
    expire_after_call_ms: int | None = None

"""The context of an invocation: what a function sees, and may do.

Here: the public calls, their types and their checks. What the calls become on the wire is the reply's affair
(`protocol.Reply`), how values are kept that of `_cells`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, overload

from google.protobuf.any_pb2 import Any as AnyPb

from statefun import _hints
from statefun._surroundings import Surroundings
from statefun._variables import TypeVar
from statefun.address import Address
from statefun.egress import KAFKA_RECORD, Egress, KafkaEgress, MessageEgress
from statefun.errors import SendError, StateError, UndeclaredState, UnsendableError, with_help
from statefun.references import Envelope, Target, no_identity
from statefun.state import State, ValueSpec, new_state, set_cells
from statefun.types import Sendable, Type, for_value

if TYPE_CHECKING:
    from statefun._cells import Cell
    from statefun.protocol import Header, Invocation

__all__ = ["Context", "DelayedReceiver", "Receiver"]

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D")
S_co = TypeVar("S_co", bound=State, covariant=True, default=State)

_MILLISECOND = timedelta(milliseconds=1)
_NOTHING = object()


class Receiver(Protocol[P]):
    """Where typed messages go (a Target): `context.send` takes what `envelope` takes."""

    def envelope(self, *args: P.args, **kwargs: P.kwargs) -> Envelope:
        """Encode the message."""
        ...


class DelayedReceiver(Protocol[P]):
    """The same for `context.send_after`."""

    def delayed_envelope(self, *args: P.args, **kwargs: P.kwargs) -> Envelope:
        """Encode the message."""
        ...


class Context(Generic[S_co]):
    """What a function sees of the world: its address and caller, its state, and ways to send.

    `Context` alone is a context whose state is of no concern; every Context[MyState] is one. A Context belongs to one
    invocation: used after it, it raises ContextError.
    """

    __slots__ = ("_around", "_invocation")

    def __init__(self, around: Surroundings, invocation: Invocation) -> None:
        self._around = around
        self._invocation = invocation

    @property
    def address(self) -> Address:
        """The address of the function: its name, and the identity of the instance that was called."""
        return self._around.address

    @property
    def caller(self) -> Address | None:
        """The function that sent the message; None if it came from an ingress. A delayed message has its sender."""
        return self._around.wire.caller(self._invocation)

    @property
    def headers(self) -> Sequence[Header]:
        """The headers of the record that the message came in: (key, value), in order, with duplicates.

        The value of a header that has none is None. Only the Flink 2 continuation sends them (`TypedValue.metadata`);
        elsewhere there are none.
        """
        return self._around.wire.headers(self._invocation)

    # --- state ---

    @property
    def state(self) -> S_co:
        """The stored values of this function at this address."""
        around = self._around
        state = around.made_state
        if state is None:  # of the class that bind read from the hint
            state = around.made_state = new_state(around.function.state_class)
            set_cells(state, around)
        return state  # type: ignore[return-value]

    @overload
    def __getitem__(self, key: str) -> AnyPb | None: ...
    @overload
    def __getitem__(self, key: ValueSpec[T, D]) -> T | D: ...
    def __getitem__(self, key: str | ValueSpec[Any, Any]) -> Any:
        """Return a stored value: by name a copy of it, packed, or None; by its ValueSpec the value itself."""
        cell = self._cell(key)
        if isinstance(key, str):
            return cell.read_any()
        return cell.value if cell.live else cell.load()

    @overload
    def __setitem__(self, key: str, value: AnyPb | None) -> None: ...
    @overload
    def __setitem__(self, key: ValueSpec[T, D], value: T | D) -> None: ...
    def __setitem__(self, key: str | ValueSpec[Any, Any], value: Any) -> None:
        """Store a value: by name packed, by its ValueSpec as it is; None deletes. Raises StateError."""
        cell = self._cell(key)
        if isinstance(key, str):
            cell.write_any(value)
        else:
            cell.write(value)

    def __delitem__(self, key: str | ValueSpec[Any, Any]) -> None:
        """Delete a stored value; with a default it is reset."""
        self._cell(key).delete()

    def _cell(self, key: str | ValueSpec[Any, Any]) -> Cell:
        around = self._around
        name = _state_name(key)
        if isinstance(key, str):
            cell = around.by_hand(key)
        else:
            cell = around.named(name)
            if cell is not None and cell.spec is not key:
                msg = f"{around.function.typename} declares the state {name!r} by another ValueSpec"
                raise UndeclaredState(msg)
        if cell is None:
            declared = ", ".join(around.names()) or "nothing"
            msg = f"{around.function.typename} declares no state {name!r} (it declares {declared})"
            raise UndeclaredState(msg)
        return cell

    # --- messages ---

    @overload
    def send(self, typename: str, id: str, message: AnyPb) -> None: ...
    @overload
    def send(self, target: Receiver[P], /, *args: P.args, **kwargs: P.kwargs) -> None: ...
    def send(self, target: Any = _NOTHING, message: Any = _NOTHING, /, *more: Any, **options: Any) -> None:  # type: ignore[misc]  # pyright: ignore[reportInconsistentOverload]  # faster than *args, and takes every keyword
        """Send a message: send(greeter.at("bob"), GreetRequest()), or send("example/greeter", "bob", any).

        Raises SendError.
        """
        if target.__class__ is Target and not more and not options:  # the path of nearly every message
            function = target.function
            found = function.known_types.get(message.__class__)
            if found is not None:
                self._around.reply.send(function.typename, target.id, found.typename, found.encode(message), found)
                return
        arguments = () if message is _NOTHING else (message, *more)
        if target is _NOTHING:
            envelope = _by_name(**options)
        elif isinstance(target, str):
            envelope = _by_name(target, *arguments, **options)
        else:
            envelope = _receiver(target, "envelope")(*arguments, **options)
        self._around.reply.send(envelope.target, envelope.identity, envelope.typename, envelope.data, envelope.type)

    @overload
    def pack_and_send(self, typename: str, id: str, message: Sendable) -> None: ...
    @overload
    def pack_and_send(self, typename: str, id: str, message: T, *, type: Type[T]) -> None: ...
    def pack_and_send(self, typename: str, id: str, message: Any, *, type: Type[Any] | None = None) -> None:
        """Send by name what is not packed yet; its class says how to pack it, or `type`. Raises SendError."""
        envelope = _packed(typename, id, message, type)
        self._around.reply.send(envelope.target, envelope.identity, envelope.typename, envelope.data, envelope.type)

    @overload
    def send_after(
        self, delay: timedelta, typename: str, id: str, message: AnyPb, *, token: str | None = None
    ) -> None: ...
    @overload
    def send_after(
        self, delay: timedelta, target: DelayedReceiver[P], /, *args: P.args, **kwargs: P.kwargs
    ) -> None: ...
    def send_after(self, delay: Any = _NOTHING, target: Any = _NOTHING, /, *args: Any, **kwargs: Any) -> None:  # type: ignore[misc]  # pyright: ignore[reportInconsistentOverload]  # faster than *args, and takes every keyword
        """Send a message after a delay, in whole milliseconds of the runtime's clock; with a token it can be cancelled.

        Tokens exist from 3.0 on, and work from 3.2 on: 3.1 drops the token, 3.0 fails the job at the cancellation. A
        token belongs to the identity of the sender, whatever its type. Raises SendError.
        """
        if delay is _NOTHING:
            delay = kwargs.pop("delay", None)
        if target is _NOTHING:
            envelope = _by_name_later(**kwargs)
        elif isinstance(target, str):
            envelope = _by_name_later(target, *args, **kwargs)
        else:
            envelope = _receiver(target, "delayed_envelope")(*args, **kwargs)
        self._send_after(delay, envelope)

    @overload
    def pack_and_send_after(
        self, delay: timedelta, typename: str, id: str, message: Sendable, *, token: str | None = None
    ) -> None: ...
    @overload
    def pack_and_send_after(
        self, delay: timedelta, typename: str, id: str, message: T, *, type: Type[T], token: str | None = None
    ) -> None: ...
    def pack_and_send_after(
        self,
        delay: timedelta,
        typename: str,
        id: str,
        message: Any,
        *,
        type: Type[Any] | None = None,
        token: str | None = None,
    ) -> None:
        """Send by name, after a delay, what is not packed yet. Raises SendError."""
        self._send_after(delay, _packed(typename, id, message, type, token))

    def _send_after(self, delay: timedelta, envelope: Envelope) -> None:
        delay_ms = _milliseconds(delay)
        token = envelope.token
        if token is not None:
            self._note_token(token)
        self._around.reply.send_after(
            delay_ms, envelope.target, envelope.identity, envelope.typename, envelope.data, envelope.type, token or ""
        )

    def _note_token(self, token: object) -> None:
        around = self._around
        _check_token(token, around)
        if around.tokens is None:
            around.tokens = set()
        if token in around.tokens:
            help = "cancel the first message, or give this one another token"
            msg = with_help(f"the token {token!r} is in use, and a second message under it fails the job", help)
            raise SendError(msg)
        around.tokens.add(str(token))

    def cancel(self, token: str) -> None:
        """Take back what this identity sent with send_after(..., token=token); nothing if that was delivered.

        Refused in v2 (2.x). 3.0 does not know cancellation and fails the job, 3.1 never finds the token. Raises
        SendError.
        """
        around = self._around
        _check_token(token, around)
        if around.tokens is not None:
            around.tokens.discard(token)
        around.reply.cancel(token)

    @overload
    def reply(self, message: Sendable) -> None: ...
    @overload
    def reply(self, message: T, *, type: Type[T]) -> None: ...
    def reply(self, message: Any, *, type: Type[Any] | None = None) -> None:
        """Send to the caller; what is not an Any is packed. Raises SendError, also where there is no caller."""
        around = self._around
        sender = around.wire.sender(self._invocation)
        if sender is None:
            msg = "there is nobody to reply to: the message came from an ingress"
            raise SendError(msg)
        found, typename, data = _encoded(message, type)
        caller, identity = sender
        around.reply.send(caller, identity, typename, data, found)

    def pack_and_reply(self, message: Sendable) -> None:
        """Send to the caller what is not packed yet. Raises SendError."""
        self.reply(message)

    # --- egress ---

    @overload
    def send_egress(self, typename: str, message: AnyPb) -> None: ...
    @overload
    def send_egress(self, egress: Egress[P], /, *args: P.args, **kwargs: P.kwargs) -> None: ...
    def send_egress(self, egress: Any = _NOTHING, /, *args: Any, **kwargs: Any) -> None:  # type: ignore[misc]  # pyright: ignore[reportInconsistentOverload]  # faster than *args, and takes every keyword
        """Send out: send_egress(GREETINGS, Greeting(), key="bob"), or send_egress("example/greets", any).

        Raises SendError.
        """
        reply = self._around.reply
        if egress.__class__ is KafkaEgress:
            reply.egress(egress.typename, KAFKA_RECORD, egress.encoded(*args, **kwargs))
        elif egress is _NOTHING or isinstance(egress, str):
            typename, message = _egress_by_name(*(args if egress is _NOTHING else (egress, *args)), **kwargs)
            reply.egress(typename, message.type_url, message.value)
        elif egress.__class__ is MessageEgress:
            value = egress.record(*args, **kwargs)
            _, typename, data = _encoded(value, None if value.__class__ is AnyPb else egress.type_for(value))
            reply.egress(egress.typename, typename, data)
        elif hasattr(egress, "record"):
            _, typename, data = _encoded(egress.record(*args, **kwargs), None)
            reply.egress(egress.typename, typename, data)
        else:
            msg = f"{egress!r} is no egress: it has no record()"
            raise SendError(msg)

    def pack_and_send_egress(self, typename: str, message: Sendable) -> None:
        """Send out by name what is not packed yet (a `kafka_egress_record`, or any value). Raises SendError."""
        _, packed, data = _encoded(message, None)
        self._around.reply.egress(typename, packed, data)


def _state_name(key: object) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, ValueSpec):
        return key.name
    msg = f"a state is looked up by its name or its ValueSpec, not by {key!r}"
    raise StateError(msg)


def _encoded(message: Any, type: Type[Any] | None) -> tuple[Type[Any] | None, str, bytes]:
    if message.__class__ is AnyPb and type is None:
        return None, message.type_url, message.value
    found = for_value(message, type)
    return found, found.typename, found.encode(message)


def _packed(typename: str, id: str, message: Any, type: Type[Any] | None, token: str | None = None) -> Envelope:
    found, packed, data = _encoded(message, type)
    return Envelope(typename, _identity(id), packed, data, found, token)


def _by_name(typename: str, id: str, message: Any) -> Envelope:
    _check_any(message)
    return Envelope(typename, _identity(id), message.type_url, message.value, None)


def _by_name_later(typename: str, id: str, message: Any, *, token: str | None = None) -> Envelope:
    _check_any(message)
    return Envelope(typename, _identity(id), message.type_url, message.value, None, token)


def _receiver(target: Any, method: str) -> Any:
    """Return the method that encodes a message. Raises SendError for what cannot be sent to."""
    found = getattr(target, method, None)
    if found is None:
        help = 'send to one instance, function.at("id"), or by name: send(typename, id, any)'
        msg = with_help(f"{target!r} is no target", help)
        raise SendError(msg)
    return found


def _identity(id: object) -> str:
    if not isinstance(id, str) or not id:
        raise SendError(no_identity(id))
    return id


def _egress_by_name(typename: str, message: Any) -> tuple[str, Any]:
    _check_any(message)
    return typename, message


def _check_any(message: object) -> None:
    if not isinstance(message, AnyPb):
        msg = (
            f"by name, only a google.protobuf.Any can be sent, not {_hints.show(type(message))}; "
            "use pack_and_send, or a FunctionRef"
        )
        raise UnsendableError(msg)


def _check_token(token: object, around: Surroundings) -> None:
    if not isinstance(token, str) or not token:
        msg = f"a token is a str that is not empty, not {token!r}"
        raise SendError(msg)
    if not around.reply.speaks_cancellation:
        who = around.function.typename
        msg = f"{who} uses the token {token!r}, but its runtime (2.x) cannot cancel a delayed message"
        raise SendError(msg)


def _milliseconds(delay: object) -> int:
    if not isinstance(delay, timedelta):
        msg = f"the delay is a timedelta and comes first, send_after(delay, ...), not {delay!r}"
        raise SendError(msg)
    if delay < timedelta(0):
        msg = f"a message cannot be sent in the past: delay is {delay!r}"
        raise SendError(msg)
    return delay // _MILLISECOND

"""What a message that fails does to the rest: `raise_`, `skip` and `dead_letter`; and `DeadLetter`, what then leaves.

Here: the policies, as values, and the record with its bytes. How an invocation is taken back is the affair of `_undo`,
and when, that of `_guarded`.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Protocol, TypedDict, cast

from statefun.address import Address
from statefun.egress import KafkaEgress, KinesisEgress, TypedEgress
from statefun.errors import (
    BindError,
    ConfigError,
    DeclarationError,
    SendError,
    UndecodableMessage,
    UnexpectedMessage,
    UnknownFunction,
    with_help,
)
from statefun.types import Sendable, Type

if TYPE_CHECKING:
    from statefun.protocol import Header

__all__ = [
    "DeadLetter",
    "DeadLetterEgress",
    "DeadLetters",
    "OnFailure",
    "Policy",
    "Raise",
    "Skip",
    "dead_letter",
    "raise_",
    "skip",
]

TEXT_LIMIT = 16_384
"""How many characters of an exception's text, and of its traceback, a dead letter holds: a record has a limit."""


# --- what leaves ---


class _Fields(NamedTuple):
    """What a dead letter holds."""

    address: Address
    """The function and the instance of it that the message was for."""
    caller: Address | None
    """Who sent the message; None if it came from an ingress."""
    typename: str
    """What the message is."""
    payload: bytes
    """Its bytes, as they came."""
    error: str
    """The class of the exception, "ValueError" or "shop.errors.OutOfStock"."""
    text: str
    """The text of the exception."""
    traceback: str
    attempts: int = 1
    """How often the message was tried."""
    time: dt.datetime | None = None
    """When it failed for the last time, by the handler's clock; None where that has none."""
    headers: tuple[Header, ...] = ()
    """The headers of the record that the message came in (the Flink 2 continuation only)."""


class DeadLetter(_Fields):
    """A message that failed, why, and all that it takes to send it again. It is written as JSON.

    A record of `KafkaEgress[DeadLetter]` or `MessageEgress[DeadLetter]`; a function may take one, too.
    """

    __slots__ = ()
    __statefun_type__: ClassVar[Type[DeadLetter]]


class _JsonAddress(TypedDict):
    namespace: str
    type: str
    id: str


class _Json(TypedDict):
    """The JSON of a dead letter."""

    address: _JsonAddress
    caller: _JsonAddress | None
    typename: str
    payload: str
    error: str
    text: str
    traceback: str
    attempts: int
    time: str | None
    headers: list[tuple[str, str | None]]


def _encode(letter: DeadLetter) -> bytes:
    made: _Json = {
        "address": _json_address(letter.address),
        "caller": None if letter.caller is None else _json_address(letter.caller),
        "typename": letter.typename,
        "payload": _base64(letter.payload),
        "error": letter.error,
        "text": letter.text,
        "traceback": letter.traceback,
        "attempts": letter.attempts,
        "time": None if letter.time is None else letter.time.isoformat(),
        "headers": [(key, None if value is None else _base64(value)) for key, value in letter.headers],
    }
    # a surrogate, which a text may hold and UTF-8 may not, becomes an escape of JSON
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _decode(data: bytes) -> DeadLetter:
    read = cast("_Json", json.loads(data))  # what is not so raises below
    return DeadLetter(
        address=_address(read["address"]),
        caller=None if read["caller"] is None else _address(read["caller"]),
        typename=read["typename"],
        payload=base64.b64decode(read["payload"]),
        error=read["error"],
        text=read["text"],
        traceback=read["traceback"],
        attempts=read["attempts"],
        time=None if read["time"] is None else _time(read["time"]),
        headers=tuple((key, None if value is None else base64.b64decode(value)) for key, value in read["headers"]),
    )


def _json_address(address: Address) -> _JsonAddress:
    return {"namespace": address.namespace, "type": address.type, "id": address.identity}


def _address(read: _JsonAddress) -> Address:
    return Address(read["namespace"], read["type"], read["id"])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 does not know the Z of other writers


# what custom_type does, which imports inspect
DeadLetter.__statefun_type__ = Type("statefun.python/dead-letter", DeadLetter, encode=_encode, decode=_decode)


def name_of(error: Exception) -> str:
    """Name the class of an exception."""
    cls = type(error)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def text_of(error: Exception) -> str:
    """Return the text of an exception, the beginning of a long one; never raises."""
    try:
        text = str(error)
    except Exception as other:  # noqa: BLE001 -- it may be as broken as it likes
        text = f"(its text cannot be made: {name_of(other)})"
    return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]} ... ({len(text)} characters)"


def traceback_of(error: Exception) -> str:
    """Write the traceback of an exception as Python does, the end of a long one."""
    import traceback  # noqa: PLC0415 -- who never fails does not pay for it

    text = "".join(traceback.format_exception(error))
    return text if len(text) <= TEXT_LIMIT else f"({len(text)} characters) ... {text[-TEXT_LIMIT:]}"


# --- the policies ---


class DeadLetterEgress(Protocol):
    """An egress that takes a DeadLetter: KafkaEgress[DeadLetter], MessageEgress[DeadLetter], one of your own."""

    @property
    def typename(self) -> str:
        """The id of the egress in module.yaml, "<namespace>/<name>"."""
        ...

    def record(self, letter: DeadLetter, /) -> Sendable:
        """Make the record that leaves."""
        ...


class Raise:
    """The request fails, and the runtime sends it again: `raise_`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "raise_"


class Skip:
    """The message is dropped, and logged: `skip`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "skip"


class DeadLetters(NamedTuple):
    """The message leaves as a DeadLetter, in the same reply: `dead_letter(EGRESS)`."""

    egress: DeadLetterEgress | KinesisEgress[DeadLetter]
    retries: int
    """How often it is run again before, at once."""

    def __repr__(self) -> str:
        return f"dead_letter({self.egress!r}, retries={self.retries})"


Policy = Raise | Skip | DeadLetters
"""What is done about one failure."""
OnFailure = Policy | Callable[[Exception], Policy]
"""What is done about every failure; or what decides, by its exception."""

raise_: Final = Raise()
skip: Final = Skip()


def dead_letter(egress: DeadLetterEgress | KinesisEgress[DeadLetter], *, retries: int = 0) -> DeadLetters:
    """Let a message that fails leave through an egress: dead_letter(DEAD), where DEAD is a KafkaEgress[DeadLetter].

    It is run again, at once, up to `retries` times before. The key of a Kafka record, and the partition key of a
    Kinesis record, is the identity that the message was for. Raises DeclarationError.
    """
    if not hasattr(egress, "record") or not hasattr(egress, "typename"):
        msg = with_help(
            f"{egress!r} is no egress that dead letters could leave through",
            'name one: dead_letter(KafkaEgress[DeadLetter]("example/dead", topic="dead"))',
        )
        raise DeclarationError(msg)
    if retries.__class__ is not int or retries < 0:
        msg = f"retries is a number of attempts after the first one, or 0, not {retries!r}"
        raise DeclarationError(msg)
    if isinstance(egress, TypedEgress):
        _check_hint(cast("TypedEgress[DeadLetter]", egress))  # what else it may take is of no concern
    return DeadLetters(egress, retries)


def _check_hint(egress: TypedEgress[DeadLetter]) -> None:
    try:
        egress._type_for(_SAMPLE)
    except SendError as error:
        raise DeclarationError(str(error)) from None
    except NameError:
        return  # a forward reference: read when something is sent


_SAMPLE = DeadLetter(Address("n", "t", "i"), None, "", b"", "", "", "")


def options_of(egress: object, letter: DeadLetter) -> dict[str, str]:
    """Return what goes with a letter through an egress."""
    if egress.__class__ is KafkaEgress:
        return {"key": letter.address.identity}
    if egress.__class__ is KinesisEgress:
        return {"partition_key": letter.address.identity or letter.address.typename()}
    return {}


def checked(policy: OnFailure) -> OnFailure:
    """Return what `on_failure` was given. Raises DeclarationError."""
    given: object = policy
    if not isinstance(given, (Raise, Skip, DeadLetters)) and (given is dead_letter or not callable(given)):
        raise DeclarationError(_no_policy("on_failure is", given))
    return policy


def decided(on_failure: OnFailure, error: Exception) -> Policy:
    """Return what is done about a failure. Raises DeclarationError for a decision that is none, and what it raises.

    What the deployment got wrong, a state that module.yaml does not list, say, is no message's fault: every message
    would be lost for it.
    """
    if isinstance(error, (ConfigError, BindError)):
        return raise_
    if isinstance(on_failure, (Raise, Skip, DeadLetters)):
        return on_failure
    policy = cast("object", on_failure(error))  # to a checker it cannot be anything else
    if isinstance(policy, (Raise, Skip, DeadLetters)):
        return policy
    close = getattr(policy, "close", None)
    if close is not None:
        close()  # of a coroutine, or Python warns that it was never awaited
    raise DeclarationError(_no_policy(f"{on_failure!r} decided on", policy)) from error


def _no_policy(what: str, policy: object) -> str:
    return with_help(
        f"{what} {policy!r}, which says nothing of what to do about a failure",
        "raise_, skip, dead_letter(EGRESS), or a plain function from the exception to one of them",
    )


def is_final(error: Exception) -> bool:
    """Tell whether it would fail again: the message never came to the function."""
    return isinstance(error, (UndecodableMessage, UnexpectedMessage, UnknownFunction))


def letter_for(
    address: Address,
    caller: Address | None,
    message: tuple[str, bytes],
    headers: Sequence[Header],
    error: Exception,
    attempts: int,
    time: dt.datetime | None,
) -> DeadLetter:
    """Write the letter of a message, given as its typename and bytes, that failed."""
    return DeadLetter(
        address,
        caller,
        *message,
        name_of(error),
        text_of(error),
        traceback_of(error),
        attempts,
        time,
        tuple(headers),
    )

"""Does what each message tells it to: sends, delays, cancels, replies, changes and deletes states, writes records.

A message carries all that it will cause, so that traffic can be made up beforehand. tests/engines/random_traffic.py
does that, and says what must not be in it for the end to be the same in every order that a cluster may choose.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal, TypeAlias, cast

from google.protobuf.wrappers_pb2 import StringValue
from typing_extensions import assert_never

from statefun import Context, FunctionRef, KafkaEgress, State, StatefulFunctions, json_type, value
from statefun.types import INT32

__all__ = ["Do", "Note", "Step", "Tell", "functions"]

Deed: TypeAlias = Literal["send", "after", "cancel", "reply", "put", "append", "delete", "record"]


@json_type("traffic/Note")
@dataclass(frozen=True)
class Note:
    """A value of a class of one's own."""

    text: str
    lines: list[str]


@json_type("traffic/Do")
@dataclass(frozen=True)
class Do:
    """One thing to do."""

    what: str
    """A Deed."""
    to: str = ""
    """The receiver of a message: function, slash, id."""
    then: Step | None = None
    """The message."""
    delay_ms: int = 0
    token: str = ""
    slot: str = ""
    """The state that is put, appended to, deleted or written into a record."""
    number: int = 0
    """What is put or appended."""


@json_type("traffic/Step")
@dataclass(frozen=True)
class Step:
    """What the function is to do. `path` is the way that the message takes: on one path messages keep their order."""

    number: int
    """No other message of this traffic has it."""
    path: str = ""
    do: list[Do] = field(default_factory=list["Do"])


@json_type("traffic/Tell")
@dataclass(frozen=True)
class Tell:
    """Asks for all states."""


class Kept(State):
    """What is stored for each address: a state that all messages change, and some that only one path does."""

    total: int = 0
    ways: dict[str, int] = value(default_factory=dict[str, int])
    i_text: str = ""
    i_note: Note | None = None
    i_bytes: bytes | None = None
    s_number: int = value(default=0, type=INT32)
    s_list: list[int] = value(default_factory=list[int])
    p_wrapped: StringValue | None = None
    p_flag: bool = False
    p_ratio: float = 0.0


functions = StatefulFunctions()
HANDLED = KafkaEgress[str]("traffic/handled", topic="handled")
RECORDS = KafkaEgress[str | Note | StringValue | bytes]("traffic/records", topic="records")
TOLD = KafkaEgress[str]("traffic/told", topic="told")
RECEIVERS = {name: FunctionRef[Step](f"traffic/{name}") for name in ("left", "right")}


@functions.bind("traffic/left")
def left(context: Context[Kept], message: Step | Tell) -> None:
    """Do as told."""
    handle(context, message)


@functions.bind("traffic/right")
async def right(context: Context[Kept], message: Step | Tell) -> None:
    """Do as told, in an async function."""
    handle(context, message)


def handle(context: Context[Kept], message: Step | Tell) -> None:
    """Do what both functions do."""
    me = f"{context.address.type}/{context.address.identity}"
    match message:
        case Step():
            kept = context.state
            kept.total += message.number
            way = str(context.caller)
            kept.ways[way] = kept.ways.get(way, 0) + 1
            context.send_egress(HANDLED, f"{message.number} {message.path} {way}", key=me)
            for deed in message.do:
                obey(context, deed)
        case Tell():
            told = {name: str(getattr(context.state, name)) for name in Kept.__annotations__}
            told["ways"] = json.dumps(context.state.ways, sort_keys=True)
            context.send_egress(TOLD, json.dumps(told), key=me)
        case _:
            assert_never(message)


def obey(context: Context[Kept], do: Do) -> None:
    """Do one thing."""
    match do.what:
        case "send":
            assert do.then is not None
            function, _, identity = do.to.partition("/")
            context.send(RECEIVERS[function].at(identity), do.then)
        case "after":
            assert do.then is not None
            function, _, identity = do.to.partition("/")
            delay = timedelta(milliseconds=do.delay_ms)
            context.send_after(delay, RECEIVERS[function].at(identity), do.then, token=do.token or None)
        case "cancel":
            context.cancel(do.token)
        case "reply":
            assert do.then is not None
            context.reply(do.then)
        case "delete":
            delattr(context.state, do.slot)
        case "record":
            record(context, do)
        case _:
            setattr(context.state, do.slot, changed(getattr(context.state, do.slot), do))


def record(context: Context[Kept], do: Do) -> None:
    """Write the value of a state into a record, whose key may be none."""
    stored = getattr(context.state, do.slot)
    plain = isinstance(stored, str | Note | StringValue | bytes)
    context.send_egress(RECORDS, stored if plain else f"{do.slot} is {stored}", key=do.token)


def changed(stored: object, do: Do) -> object:
    """Return the new value of a state: another one, or one that depends on what was there."""
    number, fresh = do.number, do.what == "put"
    match do.slot:
        case "i_text":
            return f"{'' if fresh else stored},{number}"
        case "i_note":
            note = Note("first", []) if fresh or not isinstance(stored, Note) else stored
            return replace(note, lines=[*note.lines, f"ü{number}"])
        case "i_bytes":
            data = b"" if fresh or not isinstance(stored, bytes) else stored
            return data + bytes([number % 256])
        case "s_number":
            return number if fresh or not isinstance(stored, int) else (stored * 31 + number) % 2**31
        case "s_list":
            return [number] if fresh or not isinstance(stored, list) else [*cast("list[int]", stored), number]
        case "p_wrapped":
            text = "" if fresh or not isinstance(stored, StringValue) else stored.value
            return StringValue(value=f"{text},{number}")
        case "p_flag":
            return number % 2 == 0 if fresh else not stored
        case _:
            return float(number) if fresh or not isinstance(stored, float) else stored / 3 + number

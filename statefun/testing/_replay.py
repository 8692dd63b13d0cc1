"""Recorded requests, run again by today's code.

Here: `replay`, and what differs: replies decoded, so that a person can read them. The requests go through the same
handler as in production.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pool, message_factory, text_format
from google.protobuf.message import Message

from statefun import types
from statefun._type import Type, decoder, message_name
from statefun._wire import open_request, wire_of
from statefun._wire.detect import version_of
from statefun._wire.effects import RECORD_VALUE, Effect, read_effects
from statefun.failures import DeadLetter
from statefun.functions import StatefulFunctions
from statefun.handler import AsyncRequestReplyHandler
from statefun.recording import Exchange, read

__all__ = ["Difference", "replay"]

_LETTER = DeadLetter.__statefun_type__


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A recorded request that is answered otherwise today."""

    number: int
    """The place of the request in the recording, from 1."""
    to: str
    """The address that it was for."""
    messages: tuple[str, ...]
    was: tuple[str, ...]
    """What the recorded reply does, decoded, or the error."""
    now: tuple[str, ...]
    """What the reply of today does."""

    def __str__(self) -> str:
        """Show both sides: what only the recording has, and what only today's reply has."""
        lines = [f"request {self.number} to {self.to}: {', '.join(self.messages)}"]
        lines += [f"  - {line}" for line in self.was if line not in self.now]
        lines += [f"  + {line}" for line in self.now if line not in self.was]
        if len(lines) == 1:
            lines += ["  the same, in another order or number:", *(f"  - {line}" for line in self.was)]
            lines += [f"  + {line}" for line in self.now]
        return "\n".join(lines)


def replay(path: str | Path, functions: StatefulFunctions) -> list[Difference]:
    """Run what `recording` wrote, a file or a folder, against these functions; return each difference.

    Dead letters are the same that differ in their time and traceback only.
    `assert testing.replay("recorded", functions) == []`. Async functions run, too, also where a loop is running. Raises
    ConfigError for a file that is no recording.
    """
    exchanges = list(read(Path(path)))
    handler = AsyncRequestReplyHandler(functions, threads=0)
    with ThreadPoolExecutor(1) as pool:  # of its own: here a loop may be running
        answers = pool.submit(asyncio.run, _answer(handler, exchanges)).result()
    shown = _Shown(functions)
    pairs = enumerate(zip(exchanges, answers, strict=True), 1)
    found = (_difference(number, old, new, shown) for number, (old, new) in pairs)
    return [difference for difference in found if difference is not None]


async def _answer(handler: AsyncRequestReplyHandler, exchanges: list[Exchange]) -> list[Exchange]:
    answers: list[Exchange] = []
    for exchange in exchanges:
        request = exchange.request
        try:
            answers.append(Exchange(request=request, reply=await handler(request)))
        except Exception as error:  # noqa: BLE001 -- it is the answer
            answers.append(Exchange(request=request, error=f"{type(error).__name__}: {error}"))
    return answers


def _difference(number: int, old: Exchange, new: Exchange, shown: _Shown) -> Difference | None:
    if old.reply == new.reply and old.error == new.error:
        return None
    was, now = shown.effects(old), shown.effects(new)
    if was == now:
        return None  # e.g. a map whose entries stand in another order
    to, messages = shown.request(old.request)
    return Difference(number=number, to=to, messages=messages, was=was, now=now)


class _Shown:
    """Writes values out by their typenames: what the functions declare, and every protobuf message that is imported."""

    def __init__(self, functions: StatefulFunctions) -> None:
        primitives = (types.BOOL, types.INT32, types.INT64, types.FLOAT32, types.FLOAT64, types.STRING, types.BYTES)
        self._types: list[Type[Any]] = [
            *(known for function in functions for known in function.accepts.by_class.values()),
            *(spec.type for function in functions for spec in function.all_specs),
            *primitives,
        ]

    def effects(self, exchange: Exchange) -> tuple[str, ...]:
        if exchange.reply is None:
            return (f"raised {exchange.error}",)
        return tuple(map(self._effect, read_effects(version_of(exchange.request), exchange.reply)))

    def _effect(self, effect: Effect) -> str:
        if effect.typename is None:
            return effect.what
        return f"{effect.what}: {self._value(effect.typename, effect.value)}"

    def request(self, request: bytes) -> tuple[str, tuple[str, ...]]:
        _, batch, invocations = open_request(request, wire_of("v3"), False)  # noqa: FBT003 -- positional for speed
        target = batch.target
        arguments = (invocation.argument for invocation in invocations)
        messages = tuple(self._value(argument.typename, argument.value) for argument in arguments)
        return f"{target.namespace}/{target.type}/{target.id}", messages

    def _value(self, typename: str, data: bytes) -> str:
        if typename in (RECORD_VALUE, _LETTER.typename) and (letter := _letter(data)) is not None:
            return letter
        if typename == RECORD_VALUE:
            return repr(data)
        try:
            return next(self._decoded(typename, data))
        except Exception:  # noqa: BLE001 -- whatever a codec raises: then its bytes are what can be shown
            return f"{typename} {data.hex()}"

    def _decoded(self, typename: str, data: bytes) -> Iterator[str]:
        for known in self._types:
            decode = decoder(known, typename)
            if decode is not None:
                value = decode(data)
                yield _message(value) if message_name(known) else repr(value)
        name = descriptor_pool.Default().FindMessageTypeByName(typename.rpartition("/")[2])
        cls: type[Message] = message_factory.GetMessageClass(name)
        yield _message(cls.FromString(data))


def _letter(data: bytes) -> str | None:
    """Show a dead letter but for its time and its traceback, which differ each time; None for what is none."""
    try:
        letter = _LETTER.decode(data)
    except Exception:  # noqa: BLE001 -- whatever is wrong with it: it is something else
        return None
    fields = letter._asdict()
    del fields["time"], fields["traceback"]
    return f"DeadLetter({', '.join(f'{name}={value!r}' for name, value in fields.items())})"


def _message(message: Message) -> str:
    text = text_format.MessageToString(message, as_one_line=True)
    return f"{message.DESCRIPTOR.name}({text})"

"""Lines of the log that say which call they are from: function, id, type, size of the batch, invocation.

Here: `carry`, which notes the call that runs, `Fields`, which puts it on every line, and two formatters. Off unless
somebody says `carry`: until then no function is called in another way. Which lines are written, and where to, is for
whoever configures `logging`.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal, NamedTuple, TextIO, cast

from statefun._type import short
from statefun.context import Context
from statefun.functions import StatefulFunctions
from statefun.protocol import Invocation
from statefun.state import State

if TYPE_CHECKING:
    from statefun._turn import Turn

__all__ = ["Fields", "JsonFormatter", "LogFormat", "TextFormatter", "carry", "configure"]

LogFormat = Literal["text", "json"]
"""How lines are written: for people, or one JSON object a line."""

FIELDS = (
    "statefun_function",
    "statefun_id",
    "statefun_type",
    "statefun_batch",
    "statefun_invocation",
    "statefun_attempts",
)
"""What a record may have: the attributes of `logging.LogRecord` that `Fields` sets, and those of our own loggers."""
_JSON_NAMES = {**{name: name.removeprefix("statefun_") for name in FIELDS}, "error_id": "error_id"}


class _Running(NamedTuple):
    """The call of a function that runs; what it has to say is asked for when a line is written."""

    turn: Turn
    invocation: Invocation
    number: int


_running: ContextVar[_Running | None] = ContextVar("statefun_running", default=None)
_numbers = itertools.count(1)
_WHERE = "__statefun_running__"


def carry(functions: StatefulFunctions) -> None:
    """Note each call of a function while it runs, so that `Fields` can say it; also in the threads of a handler.

    Say it when every function and every middleware is registered. Saying it twice does nothing more.
    """
    for function in functions:
        if not isinstance(function.call, _Noted):
            function.call = _Noted(function.call)


class _Noted:
    """A function that is noted while it runs."""

    def __init__(self, call: Callable[[Context[State], object], object]) -> None:
        self._call = call

    def __call__(self, context: Context[State], message: object) -> object:
        turn = cast("Turn", context._around)  # noqa: SLF001 -- nobody else knows; it is, while a handler runs it
        running = _Running(turn, context._invocation, next(_numbers))  # noqa: SLF001 -- as above
        token = _running.set(running)
        try:
            result = self._call(context, message)
        except BaseException as error:
            _keep(error, running)
            raise
        finally:
            _running.reset(token)
        if result is not None and isinstance(result, Awaitable):
            return _awaited(cast("Awaitable[object]", result), running)  # of what, isinstance cannot say
        return result


async def _awaited(result: Awaitable[object], running: _Running) -> None:
    """Await what an async function gave back: a coroutine, which has not begun."""
    token = _running.set(running)
    try:
        await result
    except BaseException as error:
        _keep(error, running)
        raise
    finally:
        _running.reset(token)


def _keep(error: BaseException, running: _Running) -> None:
    """Keep with an error where it is from: the door logs it when the call has ended."""
    if not hasattr(error, _WHERE):
        setattr(error, _WHERE, _fields(running))


def _fields(running: _Running) -> dict[str, object]:
    turn = running.turn
    address = turn.address
    return {
        "statefun_function": address.typename(),
        "statefun_id": address.identity,
        "statefun_type": running.invocation.argument.typename,
        "statefun_batch": turn.batch_size,
        "statefun_invocation": f"{os.getpid():x}-{running.number:x}",
    }


class Fields(logging.Filter):
    """Sets the fields on every record that passes: handler.addFilter(Fields()).

    `statefun_function`, `statefun_id`, `statefun_type`, `statefun_batch` (how many messages the request holds) and
    `statefun_invocation` (another one for each call, also for a retry). A record that has them keeps them; one from
    outside of a function has none.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Set them; every record passes."""
        running = _running.get()
        if running is not None:
            found = _fields(running)
        else:
            error = record.exc_info[1] if record.exc_info else None
            found = getattr(error, _WHERE, {})
        for name, value in found.items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


class TextFormatter(logging.Formatter):
    """A line for people, the fields at its end: [example/greeter/bob Login, batch of 3, 1f-a]."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        """Write the line, without what is below it."""
        line = super().formatMessage(record)
        function = getattr(record, "statefun_function", None)
        if function is None:
            return line
        parts = [f"{function}/{getattr(record, 'statefun_id', '')} {short(getattr(record, 'statefun_type', ''))}"]
        batch = getattr(record, "statefun_batch", None)
        if batch is not None:
            parts.append(f"batch of {batch}")
        parts.append(str(getattr(record, "statefun_invocation", "")))
        return f"{line} [{', '.join(part.strip() for part in parts if part)}]"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message; the fields that are known; the traceback as `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the line."""
        made: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, shown in _JSON_NAMES.items():
            if hasattr(record, name):
                made[shown] = getattr(record, name)
        if record.exc_info and record.exc_info[0] is not None:
            made["exception"] = self.formatException(record.exc_info)
        return json.dumps(made, ensure_ascii=False, default=str)


def configure(
    format: LogFormat,
    *,
    level: int = logging.WARNING,
    text: str = "%(asctime)s %(levelname)s %(name)s: %(message)s",
    stream: TextIO | None = None,
) -> None:
    """Write the root logger's lines to a stream, standard error by default, with their fields.

    Like logging.basicConfig, it leaves a root logger alone that is configured already.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter(text))
    handler.addFilter(Fields())
    logging.basicConfig(level=level, handlers=[handler])

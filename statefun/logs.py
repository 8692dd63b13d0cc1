"""Log lines that say which call they come from.

Here: the call that the code is in, a filter that puts its fields on log records, and two forms of a line. Nothing of
this is on the path of a call until `follow` is asked for. What is logged, and where, is not said here.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import secrets
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, TextIO

from statefun.errors import ConfigError
from statefun.functions import StatefulFunction, StatefulFunctions

__all__ = ["Call", "CallFilter", "Format", "JsonFormatter", "configure", "current", "follow"]

Format = Literal["text", "json"]
_PREFIX = "statefun_"
_TEXT = "%(asctime)s %(levelname)s %(name)s%(statefun_where)s: %(message)s"
_OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "asctime", "message", "taskName", f"{_PREFIX}where"}
_current: ContextVar[_Running | None] = ContextVar("statefun_call", default=None)
_numbers = itertools.count(1)
_process = secrets.token_hex(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is known of a call: one message, for one address."""

    function: str
    """"<namespace>/<type>"."""
    id: str
    type: str
    """The typename of the message."""
    batch_size: int
    """How many messages the request has."""
    invocation_id: str
    """No other call of any process has it; a message that is handled again gets another one."""

    @property
    def address(self) -> str:
        """The address as it is written: <namespace>/<type>/<id>."""
        return f"{self.function}/{self.id}"


class _Running:
    """A call that runs; its fields are looked up when a line is written."""

    __slots__ = ("_invocation", "_number", "_turn")

    def __init__(self, turn: Any, invocation: Any) -> None:
        self._turn = turn
        self._invocation = invocation
        self._number = next(_numbers)

    def call(self) -> Call:
        address = self._turn.address
        return Call(
            function=address.typename(),
            id=address.identity,
            type=self._invocation.argument.typename,
            batch_size=self._turn.batch_size,
            invocation_id=f"{_process}-{os.getpid()}-{self._number}",
        )


def current() -> Call | None:
    """Return the call that this code is in; None outside of one, and where nobody follows the functions."""
    running = _current.get()
    return None if running is None else running.call()


def follow(functions: StatefulFunctions) -> None:
    """Have `current` and the filter know the calls of these functions, in threads and tasks that they start, too."""
    functions.observe(_around)


def _around(_function: StatefulFunction[Any, Any, Any], call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def run(context: Any, message: Any) -> Any:
        running = _Running(context._around, context._invocation)  # noqa: SLF001 -- it is given to functions without
        token = _current.set(running)
        try:
            given = call(context, message)
        finally:
            _current.reset(token)
        return given if given is None or not isinstance(given, Awaitable) else _awaited(given, running)

    return run


async def _awaited(given: Awaitable[object], running: _Running) -> None:
    token = _current.set(running)
    try:
        await given
    finally:
        _current.reset(token)


class CallFilter(logging.Filter):
    """Puts the fields of the call on each record that passes: statefun_function, statefun_id and so on.

    Every record gets `statefun_where`: " [<address>]" within a call, otherwise nothing. It belongs on a handler.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record pass."""
        call = current()
        known = vars(record)
        if call is not None:
            for name in ("function", "id", "type", "batch_size", "invocation_id"):
                known.setdefault(f"{_PREFIX}{name}", getattr(call, name))
        record.statefun_where = "" if call is None else f" [{call.address}]"
        return True


class JsonFormatter(logging.Formatter):
    """Writes a record as JSON on one line.

    time (UTC), level, logger, message; the fields of the call; whatever else was given as `extra`; and exception.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _OF_EVERY_RECORD:
                fields.setdefault(name.removeprefix(_PREFIX), value)
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str, ensure_ascii=False)


def configure(format: Format, *, level: int = logging.WARNING, stream: TextIO | None = None) -> None:
    """Give the root logger one handler, on standard error, whose lines say their call. Raises ConfigError."""
    if format not in ("text", "json"):
        msg = f"a log's format is 'text' or 'json', not {format!r}"
        raise ConfigError(msg)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(CallFilter())
    handler.setFormatter(JsonFormatter() if format == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(handlers=[handler], level=level, force=True)

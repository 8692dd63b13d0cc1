"""The control door: how the command line reaches a runtime that runs.

Here: both of its sides. The door is on loopback and asks for a token that stands in a file of the data folder which
only its owner can read. One line of JSON is a request, one is its answer; what was done is committed before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from statefun.errors import ConfigError, StatefunError, with_help
from statefun.runtime._driver import Driver
from statefun.runtime._operations import OperationError, Operations
from statefun.runtime._values import Json

__all__ = ["ControlServer", "ask", "is_running"]

FILE = "control.json"
_TIMEOUT_S = 10.0
_LEAVING_S = 1.0
_LIMIT = 64 << 20

Arguments = Mapping[str, Json]


class ControlServer:
    """The runtime's side."""

    def __init__(self, driver: Driver, operations: Operations, data: Path) -> None:
        self._driver = driver
        self._operations = operations
        self._file = data / FILE
        self._token = secrets.token_urlsafe(24)
        self._answers: set[asyncio.Task[None]] = set()

    async def serve(self, over: asyncio.Event) -> None:
        """Answer until it is over."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, limit=_LIMIT)
        port = cast("int", server.sockets[0].getsockname()[1])
        try:
            self._write_down(port)
            async with server:
                await over.wait()
            if self._answers:  # what was asked is done: let it be said, and the connection be closed
                await asyncio.wait(self._answers, timeout=_LEAVING_S)
        finally:
            with contextlib.suppress(OSError):
                self._file.unlink(missing_ok=True)

    def _write_down(self, port: int) -> None:
        try:
            handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump({"port": port, "token": self._token, "pid": os.getpid()}, file)
        except OSError as error:
            help = "make room, or see who may write there: the commands reach the runtime by this file"
            raise ConfigError(with_help(f"{self._file} cannot be written: {error.strerror}", help)) from error

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)
        try:
            line = await asyncio.wait_for(reader.readline(), _TIMEOUT_S)
            request = cast("dict[str, Json]", json.loads(line))
            if not hmac.compare_digest(str(request.get("token", "")), self._token):
                answer: Json = {"error": "wrong token"}
            else:
                answer = await self._do(str(request["op"]), cast("Arguments", request.get("args", {})))
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError, KeyError, asyncio.TimeoutError):
            pass  # whoever it was is no command of ours
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _do(self, op: str, args: Arguments) -> Json:
        try:
            done = perform(self._operations, op, args)
        except StatefunError as error:
            return {"error": str(error)}
        await self._driver.commit_soon()
        return {"ok": done}


def perform(operations: Operations, op: str, args: Arguments) -> Json:  # noqa: C901, PLR0911 -- one line an operation
    """Do what a command asks for. Raises OperationError, ValueProblem."""

    def text(name: str) -> str:
        return str(args[name])

    def maybe(name: str) -> str | None:
        value = args.get(name)
        return None if value is None else str(value)

    match op:
        case "send":
            return operations.send(text("function"), text("id"), maybe("type"), args["value"])
        case "state.set":
            return operations.set_state(text("function"), text("id"), text("name"), maybe("type"), args["value"])
        case "state.rm":
            return operations.remove_state(text("function"), text("id"), maybe("name"))
        case "delayed.fire":
            return operations.fire(int(text("seq")))
        case "delayed.cancel":
            return operations.cancel(int(text("seq")))
        case "failures.retry":
            return operations.retry(text("function"), text("id"))
        case "failures.skip":
            return operations.skip(text("function"), text("id"))
        case "deadletters.replay":
            letters = cast("Sequence[Arguments]", args["letters"])
            return cast("Json", operations.replay(letters, again=bool(args.get("again"))))
        case "egress.decide":
            return operations.decide(text("egress"), text("decision"))
        case "time.advance":
            return operations.advance(int(text("ms")))
        case _:
            raise OperationError(f"there is no operation {op!r}")


def is_running(data: Path) -> bool:
    """Tell whether a runtime with a control door works in a folder."""
    try:
        known = cast("dict[str, Json]", json.loads((data / FILE).read_text()))
        with socket.create_connection(("127.0.0.1", int(str(known["port"]))), timeout=_TIMEOUT_S):
            return True
    except (OSError, ValueError, KeyError):
        return False


def ask(data: Path, op: str, args: Arguments) -> Json:
    """Let the runtime of a folder do something; return what it did. Raises OperationError."""
    known = cast("dict[str, Json]", json.loads((data / FILE).read_text()))
    request = json.dumps({"token": known["token"], "op": op, "args": dict(args)}).encode() + b"\n"
    try:
        with socket.create_connection(("127.0.0.1", int(str(known["port"]))), timeout=_TIMEOUT_S) as door:
            door.sendall(request)
            with door.makefile("rb") as answers:
                answer = cast("dict[str, Json]", json.loads(answers.readline()))
    except (OSError, ValueError) as error:
        raise OperationError(f"the runtime in {data} does not answer: {error}") from error
    if "error" in answer:
        raise OperationError(str(answer["error"]))
    return answer["ok"]

"""Where the harness calls functions: the ones of the app in this process, and those that live elsewhere.

Here: `Callee`. A message for a function that is not bound here leaves through an egress of the harness's own, so that
the engine keeps it exactly once, and is read back from there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Generator
from typing import Any, cast

from statefun._clock import Clock
from statefun._wire import Version, open_request, wire_of
from statefun.address import Address
from statefun.functions import StatefulFunctions
from statefun.module import Module
from statefun.runtime._endpoint import InProcess
from statefun.runtime._plans import FunctionSpec
from statefun.testing._faults import Chaos

__all__ = ["ELSEWHERE", "Callee", "Held", "left_for"]

ELSEWHERE = "statefun.testing/elsewhere"


class Callee:
    """An endpoint for every function there may be (runtime's `Endpoint`)."""

    def __init__(
        self, functions: StatefulFunctions, *, wire: Version, module: Module | None, chaos: Chaos | None
    ) -> None:
        self._functions = functions
        self._wire: Version = wire
        self._chaos = chaos
        self._inside = InProcess(functions, wire=wire, module=module)
        self.raised: list[Exception] = []
        """What functions have raised, and nobody has looked at yet."""

    def use_clock(self, clock: Clock) -> None:
        """Take the time of dead letters from a clock."""
        self._inside.clock = clock

    def find(self, namespace: str, name: str) -> FunctionSpec:
        """Return what the engine has to know about a function."""
        return self._inside.find(namespace, name) or FunctionSpec(typename=f"{namespace}/{name}")

    def call(self, typename: str, request: bytes) -> bytes | Awaitable[bytes]:
        """Return the reply, or what will be it."""
        if self._chaos is not None:
            return Held(self, typename, request, twice=self._chaos.resends())
        return self.called(typename, request)

    def called(self, typename: str, request: bytes) -> bytes | Awaitable[bytes]:
        """Call a function. What it raises is kept, too."""
        if typename not in self._functions:
            return _elsewhere(request, self._wire)
        try:
            reply = self._inside.call(typename, request)
        except Exception as error:
            self.raised.append(error)
            raise
        return reply if isinstance(reply, bytes) else self._awaited(reply)

    async def _awaited(self, reply: Awaitable[bytes]) -> bytes:
        try:
            return await reply
        except Exception as error:
            self.raised.append(error)
            raise


class Held:
    """A call that is made when its reply is awaited; `twice`: two times, and the second reply counts."""

    def __init__(self, callee: Callee, typename: str, request: bytes, *, twice: bool) -> None:
        self._callee = callee
        self._typename = typename
        self._request = request
        self._twice = twice

    def __await__(self) -> Generator[Any, None, bytes]:
        return self._answer().__await__()

    async def _answer(self) -> bytes:
        first = self._callee.called(self._typename, self._request)
        if not self._twice:
            return first if isinstance(first, bytes) else await first
        if isinstance(first, bytes):
            return cast("bytes", self._callee.called(self._typename, self._request))  # plain, as the first time
        # the abandoned attempt may still be at work when the second one begins
        second = self._callee.called(self._typename, self._request)
        replies = await asyncio.gather(first, cast("Awaitable[bytes]", second), return_exceptions=True)
        if isinstance(replies[1], BaseException):
            raise replies[1]
        return replies[1]


def _elsewhere(request: bytes, version: Version) -> bytes:
    """Answer for a function that lives elsewhere: each message leaves as a record."""
    wire, batch, invocations = open_request(request, wire_of(version), True)  # noqa: FBT003 -- positional for speed
    reply = wire.reply()
    address = json.dumps([batch.target.namespace, batch.target.type, batch.target.id]).encode()
    for invocation in invocations:
        reply.egress(ELSEWHERE, invocation.argument.typename, b"%b\n%b" % (address, invocation.argument.value))
    return reply.encode()


def left_for(value: bytes) -> tuple[Address, bytes]:
    """Read such a record: to whom, and the bytes of the message."""
    address, _, data = value.partition(b"\n")
    return Address(*json.loads(address)), data

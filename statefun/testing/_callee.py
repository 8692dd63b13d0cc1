"""Where the harness calls functions: the ones of the app in this process, and those that live elsewhere.

Here: `Callee`. A message for a function that is not bound here leaves through an egress of the harness's own, so that
the engine keeps it exactly once, and is read back from there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Generator
from typing import Any, cast

from statefun._wire import Version, open_request, wire_of
from statefun.address import Address
from statefun.functions import StatefulFunctions
from statefun.module import Module
from statefun.runtime._endpoint import InProcess
from statefun.runtime._plans import BATCH, Expire, FunctionSpec, StateSpec
from statefun.state import ValueSpec
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
        self._module = module
        self._chaos = chaos
        self._inside = InProcess(functions, wire=wire)
        self.raised: list[Exception] = []
        """What functions have raised, and nobody has looked at yet."""

    def find(self, namespace: str, name: str) -> FunctionSpec:
        """Return what the engine has to know about a function."""
        typename = f"{namespace}/{name}"
        if typename not in self._functions:
            return FunctionSpec(typename=typename)
        endpoint = None if self._module is None else self._module.endpoint_of(typename)
        states: tuple[StateSpec, ...] = ()
        if endpoint is not None and endpoint.states is not None:
            states = tuple(
                _state(known.name, "after-call" if known.mode == "after-invoke" else "after-write", known.expire_after)
                for known in endpoint.states
            )
        elif self._wire == "v2":
            states = tuple(map(_declared, self._functions[typename].all_specs))
        most = BATCH if endpoint is None else endpoint.max_num_batch_requests
        return FunctionSpec(typename=typename, states=states, max_batch=most)

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


def _declared(spec: ValueSpec[Any, Any]) -> StateSpec:
    """Say about a state what module.yaml would, if it fits."""
    expire: Expire = "after-call" if spec.expire_after_call is not None else "after-write"
    return _state(spec.name, expire, spec.expire_after_call or spec.expire_after_write)


def _state(name: str, expire: Expire, after: Any) -> StateSpec:
    if after is None:
        return StateSpec(name=name)
    return StateSpec(name=name, expire=expire, expire_ms=int(after.total_seconds() * 1_000))


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

"""An app that runs inside a test: messages go in, time passes, and everything can be looked at.

Here: `Harness`, typed. It runs the production path: the bytes of requests through the same handler, driven by the
engine of the embedded runtime, on a memory store and a clock that stands still (`_machine`).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import sys
from collections import deque
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Literal, ParamSpec, Protocol, cast, overload

from statefun._variables import TypeVar
from statefun.address import Address
from statefun.context import Receiver
from statefun.egress import TypedEgress
from statefun.functions import StatefulFunction, StatefulFunctions
from statefun.module import Module, require
from statefun.runtime._store import RecordRow
from statefun.runtime._values import read_invocation
from statefun.state import State
from statefun.testing._callee import ELSEWHERE, Callee, left_for
from statefun.testing._context import Delayed, Sent, parse_address
from statefun.testing._decode import Decoder, Found
from statefun.testing._faults import Chaos, Faults
from statefun.testing._machine import HarnessError, Machine
from statefun.testing._records import Record, read

__all__ = ["Harness", "MakeHarness"]

P = ParamSpec("P")
S = TypeVar("S", bound=State)
X = TypeVar("X")
V = TypeVar("V")
Wire = Literal["v2", "v3"]
_ALL = 10**9
_TURNS: tuple[Wire, Wire] = ("v3", "v2")

made: deque[str] = deque(maxlen=5)
"""The latest harnesses with faults, as they are written: what the pytest plugin prints below a failure."""


def forget() -> None:
    """Forget them."""
    made.clear()


class Harness:
    """An app inside a test.

    harness = Harness(functions)
    harness.send(greeter.at("bob"), GreetRequest(name="bob"))
    harness.run()
    assert harness.state(greeter, "bob") == GreeterState(visits=1)

    `module` is the module.yaml that deploys the app: it gives the wire, the size of batches, the egresses there are,
    and in 2.x the states. `faults` does to the app what a cluster may do, on v3 and v2 in turn by its seed; `wire`
    decides on one. A function that raises ends `run` with what it raised; with `retry` its address waits and tries
    again, as on the embedded runtime. Raises ModuleError for an app that does not fit its module.
    """

    def __init__(
        self,
        functions: StatefulFunctions,
        module: Module | None = None,
        *,
        faults: Faults | None = None,
        wire: Wire | None = None,
        retry: bool = False,
    ) -> None:
        if module is not None:
            require(functions, module)
        self._functions = functions
        self._faults = faults
        self._shown = _shown(faults, wire, retry=retry)
        self.wire: Wire = wire or _wire_of(module, faults)
        """The version of the protocol that functions are called in."""
        self._chaos = None if faults is None else Chaos(faults)
        callee = Callee(functions, wire=self.wire, module=module, chaos=self._chaos)
        known = None if module is None else {ELSEWHERE, *(egress.id for egress in module.egresses)}
        self._machine = Machine(
            callee,
            wire=self.wire,
            knows_egress=(lambda _: True) if known is None else known.__contains__,
            chaos=self._chaos,
            retries=retry,
        )
        callee.use_clock(self._machine.clock)
        self._decoder = Decoder(functions, self.wire)
        if faults is not None:
            made.append(self._shown)

    def __repr__(self) -> str:
        return self._shown

    # --- in ---

    def send(self, target: Receiver[P], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Send a message from an ingress: send(greeter.at("bob"), GreetRequest(name="bob")). Raises SendError."""
        self._send(None, target.envelope(*args, **kwargs))

    def send_as(self, caller: str | Address, target: Receiver[P], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Send a message as another function would: what is replied is in `sent`, if the caller lives elsewhere."""
        self._send(parse_address(caller), target.envelope(*args, **kwargs))

    def _send(self, caller: Address | None, envelope: Any) -> None:
        self._functions[envelope.target]  # raises UnknownFunction
        sender = None if caller is None else (caller.typename(), caller.identity)
        self._machine.feed(envelope.target, envelope.identity, (envelope.typename, envelope.data), sender)

    # --- on ---

    def run(self) -> None:
        """Let everything happen that happens now. Raises what a function raises, and HarnessError."""
        self._drive(self._machine.settle())

    def advance(self, by: timedelta) -> None:
        """Let time pass: what is due happens at its time, one after the other, and states expire. Raises as `run`."""
        self._drive(self._machine.advance(_milliseconds(by)))

    async def run_async(self) -> None:
        """Do what `run` does, on the running event loop: for async functions that need what lives on it."""
        await self._noted(self._machine.settle())

    async def advance_async(self, by: timedelta) -> None:
        """Do what `advance` does, on the running event loop."""
        await self._noted(self._machine.advance(_milliseconds(by)))

    def _drive(self, work: Coroutine[Any, Any, None]) -> None:
        noted = self._noted(work)
        if not any(function.is_async for function in self._functions):
            try:
                noted.send(None)
            except StopIteration:
                return
            raise AssertionError("nothing waits where every function is a plain one")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(noted)
            return
        context = contextvars.copy_context()  # the loop that runs here cannot be entered twice: another one, beside it
        with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="statefun-harness") as beside:
            beside.submit(context.run, asyncio.run, noted).result()

    async def _noted(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it; note on an error which harness it came from, if that is not plain."""
        try:
            await work
        except Exception as error:
            if self._faults is not None and sys.version_info >= (3, 11):
                error.add_note(f"statefun: again with {self!r}")
            raise

    # --- to look at ---

    def state(self, function: StatefulFunction[Any, S, Any], id: str) -> S:
        """Return what is stored for one instance of a function."""
        rows = self._machine.store.list_states(function.typename, id, self._machine.clock.now(), None, _ALL)
        cls = function.state_class
        return cast("S", cls(**self._decoder.state(cls, {row.name: row for row in rows})))  # bind read S from the hint

    @overload
    def egress(self, egress: str, /) -> list[Record[bytes]]: ...
    @overload
    def egress(self, egress: TypedEgress[X], /) -> list[Record[X]]: ...
    @overload
    def egress(self, egress: TypedEgress[X], wanted: type[V], /) -> list[Record[V]]: ...
    def egress(self, egress: str | TypedEgress[Any], wanted: type[Any] | None = None, /) -> list[Record[Any]]:
        """Return the records that left through an egress, in order; by its name as bytes.

        A record of Kafka or Kinesis does not say what it holds: where several types of the hint fit, name one, which
        all of them are then read as. Raises HarnessError for a record that cannot be read.
        """
        if isinstance(egress, str):
            return [Record(row.value) for row in self._records(egress)]
        return [read(row, egress, wanted) for row in self._records(egress.typename)]

    def _records(self, egress: str) -> list[RecordRow]:
        return list(self._machine.store.list_records(egress, 0, _ALL))

    @property
    def sent(self) -> Found[Sent]:
        """What was sent to functions that are not bound here, in order; to the caller of `send_as`, too."""
        found: Found[Sent] = Found()
        for row in self._records(ELSEWHERE):
            to, data = left_for(row.value)
            found.append(Sent(to, self._decoder.message(to, row.typename, data)))
        return found

    @property
    def pending(self) -> Found[Sent]:
        """What waits for its function: what was sent since the last `run`, and what waits behind a failure."""
        found: Found[Sent] = Found()
        for row in self._machine.store.list_messages(None, None, _ALL):
            to, message = self._message(row.function, row.id, row.message)
            found.append(Sent(to, message))
        return found

    @property
    def delayed(self) -> Found[Delayed]:
        """What is due later, the next one first; `delay` is how long it is until then."""
        found: Found[Delayed] = Found()
        now = self._machine.clock.now()
        for row, function in self._machine.store.list_delayed(None, None, _ALL):
            to, message = self._message(function, row.id, row.message)
            found.append(Delayed(to, message, timedelta(milliseconds=row.due - now), row.token or None))
        return found

    def _message(self, function: str, id: str, message: bytes) -> tuple[Address, Any]:
        namespace, _, name = function.rpartition("/")
        to = Address(namespace, name, id)
        _, typename, data = read_invocation(message, self.wire)
        return to, self._decoder.message(to, typename, data)

    @property
    def failures(self) -> dict[Address, str]:
        """The addresses that wait after a failure, each with its error (retry=True)."""
        found: dict[Address, str] = {}
        for row, function in self._machine.store.list_failures():
            namespace, _, name = function.rpartition("/")
            found[Address(namespace, name, row.id)] = row.error
        return found

    @property
    def crashes(self) -> int:
        """How often the runtime has died (Faults)."""
        return 0 if self._chaos is None else self._chaos.crashes


class MakeHarness(Protocol):
    """What the fixture `statefun_harness` is: called like `Harness`, on the wire of the test's marker."""

    def __call__(
        self,
        functions: StatefulFunctions,
        module: Module | None = None,
        *,
        faults: Faults | None = None,
        wire: Wire | None = None,
        retry: bool = False,
    ) -> Harness:
        """Make a harness."""
        ...


def _wire_of(module: Module | None, faults: Faults | None) -> Wire:
    if module is not None:
        return module.wire
    return "v3" if faults is None else _TURNS[faults.seed % 2]


def _shown(faults: Faults | None, wire: Wire | None, *, retry: bool) -> str:
    options = [f"faults={faults!r}"] if faults else []
    options += [f"wire={wire!r}"] if wire else []
    options += ["retry=True"] if retry else []
    return f"Harness({', '.join(['functions', *options])})"


def _milliseconds(by: timedelta) -> int:
    if by < timedelta(0):
        raise HarnessError(f"time does not go back, by {by!r}")
    return by // timedelta(milliseconds=1)

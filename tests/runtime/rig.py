"""An engine on a store with a time of its own, for tests: what a driver does, without waiting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from statefun import StatefulFunctions
from statefun._proto import wire_v2_pb2, wire_v3_pb2
from statefun.catalog import Catalog
from statefun.runtime._boxes import Limits
from statefun.runtime._catalog import StoredCatalog
from statefun.runtime._endpoint import InProcess
from statefun.runtime._engine import Engine
from statefun.runtime._memory import MemoryStore
from statefun.runtime._plans import FunctionSpec, Plan, StateSpec
from statefun.runtime._pump import Endpoint, Pending, Pump
from statefun.runtime._requests import argument
from statefun.runtime._sqlite import SqliteStore
from statefun.runtime._store import Store
from statefun.runtime._values import Values

Wire = Literal["v2", "v3"]
Find = Callable[[str, str], "FunctionSpec | None"]


class Rig:
    """A runtime that a test moves by hand."""

    def __init__(
        self,
        endpoint: Endpoint,
        find: Find,
        *,
        store: Store | None = None,
        wire: Wire = "v3",
        limits: Limits | None = None,
        knows_egress: Callable[[str], bool] = lambda _: True,
        values: Values | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.find = find
        self.store: Store = store or MemoryStore()
        self.wire: Wire = wire
        self.limits = limits
        self.knows_egress = knows_egress
        self.values = values
        self.now = 1_000_000
        self.start()

    def start(self) -> None:
        """Start an engine on what the store holds: what was not committed is gone."""
        self.engine = Engine(
            self.find, self.store.start(), wire=self.wire, limits=self.limits, knows_egress=self.knows_egress
        )
        self.pump = Pump(self.engine, self.store, self.endpoint)
        self.pending: list[Pending] = []

    restart = start

    def plan(self, function: str) -> Plan:
        """Return a function."""
        plan = self.engine.plan(function)
        assert plan is not None
        return plan

    def send(self, function: str, id: str, value: str | bytes, typename: str = "io.statefun.types/string") -> None:
        """Feed a message; text is one of the type string."""
        if isinstance(value, str):
            data = value.encode()
            value = wrap(data)
        self.engine.feed(self.plan(function), id, argument(typename, value, self.wire))

    def step(self, most: int = 1) -> bool:
        """Do some of the work, without a commit; tell whether there was any."""
        found = self.pump.work(self.now, most)
        self.pending += found or []
        return found is not None

    def run(self) -> None:
        """Work and commit until there is nothing to do at this time."""
        for _ in range(100_000):
            self.engine.advance(self.now)
            worked = self.step(100)
            committed = self.pump.commit()
            if not worked and committed is None:
                return
        raise AssertionError("it never comes to rest")

    def later(self, ms: int) -> None:
        """Let time pass, event by event."""
        end = self.now + ms
        self.run()
        while (due := self.engine.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.run()
        self.now = end
        self.run()

    def records(self) -> list[object]:
        """Return every record, decoded as far as it is known."""
        rows = self.store.list_records(None, 0, 10**9)
        if self.values is None:
            return [row.value for row in rows]
        return [self.values.decode(row.typename, row.value, row.egress) for row in rows]

    def states(self) -> dict[str, object]:
        """Return every state by "<function>/<id> <name>"."""
        rows = self.store.list_states(None, None, self.now, None, 10**9)
        return {
            f"{row.function}/{row.id} {row.name}": self.values.decode(row.typename, row.value)
            if self.values and row.typename
            else row.value
            for row in rows
        }

    def failures(self) -> dict[str, tuple[int, str]]:
        """Return the failing addresses with their attempts and errors."""
        return {f"{name}/{row.id}": (row.attempts, row.error) for row, name in self.store.list_failures()}


def app_rig(
    functions: StatefulFunctions, *, store: Store | None = None, wire: Wire = "v3", limits: Limits | None = None
) -> Rig:
    """Return a rig whose functions are called in process."""
    endpoint = InProcess(functions, wire=wire)
    values = Values(StoredCatalog.of(Catalog.of(functions)))
    return Rig(endpoint, endpoint.find, store=store, wire=wire, limits=limits, values=values)


class Scripted:
    """An endpoint that answers what a test says, in the messages of v3."""

    def __init__(self, *functions: str, states: dict[str, tuple[StateSpec, ...]] | None = None) -> None:
        self.functions = functions
        self.requests: list[wire_v3_pb2.ToFunction.InvocationBatchRequest] = []
        self.answer: Callable[[wire_v3_pb2.ToFunction.InvocationBatchRequest], wire_v3_pb2.FromFunction | bytes] = (
            lambda _: b""
        )
        self.states = states or {}

    def find(self, namespace: str, name: str) -> FunctionSpec | None:
        """Return a function that the test named."""
        typename = f"{namespace}/{name}"
        return FunctionSpec(typename=typename) if typename in self.functions else None

    def call(self, typename: str, request: bytes) -> bytes:
        """Note the request; answer."""
        del typename
        batch = wire_v3_pb2.ToFunction.FromString(request).invocation
        self.requests.append(batch)
        answer = self.answer(batch)
        return answer if isinstance(answer, bytes) else answer.SerializeToString()

    def values(self) -> list[list[str]]:
        """Return the text of the messages of each request."""
        return [[unwrap(one.argument.value) for one in batch.invocations] for batch in self.requests]


def scripted(*functions: str, store: Store | None = None, limits: Limits | None = None) -> tuple[Rig, Scripted]:
    """Return a rig whose functions a test answers for."""
    endpoint = Scripted(*functions)
    return Rig(endpoint, endpoint.find, store=store, limits=limits), endpoint


def wrap(data: bytes) -> bytes:
    """Encode a StringWrapper."""
    from statefun._primitives import varint  # noqa: PLC0415 -- one use

    return b"\x0a" + varint(len(data)) + data if data else b""


def unwrap(data: bytes) -> str:
    """Decode a StringWrapper."""
    from statefun.types import STRING  # noqa: PLC0415 -- one use

    return STRING.decode(data)


def sqlite_store(path: Path) -> SqliteStore:
    """Open a store in a file."""
    return SqliteStore(path)


V2 = wire_v2_pb2
V3 = wire_v3_pb2

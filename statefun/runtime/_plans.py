"""What the engine knows about a type of function: its name on the wire, and the states that it has registered.

Here: `FunctionSpec`, what a driver says about a function, and `Plan`, what the engine made of it. A plan grows while a
runtime runs: v3 functions register their states by their answers (`IncompleteInvocationContext`).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

from statefun._primitives import VARINTS, varint
from statefun.address import split_typename

__all__ = [
    "BATCH",
    "Expire",
    "FunctionSpec",
    "Names",
    "Plan",
    "StateCell",
    "StateSpec",
    "Wire",
    "text_field",
    "value_prefix",
]

Wire = Literal["v2", "v3"]
Expire = Literal["never", "after-write", "after-call"]
BATCH = 1_000
"""How many messages a request has at most, if nothing else is said (`maxNumBatchRequests`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSpec:
    """One state as it is registered: by a function's answer (v3), or by module.yaml (v2)."""

    name: str
    typename: str = ""
    """Empty in v2, which stores bytes and knows no types."""
    expire: Expire = "never"
    expire_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSpec:
    """One type of function, as the driver found it."""

    typename: str
    states: tuple[StateSpec, ...] = ()
    """What module.yaml lists (v2). A v3 function registers its states itself."""
    max_batch: int = BATCH


class Names:
    """The strings that stand in many rows, as small numbers: the table `names`."""

    def __init__(self, known: dict[str, int] | None = None) -> None:
        self._ids = dict(known or {})
        self._texts = {number: text for text, number in self._ids.items()}
        self.fresh: list[tuple[int, str]] = []
        """What the store has not been told yet."""

    def id(self, text: str) -> int:
        """Return the number of a string; it gets one if it is new."""
        number = self._ids.get(text)
        if number is None:
            number = max(self._texts, default=0) + 1
            self._ids[text] = number
            self._texts[number] = text
            self.fresh.append((number, text))
        return number

    def text(self, number: int) -> str:
        """Return the string with this number. Raises KeyError."""
        return self._texts[number]


class StateCell:
    """One registered state of a function, with the parts of it that every request repeats."""

    __slots__ = (
        "bare", "bit", "empty", "expire_ms", "head", "index", "name", "name_id", "prefix", "renewed", "size", "spec",
        "type_id",
    )  # fmt: skip

    def __init__(self, index: int, spec: StateSpec, wire: Wire, names: Names) -> None:
        self.index: int = index
        self.bit: int = 1 << index
        self.spec: StateSpec = spec
        self.name: str = spec.name
        self.name_id: int = names.id(spec.name)
        self.type_id: int = names.id(spec.typename) if wire == "v3" else 0
        self.prefix: bytes = value_prefix(spec.typename, wire) if wire == "v3" else b""
        """What stands before the length of a stored value (v3)."""
        self.empty: bytes = self.prefix[:-1]
        """A stored value without bytes (v3)."""
        name = spec.name.encode()
        head = b"\x0a" + varint(len(name)) + name
        self.head: bytes = head + b"\x12"
        """What stands before the length of a value in a request's entry."""
        self.size: int = len(self.head)
        self.bare: bytes = b"\x12" + varint(len(head)) + head
        """The whole entry of a request when there is no value."""
        self.expire_ms: int = spec.expire_ms if spec.expire != "never" else 0
        self.renewed: bool = spec.expire == "after-call"
        """Whether every invocation puts off the expiration."""


class Plan:
    """One type of function, as the engine works with it."""

    __slots__ = (
        "by_head", "by_name", "cells", "expires", "id_prefix", "index", "max_batch", "name", "namespace", "prefix",
        "probe", "registers", "typename", "waiting", "wire",
    )  # fmt: skip

    def __init__(self, spec: FunctionSpec, wire: Wire, names: Names) -> None:
        self.typename: str = spec.typename
        self.namespace: str
        self.name: str
        self.namespace, self.name = split_typename(spec.typename)
        self.index: int = names.id(spec.typename)
        self.wire: Wire = wire
        self.max_batch: int = spec.max_batch if spec.max_batch > 0 else BATCH
        self.prefix: bytes = text_field(b"\x0a", self.namespace) + text_field(b"\x12", self.name)
        """The encoded Address up to its id."""
        self.id_prefix: bytes = self.prefix + b"\x1a"
        self.cells: list[StateCell] = []
        self.by_name: dict[str, StateCell] = {}
        self.by_head: dict[bytes, StateCell] = {}
        """By what stands in a reply before a value that is written (`_scan`)."""
        self.expires: bool = False
        """Whether any state expires."""
        self.registers: bool = wire == "v3"
        """Whether the function has still to say which states it has."""
        self.probe: bool = False
        """Whether the first request is out, whose answer the others wait for."""
        self.waiting: list[bytes] = []
        """The addresses that wait for it."""
        for state in spec.states:
            self.register(state, names)

    def register(self, spec: StateSpec, names: Names) -> None:
        """Add a state; one that is there keeps what was said first."""
        if spec.name in self.by_name:
            return
        cell = StateCell(len(self.cells), spec, self.wire, names)
        self.cells.append(cell)
        self.by_name[spec.name] = cell
        self.by_head[b"\x08\x01" + text_field(b"\x12", spec.name) + b"\x1a"] = cell
        self.expires = self.expires or bool(cell.expire_ms)

    def address(self, identity: str) -> bytes:
        """Encode the Address of one instance."""
        data = identity.encode()
        return b"%b%b%b" % (self.id_prefix, VARINTS[len(data)], data) if data else self.prefix


@functools.lru_cache(4_096)
def value_prefix(typename: str, wire: Wire) -> bytes:
    """Encode what stands before the length of a message's or a state's bytes."""
    return text_field(b"\x0a", typename) + (b"\x10\x01\x1a" if wire == "v3" else b"\x12")


def text_field(tag: bytes, text: str) -> bytes:
    """Encode a field that is text; an empty one is not on the wire."""
    data = text.encode()
    return tag + varint(len(data)) + data if data else b""

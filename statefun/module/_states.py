"""States of format 1.0: a list of names.

Here: that list. States of format 2.0 are mappings, and in `_endpoints`.
"""

from __future__ import annotations

from statefun.findings import Path
from statefun.module._grammar import Schema, wrong_type
from statefun.module._model import StateEntry
from statefun.module._nodes import Kind, Node, Scalar, Sequence, describe
from statefun.module._reading import Reading

__all__ = ["RESERVED", "StateNames", "check_name"]

RESERVED = {
    "batch": "HeapListState cannot be cast to ValueState",
    "request-state": "Integer cannot be cast to byte[]",
}


class StateNames:
    """A list of names; what is no text is left out, without a word."""

    what = "a list of names"

    def read(self, node: Node, path: Path, reading: Reading) -> tuple[StateEntry, ...] | None:
        """Return the states."""
        if not isinstance(node, Sequence):
            wrong_type(self.what, "not a list", node, path, reading)
            return None
        states: list[StateEntry] = []
        for index, item in enumerate(node.items):
            at = (*path, index)
            if not isinstance(item, Scalar) or item.kind is not Kind.TEXT:
                problem = f"{describe(item)} is no text: it is left out without a word"
                reading.report("SF123", item, at, problem, expected="the name of a state")
                continue
            check_name(item.text, item, at, reading)
            states.append(StateEntry(name=item.text, source=reading.source(item, at)))
        return tuple(states)

    def schema(self) -> Schema:
        """Return it as JSON Schema."""
        return {"type": "array", "description": self.what}


def check_name(name: str, node: Node, path: Path, reading: Reading) -> None:
    """Report a name that the runtime uses itself."""
    if name in RESERVED and reading.runtime in ("2.2", "embedded"):
        says = f"crash loop on the first message: {RESERVED[name]}"
        reading.report("SF125", node, path, f"the runtime keeps a state named {name!r} itself", says=says)

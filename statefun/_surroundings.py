"""What the invocations of one batch share: everything around a Context.

Here: the address, the reply, and the state, each made when it is first asked for. How a batch is worked through is in
`_turn`; what a function may do with all this, in `context`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from statefun._cells import Cell, Cells
from statefun._specs import ValueSpec
from statefun.address import Address
from statefun.errors import ContextError

if TYPE_CHECKING:
    from statefun.protocol import Batch, Reply, Wire
    from statefun.state import State

__all__ = ["ENDED", "Owner", "Surroundings"]


class Owner(Protocol):
    """The function that a context is for (a StatefulFunction)."""

    typename: str
    all_specs: tuple[ValueSpec[Any, Any], ...]
    by_name: dict[str, int]
    closed: list[Cell | None]
    """What is open of its state after a batch: nothing, and nothing is written into it."""

    @property
    def state_class(self) -> type[State]:
        """What `context.state` is an instance of."""
        ...


class Surroundings(Cells):
    """What the invocations of one batch share, its stored values among them.

    One plain object, made for every request: a frozen dataclass, or an object for each of its parts, would cost more
    than what it does (benchmarks/peers).
    """

    __slots__ = ("_address", "batch", "function", "made_state", "reply", "tokens", "wire")

    opened: list[Cell | None]
    function: Owner
    wire: Wire
    batch: Batch
    reply: Reply
    tokens: set[str] | None
    made_state: State | None

    def __init__(self, function: Owner, wire: Wire, batch: Batch) -> None:
        super().__init__(function.all_specs, function.by_name)
        self.function = function
        self.wire = wire
        self.batch = batch
        self.reply = wire.reply()
        self.tokens = None
        """The cancellation tokens that were sent and not cancelled in this batch."""
        self.made_state = None
        """The state, if it was looked at."""
        self._address: Address | None = None

    @property
    def address(self) -> Address:
        """The address that the batch is for, made when it is asked for."""
        found = self._address
        if found is None:
            target = self.batch.target
            found = self._address = Address(target.namespace, target.type, target.id)
        return found

    def end(self) -> None:
        """Let every later look at a value raise ContextError."""
        # what Cells.end does, without the call
        self.ended = True
        self.opened = self.function.closed
        if self._handed:
            self.end_handles()
        self.made_state = None  # it holds the cells, which are this: a cycle would keep the whole request alive


class _Ended:
    """The surroundings of a Context whose invocation has ended."""

    def __getattr__(self, name: str) -> Any:
        msg = "this context belongs to an invocation that has ended: what it would send or store now would be lost"
        raise ContextError(msg)


ENDED: Any = _Ended()

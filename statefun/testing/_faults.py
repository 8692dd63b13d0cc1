"""What a cluster may do to an app, at random and again the same from a seed.

Here: `Faults`, which says what, and `Chaos`, which decides when. Never what a cluster may not do: messages from one
address to another keep their order, a batch holds them in that order, and each has the effects of one reply.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from statefun._primitives import fields
from statefun.runtime._boxes import Box

__all__ = ["Chaos", "Faults"]

_CRASH = 0.06
_COMMIT = 0.3
_RESEND = 0.3
_FORWARD = 0.3
_LOST = 0.5
_CALLER = 1  # ToFunction.Invocation.caller, which comes first where there is one
_MOST = 1_000
"""Crashes of one harness: an app that never comes to rest does not hide behind them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What happens to an app as it may on a cluster: Harness(functions, faults=Faults(seed=7)).

    The same seed does the same again. Each kind can be left out.
    """

    seed: int
    crash: bool = True
    """The runtime dies between any two steps, and goes on from its last checkpoint: functions see messages again."""
    resend: bool = True
    """A batch is sent a second time, as after a timeout; the reply to the first one is thrown away."""
    recut: bool = True
    """Messages are cut into batches in another way, also when they are sent again."""
    reorder: bool = True
    """Addresses take their turn in another order, and so do messages of different senders."""
    slow: bool = True
    """Replies arrive late: others go on meanwhile, and what comes for a busy address becomes its next batch."""

    def __repr__(self) -> str:
        """Write it as it would be pasted."""
        off = [f"{name}=False" for name in ("crash", "resend", "recut", "reorder", "slow") if not getattr(self, name)]
        return f"Faults({', '.join([f'seed={self.seed}', *off])})"


class Chaos:
    """Decides, and is the engine's `Order`."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._random = random.Random(faults.seed)  # noqa: S311 -- it must be the same again
        self.crashes = 0
        """How often the runtime died."""

    # --- what the engine asks ---

    def next(self, ready: deque[Box], /) -> Box:
        """Take one of the addresses that can be called."""
        if self._faults.reorder and len(ready) > 1:
            ready.rotate(-self._random.randrange(len(ready)))
        return ready.popleft()

    def cut(self, most: int, /) -> int:
        """Return how many messages a request holds at most: few, mostly."""
        return min(most, self._random.choice((1, 1, 2, 3, most))) if self._faults.recut else most

    def place(self, queue: Sequence[bytes], message: bytes, /) -> int:
        """Return where a message queues: sometimes before those of other senders."""
        at = len(queue)
        sender = _sender(message)
        while self._faults.reorder and at and self._random.random() < _FORWARD and _sender(queue[at - 1]) != sender:
            at -= 1
        return at

    # --- what the harness asks ---

    def crashes_now(self) -> bool:
        """Tell whether the runtime dies here."""
        dies = self._faults.crash and self.crashes < _MOST and self._random.random() < _CRASH
        self.crashes += dies
        return dies

    def commits_now(self) -> bool:
        """Tell whether a checkpoint is made here."""
        return self._random.random() < _COMMIT

    def resends(self) -> bool:
        """Tell whether a batch goes twice."""
        return self._faults.resend and self._random.random() < _RESEND

    def waits(self) -> bool:
        """Tell whether the replies that are out are still late."""
        return self._faults.slow and self._random.random() < _LOST

    def loses(self) -> bool:
        """Tell whether a function had answered when the runtime died."""
        return self._random.random() < _LOST

    def pick(self, size: int) -> int:
        """Return which of the replies that are out is next."""
        return self._random.randrange(size) if self._faults.slow else 0


def _sender(message: bytes) -> object:
    """Return who sent a waiting message, the content of a ToFunction.Invocation; ingresses are all the same one."""
    number, _, body = next(fields(message))
    return body if number == _CALLER else None

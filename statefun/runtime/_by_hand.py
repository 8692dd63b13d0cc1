"""What is done to an engine by hand: try again, skip, fire, deliver, write a state.

Here: functions on an engine, between two of its steps. Who may call them is `_operations`'s affair.
"""

from __future__ import annotations

from statefun.runtime._boxes import FAILING
from statefun.runtime._delta import SkippedRow
from statefun.runtime._engine import Engine, encode_state
from statefun.runtime._plans import Plan
from statefun.runtime._requests import address_bytes, caller_field, invocation

__all__ = ["deliver", "fire", "retry", "skip", "write_state"]


def retry(engine: Engine, plan: Plan, identity: str, now: int) -> bool:
    """Try a failing address again now; tell whether it is failing."""
    box = engine.boxes.at(plan, identity)
    if box.status != FAILING:
        return False
    engine.boxes.delta.failed.append(engine.failures.hurry(box, now))
    engine.boxes.rest(box)
    return True


def skip(engine: Engine, plan: Plan, identity: str, now: int) -> SkippedRow | None:
    """Take the first message of a failing address away; None if it is not failing."""
    box = engine.boxes.at(plan, identity)
    row = engine.failures.get(box)
    if box.status != FAILING or row is None or not box.queue:
        return None
    messages, seqs = engine.boxes.take(box, 1)
    engine.failures.forget(box)
    delta = engine.boxes.delta
    delta.healed.append((plan.index, identity))
    skipped = SkippedRow(seq=seqs[0], function=plan.index, id=identity, message=messages[0], error=row.error, at=now)
    delta.skipped.append(skipped)
    box.alone = max(0, box.alone - 1)
    engine.boxes.settle(box, seqs)
    return skipped


def fire(engine: Engine, seq: int, stored: tuple[int, str, bytes] | None) -> bool:
    """Deliver a delayed message now; `stored` is what the store has of it. Tell whether there is one."""
    delayed = engine.timers.known(seq)
    target = stored if delayed is None else (delayed.function, delayed.id, delayed.message)
    plan = None if target is None else engine.plan_of(target[0])
    if target is None or plan is None:
        return False
    engine.timers.remove(seq, engine.boxes.delta)
    engine.boxes.put(engine.boxes.at(plan, target[1]), target[2])
    return True


def deliver(engine: Engine, plan: Plan, identity: str, argument: bytes, caller: tuple[str, ...] | None) -> None:
    """Send a message as its caller sent it; `caller` is its namespace, type and id, None for an ingress."""
    sender = b"" if caller is None else caller_field(address_bytes(*caller))
    engine.boxes.put(engine.boxes.at(plan, identity), invocation(argument, sender))


def write_state(
    engine: Engine, plan: Plan, identity: str, name: str, typename: str, data: bytes | None, now: int
) -> None:
    """Change a state by hand; None deletes it."""
    box = engine.boxes.at(plan, identity)
    cell = plan.by_name.get(name)
    if cell is not None and box.states is not None and cell.index < len(box.states):
        engine.effects.write(box, cell, None if data is None else encode_state(cell, data), now)
        return
    key = plan.index, identity, engine.names.id(name)
    if data is None:
        engine.boxes.delta.removed.append(key)
    else:
        engine.boxes.delta.states.append((*key, engine.names.id(typename) if engine.wire == "v3" else 0, data, None))

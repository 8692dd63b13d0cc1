"""States in formats 1.0 and 2.0: what module.yaml declares, beside what the code does.

Here: that comparison. Since 3.0 the function declares its states itself, and there is nothing to compare.
"""

from __future__ import annotations

from datetime import timedelta

from statefun.catalog import CatalogFunction, CatalogState
from statefun.findings import closest
from statefun.module._compare import Comparison
from statefun.module._durations import show_duration
from statefun.module._model import Endpoint, StateEntry

__all__ = ["check_states"]

MODES = {"after-call": "after-invoke", "after-write": "after-write"}
"""How module.yaml calls what the code calls otherwise."""


def check_states(both: Comparison) -> None:
    """Every state that the code declares is declared in the module, with the same expiration."""
    if not both.is_v2:
        return
    for function in both.catalog.functions:
        entry = both.exact.get(function.typename)
        if entry is not None and function.states:
            _check_function(both, function, entry)


def _check_function(both: Comparison, function: CatalogFunction, entry: Endpoint) -> None:
    declared = {state.name: state for state in entry.states or ()}
    wanted = {state.name: state for state in function.states}
    for name, state in wanted.items():
        there = declared.get(name)
        if there is None:
            near = closest(name, (other for other in declared if other not in wanted))
            both.report(
                "SF305", entry.source, f"the state {name!r} of {function.typename!r} is not declared", "spec", "states",
                text="", did_you_mean=f"{near!r} in line {declared[near].source.place()[0]}" if near else "",
                expected=_spelled(both, state), says="the function cannot be called",
            )  # fmt: skip
        else:
            _check_expiration(both, state, there, tuple(declared.values()))
    for name, there in declared.items():
        if name not in wanted:
            problem = f"{function.typename!r} declares no state {name!r}: it is sent with every request for nothing"
            both.report("SF306", there.source, problem, text=name)


def _spelled(both: Comparison, state: CatalogState) -> str:
    """Write a state as module.yaml declares it."""
    if both.module.format == "1.0":
        return f"- {state.name}"
    if state.expire_after is None:
        return f"- {{name: {state.name}}}"
    mode = MODES[state.expiration]
    return f"- {{name: {state.name}, expireAfter: {show_duration(state.expire_after)}, expireMode: {mode}}}"


def _check_expiration(
    both: Comparison, state: CatalogState, there: StateEntry, declared: tuple[StateEntry, ...]
) -> None:
    if both.module.format == "1.0":
        if state.expire_after is not None:
            problem = f"the state {state.name!r} expires in the code, and format 1.0 knows no expiration: it never does"
            both.report(
                "SF308", there.source, problem, text=state.name, expected='version: "2.0", on StateFun 2.1 or 2.2'
            )
        return
    found = _effective(both, there, declared)
    wanted = ("none", None) if state.expire_after is None else (MODES[state.expiration], state.expire_after)
    if found == wanted:
        return
    problem = f"the state {state.name!r} expires {_phrase(*wanted)} by the code, and {_phrase(*found)} by the module"
    says = ""
    if both.module.runtime == "2.1" and found[1] is not None:
        says = "StateFun 2.1 gives every state of a function the longest of their expirations, renewed by every read"
    both.report("SF307", there.source, problem, text=state.name, expected=_spelled(both, state), says=says)


def _effective(both: Comparison, there: StateEntry, declared: tuple[StateEntry, ...]) -> tuple[str, timedelta | None]:
    """Return the expiration that the runtime makes of the entry."""
    if both.module.runtime != "2.1":
        return ("none", None) if there.expire_after is None else (there.mode, there.expire_after)
    spans = [state.expire_after for state in declared if state.expire_after]
    return ("after-invoke", max(spans)) if spans else ("none", None)


def _phrase(mode: str, span: timedelta | None) -> str:
    if span is None:
        return "at no time"
    return f"{show_duration(span)} after the last {'call' if mode == 'after-invoke' else 'write'}"

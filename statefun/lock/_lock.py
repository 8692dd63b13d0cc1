"""The lock of an app, and how two are compared.

Here: `Lock`, made from an app's catalog, and `compare`, which tells what a change does to the state, the messages under
way and the senders of a job that is restored. The file is read and written by the caller.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

from statefun.catalog import Catalog, CatalogFunction, CatalogState, CatalogType
from statefun.errors import ConfigError
from statefun.findings import Finding
from statefun.lock._shapes import Plain, shape_of
from statefun.lock._types import compare_types

__all__ = ["Lock", "LockError", "compare", "decide"]

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The functions of an app, with what they accept and store, and the shapes of these types."""

    functions: Mapping[str, Mapping[str, Plain]]
    types: Mapping[str, Mapping[str, Plain]]
    decisions: tuple[Mapping[str, str], ...] = ()
    """The changes that were made all the same: code, what, why."""

    @classmethod
    def of(cls, catalog: Catalog) -> Lock:
        """Write down an app."""
        types: dict[str, Mapping[str, Plain]] = {}
        for function in catalog.functions:
            for known in (*function.accepts, *(state.type for state in function.states)):
                types.setdefault(_key(known), _shape(known))
        return cls(functions={one.typename: _function(one) for one in catalog.functions}, types=types)

    @classmethod
    def read(cls, text: str, *, file: str = "statefun.lock") -> Lock:
        """Read the text of a lock file. Raises ConfigError."""
        try:
            data = json.loads(text)
            if data["version"] != VERSION:
                raise ConfigError(f"{file} has version {data['version']!r}, of another release of statefun")
            return cls(functions=data["functions"], types=data["types"], decisions=tuple(data.get("decisions", ())))
        except (ValueError, LookupError, TypeError) as fault:
            raise ConfigError(f"{file} is no lock file: {fault}\n  help: write it anew with `statefun lock`") from fault

    def text(self) -> str:
        """Write it: sorted, so that a change is a small difference."""
        data = {
            "version": VERSION,
            "functions": self.functions,
            "types": self.types,
            **({"decisions": self.decisions} if self.decisions else {}),
        }
        return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def compare(old: Lock, new: Lock, *, file: str = "statefun.lock") -> tuple[Finding, ...]:
    """Tell what changed, and what it does: errors lose data or fail, warnings may, notes are safe."""
    changes = [*_functions(old, new), *_types(old, new)]
    return tuple(
        Finding(code=code, file=file, line=0, column=0, path=subject, problem=problem, expected=fix)
        for code, subject, problem, fix in sorted(changes)
    )


def decide(old: Lock, new: Lock, accepted: Mapping[str, str], *, file: str = "statefun.lock") -> Lock:
    """Return the new lock with every decision so far, and those that are made now: code -> why.

    Raises LockError where an error is not accepted, and where a code is accepted that nothing is said of.
    """
    changes = compare(old, new, file=file)
    left = [change for change in changes if change.severity == "error" and change.code not in accepted]
    unused = sorted(accepted.keys() - {change.code for change in changes})
    if left or unused:
        raise LockError(left, unused)
    made = tuple(
        {"code": change.code, "subject": change.path, "problem": change.problem, "why": accepted[change.code]}
        for change in changes
        if change.code in accepted
    )
    return replace(new, decisions=(*old.decisions, *made))


class LockError(ConfigError, ValueError):
    """A change that would fail on restore or lose data was not accepted."""

    def __init__(self, findings: Iterable[Finding], unused: Iterable[str] = ()) -> None:
        self.findings: tuple[Finding, ...] = tuple(findings)
        """What is refused."""
        self.unused: tuple[str, ...] = tuple(unused)
        """The codes that were accepted, and that nothing is said of."""
        lines = [str(finding) for finding in self.findings]
        lines += [f"{code} was accepted, but no change has it" for code in self.unused]
        super().__init__("\n".join(lines))


Change = tuple[str, str, str, str]
"""Code, subject, problem, what to do."""


def _function(function: CatalogFunction) -> dict[str, Plain]:
    return {
        "accepts": cast("list[Plain]", sorted({_key(known) for known in function.accepts})),
        "catch_all": function.catch_all,
        "states": {state.name: _state(state) for state in function.states},
    }


def _state(state: CatalogState) -> dict[str, Plain]:
    shape: dict[str, Plain] = {"type": _key(state.type)}
    if state.expire_after is not None:
        shape["expires"] = {state.expiration: f"{state.expire_after.total_seconds():g} s"}
    return shape


def _key(known: CatalogType) -> str:
    """Return the name of a type in the file: its typename; for those that share one, with the Python type."""
    shape = _shape(known)
    if known.typename == "statefun.python/json" and "json" in shape:
        return f"{known.typename} {cast('dict[str, str]', shape['json'])['type']}"
    return known.typename


def _shape(known: CatalogType) -> dict[str, Plain]:
    return {"opaque": known.typename} if known.type is None else shape_of(known.type)


# --- functions and states ---


def _functions(old: Lock, new: Lock) -> Iterator[Change]:
    for name, was in old.functions.items():
        now = new.functions.get(name)
        if now is None:
            problem = "the function is gone: its state is lost, and messages to it fail"
            yield "SF201", name, problem, "bind it again, or drain it and accept the change"
            continue
        yield from _accepts(name, was, now)
        yield from _states(name, was, now)
    for name in new.functions.keys() - old.functions.keys():
        yield "SF216", name, "a new function", ""


def _accepts(name: str, was: Mapping[str, Plain], now: Mapping[str, Plain]) -> Iterator[Change]:
    before, after = set(cast("list[str]", was["accepts"])), set(cast("list[str]", now["accepts"]))
    if was["catch_all"] and not now["catch_all"]:
        problem = "it no longer accepts every message: those of other types, on their way now, will fail"
        yield "SF206", name, problem, "keep google.protobuf.any_pb2.Any in the type hint"
    if not now["catch_all"]:
        for dropped in sorted(before - after):
            problem = f"it no longer accepts {dropped}: those that are on their way, and their senders, will fail"
            yield "SF206", name, problem, "keep the type in the type hint until nothing sends it"
    for added in sorted(after - before):
        yield "SF216", name, f"it accepts {added} now", ""


def _states(name: str, was: Mapping[str, Plain], now: Mapping[str, Plain]) -> Iterator[Change]:
    before = cast("dict[str, dict[str, Plain]]", was["states"])
    after = cast("dict[str, dict[str, Plain]]", now["states"])
    added = after.keys() - before.keys()
    for state, declared in before.items():
        subject, there = f"{name} {state}", after.get(state)
        if there is None:
            twin = next((new for new in sorted(added) if after[new]["type"] == declared["type"]), None)
            hint = (
                f"a rename to {twin!r}? then keep the old name: value(name={state!r})" if twin else "declare it again"
            )
            yield "SF202", subject, "the state is gone: what it holds is lost, and not found under another name", hint
        elif there["type"] != declared["type"]:
            problem = f"the state was of type {declared['type']}, and is of type {there['type']} now"
            yield "SF203", subject, problem, "give the state of the new type a new name"
        else:
            yield from _expirations(subject, declared.get("expires"), there.get("expires"))
    for state in added:
        yield "SF216", f"{name} {state}", "a new state", ""


def _expirations(subject: str, was: Plain, now: Plain) -> Iterator[Change]:
    if was == now:
        return
    before, after = _phrase(was), _phrase(now)
    if was is None or now is None:
        problem = f"the state expired {before}, and expires {after} now: no runtime restores a state with that change"
        yield "SF204", subject, problem, "give the state a new name, or keep the expiration"
    else:
        problem = f"the state expired {before}, and expires {after} now: it holds from the next write or call on"
        yield "SF205", subject, problem, ""


def _phrase(expires: Plain) -> str:
    if not isinstance(expires, dict):
        return "never"
    return ", ".join(f"{span} {mode.replace('after-', 'after the last ')}" for mode, span in expires.items())


# --- types ---


def _types(old: Lock, new: Lock) -> Iterator[Change]:
    for name, was in old.types.items():
        now = new.types.get(name)
        if now is not None and now != was:
            yield from compare_types(name, was, now)

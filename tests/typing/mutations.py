"""Breaks a signature of the package in one place at a time: the promises must notice, or they prove nothing.

    python -m tests.typing.mutations                   every mutation
    python -m tests.typing.mutations "state is Any"    only these

A mutation that mypy or pyright lets pass fails, and so does one whose text is no longer in the package: write it anew.
"""

from __future__ import annotations

import argparse
import functools
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.typing import check

NOTICED_BY = ("mypy", "pyright")


@dataclass(frozen=True, slots=True)
class Mutation:
    """A signature, wherever it stands in the package, and what it is replaced by."""

    old: str
    new: str


MUTATIONS = {
    # sending
    "at() is too wide": Mutation("self, id: str) -> Target[M_contra]", "self, id: str) -> Target[Any]"),
    "M is covariant": Mutation("bound=Sendable, contravariant=True", "bound=Sendable, covariant=True"),
    "send() takes anything": Mutation(
        "def send(self, target: Receiver[P], /, *args: P.args, **kwargs: P.kwargs)",
        "def send(self, target: Any, /, *args: Any, **kwargs: Any)",
    ),
    "send() packs by itself": Mutation(
        "def send(self, typename: str, id: str, message: AnyPb)",
        "def send(self, typename: str, id: str, message: Sendable)",
    ),
    "a token may be anything": Mutation("token: str | None = None", "token: Any = None"),
    "cancel() takes anything": Mutation("def cancel(self, token: str)", "def cancel(self, token: Any)"),
    "a caller is always there": Mutation("def caller(self) -> Address | None", "def caller(self) -> Address"),
    "everything can be sent": Mutation("Sendable = Message | bool", "Sendable = object | Message | bool"),
    "every class is a dataclass": Mutation(
        "__dataclass_fields__: ClassVar[dict[str, Any]]", "def __hash__(self) -> int: ..."
    ),
    "a Type says nothing of what is sent": Mutation("*, type: Type[T])", "*, type: Type[Any])"),
    # functions
    "a bound function takes any context": Mutation(
        "def __call__(self, context: Context[S_contra]", "def __call__(self, context: Context[Any]"
    ),
    "bind() forgets the message": Mutation(
        "Callable[[Callable[[Context[S], M], R]], StatefulFunction[M, S, R]]",
        "Callable[[Callable[[Context[S], M], R]], StatefulFunction[Any, S, R]]",
    ),
    "a function may return anything": Mutation('TypeVar("R", bound=Awaitable[None] | None)', 'TypeVar("R")'),
    # state
    "state is Any": Mutation("def state(self) -> S_co:", "def state(self) -> Any:"),
    "an item is Any": Mutation("key: ValueSpec[T, D]) -> T | D", "key: ValueSpec[T, D]) -> Any"),
    "an item may be set to anything": Mutation(
        "key: ValueSpec[T, D], value: T | D", "key: ValueSpec[T, D], value: Any"
    ),
    "ValueSpec is covariant": Mutation('T = TypeVar("T")  # invariant', 'T = TypeVar("T", covariant=True)  #'),
    "everything can be stored": Mutation("Storable = Sendable |", "Storable = object | Sendable |"),
    "value(type=) says nothing": Mutation("type: Type[T], name: str", "type: Any, name: str"),
    "state() is Any": Mutation(
        "def __call__(self, name: str) -> StateHandle:", "def __call__(self, name: str) -> Any:"
    ),
    "unpack() gives Any": Mutation(
        "def unpack(self, into_class: type[V]) -> V | None: ...",
        "def unpack(self, into_class: type[V]) -> Any: ...",
    ),
    # egresses
    "a record may be anything": Mutation(
        "def record(self, value: V_contra, /, *, key", "def record(self, value: Any, /, *, key"
    ),
    "Kafka takes numbers": Mutation("bound=Record", "bound=Sendable"),
    "headers may be anything": Mutation(
        'def record(self, value: V_contra, /, *, key: str = "", headers: Sequence[Header]',
        'def record(self, value: V_contra, /, *, key: str = "", headers: Any',
    ),
    # failures
    "on_failure takes anything": Mutation("on_failure: OnFailure", "on_failure: Any"),
    "dead letters leave anywhere": Mutation(
        "def dead_letter(egress: DeadLetterEgress | KinesisEgress[DeadLetter]", "def dead_letter(egress: object"
    ),
    "middleware is any function": Mutation("bound=Middleware | AsyncMiddleware", "bound=Callable[..., object]"),
    # the test kit
    "sent.to() gives Any": Mutation("-> list[M]:", "-> list[Any]:"),
    "context() forgets the state": Mutation("-> RecordingContext[S]: ...", "-> RecordingContext[Any]: ..."),
    "a harness forgets the state": Mutation(
        "function: StatefulFunction[Any, S, Any], id: str) -> S:",
        "function: StatefulFunction[Any, S, Any], id: str) -> Any:",
    ),
    "a harness takes any message": Mutation(
        "caller: str | Address, target: Receiver[P], /, *args: P.args, **kwargs: P.kwargs)",
        "caller: str | Address, target: Any, /, *args: Any, **kwargs: Any)",
    ),
    "records hold Any": Mutation(
        "egress: TypedEgress[X], /) -> list[Record[X]]: ...", "egress: TypedEgress[X], /) -> list[Record[Any]]: ..."
    ),
}


def pattern(code: str) -> str:
    """Return what matches this code however it is broken into lines."""
    tokens = [re.escape(token) for token in re.findall(r"\w+|[^\w\s]", code)]
    return r"\s*".join(f",?\\s*{token}" if token in (r"\)", r"\]") else token for token in tokens)


def survives(name: str, tree: check.Tree) -> bool:
    """Apply one mutation to the tree, count what mypy and pyright notice, and undo it."""
    mutation = MUTATIONS[name]
    old = re.compile(pattern(mutation.old))
    texts = {path: path.read_text() for path in (tree.root / "statefun").rglob("*.py")}
    places = {path: text for path, text in texts.items() if old.search(text)}
    if not places:
        print(f"{name}: the package no longer holds {mutation.old!r}")
        return True
    for path, text in places.items():
        path.write_text(old.sub(lambda _: mutation.new, text))
    with ThreadPoolExecutor() as pool:
        counts = list(pool.map(functools.partial(noticed, tree), NOTICED_BY))
    for path, text in places.items():
        path.write_text(text)
    lines = ", ".join(f"{count} by {checker}" for checker, count in zip(NOTICED_BY, counts, strict=True))
    print(f"{name}: lines noticed: {lines}{'' if all(counts) else ': SURVIVED'}", flush=True)
    return not all(counts)


def noticed(tree: check.Tree, checker: str) -> int:
    """Count the lines of which a checker no longer says what is expected."""
    return len(list(check.differences(tree, checker, check.CHECKERS[checker](tree))))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutations of these names, or all; return 1 if one survived."""
    parser = argparse.ArgumentParser(description="Break the package's signatures; the promises must notice.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    names: list[str] = parser.parse_args(arguments).names or list(MUTATIONS)
    if unknown := set(names) - set(MUTATIONS):
        parser.error(f"there is no mutation {', '.join(sorted(unknown))}; there are {', '.join(MUTATIONS)}")
    with tempfile.TemporaryDirectory() as folder:
        tree = check.Tree(Path(folder).resolve())
        for part in ("statefun", "examples/greeter", "tests/protos", "tests/typing"):
            shutil.copytree(check.ROOT / part, tree.root / part, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        survivors = [name for name in names if survives(name, tree)]
    print(f"SURVIVED: {', '.join(survivors)}" if survivors else f"{len(names)} mutations, all noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())

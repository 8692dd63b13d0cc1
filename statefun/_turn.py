"""One batch: its messages, one after the other, through the function they are for.

Here: dispatch, the state of the address, and who is to blame when something raises. No bytes of the wire: a `Batch` is
what arrived, its `Reply` takes the effects. No I/O, no clock.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any

from statefun._cells import Cells, Declared
from statefun._signature import describe, is_awaitable
from statefun._type import short
from statefun.context import ENDED, Context, Surroundings
from statefun.errors import BindError, MissingState, UndecodableMessage, UndecodableState, reason, with_help
from statefun.functions import StatefulFunction
from statefun.protocol import ANY, Batch, Completed, MissingStates, MissingStateSpec, Reply, StateEntry, Stored
from statefun.state import bound_to

__all__ = ["Turn"]

_MS = 1_000


class Turn:
    """The work on one batch."""

    __slots__ = ("_around", "_batch", "_cells", "_function", "_missing", "_positions", "_reply", "position")

    def __init__(self, function: StatefulFunction[Any, Any, Any], batch: Batch) -> None:
        self._function = function
        self._batch = batch
        self._reply: Reply = batch.reply()
        self._missing: list[str] = []
        self.position = 0
        """The message that is worked on, counted from 0."""
        self._positions = self._locate()
        self._cells = Cells(function.all_specs, function.by_name, self, free=not function.all_specs)
        state = bound_to(function.state_class, self._cells)
        self._around = Surroundings(function.typename, batch, self._reply, state, self._cells)

    @property
    def is_async(self) -> bool:
        """Whether the function is an `async def`."""
        return self._function.is_async

    def found_async(self) -> None:
        """Note that the function gives back awaitables, though it is no `async def`: a decorator hid it."""
        self._function.is_async = True

    # --- running ---

    def steps(self) -> Generator[Awaitable[object], None, Completed | MissingStates]:
        """Work through the messages; what a function gives back to be awaited is yielded, one after the other.

        One path for plain and async functions: who drives it awaits, and throws in what the awaiting raised. (A
        StopIteration that a plain function lets escape becomes a RuntimeError, as it does in every coroutine.)
        """
        if self._missing:
            return self._ask()
        function, around = self._function, self._around
        fn, decoders = function.fn, function.accepts.decoders
        try:
            for invocation in self._batch.invocations:
                argument = invocation.argument
                message = self._message(argument.typename, argument.value, decoders.get(argument.typename))
                context: Context[Any] = Context(around, invocation)
                try:
                    result = fn(context, message)
                    if result is not None and is_awaitable(result):
                        yield result
                finally:
                    context._around = ENDED  # noqa: SLF001 -- a method costs what a whole check costs elsewhere
                self.position += 1
            return self._complete()
        except _NotRegistered:
            return self._ask()
        except Exception as error:
            self._blame(error)
            raise

    def _message(self, typename: str, data: bytes, decode: Any) -> Any:
        if decode is not None:
            try:
                return decode(data)
            except Exception as error:
                what = f"{self._function.typename} cannot read a message of {len(data)} bytes as {short(typename)}"
                msg = f"{what}: {reason(error)}"
                raise UndecodableMessage(msg) from error
        return self._function.accepts.unpack(typename, data, self._function.typename)

    def _complete(self) -> Completed | MissingStates:
        if self._missing:  # the function swallowed what told it to stop
            return self._ask()
        self._cells.settle(self._reply)
        self._cells.end()
        return Completed(self._reply)

    def refuse_awaitable(self, result: Awaitable[object]) -> BindError:
        """Say that a plain function under a plain handler gave back something to be awaited."""
        if isinstance(result, Coroutine):
            result.close()  # or Python warns that it was never awaited
        problem = "it gave back an awaitable, and RequestReplyHandler would never await it"
        return BindError(
            self._function.typename, describe(self._function), problem, "serve it with AsyncRequestReplyHandler"
        )

    def _blame(self, error: Exception) -> None:
        """Note on an error which message it came from (Python 3.11 and later)."""
        if sys.version_info >= (3, 11):
            batch = self._batch
            count = len(batch.invocations)
            what = "the settling of its state" if self.position >= count else self._describe_message()
            error.add_note(f"statefun: {batch.namespace}/{batch.type}/{batch.identity}, {what}")

    def _describe_message(self) -> str:
        invocations = self._batch.invocations
        typename = short(invocations[self.position].argument.typename) or "a message without a type"
        return f"message {self.position + 1} of {len(invocations)} ({typename})"

    # --- state ---

    def _locate(self) -> dict[str, int]:
        """Say where each state stands in the request.

        Most requests of a function name the same states in the same order: then that is known already. A v2 runtime
        always sends what module.yaml lists, so there their number will do, and each entry is checked when it is opened.
        """
        function, states = self._function, self._batch.states
        names, positions = function.located
        if not self._batch.registers_states and len(states) == len(names) > 0:
            return positions
        return self._locate_anew()

    def _locate_anew(self) -> dict[str, int]:
        function = self._function
        names = [entry.state_name for entry in self._batch.states]
        known, positions = function.located
        if names != known or not names:
            positions = {name: index for index, name in enumerate(names)}
            function.located = names, positions
        else:
            return positions
        self._missing = [spec.name for spec in function.all_specs if spec.name not in positions]
        if self._missing:
            function.located = [], {}
            if not self._batch.registers_states:
                raise self._not_listed(self._missing)
        return positions

    def load(self, name: str, spec: Declared | None, /) -> Stored | None:
        """Return what is stored under a name: what `Cells` asks when a value is first looked at."""
        entry = self._entry(name)
        as_any = spec is None or spec.type.typename == ANY
        stored = self._batch.stored(entry, as_any=as_any)
        if stored is not None and spec is not None and self._batch.registers_states and stored[0] != spec.type.typename:
            msg = with_help(
                f"state {name!r} of {self._function.typename} holds {short(stored[0])}, "
                f"but is declared as {short(spec.type.typename)}",
                "a v3 runtime fails the job when a state changes its type: declare the type that it holds, "
                "or give it another name",
            )
            raise UndecodableState(msg)
        return stored

    def _entry(self, name: str) -> StateEntry:
        states = self._batch.states
        position = self._positions.get(name)
        if position is not None and position < len(states) and states[position].state_name == name:
            return states[position]
        self._function.located = [], {}  # another module.yaml than before
        self._positions = self._locate_anew()
        position = self._positions.get(name)
        if position is not None:
            return states[position]
        if not self._batch.registers_states:
            raise self._not_listed([name])
        self._missing.append(name)
        raise _NotRegistered

    def _not_listed(self, names: list[str]) -> MissingState:
        function = self._function
        listed = ("states " if len(names) > 1 else "state ") + ", ".join(repr(name) for name in names)
        entries = "\n".join(f"      - name: {name}" for name in names)
        return MissingState(
            with_help(
                f"{function.typename} uses the {listed}, which the runtime did not send",
                "list what is missing in module.yaml, under the function's spec (format 2.0; in 1.0 the names alone):\n"
                f"    states:\n{entries}",
            )
        )

    def _ask(self) -> MissingStates:
        """Ask for the states that are not registered yet; the whole batch comes again."""
        function = self._function
        self._cells.end()
        if function.all_specs:
            wanted = [spec for spec in function.all_specs if spec.name in self._missing]
            return MissingStates(tuple(_spec(spec.name, spec) for spec in wanted))
        function.learned = tuple(dict.fromkeys([*function.learned, *self._missing]))
        unknown = [name for name in function.learned if name not in self._positions]
        return MissingStates(tuple(_spec(name, None) for name in unknown))


class _NotRegistered(BaseException):
    """A function looked at a state that the runtime has not registered: the attempt is over.

    No Exception: an `except Exception` of the function must not stop it.
    """


def _spec(name: str, spec: Any) -> MissingStateSpec:
    if spec is None:
        return MissingStateSpec(name, ANY)
    write, call = spec.expire_after_write, spec.expire_after_call
    return MissingStateSpec(
        name,
        spec.type.typename,
        None if write is None else int(write.total_seconds() * _MS),
        None if call is None else int(call.total_seconds() * _MS),
    )

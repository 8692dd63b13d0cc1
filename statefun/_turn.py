"""One batch: its messages, one after the other, through the function they are for.

Here: dispatch, the state of the address, and who is to blame when something raises. No bytes of the wire: a `Batch` is
what arrived, its `Reply` takes the effects. No I/O, no clock.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from datetime import timedelta
from types import CoroutineType
from typing import Any, cast

from statefun._cells import Declared, decoded_cell, ended, undecodable_state
from statefun._dispatch import undecodable
from statefun._surroundings import ENDED, Surroundings
from statefun._type import short
from statefun.context import Context
from statefun.errors import BindError, MissingState, UndecodableState, with_help
from statefun.functions import StatefulFunction
from statefun.protocol import ANY, Batch, Invocation, MissingStates, MissingStateSpec, StateEntry, Stored, Wire

__all__ = ["Turn", "may_come_of_missing", "new_context"]

new_context: Callable[[type[Context[Any]]], Context[Any]] = object.__new__

_MILLISECOND = timedelta(milliseconds=1)


class Turn(Surroundings):
    """The work on one batch, and what its invocations share."""

    __slots__ = ("_invocations", "_order", "_states", "bound", "failed_at", "missing")

    failed_at: int
    """The position of the message that made the request fail, behind the last one while its state was settled; unset
    for one that did not."""

    def __init__(
        self,
        function: StatefulFunction[Any, Any, Any],
        wire: Wire,
        batch: Batch,
        invocations: Sequence[Invocation],
    ) -> None:
        # what Surroundings.__init__ and Cells.__init__ do, without the calls
        self.function = self.bound = function
        self._specs = specs = function.all_specs
        self._by_name = function.by_name
        self.opened = [None] * len(specs)
        self.ended = False
        self.wire = wire
        self.batch = batch
        self._invocations = invocations
        self.reply = wire.reply()
        self.tokens = self.made_state = self._address = self._handed = None
        self.missing: list[str] | None = None
        """The states that the runtime has to register first: there are no effects then."""
        if not specs:
            return  # what it looks at without a declaration is found when it is looked at
        self._states = states = batch.state
        # Most requests of a function hold the same states in the same order, and their number tells. It need not be
        # right: each entry is checked when it is opened.
        known, self._order = function.located
        if len(states) != known:
            self._order = self._locate()

    # --- running ---

    def steps(self) -> Generator[Awaitable[object], None, None]:
        """Work through the messages; what a function gives back to be awaited is yielded, one after the other.

        For plain and async functions: who drives it awaits, and throws in what the awaiting raised. (A StopIteration
        that a plain function lets escape becomes a RuntimeError, as it does in every coroutine.)
        """
        if self._is_over():
            return
        function = self.bound
        fn, decoder_of = function.call, function.decoders.get
        position = 0
        try:
            for invocation in self._invocations:
                argument = invocation.argument
                decode = decoder_of(argument.typename)
                if decode is None:
                    message = function.accepts.unpack(argument.typename, argument.value, function.typename)
                else:
                    try:
                        message = decode(argument.value)
                    except Exception as error:
                        raise undecodable(function.typename, argument.typename, argument.value, error) from error
                context = new_context(Context)  # what Context(self, invocation) does, without the call
                context._around, context._invocation = self, invocation  # noqa: SLF001 -- its own, but for speed
                try:
                    result = fn(context, message)
                    if result is not None and (result.__class__ is CoroutineType or isinstance(result, Awaitable)):
                        yield result
                finally:
                    context._around = ENDED  # noqa: SLF001 -- a method costs what a whole check costs elsewhere
                position += 1
            if self.missing is None and (self.opened or self._handed):
                self.settle(self.reply)
        except GeneratorExit:
            raise
        except BaseException as error:
            if not (self._is_over() and may_come_of_missing(error)):
                self._blame(error, position)
                raise
        finally:
            self.end()

    def run(self) -> None:
        """Do what `steps` does, for a plain handler: an awaitable is refused. A generator costs 3 % of a request."""
        if self._is_over():
            return
        function = self.bound
        fn, decoder_of = function.call, function.decoders.get
        position = 0
        try:
            for invocation in self._invocations:
                argument = invocation.argument
                decode = decoder_of(argument.typename)
                if decode is None:
                    message = function.accepts.unpack(argument.typename, argument.value, function.typename)
                else:
                    try:
                        message = decode(argument.value)
                    except Exception as error:
                        raise undecodable(function.typename, argument.typename, argument.value, error) from error
                context = new_context(Context)
                context._around, context._invocation = self, invocation  # noqa: SLF001 -- as in steps
                try:
                    result = fn(context, message)
                    if result is not None and (result.__class__ is CoroutineType or isinstance(result, Awaitable)):
                        raise self.refuse_awaitable(cast("Awaitable[object]", result))  # of what, isinstance cannot say
                finally:
                    context._around = ENDED  # noqa: SLF001 -- as in steps
                position += 1
            if self.missing is None and (self.opened or self._handed):
                self.settle(self.reply)
        except BaseException as error:
            if not (self._is_over() and may_come_of_missing(error)):
                self._blame(error, position)
                raise
        finally:
            self.end()

    @property
    def batch_size(self) -> int:
        """How many messages the batch holds."""
        return len(self._invocations)

    @property
    def typenames(self) -> list[str]:
        """The typename of each message."""
        return [invocation.argument.typename for invocation in self._invocations]

    @property
    def given_up(self) -> Sequence[tuple[str, str]]:
        """What became of each message that was given up ("skipped", "a dead letter"), and its typename."""
        return ()

    def _is_over(self) -> bool:
        """Tell whether a state turned out to be missing, which ends the attempt."""
        return self.missing is not None

    def refuse_awaitable(self, result: Awaitable[object]) -> BindError:
        """Say that a plain function under a plain handler gave back something to be awaited."""
        from statefun._signature import describe  # noqa: PLC0415 -- imported when the function was bound

        if isinstance(result, Coroutine):
            result.close()  # or Python warns that it was never awaited
        problem = "it gave back an awaitable, and RequestReplyHandler would never await it"
        return BindError(
            self.function.typename, describe(self.function), problem, "serve it with AsyncRequestReplyHandler"
        )

    def _blame(self, error: BaseException, position: int) -> None:
        """Remember which message an error came from, and note it on the error (Python 3.11 and later)."""
        self.failed_at = position
        if sys.version_info >= (3, 11):
            error.add_note(f"statefun: {self.address}, {self._describe(position)}")

    def _describe(self, position: int) -> str:
        invocations = self._invocations
        if position >= len(invocations):
            return "the settling of its state"
        typename = short(invocations[position].argument.typename) or "a message without a type"
        return f"message {position + 1} of {len(invocations)} ({typename})"

    # --- state: what Cells asks when a value is first looked at ---

    def look(self, index: int) -> Any:
        """Return a declared value that was not looked at yet: what `open` and Cell.load do, without the calls."""
        spec = self._specs[index]
        if self.ended:
            raise ended(spec.name)
        position, states, type = self._order[index], self._states, spec.type
        entry = states[position] if position < len(states) else None
        if entry is None or entry.state_name != spec.name:
            entry = self._find(spec.name)
        stored = self.wire.stored(entry, type.typename)
        if stored is None or stored[0] != type.typename:
            return super().look(index)
        try:
            value = type.decode(stored[1])
        except Exception as error:
            raise undecodable_state(spec.name, stored[0], error) from error
        self.opened[index] = decoded_cell(spec, stored, value)
        return value

    def load(self, index: int, spec: Declared, /) -> Stored | None:
        """Return what is stored of a declared value."""
        position = self._order[index]
        entry = self._states[position] if position < len(self._states) else None
        if entry is None or entry.state_name != spec.name:
            entry = self._find(spec.name)
        stored = self.wire.stored(entry, spec.type.typename)
        if stored is not None and stored[0] != spec.type.typename:
            self._refuse_other_type(spec, stored[0])
        return stored

    def _refuse_other_type(self, spec: Declared, typename: str) -> None:
        """Refuse what is stored under another typename, which fails the job in v3 when it is written."""
        if self.wire.registers_states:
            msg = with_help(
                f"state {spec.name!r} of {self.function.typename} holds {short(typename)}, "
                f"but is declared as {short(spec.type.typename)}",
                "a v3 runtime fails the job when a state changes its type: declare the type that it holds, "
                "or give it another name",
            )
            raise UndecodableState(msg)

    def load_undeclared(self, name: str, /) -> Stored | None:
        """Return what is stored under a name that nobody declared: an Any, if an app as of 2.x wrote it."""
        return self.wire.stored(self._find(name), ANY)

    def _find(self, name: str) -> StateEntry:
        """Look for a state by its name; the order that is known is not that of this request."""
        self.bound.located = -1, []
        for entry in self.batch.state:
            if entry.state_name == name:
                return entry
        if not self.wire.registers_states:
            raise self._not_listed([name])
        self.missing = [*(self.missing or ()), name]
        raise _NotRegistered

    def _locate(self) -> list[int]:
        """Say where each declared state stands in the request, and remember it."""
        function, states = self.bound, self._states
        positions = {entry.state_name: position for position, entry in enumerate(states)}
        missing = [name for name in function.by_name if name not in positions]
        if missing and not self.wire.registers_states:
            raise self._not_listed(missing)
        self.missing = missing or None
        order = [positions.get(name, 0) for name in function.by_name]
        if not missing:
            function.located = len(states), order
        return order

    def _not_listed(self, names: list[str]) -> MissingState:
        listed = ("states " if len(names) > 1 else "state ") + ", ".join(repr(name) for name in names)
        entries = "\n".join(f"      - name: {name}" for name in names)
        return MissingState(
            with_help(
                f"{self.function.typename} uses the {listed}, which the runtime did not send",
                "list what is missing in module.yaml, under the function's spec (format 2.0; in 1.0 the names alone):\n"
                f"    states:\n{entries}",
            )
        )

    def ask(self) -> MissingStates:
        """Ask for the states that are missing; the whole batch comes again."""
        function, missing = self.bound, self.missing or ()
        if function.all_specs:
            wanted = [spec for spec in function.all_specs if spec.name in missing]
            return MissingStates(
                tuple(
                    MissingStateSpec(
                        spec.name,
                        spec.type.typename,
                        _milliseconds(spec.expire_after_write),
                        _milliseconds(spec.expire_after_call),
                    )
                    for spec in wanted
                )
            )
        function.learned = tuple(dict.fromkeys([*function.learned, *missing]))
        sent = {entry.state_name for entry in self.batch.state}
        return MissingStates(tuple(MissingStateSpec(name, ANY) for name in function.learned if name not in sent))


class _NotRegistered(BaseException):
    """A function looked at a state that the runtime has not registered: the attempt is over.

    No Exception: an `except Exception` of the function must not stop it.
    """


def may_come_of_missing(error: BaseException) -> bool:
    """Tell whether an error may be what a function made of _NotRegistered: itself, an Exception, a TaskGroup's group.

    A KeyboardInterrupt or a cancellation is not: it has to go on.
    """
    return isinstance(error, (Exception, _NotRegistered)) or hasattr(error, "exceptions")


def _milliseconds(after: timedelta | None) -> int | None:
    return None if after is None else after // _MILLISECOND

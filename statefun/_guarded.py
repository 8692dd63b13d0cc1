"""One batch of a function that does not simply raise: a message that fails harms only itself.

Here: the loop that takes a failed invocation back, and what then becomes of its message. The loop is that of `_turn`
with a mark after each message; it is apart so that functions that raise do not pay for it. Which policies there are,
and what a dead letter holds, is in `failures`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from statefun._cells import Cell, Declared
from statefun._dispatch import undecodable
from statefun._surroundings import ENDED
from statefun._turn import Turn, may_come_of_missing, new_context
from statefun._type import short
from statefun._undo import GuardedCell, GuardedTokens, Undo
from statefun.context import Context
from statefun.errors import UndecodableMessage
from statefun.failures import DeadLetters, Raise, Skip, decided, is_final, letter_for, options_of
from statefun.functions import StatefulFunction
from statefun.protocol import Argument, Batch, Invocation, Mark, Stored, Wire

if TYPE_CHECKING:
    from datetime import datetime

    from typing_extensions import assert_never  # noqa: TC004 -- never reached, and 8 ms at an import

__all__ = ["GuardedTurn"]


class GuardedTurn(Turn):
    """The work on one batch, each message of which may fail for itself."""

    __slots__ = ("_clock", "_given_up", "_undo")

    def __init__(
        self,
        function: StatefulFunction[Any, Any, Any],
        wire: Wire,
        batch: Batch,
        invocations: Sequence[Invocation],
        clock: Callable[[], datetime] | None,
    ) -> None:
        super().__init__(function, wire, batch, invocations)
        self._clock = clock
        self._given_up: list[tuple[str, str]] | None = None
        self._undo = undo = Undo()
        self.tokens = GuardedTokens(undo)

    def steps(self) -> Generator[Awaitable[object], None, None]:  # noqa: C901, PLR0912 -- a call costs 1 %
        """Work through the messages, as `Turn.steps` does; one that fails is taken back, and the others go on."""
        function, undo, reply = self.bound, self._undo, self.reply
        fn, decoder_of, mutable, changes = function.call, function.decoders.get, undo.mutable, undo.changes
        messages, delayed, records = reply.effects
        attempts = sent = later = out = 0  # the last three are the mark, without the call
        invocation: Invocation | None = None
        try:
            for invocation in () if self._is_over() else self._invocations:
                while True:
                    try:
                        argument = invocation.argument
                        decode = decoder_of(argument.typename)
                        if decode is None:
                            message = function.accepts.unpack(argument.typename, argument.value, function.typename)
                        else:
                            try:
                                message = decode(argument.value)
                            except Exception as error:
                                raise self._undecodable(argument, error) from error
                        context = new_context(Context)
                        context._around, context._invocation = self, invocation  # noqa: SLF001 -- as in Turn
                        try:
                            given = fn(context, message)
                            if given is not None and (given.__class__ is CoroutineType or isinstance(given, Awaitable)):
                                yield given
                        finally:
                            context._around = ENDED  # noqa: SLF001 -- as in Turn
                        if mutable:
                            undo.keep()
                        break
                    except Exception as error:  # noqa: BLE001 -- the policy says what is done about it
                        if self._is_done_with(invocation, error, (0, sent, later, out), attempts := attempts + 1):
                            attempts = 0
                            break
                if changes:
                    changes.clear()
                sent = len(messages)
                if delayed or records:
                    later, out = len(delayed), len(records)
            invocation = None
            if self.missing is None and (self.opened or self._handed):
                self.settle(reply)
        except BaseException as error:
            if not (self._is_over() and may_come_of_missing(error)):
                self._blame(error, self._position(invocation))
                raise
        finally:
            self.end()

    def run(self) -> None:
        """Do what `steps` does, for a plain handler."""
        for awaitable in (steps := self.steps()):
            steps.close()
            raise self.refuse_awaitable(awaitable)

    def _position(self, invocation: Invocation | None) -> int:
        """Return the position of an invocation; behind the last one if it is None."""
        invocations = self._invocations
        found = (position for position, other in enumerate(invocations) if other is invocation)
        return next(found, len(invocations))

    def _is_done_with(self, invocation: Invocation, error: Exception, mark: Mark, attempts: int) -> bool:
        """Take an invocation back, and see to its message; tell whether that is done, or it is to be run again.

        Called while the error is handled, which is what a bare `raise` raises.
        """
        if self._is_over():  # a state is missing: that is what failed
            raise  # noqa: PLE0704 -- see above
        policy = decided(self.bound.on_failure, error)
        if isinstance(policy, Raise):
            raise  # noqa: PLE0704 -- see above
        self.reply.rollback(mark)
        self._undo.roll_back()
        match policy:
            case DeadLetters(retries=retries) if attempts <= retries and not is_final(error):
                return False
            case DeadLetters():
                self._send_dead_letter(policy, invocation, error, attempts)
            case Skip():
                self._log("skipped", invocation, error, attempts)
            case _:
                assert_never(policy)
        return True

    def _send_dead_letter(self, policy: DeadLetters, invocation: Invocation, error: Exception, attempts: int) -> None:
        """Let a message leave, in the same reply."""
        wire, clock = self.wire, self._clock
        argument = invocation.argument
        message = argument.typename, argument.value
        time = None if clock is None else clock()
        caller, headers = wire.caller(invocation), wire.headers(invocation)
        letter = letter_for(self.address, caller, message, headers, error, attempts, time)
        egress: Any = policy.egress  # of any kind: what goes with the letter is its own
        Context[Any](self, invocation).send_egress(egress, letter, **options_of(egress, letter))
        self._log("a dead letter", invocation, error, attempts)

    def _log(self, became: str, invocation: Invocation, error: Exception, attempts: int) -> None:
        import logging  # noqa: PLC0415 -- who never fails does not pay for it

        address, typename = self.address, invocation.argument.typename
        self._given_up = [*(self._given_up or ()), (became, typename)]
        logging.getLogger("statefun.failures").error(
            "a message for %s (%s) failed and is %s",
            address,
            short(typename) or "without a type",
            became,
            exc_info=error,
            extra={
                "statefun_function": address.typename(),
                "statefun_id": address.identity,
                "statefun_type": typename,
                "statefun_attempts": attempts,
            },
        )

    @property
    def given_up(self) -> Sequence[tuple[str, str]]:
        """What became of each message that was given up."""
        return self._given_up or ()

    def _undecodable(self, argument: Argument, error: Exception) -> UndecodableMessage:
        return undecodable(self.bound.typename, argument.typename, argument.value, error)

    # --- state: the cells are those that can go back ---

    def look(self, index: int) -> Any:
        """Return a declared value that was not looked at yet."""
        return self.open(index).load()

    def _new_cell(self, spec: Declared, stored: Stored | None) -> Cell:
        return GuardedCell(spec, stored, self._undo)

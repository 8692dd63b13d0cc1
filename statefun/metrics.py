"""What an app did, in numbers, for OpenTelemetry: requests, messages, failures, seconds and bytes.

Here: the handlers that count, and the instruments. Only who makes one of them pays for it. Counts are kept here and
read when somebody collects them, those of a distribution too: one call of an instrument costs more than all of them
together. Labels are names of functions and types that the app declares, never an id.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from contextvars import ContextVar
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakKeyDictionary

from statefun._http import require
from statefun._turn import Turn
from statefun._type import short
from statefun.functions import StatefulFunctions
from statefun.handler import THREADS, AsyncRequestReplyHandler, Clock, RequestReplyHandler

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

    from statefun._wire import Version
    from statefun.module import Module

__all__ = ["MeasuredHandler", "MeasuredPlainHandler"]

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 9, 99)
_SIZE_LABELS = ("1", "2 to 9", "10 to 99", "100 or more")
_BY_TYPE = {
    "invocations": "Messages that a function was called with, in requests that were answered",
    "failures": "Requests that failed",
    "dead_letters": "Messages that left as dead letters",
    "skipped": "Messages that failed and were dropped",
}
_BECAME = {"a dead letter": "dead_letters", "skipped": "skipped"}

_REAL = "_real_meter"
"""What a meter of the provider to come has: the one that it stands for, as soon as there is one."""

_opened: ContextVar[Turn | None] = ContextVar("statefun_opened", default=None)
"""The batch of the request that is being answered."""


class MeasuredHandler(AsyncRequestReplyHandler):
    """An AsyncRequestReplyHandler that counts: MeasuredHandler(functions).

    `meter` is one of OpenTelemetry's API; None asks the global provider for it. The other options are those of
    AsyncRequestReplyHandler. Raises ConfigError where the extra [otel] is not installed.
    """

    def __init__(
        self,
        functions: StatefulFunctions,
        *,
        meter: Meter | None = None,
        threads: int = THREADS,
        wire: Version | None = None,
        module: Module | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(functions, threads=threads, wire=wire, module=module, clock=clock)
        self._counts = _Counts.read_by(meter)

    def _open(self, request: bytes) -> Turn:
        turn = super()._open(request)
        _opened.set(turn)
        return turn

    async def __call__(self, request: bytes, /) -> bytes:
        """Answer one request, and count it."""
        began = self._counts.begin()
        try:
            reply = await super().__call__(request)
        except BaseException:
            self._counts.end(began, request, None)
            raise
        self._counts.end(began, request, reply)
        return reply


class MeasuredPlainHandler(RequestReplyHandler):
    """A RequestReplyHandler that counts, as MeasuredHandler does: MeasuredPlainHandler(functions).

    It may be called in several threads at once, as servers of WSGI do. Raises what RequestReplyHandler does, and
    ConfigError where the extra [otel] is not installed.
    """

    def __init__(
        self,
        functions: StatefulFunctions,
        *,
        meter: Meter | None = None,
        wire: Version | None = None,
        module: Module | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(functions, wire=wire, module=module, clock=clock)
        self._counts = _Counts.read_by(meter)

    def _open(self, request: bytes) -> Turn:
        turn = super()._open(request)
        _opened.set(turn)
        return turn

    def __call__(self, request: bytes, /) -> bytes:
        """Answer one request, and count it."""
        began = self._counts.begin()
        try:
            reply = super().__call__(request)
        except BaseException:
            self._counts.end(began, request, None)
            raise
        self._counts.end(began, request, reply)
        return reply


class _Counted:
    """What is counted of one function."""

    __slots__ = ("by_type", "received", "seconds", "sent", "sizes", "within")

    def __init__(self) -> None:
        self.received = self.sent = 0
        self.seconds = 0.0
        self.within = [0] * (len(_SECONDS) + 1)
        """Requests that took up to so long, and not less than the bound before."""
        self.sizes = [0] * (len(_SIZES) + 1)
        """Requests of up to so many messages."""
        self.by_type: dict[str, Counter[str]] = {name: Counter() for name in _BY_TYPE}
        """For each instrument, how many messages of which type."""


class _Counts:
    """What is counted, by function; there are as many as the app has functions, and `unknown`."""

    of_meters: ClassVar[WeakKeyDictionary[Meter, _Counts]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.in_flight = 0
        self._functions: dict[str, _Counted] = {}
        self._lock = threading.Lock()  # handlers may share it, each in threads of its own

    @classmethod
    def read_by(cls, meter: Meter | None) -> _Counts:
        """Return what a meter reads; None is the global provider's. Raises ConfigError without the extra.

        One for each meter, whatever handlers it has: it drops the callbacks of a second instrument of the same name.
        """
        require("opentelemetry.metrics", "otel", what="statefun.metrics")
        from opentelemetry import metrics  # noqa: PLC0415 -- the extra

        asked = metrics.get_meter("statefun") if meter is None else meter
        for known, counts in list(cls.of_meters.items()):
            if _is_same(known, asked):
                return counts
        made = cls.of_meters[asked] = cls()
        made.observed_by(asked)
        return made

    def begin(self) -> float:
        """Count a request that comes; return the time."""
        _opened.set(None)
        with self._lock:
            self.in_flight += 1
        return time.perf_counter()

    def end(self, began: float, request: bytes, reply: bytes | None) -> None:
        """Count what became of it; it failed if there is no reply."""
        seconds = time.perf_counter() - began
        turn = _opened.get()
        _opened.set(None)  # it holds the request
        with self._lock:
            self.in_flight -= 1
            self.note(turn, len(request), len(reply or b""), seconds, failed=reply is None)

    def _of(self, function: str) -> _Counted:
        found = self._functions.get(function)
        if found is None:
            found = self._functions[function] = _Counted()
        return found

    def note(self, turn: Turn | None, received: int, sent: int, seconds: float, *, failed: bool) -> None:
        """Count a request; without a batch it was none of the protocol, or for an unknown function."""
        if turn is None:
            unknown = self._of("unknown")
            unknown.received += received
            unknown.by_type["failures"]["unknown"] += 1
            return
        bound = turn.bound
        counted = self._of(bound.typename)
        counted.received += received
        counted.sent += sent
        counted.seconds += seconds
        counted.within[bisect_left(_SECONDS, seconds)] += 1
        typenames = turn.typenames
        counted.sizes[bisect_left(_SIZES, len(typenames))] += 1
        if failed:
            at = getattr(turn, "failed_at", 0)
            typename = typenames[at] if at < len(typenames) else ""
            counted.by_type["failures"][_known(turn, typename)] += 1
        if failed or turn.missing is not None:
            return  # nothing of it was done: it comes again
        invocations, decoders = counted.by_type["invocations"], bound.decoders
        for typename in typenames:
            invocations[typename if typename in decoders else _known(turn, typename)] += 1
        for became, typename in turn.given_up:
            counted.by_type[_BECAME[became]][_known(turn, typename)] += 1

    def observed_by(self, meter: Meter) -> None:
        """Make the instruments that read the counts when somebody collects them."""
        counter = meter.create_observable_counter
        for name, what in _BY_TYPE.items():
            counter(f"statefun.{name}", [partial(self._messages, name)], description=what)
        counter("statefun.requests", [self._requests], description="Requests, by how many messages")
        counter("statefun.request.duration", [self._seconds], unit="s", description="From requests to replies")
        counter("statefun.request.duration.bucket", [self._within], description="Requests that took up to `le` seconds")
        counter("statefun.received", [partial(self._bytes, "received")], unit="By", description="Bytes of requests")
        counter("statefun.sent", [partial(self._bytes, "sent")], unit="By", description="Bytes of replies")
        meter.create_observable_up_down_counter("statefun.in_flight", [self._in_flight], description="Requests in work")

    def _messages(self, name: str, _options: CallbackOptions) -> Iterable[Observation]:
        for function, counted in list(self._functions.items()):
            for typename, count in list(counted.by_type[name].items()):
                yield _observation(count, {"function": function, "type": short(typename)})

    def _requests(self, _options: CallbackOptions) -> Iterable[Observation]:
        for function, counted in list(self._functions.items()):
            for label, count in zip(_SIZE_LABELS, counted.sizes, strict=True):
                if count:
                    yield _observation(count, {"function": function, "messages": label})

    def _seconds(self, _options: CallbackOptions) -> Iterable[Observation]:
        for function, counted in list(self._functions.items()):
            yield _observation(counted.seconds, {"function": function})

    def _within(self, _options: CallbackOptions) -> Iterable[Observation]:
        for function, counted in list(self._functions.items()):
            for bound, count in zip((*_SECONDS, "+Inf"), accumulate(counted.within), strict=True):
                yield _observation(count, {"function": function, "le": str(bound)})

    def _bytes(self, name: str, _options: CallbackOptions) -> Iterable[Observation]:
        for function, counted in list(self._functions.items()):
            yield _observation(counted.received if name == "received" else counted.sent, {"function": function})

    def _in_flight(self, _options: CallbackOptions) -> Iterable[Observation]:
        yield _observation(self.in_flight, {})


def _is_same(known: Meter, asked: Meter) -> bool:
    """Tell whether two meters are one: those of a global provider that is still to be set become one when it is."""
    if known is asked:
        return True
    if not hasattr(known, _REAL):
        return False
    return hasattr(asked, _REAL) or getattr(known, _REAL) is asked


def _observation(value: float, labels: dict[str, str]) -> Observation:
    from opentelemetry.metrics import Observation  # noqa: PLC0415 -- the extra

    return Observation(value, labels)


def _known(turn: Turn, typename: str) -> str:
    """Return a typename if the function declares it: what others send has no bounds."""
    return typename if typename in turn.bound.decoders or not typename else "other"

"""How many calls there were, how long they took, and what became of them, by OpenTelemetry's API (the extra [otel]).

Here: the wrapper around a handler, and the instruments. Nothing of it is on the path of a call until somebody measures;
where the numbers go is OpenTelemetry's affair. `statefun serve --metrics PORT` is one way.

Counters are kept here and read when somebody collects them: an instrument of the SDK costs as much as a whole layer of
the door. Labels are functions that are bound and types that they list, never an id.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast, overload

from statefun.errors import ConfigError, with_help
from statefun.functions import StatefulFunction, StatefulFunctions
from statefun.recording import Recorded

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

__all__ = ["OTHER", "measured"]

OTHER = "other"
"""The label of whatever is not bound or not listed."""
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BATCHES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
Key = tuple[str, str, str]
"""Function, type, outcome; empty where a number does not have it."""


class _Request:
    """What is seen of one request while it runs."""

    __slots__ = ("batch", "calls", "function", "type")

    def __init__(self) -> None:
        self.function = self.type = OTHER
        self.batch = 0
        self.calls: dict[str, int] = {}


_request: ContextVar[_Request | None] = ContextVar("statefun_request", default=None)


class _Totals:
    """The sums since the start, and what shows them."""

    def __init__(self, meter: Meter) -> None:
        self._lock = threading.Lock()
        self._calls: Counter[Key] = Counter()
        self._failures: Counter[Key] = Counter()
        self._letters: Counter[Key] = Counter()
        self._bytes_in: Counter[Key] = Counter()
        self._bytes_out: Counter[Key] = Counter()
        self._in_flight = 0
        self._attributes: dict[str, dict[str, str]] = {}
        for name, totals, unit, description in (
            ("statefun.invocations", self._calls, "{invocation}", "messages that a function was called with"),
            ("statefun.failures", self._failures, "{failure}", "attempts that failed, by what became of them"),
            ("statefun.dead_letters", self._letters, "{letter}", "messages that left as dead letters"),
            ("statefun.request.bytes", self._bytes_in, "By", "bytes of requests"),
            ("statefun.reply.bytes", self._bytes_out, "By", "bytes of replies"),
        ):
            meter.create_observable_counter(name, [self._shows(totals)], unit, description)
        meter.create_observable_up_down_counter(
            "statefun.in_flight", [self._show_in_flight], "{request}", "requests that are worked on"
        )
        self.seconds = meter.create_histogram(
            "statefun.handler.duration",
            "s",
            "from a request to its reply",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.batches = meter.create_histogram(
            "statefun.batch.size", "{message}", "messages a request", explicit_bucket_boundaries_advisory=_BATCHES
        )

    def _shows(self, totals: Counter[Key]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        from opentelemetry.metrics import Observation  # noqa: PLC0415 -- the extra

        def show(_options: CallbackOptions) -> Iterable[Observation]:
            with self._lock:
                found = list(totals.items())
            names = ("function", "type", "outcome")
            for key, number in found:
                yield Observation(number, {name: value for name, value in zip(names, key, strict=True) if value})

        return show

    def _show_in_flight(self, _options: CallbackOptions) -> Iterable[Observation]:
        from opentelemetry.metrics import Observation  # noqa: PLC0415 -- the extra

        yield Observation(self._in_flight)

    def begin(self) -> None:
        """Count a request that comes in."""
        with self._lock:
            self._in_flight += 1

    def given_up(self, function: str, type: str, outcome: str) -> None:
        """Count a failure that its policy took."""
        with self._lock:
            self._failures[function, type, outcome] += 1
            if outcome == "dead letter":
                self._letters[function, type, ""] += 1

    def end(self, seen: _Request, seconds: float, bytes_in: int, reply: bytes | None) -> None:
        """Count a request that is answered; None: it failed."""
        function = seen.function
        with self._lock:
            self._in_flight -= 1
            for type, number in seen.calls.items():
                self._calls[function, type, ""] += number
            self._bytes_in[function, "", ""] += bytes_in
            if reply is None:
                self._failures[function, seen.type, "raised"] += 1
            else:
                self._bytes_out[function, "", ""] += len(reply)
            attributes = self._attributes.setdefault(function, {"function": function})
        self.seconds.record(seconds, attributes)
        if seen.batch:
            self.batches.record(seen.batch, attributes)


def _observe(functions: StatefulFunctions, totals: _Totals) -> None:
    """See which calls there are."""
    bound = {function.typename for function in functions}

    def around(function: StatefulFunction[Any, Any, Any], call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        name, types = function.typename, frozenset(function.decoders)
        bound.add(name)

        def run(context: Any, message: Any) -> Any:
            seen = _request.get()
            if seen is not None:
                type = context._invocation.argument.typename  # noqa: SLF001 -- it is given to functions without
                if type not in types:
                    type = OTHER
                if not seen.batch:
                    seen.function = name
                    seen.batch = context._around.batch_size  # noqa: SLF001 -- as above
                seen.type = type
                seen.calls[type] = seen.calls.get(type, 0) + 1
            return call(context, message)

        return run

    def given_up(function: StatefulFunction[Any, Any, Any], type: str, outcome: str) -> None:
        name = function.typename if function.typename in bound else OTHER
        totals.given_up(name, type if type in function.decoders else OTHER, outcome)

    functions.observe(around, given_up)


class _Measured:
    def __init__(self, handler: Recorded[bytes | Awaitable[bytes]], totals: _Totals) -> None:
        self._handler = handler
        self._totals = totals

    @property
    def functions(self) -> StatefulFunctions:
        """What it serves."""
        return self._handler.functions

    def __call__(self, request: bytes, /) -> bytes | Awaitable[bytes]:
        """Let the handler answer one request, and count it."""
        totals, seen, began = self._totals, _Request(), perf_counter()
        totals.begin()
        token = _request.set(seen)
        reply: bytes | Awaitable[bytes] | None = None
        try:
            reply = self._handler(request)
        finally:
            _request.reset(token)
            if reply is None or isinstance(reply, bytes):
                totals.end(seen, perf_counter() - began, len(request), reply)
        return reply if isinstance(reply, bytes) else self._awaited(reply, seen, began, len(request))

    async def _awaited(self, awaitable: Awaitable[bytes], seen: _Request, began: float, size: int) -> bytes:
        token = _request.set(seen)
        reply: bytes | None = None
        try:
            reply = await awaitable
        finally:
            _request.reset(token)
            self._totals.end(seen, perf_counter() - began, size, reply)
        return reply


@overload
def measured(handler: Recorded[bytes], meter: Meter | None = None) -> Recorded[bytes]: ...
@overload
def measured(handler: Recorded[Awaitable[bytes]], meter: Meter | None = None) -> Recorded[Awaitable[bytes]]: ...
def measured(
    handler: Recorded[bytes] | Recorded[Awaitable[bytes]], meter: Meter | None = None
) -> Recorded[bytes] | Recorded[Awaitable[bytes]]:
    """Wrap a handler, plain or async, so that its calls are counted by a meter; None takes OpenTelemetry's own.

    Once for each app. Raises ConfigError where the extra [otel] is not installed.
    """
    try:
        from opentelemetry import metrics  # noqa: PLC0415 -- the extra
    except ImportError as error:
        msg = with_help("metrics need opentelemetry-api, which is not installed", "pip install 'statefun[otel]'")
        raise ConfigError(msg) from error
    totals = _Totals(meter or metrics.get_meter("statefun"))
    _observe(handler.functions, totals)
    made = _Measured(handler, totals)
    return cast("Recorded[bytes] | Recorded[Awaitable[bytes]]", made)  # it gives back what the handler does

"""What an app did, in numbers, for OpenTelemetry: requests, messages, failures, seconds and bytes.

Here: the handler that counts, and the instruments. Only who makes a `MeasuredHandler` pays for it. Counts are kept in
dicts and read when somebody collects them, since a call of an instrument costs more than all of them together; what has
a distribution has to go through one. Labels are names of functions and types that the app declares, never an id.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING

from statefun._http import require
from statefun._turn import Turn
from statefun._type import short
from statefun.functions import StatefulFunctions
from statefun.handler import THREADS, AsyncRequestReplyHandler, Clock

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

    from statefun.module import Module

__all__ = ["MeasuredHandler"]

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_BECAME = {"a dead letter": "dead_letters", "skipped": "skipped"}

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
        module: Module | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(functions, threads=threads, module=module, clock=clock)
        require("opentelemetry.metrics", "otel", what="statefun.metrics")
        from opentelemetry import metrics  # noqa: PLC0415 -- the extra

        self._counts = _Counts()
        meter = metrics.get_meter("statefun") if meter is None else meter
        self._counts.observed_by(meter)
        self._seconds = meter.create_histogram(
            "statefun.request.duration",
            unit="s",
            description="From a request to its reply",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._sizes = meter.create_histogram(
            "statefun.batch.size",
            unit="{message}",
            description="Messages of a request",
            explicit_bucket_boundaries_advisory=_SIZES,
        )

    def _open(self, request: bytes) -> Turn:
        turn = super()._open(request)
        _opened.set(turn)
        return turn

    async def __call__(self, request: bytes, /) -> bytes:
        """Answer one request, and count it."""
        counts = self._counts
        _opened.set(None)
        counts.in_flight += 1
        began = time.perf_counter()
        reply = b""
        failed = True
        try:
            reply = await super().__call__(request)
            failed = False
        finally:
            seconds = time.perf_counter() - began
            counts.in_flight -= 1
            turn = _opened.get()
            _opened.set(None)  # it holds the request
            counts.note(turn, len(request), len(reply), failed=failed)
            if turn is not None:
                labels = counts.labels_of(turn.bound.typename)
                self._seconds.record(seconds, labels)
                self._sizes.record(turn.batch_size, labels)
        return reply


class _Counts:
    """What is counted, by function and type."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._labels: dict[str, dict[str, str]] = {}
        self.messages: dict[str, Counter[tuple[str, str]]] = {
            name: Counter() for name in ("invocations", "failures", "dead_letters", "skipped")
        }
        self._received: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._invocations = self.messages["invocations"]

    def labels_of(self, function: str) -> dict[str, str]:
        """Return the labels of a function; there are as many as functions."""
        found = self._labels.get(function)
        if found is None:
            found = self._labels[function] = {"function": function}
        return found

    def note(self, turn: Turn | None, received: int, sent: int, *, failed: bool) -> None:
        """Count a request; without a batch it was none of the protocol, or for an unknown function."""
        if turn is None:
            self._received["unknown"] += received
            self.messages["failures"]["unknown", "unknown"] += 1
            return
        function = turn.bound.typename
        self._received[function] += received
        self._sent[function] += sent
        if failed:
            at, typenames = getattr(turn, "failed_at", 0), turn.typenames
            typename = typenames[at] if at < len(typenames) else ""
            self.messages["failures"][function, _known(turn, typename)] += 1
        if failed or turn.missing is not None:
            return  # nothing of it was done: it comes again
        decoders = turn.bound.decoders
        for typename in turn.typenames:
            self._invocations[function, typename if typename in decoders else _known(turn, typename)] += 1
        for became, typename in turn.given_up:
            self.messages[_BECAME[became]][function, _known(turn, typename)] += 1

    def observed_by(self, meter: Meter) -> None:
        """Make the instruments that read the counts when somebody collects them."""
        from opentelemetry.metrics import Observation  # noqa: PLC0415 -- the extra

        for name, what in (
            ("invocations", "Messages that a function was called with, in requests that were answered"),
            ("failures", "Requests that failed"),
            ("dead_letters", "Messages that left as dead letters"),
            ("skipped", "Messages that failed and were dropped"),
        ):
            counts = self.messages[name]

            def by_type(_options: CallbackOptions, counts: Counter[tuple[str, str]] = counts) -> Iterable[Observation]:
                for (function, typename), count in list(counts.items()):
                    yield Observation(count, {"function": function, "type": short(typename)})

            meter.create_observable_counter(f"statefun.{name}", [by_type], description=what)

        for name, bytes_of, what in (
            ("received", self._received, "Bytes of requests"),
            ("sent", self._sent, "Bytes of replies"),
        ):

            def by_function(_options: CallbackOptions, bytes_of: Counter[str] = bytes_of) -> Iterable[Observation]:
                for function, count in list(bytes_of.items()):
                    yield Observation(count, {"function": function})

            meter.create_observable_counter(f"statefun.{name}", [by_function], unit="By", description=what)

        def requests(_options: CallbackOptions) -> Iterable[Observation]:
            yield Observation(self.in_flight)

        meter.create_observable_up_down_counter("statefun.in_flight", [requests], description="Requests in work")


def _known(turn: Turn, typename: str) -> str:
    """Return a typename if the function declares it: what others send has no bounds."""
    return typename if typename in turn.bound.decoders or not typename else "other"

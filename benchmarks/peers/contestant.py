"""The contestant's half of the benchmark: it answers JSON lines on standard input.

An adapter calls `serve(build)`. `build(scenario, wire, mode)` returns a callable bytes -> bytes or, where mode is
"async", a coroutine function; it raises Unsupported for what its SDK cannot do.

    {"op": "hello"}                                    -> the versions
    {"op": "prepare", scenario, wire, mode, slice_ms}  -> how often the request is answered in one time slice
    {"op": "run", "core": number | null}               -> {"calls", "wall_ns", "cpu_ns"} of one slice
    {"op": "quit"}
"""

import asyncio
import itertools
import json
import os
import sys
import time
import traceback

import scenarios


class Unsupported(Exception):
    """What this contestant cannot take part in."""


def _loop(call, request, calls):
    for _ in itertools.repeat(None, calls):
        call(request)


async def _async_loop(call, request, calls):
    for _ in itertools.repeat(None, calls):
        await call(request)


class _Contestant:
    def __init__(self, build):
        self.build = build
        self.loop = asyncio.new_event_loop()
        self.wires = {}

    def timed(self, calls):
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        if self.mode == "async":
            self.loop.run_until_complete(_async_loop(self.call, self.request, calls))
        else:
            _loop(self.call, self.request, calls)
        return time.perf_counter_ns() - wall, time.process_time_ns() - cpu

    def hello(self, command):  # noqa: ARG002
        import google.protobuf  # noqa: PLC0415
        from google.protobuf.internal import api_implementation  # noqa: PLC0415

        return {
            "python": sys.version.split()[0],
            "protobuf": google.protobuf.__version__,
            "backend": api_implementation.Type(),
        }

    def prepare(self, command):
        scenario, wire, self.mode = command["scenario"], command["wire"], command["mode"]
        if wire not in self.wires:
            self.wires[wire] = scenarios.wire_classes(wire)
        self.request = scenarios.request(scenario, wire, self.wires[wire])
        self.call = self.build(scenario, wire, self.mode)
        answer = self.call(self.request)
        if self.mode == "async":
            answer = self.loop.run_until_complete(answer)
        if command.get("check", True):
            scenarios.check(scenario, wire, self.wires[wire], answer)
        wanted = command["slice_ms"] * 1e6
        calls = 1
        while True:
            _, cpu = self.timed(calls)
            if cpu > wanted / 4:
                break
            calls *= 2
        self.calls = max(1, int(calls * wanted / cpu))
        self.timed(self.calls)
        return {"calls": self.calls, "request_bytes": len(self.request)}

    def run(self, command):
        if command.get("core") is not None:
            os.sched_setaffinity(0, {command["core"]})
        wall, cpu = self.timed(self.calls)
        return {"calls": self.calls, "wall_ns": wall, "cpu_ns": cpu}

    def answer(self, command):
        try:
            return getattr(self, command["op"])(command)
        except Unsupported as error:
            return {"unsupported": str(error)}
        except Exception as error:  # noqa: BLE001 - the driver reports it
            traceback.print_exc()
            return {"error": f"{type(error).__name__}: {error}"}


def serve(build):
    """Answer the driver until it says quit."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what an SDK prints does not get between the lines
    contestant = _Contestant(build)
    for line in sys.stdin:
        command = json.loads(line)
        if command["op"] == "quit":
            break
        out.write(json.dumps(contestant.answer(command)) + "\n")

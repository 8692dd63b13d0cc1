"""How often this SDK copies a large payload on its way through, told from the memory it takes.

    python -m benchmarks.payload [--mib 64]

A function gets one message of this size and does one thing. The memory of Python (tracemalloc) and of the process (its
peak above what it had with the request in hand) are divided by the size of the payload: each copy that is alive at the
same time as the others counts as 1. protobuf keeps its own, which tracemalloc does not see.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tracemalloc
from pathlib import Path

from benchmarks import own
from tools import peer_environments

CASES = {
    "nothing": "parses the message and drops it",
    "any": "gets it packed (google.protobuf.Any) and drops it",
    "reply": "sends the protobuf message back",
    "reply-bytes": "gets `bytes` and sends them back",
    "forward": "gets it packed and sends it on as it is",
    "kafka": "gets `bytes` and sends them to Kafka",
    "store": "keeps the protobuf message as state",
}


def handler_for(case: str):  # noqa: ANN201 -- a type of the package, which is not imported before the environment is
    """Return a handler whose function does one thing."""
    from google.protobuf.any_pb2 import Any  # noqa: PLC0415
    from google.protobuf.wrappers_pb2 import BytesValue  # noqa: PLC0415

    import statefun  # noqa: PLC0415
    from statefun import Context, KafkaEgress, RequestReplyHandler, State, StatefulFunctions  # noqa: PLC0415

    out = KafkaEgress[bytes]("bench/out", topic="t")

    class Kept(State):
        last: BytesValue | None = None

    def nothing(context: Context, message: BytesValue) -> None: ...

    def packed(context: Context, message: Any) -> None: ...

    def reply(context: Context, message: BytesValue) -> None:
        context.reply(message)

    def reply_bytes(context: Context, message: bytes) -> None:
        context.reply(message)

    def forward(context: Context, message: Any) -> None:
        context.send("bench/sink", "x", message)

    def kafka(context: Context, message: bytes) -> None:
        context.send_egress(out, message)

    def store(context: Context[Kept], message: BytesValue) -> None:
        context.state.last = message

    found = {
        "nothing": nothing,
        "any": packed,
        "reply": reply,
        "reply-bytes": reply_bytes,
        "forward": forward,
        "kafka": kafka,
        "store": store,
    }
    functions = StatefulFunctions()
    functions.register("bench/large", found[case])
    assert statefun.__file__
    return RequestReplyHandler(functions)


def request_of(case: str, wire: str, size: int) -> bytes:
    """Return a request with one message of this size."""
    from google.protobuf.wrappers_pb2 import BytesValue  # noqa: PLC0415

    from statefun._proto import wire_v2_pb2, wire_v3_pb2  # noqa: PLC0415

    request = (wire_v2_pb2 if wire == "v2" else wire_v3_pb2).ToFunction()
    batch = request.invocation
    batch.target.namespace, batch.target.type, batch.target.id = "bench", "large", "x"
    if case == "store":
        batch.state.add(state_name="last")
    invocation = batch.invocations.add()
    caller = invocation.caller
    caller.namespace, caller.type, caller.id = "bench", "caller", "c"
    plain = case in ("reply-bytes", "kafka")
    argument = invocation.argument
    argument.typename = "statefun.python/bytes" if plain else "type.googleapis.com/google.protobuf.BytesValue"
    payload = bytes(size)
    argument.value = payload if plain else BytesValue(value=payload).SerializeToString()
    if wire == "v3":
        argument.has_value = True
    return request.SerializeToString()


def peak_bytes() -> int:
    """Return the peak of the resident memory since it was last set back."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def measure(case: str, wire: str, size: int, how: str) -> None:
    """Print how many payloads were alive at once, as tracemalloc or the system sees it."""
    handler = handler_for(case)
    handler(request_of(case, wire, 100))  # what is made once
    request = request_of(case, wire, size)
    if how == "python":
        tracemalloc.start()
        handler(request)
        print(tracemalloc.get_traced_memory()[1] / size)
        return
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # sets the peak back
    before = peak_bytes()
    reply = handler(request)
    print((peak_bytes() - before) / size, len(reply))


def main() -> int:
    """Measure every case in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description="Count the copies of a large payload.")
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--measure", nargs=3, metavar=("CASE", "WIRE", "HOW"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    size: int = given.mib << 20
    own.run_in(peer_environments.of_this_sdk(), __file__)
    if given.measure:
        case, wire, how = given.measure
        measure(case, wire, size, how)
        return 0
    print(f"Payload: {given.mib} MiB. Copies alive at once, over the request itself:\n")
    print("| the function | v2: process | v2: Python's | v3: process | v3: Python's |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for case, what in CASES.items():
        cells: list[str] = []
        for wire in ("v2", "v3"):
            for how in ("process", "python"):
                command = [sys.executable, "-c", own.start_code("payload"), "--mib", str(given.mib)]
                done = subprocess.run(
                    [*command, "--measure", case, wire, how], stdout=subprocess.PIPE, text=True, check=True
                )
                cells.append(f"{float(done.stdout.split()[0]):.1f}")
        print(f"| {what} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

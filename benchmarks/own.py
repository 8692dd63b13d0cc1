"""What the benchmarks of this SDK alone share: the handler and the requests of `peers`, and the clock.

They run in an environment that holds a compiled copy of the package and protobuf, and nothing else.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / "peers"


def run_in(python: Path, module: str, **environment: str) -> None:
    """Go on in another interpreter, unless this is it (or was started by this function)."""
    if os.environ.get("STATEFUN_BENCHMARK") != "1":
        command = [str(python), "-c", start_code(Path(module).stem), *sys.argv[1:]]
        os.execve(python, command, {**os.environ, "STATEFUN_BENCHMARK": "1", **environment})  # noqa: S606
    sys.path.append(str(PEERS))


def start_code(name: str) -> str:
    """Return the code that runs a benchmark where the package is the environment's, not the tree's."""
    return (
        f"import runpy, sys; sys.path.remove(''); sys.path.append({str(ROOT)!r}); "
        f"runpy.run_module('benchmarks.{name}', run_name='__main__', alter_sys=True)"
    )


def handler(scenario: str = "S2") -> Callable[[bytes], bytes]:
    """Return the handler of this SDK with the functions of the scenarios."""
    import this_sdk  # noqa: PLC0415 -- only there in the environment

    return this_sdk.build(scenario, "", "sync")


def request(scenario: str, wire: str, count: int | None = None) -> bytes:
    """Return the bytes of a request of `count` messages."""
    import scenarios  # noqa: PLC0415 -- only there in the environment

    return scenarios.request(scenario, wire, classes(wire), count)


@functools.cache
def classes(wire: str) -> dict[str, Any]:
    """Return the messages of a wire: they can be made once a process."""
    import scenarios  # noqa: PLC0415 -- as above

    made: dict[str, Any] = scenarios.wire_classes(wire)
    return made


def cpu_seconds(call: Callable[[bytes], bytes], request: bytes, calls: int) -> float:
    """Return the CPU time that a number of calls take."""
    started = time.process_time()
    for _ in itertools.repeat(None, calls):
        call(request)
    return time.process_time() - started

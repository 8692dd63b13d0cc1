"""What do functions over HTTP cost the runtime? CPU a message in batches, and single calls a second.

The functions of W1 are served by another process, by the least that an HTTP server in Python can be.
python benchmarks/runtime/over_http.py [messages]
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent / "tests" / "protos")]
import apps
from bench_pb2 import Counter, Ping
from throughput import Made, ids

from statefun import RequestReplyHandler
from statefun._clock import WallClock
from statefun.runtime._assembly import Runtime
from statefun.runtime._catalog import StoredCatalog
from statefun.runtime._driver import Driver
from statefun.runtime._http_endpoint import HttpEndpoint, Route
from statefun.runtime._requests import argument

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Server(asyncio.Protocol):
    """Answers requests that come one after the other."""

    handle = RequestReplyHandler(apps.w1(), wire="v3")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.data = b""

    def data_received(self, data: bytes) -> None:
        """Answer, once a request is whole."""
        self.data += data
        head, _, body = self.data.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if length is not None and len(body) >= int(length[1]):
            self.data = b""
            reply = self.handle(body)
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: %d\r\n\r\n" % len(
                reply
            )
            self.transport.write(head + reply)


async def serve() -> None:
    """Serve until it is ended."""
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def measure(url: str, keys: str, count: int) -> tuple[float, float]:
    """Return microseconds of CPU a message, and messages a second."""
    names = [f"user-{number:07d}" for number in ids(keys, count)]
    typename = "type.googleapis.com/bench.Ping"
    messages = [(name, argument(typename, Ping(amount=1, key=name).SerializeToString(), "v3")) for name in names]
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))

    async def run(runtime: Runtime, endpoint: HttpEndpoint) -> None:
        await Driver(runtime.pump, WallClock(), sources=[Made(messages)], exit_at_end=True).run()
        await endpoint.close()

    try:
        endpoint = HttpEndpoint([Route(namespace="bench", name=None, url=url)])
        with Runtime(endpoint, StoredCatalog(), folder) as runtime:
            began, cpu = time.perf_counter(), time.process_time()
            asyncio.run(run(runtime, endpoint))
            cpu, took = time.process_time() - cpu, time.perf_counter() - began
            counted = [state.value for state in runtime.store.list_states("bench/counter", None, 0, None, 10**9)]
            assert sum(Counter.FromString(value).value for value in counted) == count
        return cpu / count * 1e6, count / took
    finally:
        shutil.rmtree(folder)


def main(count: int) -> None:
    """Measure both."""
    command = [sys.executable, __file__, "serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ)
    try:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}/"
        for name, keys, share in (("batches (10 addresses)", "10", 1), ("single calls", "all", 4)):
            cpu, speed = measure(url, keys, count // share)
            print(f"{name:<24}{cpu:6.0f} us of the runtime's CPU a message, {speed:7,.0f} messages/s")
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 40_000)

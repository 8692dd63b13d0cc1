"""How long does an HTTP message take until its committed answer? In milliseconds; and CPU a request of the runtime.

Beside it what the machine needs for the parts: uvicorn for an answer that is ready ("bare"), and the disk to write some
bytes down for good, in the pauses of such a client.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

APP = """
import sys
sys.path[:0] = {paths!r}
import apps
functions = apps.w1()
"""
BARE = """
import sys, uvicorn
async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})
config = uvicorn.Config(app, port=0, http="httptools", lifespan="off", log_level="critical", proxy_headers=False)
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print("bare\\nserves at", "http://127.0.0.1:%d" % self.servers[0].sockets[0].getsockname()[1], file=sys.stderr)
Server(config).run()
"""
HERE = Path(__file__).parent
PATHS = [str(HERE), str(HERE.parent.parent / "tests" / "protos"), str(HERE.parent.parent)]


async def drive(url: str, rate: float, count: int, connections: int) -> list[float]:
    """Send messages, at a rate or as fast as the connections allow; return how long each took."""
    took: list[float] = []
    body = json.dumps({"amount": 1, "key": "k"}).encode()
    headers = {"content-type": "application/json; type=bench.Ping"}

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        began = time.perf_counter()
        async with session.post(f"{url}/bench/counter/user-{number % 1000}", data=body, headers=headers) as answer:
            await answer.read()
            assert answer.status == 202, answer.status
        took.append(time.perf_counter() - began)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
        if rate:
            began = time.perf_counter()
            for number in range(count):
                await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
                await one(session, number)
        else:
            numbers = iter(range(count))

            async def worker() -> None:
                for number in numbers:
                    await one(session, number)

            await asyncio.gather(*(worker() for _ in range(connections)))
    return sorted(took)


def cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def written_down(folder: str, count: int, rate: float) -> list[float]:
    """Return how long the disk takes to keep 4 KiB, at a rate."""
    took: list[float] = []
    with (Path(folder) / "written").open("wb") as file:
        for _ in range(count):
            time.sleep(1 / rate)
            began = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return sorted(took)


def show(name: str, took: list[float]) -> str:
    """Write times in milliseconds."""
    middle, late = (took[len(took) * share // 100] * 1e3 for share in (50, 99))
    return f"{name:>24}: p50 {middle:.2f} ms, p99 {late:.2f} ms"


def measure(name: str, command: list[str], folder: str) -> None:
    """Start a server, and measure it."""
    process = subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": PATHS[2]}
    )
    assert process.stderr is not None
    process.stderr.readline()
    url = process.stderr.readline().split()[2].rstrip(",")
    time.sleep(0.5)
    try:
        asyncio.run(drive(url, 0, 500, 4))
        for rate, count, connections in ((100, 1_000, 1), (0, 5_000, 32)):
            before, began = cpu(process.pid), time.perf_counter()
            took = asyncio.run(drive(url, rate, count, connections))
            each = (cpu(process.pid) - before) / count * 1e6
            speed = count / (time.perf_counter() - began)
            what = f"{name}, {rate}/s" if rate else f"{name}, {connections} connections"
            print(f"{show(what, took)}, {each:.0f} us of CPU, {speed:,.0f} requests/s")
    finally:
        process.terminate()
        process.wait(10)


def main() -> None:
    """Measure the runtime, and what it stands on."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        (Path(folder) / "app.py").write_text(APP.format(paths=PATHS))
        run = [sys.executable, "-m", "statefun", "run", "app:functions", "--port", "0", "--quiet"]
        measure("bare", [sys.executable, "-c", BARE], folder)
        measure("runtime", run, folder)
        print(show("the disk, 100/s", written_down(folder, 500, 100)))


if __name__ == "__main__":
    main()

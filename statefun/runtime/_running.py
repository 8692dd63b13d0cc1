"""`statefun run`: everything that an app is surrounded by, put together from options.

Here: `run_app`. What it prints goes to standard error; records go to standard output, so that they can be piped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Literal, NoReturn

from statefun import logs
from statefun._clock import Clock, RecordClock, WallClock
from statefun._http import ASGIApp, Door
from statefun._loading import LoadError, load_app
from statefun._prometheus import provide, scrape_port
from statefun.errors import ConfigError, with_help
from statefun.logs import LogFormat
from statefun.module import Module, read, require
from statefun.module._model import RecordFields
from statefun.runtime._assembly import DATABASE, Runtime
from statefun.runtime._catalog import StoredCatalog
from statefun.runtime._control import ControlServer
from statefun.runtime._delta import Delta
from statefun.runtime._driver import Driver
from statefun.runtime._endpoint import TIMEOUT_S
from statefun.runtime._http_endpoint import HttpEndpoint
from statefun.runtime._http_ingress import HttpIngress
from statefun.runtime._jsonl import LineReader, LineWriter
from statefun.runtime._operations import OFFSET, Operations
from statefun.runtime._plans import Wire
from statefun.runtime._reload import Reloader
from statefun.runtime._retention import RECORDS, Retention
from statefun.runtime._session import Beside, run_driver
from statefun.runtime._sinks import FileSink, Sink, StdoutSink
from statefun.runtime._sources import FileSource, Source, StdinSource
from statefun.runtime._surroundings import PORT, Surroundings, egress_names, kept, routes, surroundings
from statefun.runtime._values import Json, ValueProblem, Values, brief
from statefun.runtime._web import listen, serve

__all__ = ["ReadFile", "RunOptions", "run_app"]

log = logging.getLogger("statefun.runtime")
_STOPPED = 130
"""The exit status after Ctrl-C, as of the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile:
    """A JSONL file to read, or standard input."""

    path: Path | None
    to: str | None
    type: str | None = None
    id_field: str | None = None
    time_field: str | None = None
    time_unit: Literal["iso", "seconds", "milliseconds"] = "iso"
    follow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What `statefun run` was told."""

    app: str
    module: Path | None = None
    data: Path = Path(".statefun")
    host: str = "127.0.0.1"
    port: int | None = 8080
    """None: no HTTP ingress."""
    read: ReadFile | None = None
    write: Path | None = None
    clock: Literal["wall", "records"] = "wall"
    exit_at_end: bool = False
    wire: Wire | None = None
    """None: what module.yaml says, else v3."""
    stub_kafka: Path | None = None
    keep: int = RECORDS
    timeout: float | None = None
    """Seconds; None: what module.yaml says of an endpoint, else 60."""
    reload: bool = False
    quiet: bool = False
    log_format: LogFormat | None = None
    """None: lines of the log do not say which call they are from."""
    metrics: int | None = None
    """A port on which Prometheus reads what is counted."""


def say(text: str) -> None:
    """Tell whoever started it."""
    print(text, file=sys.stderr, flush=True)


def run_app(options: RunOptions) -> bool:
    """Run an app until it ends; tell whether somebody stopped it. Raises StatefunError."""
    _configure_logging(options)
    reloader = Reloader(options.reload)
    try:
        runtime, module, endpoint = _open(options)
    except LoadError as error:
        if not options.reload:
            raise
        return reloader.wait_and_restart(error)
    with runtime, scrape_port(options.metrics, options.host) as numbers:
        if numbers is not None:
            say(f"metrics on {numbers}")
        stopped = asyncio.run(_run(options, runtime, module, endpoint, reloader))
    if runtime.abandoned and not reloader.asked:
        _leave(runtime.abandoned, stopped=stopped)
    return reloader.restart_if_asked() or stopped


def _configure_logging(options: RunOptions) -> None:
    text = "%(levelname)s %(message)s"
    if options.log_format is None:
        logging.basicConfig(format=text, level=logging.INFO, stream=sys.stderr)
    else:
        logs.configure(options.log_format, level=logging.INFO, text=text)


def _leave(abandoned: int, *, stopped: bool) -> NoReturn:
    """End now: Python would wait for the threads of functions that block."""
    log.warning("%d calls of blocking functions were not waited for: their messages are handled again", abandoned)
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(_STOPPED if stopped else 0)


def _open(options: RunOptions) -> tuple[Runtime, Module | None, HttpEndpoint | None]:
    """Open the data folder for what is to run: an app in this process, or the endpoints of a module.yaml."""
    if options.app.endswith((".yaml", ".yml")):
        if options.metrics is not None:
            help = "measure them where they are served: statefun serve --metrics"
            raise ConfigError(with_help("--metrics counts functions that run in this process", help))
        module = read(options.app, runtime="embedded")
        endpoint = HttpEndpoint(routes(module, options.timeout))
        runtime = Runtime(endpoint, StoredCatalog(), options.data, wire=module.wire, egresses=egress_names(module))
        return runtime, module, endpoint
    if options.metrics is not None:
        provide()
    functions = load_app(options.app)
    if options.log_format is not None:
        logs.carry(functions)
    named = None if options.module is None else read(str(options.module), runtime="embedded")
    if named is not None:
        require(functions, named)
    runtime = Runtime.in_process(
        functions,
        options.data,
        module=named,
        timeout_s=options.timeout or TIMEOUT_S,
        wire=options.wire or (named.wire if named is not None else "v3"),
        egresses=None if named is None else egress_names(named),
        slow=_warn_slow,
        measured=options.metrics is not None,
    )
    return runtime, named, None


def _warn_slow(typename: str, seconds: float) -> None:
    log.warning(
        "%s holds everything up, for %.1f s now: bind it with blocking=True, or let it do less at once",
        typename,
        seconds,
    )


async def _run(
    options: RunOptions, runtime: Runtime, module: Module | None, endpoint: HttpEndpoint | None, reloader: Reloader
) -> bool:
    clock: Clock = RecordClock() if options.clock == "records" else WallClock(int(runtime.store.meta(OFFSET) or 0))
    retention = Retention(runtime.store, options.keep, {} if module is None else kept(module))
    runtime.use_clock(clock)
    driver = Driver(runtime.pump, clock, retention=retention, exit_at_end=options.exit_at_end)
    loop = asyncio.get_running_loop()
    around = Surroundings()
    if module is not None:
        around = surroundings(
            module, runtime.values, runtime.wire, stub=options.stub_kafka, wake=lambda: _wake(loop, driver),
            moved=driver.moved, name=runtime.name,
        )  # fmt: skip
    driver.sources += [*around.sources, *_sources(options, runtime, driver)]
    driver.sinks += [*around.sinks, *_sinks(options, runtime, module)]
    driver.senders.all += around.senders
    driver.pace = around.pace
    driver.on_commit.append(_log_failures(runtime))
    operations = Operations(runtime.engine, runtime.store, runtime.values, clock, driver.senders)
    beside: list[Beside] = [ControlServer(driver, operations, runtime.data).serve]
    say(f"data: {runtime.data / DATABASE} (statefun status, state ls, tail look at it; statefun reset wipes it)")
    port = options.port if module is None or options.port != PORT else None
    if port is not None:
        door = Door([options.host])

        def make(driver: Driver) -> ASGIApp:
            return HttpIngress(driver, runtime.values, door)

        around.doors.insert(0, ("messages: POST", make, options.host, port))
    for number, (what, make_app, host, wanted) in enumerate(around.doors):
        sock = (reloader.inherited() if number == 0 else None) or listen(host, wanted)
        if number == 0:
            reloader.keep(sock)
        beside.append(_served(make_app(driver), sock))
        place = "{}:{}".format(*sock.getsockname()[:2])
        example = f"\n  {_example(runtime, place)}" if what.startswith("messages") else ""
        say(f"{what} http://{place}{example}")
    if options.reload:
        beside.append(reloader.watch)
    bar = sys.stderr if options.exit_at_end and options.read is not None and options.quiet else None
    try:
        await run_driver(driver, progress=bar, beside=beside)
    finally:
        if endpoint is not None:
            await endpoint.close()
    return driver.stopping and not reloader.asked


def _served(app: ASGIApp, sock: socket) -> Beside:
    return lambda over: serve(app, sock, over)


def _sinks(options: RunOptions, runtime: Runtime, module: Module | None) -> Sequence[Sink]:
    sinks: list[Sink] = []
    if options.write is not None:
        sinks.append(FileSink(options.write, LineWriter(runtime.values), None))
    if module is None and not options.quiet:
        sinks.append(StdoutSink(LineWriter(runtime.values), None))
    return sinks


def _sources(options: RunOptions, runtime: Runtime, driver: Driver) -> Sequence[Source]:
    read = options.read
    if read is None:
        return ()
    if read.to is None:
        raise ConfigError("--read needs --to: the function that the records go to")
    fields = None
    if read.id_field is not None:
        fields = RecordFields(id=read.id_field, time=read.time_field, time_unit=read.time_unit)
    reader = LineReader(runtime.values, runtime.wire, type=read.type, fields=fields)
    if read.path is None:
        loop = asyncio.get_running_loop()
        return (StdinSource(reader, (read.to,), lambda: _wake(loop, driver)),)
    return (FileSource(read.path, reader, (read.to,), follow=read.follow),)


def _wake(loop: asyncio.AbstractEventLoop, driver: Driver) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(driver.wake)


class _log_failures:  # noqa: N801 -- used as a function
    """Logs each failure once an attempt."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def __call__(self, delta: Delta) -> None:
        for row in delta.failed:
            name = self._runtime.engine.names.text(row.function)
            wait = max(0, row.retry_at - row.last_at) / 1_000
            log.warning("%s/%s failed (attempt %d, next in %.1f s): %s", name, row.id, row.attempts, wait, row.error)


def _example(runtime: Runtime, place: str) -> str:
    for name, known in runtime.values.catalog.functions.items():
        for typename in known.accepts:
            if runtime.values.can_encode(typename):
                kind = f"application/json; type={brief(typename)}"
                body = _body(runtime.values, typename)
                return f"curl http://{place}/{name}/me \\\n    -H 'content-type: {kind}' -d '{body}'"
    return f"curl http://{place}/<namespace>/<name>/<id> -d '…'"


def _body(values: Values, typename: str) -> str:
    """Return JSON that can become a message of a type, to be pasted into a shell."""
    samples: tuple[Json, ...] = ({}, "hello", 1, True)
    for value in samples:
        with contextlib.suppress(ValueProblem):
            values.encode(typename, value)
            return json.dumps(value)
    return "…"

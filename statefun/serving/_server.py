"""`statefun serve`: an app on uvicorn and httptools, from its first request to the last reply.

Here: the listening socket, uvicorn's configuration, the workers, and what SIGTERM does. The extra [serve] brings
uvicorn and httptools; nothing else of the package needs it.

On SIGTERM readiness goes first: for `linger` seconds requests are still answered, each answer closing its connection,
while balancers take note. Then the socket is closed, requests in flight are answered for up to `grace` seconds, and the
process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import ssl
import stat
import sys
import threading
from collections.abc import Callable, Generator, MutableMapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from statefun import logs
from statefun._clock import wall_time
from statefun._http import require
from statefun._loading import load_app
from statefun._prometheus import provide, scrape_port
from statefun.errors import ConfigError, with_help
from statefun.handler import THREADS, AsyncRequestReplyHandler
from statefun.logs import LogFormat
from statefun.module import read
from statefun.recording import record
from statefun.serving._asgi import AsgiDoor, AsyncServed, Receive, Send
from statefun.serving._gate import IN_FLIGHT
from statefun.serving._scrape import Scraped, checked, port_of

if TYPE_CHECKING:
    import uvicorn

__all__ = ["ServeOptions", "app_of_environment", "serve"]

_OPTIONS = "STATEFUN_SERVE_OPTIONS"
SECRET = "STATEFUN_SECRET"  # noqa: S105 -- the name of a variable
_KEEP_ALIVE = 330
"""Seconds. A runtime's okhttp drops an idle connection after 300: let it, or its next request meets a closed one."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_log = logging.getLogger("statefun.serving")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What the command line says."""

    app: str
    host: str = "127.0.0.1"
    port: int = 8000
    uds: str | None = None
    workers: int = 1
    certfile: str | None = None
    keyfile: str | None = None
    ca_certs: str | None = None
    """With it, only a client with a certificate of one of these may connect."""
    in_flight: int = IN_FLIGHT
    call: float = 60
    threads: int = THREADS
    linger: float = 2
    grace: int = 30
    record: str | None = None
    module: str | None = None
    """A module.yaml that the app must fit."""
    log_format: LogFormat | None = None
    """None: lines of the log do not say which call they are from."""
    log_level: str = "warning"
    metrics: str | None = None
    """A port, or a path, on which Prometheus reads what is counted."""

    def __post_init__(self) -> None:
        for name, lowest in (("workers", 1), ("linger", 0), ("grace", 1), ("port", 0)):
            if getattr(self, name) < lowest:
                msg = f"--{name} is at least {lowest}, not {getattr(self, name)}"
                raise ConfigError(msg)
        checked(self.metrics, self.workers)
        if self.ca_certs is not None and self.certfile is None:
            msg = "--ssl-ca-certs asks clients for a certificate, and this server has none: --ssl-certfile is missing"
            raise ConfigError(msg)


def serve(options: ServeOptions, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; `announce` is told where. Raises ConfigError; KeyboardInterrupt after Ctrl-C."""
    require("uvicorn", "serve")
    require("httptools", "serve")
    _configure_logging(options)
    if options.metrics is not None:
        provide()
    app = _App.of(options)
    with _listening(options) as listener, scrape_port(port_of(options.metrics), options.host) as numbers:
        announce(_where(options, app, listener))
        if numbers is not None:
            announce(f"metrics on {numbers}")
        if options.workers > 1:
            _serve_by_workers(options, listener)
            return
        import uvicorn  # noqa: PLC0415 -- the extra

        server = uvicorn.Server(_config(options, app))
        with _ending_well(server):
            server.run(sockets=[listener])
    if app.door.abandoned:
        _log.error("%d requests were not answered within --grace %d", app.door.abandoned, options.grace)
        sys.stderr.flush()
        os._exit(1)  # their threads still run, and Python would wait for them


def _serve_by_workers(options: ServeOptions, listener: socket.socket) -> None:
    from uvicorn.supervisors import Multiprocess  # noqa: PLC0415 -- the extra

    os.environ[_OPTIONS] = json.dumps(asdict(options))
    config = _config(options, "statefun.serving._server:app_of_environment")
    Multiprocess(config, sockets=[listener]).run()


def app_of_environment() -> _App:
    """Make the app in a worker (uvicorn's factory)."""
    options = ServeOptions(**json.loads(os.environ[_OPTIONS]))
    _configure_logging(options)
    return _App.of(options)


def _config(options: ServeOptions, app: _App | str) -> uvicorn.Config:
    import uvicorn  # noqa: PLC0415 -- the extra

    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=options.workers,
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # a path may hold the secret
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=options.grace,
        ssl_certfile=options.certfile,
        ssl_keyfile=options.keyfile,
        ssl_ca_certs=options.ca_certs,
        ssl_cert_reqs=ssl.CERT_NONE if options.ca_certs is None else ssl.CERT_REQUIRED,
    )


class _App:
    """The door, and what a signal does to it."""

    def __init__(self, door: AsgiDoor, linger: float, functions: int) -> None:
        self.door = door
        self.answers: AsgiDoor | Scraped = door
        """The door, and what may be beside it."""
        self.functions = functions
        self._linger = linger

    @classmethod
    def of(cls, options: ServeOptions) -> _App:
        functions = load_app(options.app)
        if options.log_format is not None:
            logs.carry(functions)
        module = None if options.module is None else read(options.module)
        handler: AsyncServed = _handler_class(options)(
            functions, threads=options.threads, module=module, clock=wall_time
        )
        if options.record is not None:
            handler = record(handler, Path(options.record))
        door = AsgiDoor(
            handler,
            secret=os.environ.get(SECRET),
            in_flight=options.in_flight,
            call=timedelta(seconds=options.call),
        )
        made = cls(door, options.linger, len(functions))
        if options.metrics is not None and options.metrics.startswith("/"):
            made.answers = Scraped(door, options.metrics)
        return made

    async def __call__(self, scope: MutableMapping[str, object], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" and self._linger and _on_main_thread():
            self._catch_sigterm()
        await self.answers(scope, receive, send)

    def _catch_sigterm(self) -> None:
        """Go before the server's own handler, which is installed by now."""
        loop = asyncio.get_running_loop()
        servers = signal.getsignal(signal.SIGTERM)

        def end(number: int, frame: FrameType | None) -> None:
            signal.signal(signal.SIGTERM, servers)  # a second one does not wait
            if callable(servers):
                servers(number, frame)

        def leave(number: int, frame: FrameType | None) -> None:
            signal.signal(signal.SIGTERM, end)
            self.door.leave()
            loop.call_soon_threadsafe(loop.call_later, self._linger, end, number, frame)

        signal.signal(signal.SIGTERM, leave)


@contextlib.contextmanager
def _ending_well(server: uvicorn.Server) -> Generator[None]:
    """Make an end by SIGTERM status 0: uvicorn sends itself the signal once more when all is done."""

    def ended(_number: int, _frame: FrameType | None) -> None:
        if not server.started:
            sys.exit(0)  # it came before uvicorn took over

    if not _on_main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, ended)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _handler_class(options: ServeOptions) -> type[AsyncRequestReplyHandler]:
    if options.metrics is None:
        return AsyncRequestReplyHandler
    from statefun.metrics import MeasuredHandler  # noqa: PLC0415 -- who does not count does not import it

    return MeasuredHandler


def _on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def _listening(options: ServeOptions) -> Generator[socket.socket]:
    """Listen where the options say. Raises ConfigError."""
    where = options.uds or f"{options.host}:{options.port}"
    with contextlib.closing(_socket(options)) as made:
        try:
            _bind(made, options)
            made.listen(2048)
        except OSError as error:
            help = "another process may listen there; name another with --uds" if options.uds else "try another --port"
            raise ConfigError(with_help(f"cannot listen on {where}: {error.strerror}", help)) from error
        try:
            yield made
        finally:
            if options.uds:
                Path(options.uds).unlink(missing_ok=True)


def _socket(options: ServeOptions) -> socket.socket:
    if options.uds:
        return socket.socket(socket.AF_UNIX)
    # asyncio switches Nagle's algorithm off only where the protocol is named: without it a reply waits 40 ms
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)


def _bind(made: socket.socket, options: ServeOptions) -> None:
    made.set_inheritable(True)
    if options.uds is None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((options.host, options.port))
        return
    path = Path(options.uds)
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode) and not _answers(options.uds):
        path.unlink()  # of a process that was killed
    made.bind(options.uds)


def _answers(uds: str) -> bool:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
        return client.connect_ex(uds) == 0


def _where(options: ServeOptions, app: _App, listener: socket.socket) -> str:
    if options.uds:
        where = f"unix socket {options.uds}"
    else:
        host, port = listener.getsockname()[:2]
        where = f"http{'s' if options.certfile else ''}://{f'[{host}]' if ':' in host else host}:{port}"
        if host not in _LOOPBACK and SECRET not in os.environ and options.ca_certs is None:
            _log.warning("whoever reaches %s may call functions: docs/howto/who-may-call.md", where)
    return f"serving {app.functions} function{'' if app.functions == 1 else 's'} of {options.app} on {where}"


def _configure_logging(options: ServeOptions) -> None:
    level = _LEVELS[options.log_level]
    if options.log_format is None:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=level)
    else:
        logs.configure(options.log_format, level=level)

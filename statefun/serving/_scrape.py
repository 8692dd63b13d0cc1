"""Where Prometheus reads: `statefun serve --metrics`, a port of its own or a path beside the functions.

Here: what may be said there, and the path. The port is the affair of `statefun._prometheus`.
"""

from __future__ import annotations

from collections.abc import MutableMapping

from statefun.errors import ConfigError, with_help
from statefun.serving._asgi import AsgiDoor, Receive, Send
from statefun.serving._desk import Answer

__all__ = ["Scraped", "checked", "port_of"]


def checked(metrics: str | None, workers: int) -> None:
    """Refuse what is neither a port nor a path, and counting in several processes. Raises ConfigError."""
    if metrics is None:
        return
    if not metrics.startswith("/") and not (metrics.isdecimal() and int(metrics) < 65_536):  # noqa: PLR2004 -- ports
        msg = f"--metrics is a port, or a path that begins with /, not {metrics!r}"
        raise ConfigError(msg)
    if workers > 1:
        help = "start that many processes, each with a port of its own, and let Prometheus read them all"
        raise ConfigError(with_help("--metrics counts in one process, and --workers starts several", help))


def port_of(metrics: str | None) -> int | None:
    """Return the port, if it is one."""
    return None if metrics is None or metrics.startswith("/") else int(metrics)


class Scraped:
    """A door beside which the numbers can be read on a path, with the secret in it if there is one."""

    def __init__(self, door: AsgiDoor, path: str) -> None:
        self._door = door
        self._path = path

    async def __call__(self, scope: MutableMapping[str, object], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or not str(scope["path"]).endswith(self._path):
            await self._door(scope, receive, send)
            return
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest  # noqa: PLC0415 -- the extra

        if self._door.lets_in(str(scope["path"])):
            await self._door.write(send, Answer(200, CONTENT_TYPE_LATEST, generate_latest()))
        else:
            await self._door(scope, receive, send)

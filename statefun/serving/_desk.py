"""What every door answers by itself: what is served, whether it is well, and that a request failed.

Here: the decision about a request that is no call, the statuses, and the lines in the log. How a request is read and an
answer written is each door's own.

A runtime tries again whatever is not answered with 2xx; the okhttp transport fails the job at once on most 4xx. Hence
4xx only for what no StateFun runtime sends: a function or a type that is unknown here may be known to the next version,
while both are deployed.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from dataclasses import dataclass

from statefun.errors import ConfigError, MalformedRequest, reason, with_help
from statefun.functions import StatefulFunctions
from statefun.serving import _page

__all__ = ["OCTETS", "Answer", "Desk"]

OCTETS = "application/octet-stream"
"""What a reply is, exactly: a runtime refuses it with any parameter."""

_TEXT, _JSON, _HTML = "text/plain; charset=utf-8", "application/json", "text/html; charset=utf-8"
_SHORTEST = 16
_log = logging.getLogger("statefun.serving")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a door sends back, but for the length."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Desk:
    """Answers whatever is not the reply of a function."""

    def __init__(self, functions: StatefulFunctions, secret: str | None) -> None:
        if secret is not None and not re.fullmatch(rf"[A-Za-z0-9._~-]{{{_SHORTEST},}}", secret):
            msg = with_help(
                f"a secret is one segment of a URL: {_SHORTEST} or more of A-Z a-z 0-9 . _ ~ -",
                "python -c 'import secrets; print(secrets.token_urlsafe())' makes one",
            )
            raise ConfigError(msg)
        self.functions = functions
        self.ready = True
        """Whether a balancer should send more."""
        self._secret = None if secret is None else secret.encode()

    def lets_in(self, path: str) -> bool:
        """Tell whether a path has the secret, if there is one."""
        secret = self._secret
        # every segment is compared, in a time that does not tell how much of it was right
        return secret is None or any([hmac.compare_digest(part.encode(), secret) for part in path.split("/")])  # noqa: C419

    def answer(self, method: str, path: str, *, accept: str = "", from_page: bool = False) -> Answer | None:
        """Answer what is no call; None for one. `from_page`: it has an Origin, so a web page sent it."""
        if method in ("GET", "HEAD") and path.endswith(("/healthz", "/readyz")):
            return self._health(path)
        if not self.lets_in(path):
            return Answer(404, _TEXT, b"there is nothing here\n")
        if method == "POST":
            return Answer(403, _TEXT, b"a web page may not call functions\n") if from_page else None
        if method in ("GET", "HEAD"):
            return self._page(accept)
        return Answer(405, _TEXT, b"a StateFun runtime sends POST\n", (("allow", "GET, HEAD, POST"),))

    def _health(self, path: str) -> Answer:
        if path.endswith("/healthz"):
            return Answer(200, _TEXT, b"ok\n")
        return Answer(200, _TEXT, b"ready\n") if self.ready else Answer(503, _TEXT, b"not ready: leaving\n")

    def _page(self, accept: str) -> Answer:
        page = _page.describe(self.functions)
        if "text/html" in accept:
            return Answer(200, _HTML, _page.html_of(page))
        return Answer(200, _JSON, _page.json_of(page))

    def failed(self, error: Exception) -> Answer:
        """Answer for a request that failed; why is in the log only."""
        id = secrets.token_hex(6)
        if isinstance(error, MalformedRequest):
            _log.warning("request %s is none of the protocol: %s", id, error, extra={"error_id": id})
            return Answer(400, _TEXT, f"{error} (id {id})\n".encode())
        _log.error("request %s failed: %s", id, reason(error), exc_info=error, extra={"error_id": id})
        return Answer(500, _TEXT, f"the request failed; why is in the log of the functions (id {id})\n".encode())

    def busy(self, why: str) -> Answer:
        """Answer for a request that is not taken now."""
        id = secrets.token_hex(6)
        _log.warning("request %s was not taken: %s", id, why, extra={"error_id": id})
        return Answer(503, _TEXT, f"not now: {why} (id {id})\n".encode(), (("retry-after", "1"),))

    def too_large(self, largest: int) -> Answer:
        """Answer for a body beyond a limit that was asked for."""
        _log.warning("a request was refused: it has more than %d bytes", largest)
        return Answer(413, _TEXT, f"a request has at most {largest} bytes here\n".encode(), (("connection", "close"),))

"""The certificates that an endpoint is called with, as the async transport of 3.3 names them in module.yaml.

Here: `Certificates`, the files, and the SSL context that they make. A location is a path, from the folder of the
module.yaml if it is relative, or an absolute URI of a file. Host names are verified.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from statefun.errors import ConfigError, with_help

__all__ = ["Certificates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Locations, as they stand in the file; None: what the system trusts, and no certificate of one's own."""

    base: Path
    trust_cacerts: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    client_key_password: str | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files. Raises ConfigError that names the key and the file."""
        made = ssl.create_default_context()
        if self.trust_cacerts is not None:
            # only these, as in the real runtime: what the system trusts is not added
            made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            path = self._path("trust_cacerts", self.trust_cacerts)
            with _explained("trust_cacerts", path, "PEM certificates"):
                made.load_verify_locations(cafile=path)
        if self.client_cert is not None and self.client_key is not None:
            self._add_own(made, self.client_cert, self.client_key)
        return made

    def _add_own(self, context: ssl.SSLContext, cert: str, key: str) -> None:
        cert_path, key_path = self._path("client_cert", cert), self._path("client_key", key)
        password = ""
        if self.client_key_password is not None:
            path = self._path("client_key_password", self.client_key_password)
            # the whole of the file, as the real runtime reads it: the end of its line is part of the password
            with _explained("client_key_password", path, "text"):
                password = path.read_bytes().decode()
        help = "the password is the whole file, and it ends with a new line" if password.endswith("\n") else ""
        with _explained("client_cert and client_key", cert_path, "a certificate with its key", help):
            context.load_cert_chain(cert_path, key_path, password=password)

    def _path(self, name: str, location: str) -> Path:
        if location.startswith("classpath:"):
            help = "name a file, e.g. file:/etc/statefun/ca.pem"
            raise ConfigError(with_help(f"{name}: {location!r} is a place in a jar, which only a cluster has", help))
        path = Path(unquote(urlsplit(location).path)) if location.startswith("file:") else self.base / location
        if not path.is_file():
            raise ConfigError(f"{name}: there is no file {path}")
        return path


class _explained:  # noqa: N801 -- used as a function
    """Says which key and file of module.yaml an error is about."""

    def __init__(self, name: str, path: Path, what: str, help: str = "") -> None:
        self._problem = f"{name}: {path} is not {what}"
        self._help = help

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        del kind, trace
        if isinstance(error, (OSError, ValueError)):  # ssl.SSLError is an OSError, UnicodeDecodeError a ValueError
            text = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            raise ConfigError(with_help(f"{self._problem}: {text}", self._help)) from error

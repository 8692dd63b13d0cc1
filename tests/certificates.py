"""Certificates of a test: an authority, and a server and a client that it vouches for."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["make_certificates", "openssl"]


def openssl(folder: Path, *arguments: str) -> None:
    """Run openssl."""
    subprocess.run(("openssl", *arguments), cwd=folder, check=True, capture_output=True)


def make_certificates(folder: Path) -> Path:
    """Write ca.pem, and {server,client}.pem with their keys, for 127.0.0.1 and localhost."""
    new = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl(folder, "req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test",
            "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip  # what Python 3.13 asks for, here and below
    extensions = (
        "subjectAltName=IP:127.0.0.1,DNS:localhost",
        "subjectKeyIdentifier=hash",
        "authorityKeyIdentifier=keyid",
    )
    (folder / "san").write_text("".join(f"{line}\n" for line in extensions))
    for name in ("server", "client"):
        openssl(folder, "req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    return folder

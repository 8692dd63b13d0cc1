"""The doors of an app: what a server or a framework mounts, and the bytes of a request go through.

Only names of the modules below are here; each is documented where it is defined. A door takes bytes from HTTP to the
handler and back; what is in them it does not know.
"""

from __future__ import annotations

from statefun.serving._asgi import AsgiDoor
from statefun.serving._aws_lambda import LambdaDoor
from statefun.serving._wsgi import WsgiDoor

__all__ = ["AsgiDoor", "LambdaDoor", "WsgiDoor"]

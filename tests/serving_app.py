"""An app that servers in processes of their own are pointed to."""

from __future__ import annotations

from statefun.serving import AsgiDoor, WsgiDoor
from tests.served import app_functions

functions = app_functions()
asgi = AsgiDoor(functions)
wsgi = WsgiDoor(functions)

"""Doors into an app for a server: thin, around the handler.

Here: re-exports only.
"""

from __future__ import annotations

from statefun.serving.asgi import asgi as asgi

__all__ = ["asgi"]

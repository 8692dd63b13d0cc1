"""What can go wrong with an engine: one error, which says what to do."""

from __future__ import annotations

__all__ = ["EngineError"]


class EngineError(Exception):
    """An engine was not fetched, did not start, or did not do what it was asked to."""

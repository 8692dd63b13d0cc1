"""A module whose message type is imported for a type checker only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statefun import Context

if TYPE_CHECKING:
    import shop_pb2 as shop
    from shop_pb2 import User as Person


def hello(context: Context, message: Person) -> None:
    """Name a class that is not there."""


def goodbye(context: Context, message: shop.User) -> None:
    """Name a module that is not there."""

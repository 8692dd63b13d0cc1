"""A type of values: a Python class, its typename on the wire, and its codec.

Here: `Type` itself, and what can be asked of one. Which Type a class has is decided in `types`, its public place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeGuard, TypeVar

from google.protobuf.message import Message

from statefun import _hints
from statefun.address import split_typename

__all__ = ["GOOGLE", "Type", "decoder", "is_type", "message_name", "short"]

GOOGLE = "type.googleapis.com/"
"""What stands before the full name of every protobuf message."""

T = TypeVar("T")  # invariant: written and read


class Type(Generic[T]):
    """A Python class, its typename on the wire, and its codec.

    WHEN = Type("shop/when", datetime, encode=lambda at: at.isoformat().encode(), decode=...)

    `encode` gets exactly a `cls`, `decode` the bytes that `encode` made. Raises DeclarationError for a bad typename.
    """

    __slots__ = ("cls", "constant", "decode", "encode", "exact", "immutable", "reads", "typename", "validate")

    typename: str
    cls: type[T]
    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]
    exact: bool
    immutable: bool
    constant: str

    def __init__(
        self, typename: str, cls: type[T], *, encode: Callable[[T], bytes], decode: Callable[[bytes], T]
    ) -> None:
        split_typename(typename)
        self.typename = typename
        self.cls = cls
        self.encode = encode
        self.decode = decode
        self.reads: dict[str, Callable[[bytes], T]] = {typename: decode}
        """The decoder of each typename that it takes from the wire; the first is its own."""
        self.validate: Callable[[T], object] = encode
        """What raises where a value has no bytes, as cheaply as that can be told."""
        self.immutable = False
        """Whether a value cannot change in place."""
        self.exact = False
        """Whether a value of a subclass is refused."""
        self.constant = ""
        """Its name in this module, if it has one."""

    @property
    def hint_name(self) -> str:
        """How it is written in an Annotated."""
        return f"types.{self.constant}" if self.constant else self.typename

    def __repr__(self) -> str:
        return f"<Type {self.typename} of {_hints.show(self.cls)}>"


def is_type(found: object) -> TypeGuard[Type[Any]]:
    """Tell whether it is a Type (and narrow it, which isinstance does not do for a Generic)."""
    return isinstance(found, Type)


def decoder(type: Type[Any], typename: str) -> Callable[[bytes], Any] | None:
    """Return what decodes a value that arrived under this typename; None if it is of another type.

    A protobuf message is known by its full name, whatever stands before the slash (the rule of the 2.x SDKs).
    """
    found = type.reads.get(typename)
    if found is None and message_name(type) == typename.rpartition("/")[2]:
        return type.decode
    return found


def message_name(type: Type[Any]) -> str | None:
    """Return the full name of the protobuf message that a Type is of; None for the others."""
    cls = type.cls
    return cls.DESCRIPTOR.full_name if _hints.is_class(cls) and issubclass(cls, Message) else None


def short(typename: str) -> str:
    """Write a typename for a reader: without the prefix that every protobuf message has."""
    return typename.removeprefix(GOOGLE)

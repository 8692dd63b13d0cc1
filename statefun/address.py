"""Names and addresses.

Here: the only place that takes "<namespace>/<name>" apart. What a function accepts or where it runs is not known here.
"""

from __future__ import annotations

from typing import NamedTuple

from statefun._hints import has_utf8
from statefun.errors import DeclarationError

__all__ = ["Address", "split_typename"]


class Address(NamedTuple):
    """Where a message comes from or goes to: the function's name and the identity of one instance of it.

    The runtime's `Address` (fields namespace, type and id). An identity may be empty when it comes from a runtime: a
    Kafka record with an empty key has one.
    """

    namespace: str
    type: str
    identity: str

    def typename(self) -> str:
        """Return "<namespace>/<type>"."""
        return f"{self.namespace}/{self.type}"

    def __str__(self) -> str:
        """Return "<namespace>/<type>/<identity>"."""
        return f"{self.namespace}/{self.type}/{self.identity}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read "<namespace>/<type>/<identity>".

        The identity is what follows the last slash that leaves a typename before it: write an `Address` out where an
        identity holds a slash. Raises DeclarationError.
        """
        typename, slash, identity = text.rpartition("/")
        if not slash or "/" not in typename.strip("/"):
            msg = f"{text!r} is not an address: it must be '<namespace>/<type>/<identity>', e.g. 'example/greeter/bob'"
            raise DeclarationError(msg)
        return cls(*split_typename(typename), identity)


def split_typename(typename: str) -> tuple[str, str]:
    """Split "com.acme/greeter" into ("com.acme", "greeter").

    At the last slash, as the runtimes of 2.x do. Raises DeclarationError if either part is empty.
    """
    namespace, _, name = typename.rpartition("/") if has_utf8(typename) else ("", "", "")
    if not namespace or not name:
        msg = f"{typename!r} is not a typename: it must be '<namespace>/<name>', e.g. 'example/greeter'"
        raise DeclarationError(msg)
    return namespace, name

"""The bytes of the request-reply protocol, both versions, both directions of a function's side.

Here: `open_request`, which tells a request's version and opens it; `v2` and `v3`, what is different between them; and
`reply`, which encodes a reply while its effects are appended. The only reader and writer of request-reply protobuf, and
the one place where code may be ugly for speed. Policy (what is run, what is refused) is `_turn`'s affair.
"""

from __future__ import annotations

from statefun._wire.detect import AnyWire, Version, open_request, wire_of
from statefun._wire.v3 import encode_missing

__all__ = ["AnyWire", "Version", "encode_missing", "open_request", "wire_of"]

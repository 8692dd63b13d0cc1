"""What every test needs of the machine that it runs on."""

from typing import Any

from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.internal import api_implementation


def same(one: AnyPb, other: object) -> bool:
    """Compare Anys by their fields."""
    return isinstance(other, AnyPb) and (one.type_url, one.value) == (other.type_url, other.value)


if api_implementation.Type() == "python":
    # Without its compiled part, protobuf compares what is in two Anys, and fails with a KeyError where it does not know
    # its class: what a test packs is often of none.
    untyped: Any = AnyPb
    untyped.__eq__ = same

"""An item of the context has the type of its ValueSpec: with None, or without where there is a default."""

from dataclasses import dataclass
from datetime import timedelta

from google.protobuf.any_pb2 import Any
from shop_pb2 import GreetRequest, SeenCount
from typing_extensions import Never, assert_type

from statefun import Context, StatefulFunctions, ValueSpec


@dataclass
class Cart:
    items: list[str]


SEEN = ValueSpec("seen_count", SeenCount, expire_after_write=timedelta(days=1))
SEEN_0 = ValueSpec("seen_count_0", SeenCount, default=SeenCount)
NUMBER = ValueSpec("number", int)
NUMBER_0 = ValueSpec("number_0", int, default=int)
TEXT = ValueSpec("text", str, expire_after_call=timedelta(hours=1))
RATIO = ValueSpec("ratio", float, default=lambda: 1.0)
FLAG = ValueSpec("flag", bool, default=bool)
TAGS = ValueSpec("tags", list[str], default=list[str])
SCORES = ValueSpec("scores", dict[str, int])
CART = ValueSpec("cart", Cart)
CART_0 = ValueSpec("cart_0", Cart, default=lambda: Cart([]))

assert_type(SEEN, ValueSpec[SeenCount])
assert_type(SEEN, ValueSpec[SeenCount, None])
assert_type(SEEN_0, ValueSpec[SeenCount, Never])
annotated: ValueSpec[SeenCount] = ValueSpec("seen_count", SeenCount)

# pyright widens this one to int | str: refused at the first write
ValueSpec("n", int, default=str)  # E: mypy
ValueSpec("n", 3)  # E
ValueSpec(SeenCount, "n")  # E
ValueSpec("n", SeenCount, expire_after_write=3600)  # E
wrong: ValueSpec[int] = ValueSpec("n", SeenCount)  # E
wider: ValueSpec[SeenCount | int] = SEEN  # E
wrong_default: ValueSpec[SeenCount] = SEEN_0  # E

functions = StatefulFunctions()


@functions.bind(
    "example/greeter", states=[SEEN, SEEN_0, NUMBER, NUMBER_0, TEXT, RATIO, FLAG, TAGS, SCORES, CART, CART_0]
)
def greeter(context: Context, message: GreetRequest) -> None:
    assert_type(context[SEEN], SeenCount | None)
    assert_type(context[SEEN_0], SeenCount)
    assert_type(context[NUMBER], int | None)
    assert_type(context[NUMBER_0], int)
    assert_type(context[TEXT], str | None)
    assert_type(context[RATIO], float)
    assert_type(context[FLAG], bool)
    assert_type(context[TAGS], list[str])
    assert_type(context[SCORES], dict[str, int] | None)
    assert_type(context[CART], Cart | None)
    assert_type(context[CART_0], Cart)
    assert_type(context["name"], Any | None)

    # what is read can be written back; None deletes what may be None
    context[SEEN] = context[SEEN]
    context[SEEN_0] = context[SEEN_0]
    context[SEEN] = SeenCount(value=1)
    context[SEEN] = None
    context[NUMBER_0] += 1
    context[CART] = Cart(items=["a"])
    del context[SEEN]
    del context["name"]

    context[SEEN] = 3  # E
    context[SEEN] = GreetRequest()  # E
    context[SEEN] = Any()  # E
    context[SEEN_0] = None  # E
    context[NUMBER] = "1"  # E
    context[NUMBER] += 1  # E
    context[TAGS] = [1]  # E
    context[CART] = {"items": []}  # E
    context["name"] = SeenCount()  # E
    context[3]  # E
    context[SEEN].value  # E

    # no checker narrows `context[SEEN]` itself (the key is no literal): it takes a local variable
    if context[SEEN] is not None:
        context[SEEN].value += 1  # E
    if (seen := context[SEEN]) is not None:
        seen.value += 1


@functions.bind("example/no_specs", states=["seen_count"])  # E
def no_specs(context: Context, message: GreetRequest) -> None: ...

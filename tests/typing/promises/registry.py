"""The registry can be looked into: what a function accepts, its states; and a handler takes only a registry."""

from collections.abc import Mapping
from typing import Any

from shop_pb2 import GreetRequest, Login
from typing_extensions import assert_type

from statefun import (
    AsyncRequestReplyHandler,
    Context,
    RequestReplyHandler,
    State,
    StatefulFunction,
    StatefulFunctions,
    ValueSpec,
    types,
)

functions = StatefulFunctions()


class Counts(State):
    visits: int = 0


@functions.bind("example/greeter")
def greeter(context: Context[Counts], message: GreetRequest | Login) -> None: ...


accepts: Mapping[str, type] = functions["example/greeter"].accepts
specs: Mapping[str, ValueSpec[Any, Any]] = functions["example/greeter"].specs
assert_type(functions["example/greeter"], StatefulFunction[Any, Any, Any])
assert_type(functions["example/greeter"].typename, str)
assert_type(functions["example/greeter"].is_async, bool)
assert_type(functions["example/greeter"].specs["visits"].name, str)
assert_type(functions["example/greeter"].specs["visits"].type, types.Type[Any])
assert_type([function.typename for function in functions], list[str])
assert_type("example/greeter" in functions, bool)
assert_type(len(functions), int)
assert_type(repr(functions), str)

functions["example", "greeter"]  # E
functions["example/greeter"].acepts  # E
functions["example/greeter"].specs["visits"] = ValueSpec("visits", int)  # E
functions["example/greeter"].accepts["shop/Order"] = GreetRequest  # E
functions["example/greeter"] = greeter  # E

RequestReplyHandler(functions, wire="v2")
RequestReplyHandler(functions, wire="v3")
RequestReplyHandler(functions, wire=None)
AsyncRequestReplyHandler(functions, threads=0, wire="v3")
RequestReplyHandler(functions, wire="v1")  # E
RequestReplyHandler(functions, threads=4)  # E
RequestReplyHandler(greeter)  # E
AsyncRequestReplyHandler(functions, threads="4")  # E
AsyncRequestReplyHandler(functions, 4)  # E
AsyncRequestReplyHandler()  # E

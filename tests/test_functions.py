"""The registry, and what bind returns."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import Admin, GreetRequest, Login, User

from statefun import (
    BindError,
    Context,
    RequestReplyHandler,
    State,
    StatefulFunction,
    StatefulFunctions,
    ValueSpec,
    testing,
    types,
    value,
)
from statefun.errors import DeclarationError, UnknownFunction
from tests.kinds import Item
from tests.peer import answer_of, packed, request
from tests.refusals import plain, refusal

SEEN = ValueSpec("seen", Login)
TOTAL = ValueSpec("total", int, default=int)


class Counts(State):
    """A State to declare."""

    visits: int = value(default=0, name="n")


def greeter(context: Context[Counts], message: GreetRequest | int) -> None:
    """Greet."""


def line(fn: Any) -> int:
    """Return where a function stands."""
    found: int = fn.__code__.co_firstlineno
    return found


def test_blocking() -> None:
    """blocking=True is noted, by bind and by register; it is refused of an async function."""
    functions = StatefulFunctions()

    async def waits(context: Context, message: GreetRequest) -> None: ...

    assert functions.bind("example/a", blocking=True)(greeter).blocking
    assert functions.register("example/b", greeter, blocking=True).blocking
    assert not functions.register("example/c", greeter).blocking
    bind = functools.partial(functions.bind("example/d", blocking=True), waits)
    assert refusal(BindError, bind) == (
        f"cannot bind 'example/d' to test_blocking.<locals>.waits (test_functions.py:{line(waits)}): "
        "it is async, and blocking=True gives a plain one a thread\n  help: await what blocks, or make it a plain def"
    )


def test_the_handle_is_the_function() -> None:
    """What bind returns is called as the function is, in a unit test, and keeps its name and its docstring."""
    functions = StatefulFunctions()
    seen: list[Any] = []

    @functions.bind("example/greeter")
    def bound(context: Context[Counts], message: GreetRequest) -> None:
        """Greet."""
        seen.append((context, message))

    assert isinstance(bound, StatefulFunction)
    assert (bound.__name__, bound.__doc__) == ("bound", "Greet.")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue] -- as of the function
    context = testing.context(Counts())
    bound(context, GreetRequest(name="x"))
    assert seen == [(context, GreetRequest(name="x"))]
    assert repr(bound) == "StatefulFunction('example/greeter')"


def test_what_a_handle_knows() -> None:
    """A handle shows what was read from the function."""
    handle = StatefulFunctions().register("example/greeter", greeter, states=[SEEN, TOTAL])
    assert (handle.typename, handle.namespace, handle.type) == ("example/greeter", "example", "greeter")
    assert handle.accepts["type.googleapis.com/shop.GreetRequest"] is GreetRequest
    assert handle.state_class is Counts
    assert list(handle.specs) == ["n", "seen", "total"]
    assert handle.specs["seen"] is SEEN
    assert handle.declares_state
    assert not handle.is_async
    assert handle.fn is greeter
    assert not StatefulFunctions().register("a/b", plain).declares_state
    specs: Any = handle.specs
    with pytest.raises(TypeError, match="does not support item assignment"):
        specs["x"] = SEEN


def test_a_handle_is_a_reference() -> None:
    """A bound function can be sent to, with the checks of a reference."""
    functions = StatefulFunctions()
    handle = functions.register("example/greeter", greeter)
    context = testing.context()
    context.send(handle.at("bob"), GreetRequest())
    context.send(handle.at("bob"), 5)
    assert context.sent.to(handle) == [GreetRequest(), 5]
    assert repr(handle.at("bob")) == "StatefulFunction('example/greeter').at('bob')"


def test_two_names_for_one_function() -> None:
    """A function may be bound under several names, in one registry or in two."""
    functions, others = StatefulFunctions(), StatefulFunctions()

    @others.bind("example/three")
    @functions.bind("example/two")
    @functions.bind("example/one")
    async def twice(context: Context[Counts], message: User | Admin) -> None:
        """Be awaited."""

    assert [function.typename for function in functions] == ["example/one", "example/two"]
    for handle in (functions["example/one"], functions["example/two"], twice):
        assert str(handle.accepts) == "User | Admin"
        assert handle.is_async
        assert handle.state_class is Counts
    with pytest.raises(BindError, match="it is async"):
        RequestReplyHandler(others)


def test_the_registry() -> None:
    """A registry is looked into by name, by its parts, and in the order of its functions."""
    functions = StatefulFunctions()
    assert (len(functions), list(functions), repr(functions)) == (0, [], "function  accepts  state")
    one = functions.register("com.acme/shop/one", greeter)
    two: StatefulFunction[Any, Any, Any] = functions.register("example/two", plain)
    assert functions["com.acme/shop/one"] is functions.for_type("com.acme/shop", "one") is one
    assert ("example/two" in functions, "example/three" in functions, 5 in functions) == (True, False, False)
    assert (len(functions), list(functions)) == (2, [one, two])


def test_the_dispatch_table() -> None:
    """The repr of a registry is the table of what it serves."""
    functions = StatefulFunctions()

    @functions.bind("example/cart", states=[SEEN])
    def cart(context: Context[Counts], message: GreetRequest | int | Item) -> None: ...

    functions.register("example/anything", plain)

    @functions.bind("a/b")
    def mixed(context: Context, message: User | AnyPb) -> None: ...

    assert repr(functions).splitlines() == [
        "function          accepts                                                  state",
        "example/cart      shop.GreetRequest | io.statefun.types/long | kinds/Item  n, seen",
        "example/anything  Any                                                      -",
        "a/b               shop.User | Any                                          -",
    ]


def test_unknown_functions() -> None:
    """A name that nothing is bound to is refused, with those that are."""
    functions = StatefulFunctions()
    text = "no function is bound to 'example/nobody' (bound: none)"
    assert refusal(UnknownFunction, lambda: functions["example/nobody"]) == text
    functions.register("example/b", plain)
    functions.register("example/a", plain)
    text = "no function is bound to 'example/nobody' (bound: example/a, example/b)"
    assert refusal(UnknownFunction, lambda: functions["example/nobody"]) == text
    assert refusal(UnknownFunction, lambda: functions.for_type("example", "nobody")) == text
    assert refusal(DeclarationError, lambda: functions["nobody"]) == (
        "'nobody' is not a typename: it must be '<namespace>/<name>', e.g. 'example/greeter'"
    )


@pytest.mark.parametrize("typename", ["hello", "", "/hello", "example/", None, 5])
def test_wrong_names(typename: Any) -> None:
    """A function is bound to a typename of two parts."""
    functions = StatefulFunctions()
    assert refusal(BindError, lambda: functions.register(typename, greeter)) == (
        f"cannot bind {typename!r} to greeter (test_functions.py:{line(greeter)}): "
        "the typename is not '<namespace>/<name>'\n  help: e.g. 'example/greeter'"
    )
    assert len(functions) == 0


def test_duplicates() -> None:
    """A name is bound once; a second function does not take it over."""
    functions = StatefulFunctions()
    first = functions.register("example/f", greeter)
    register: Any = functions.register
    assert refusal(BindError, lambda: register("example/f", plain)) == (
        f"cannot bind 'example/f' to plain (refusals.py:{line(plain)}): "
        f"it is already bound to greeter (test_functions.py:{line(greeter)})"
    )
    assert functions["example/f"] is first


def test_a_state_twice() -> None:
    """A state is declared once, in the State class or in the list."""
    functions = StatefulFunctions()
    doubled: list[tuple[list[ValueSpec[Any, Any]], str]] = [([SEEN, SEEN], "seen"), ([ValueSpec("n", int)], "n")]
    for states, name in doubled:
        bind = functools.partial(functions.register, "a/b", greeter, states=states)
        assert refusal(BindError, bind) == (
            f"cannot bind 'a/b' to greeter (test_functions.py:{line(greeter)}): the state {name!r} is declared twice"
        )
    assert len(functions) == 0


def test_after_the_first_request() -> None:
    """The registry freezes at the first request: a later function would be known to some of them only."""
    functions = StatefulFunctions()
    functions.register("example/f", plain)
    handler = RequestReplyHandler(functions)
    functions.register("example/late", greeter)
    handler(request("v3", packed(GreetRequest())))
    assert refusal(BindError, lambda: functions.register("example/later", greeter)) == (
        f"cannot bind 'example/later' to greeter (test_functions.py:{line(greeter)}): "
        "a request was answered already, and what is bound now would be known to some of the requests only\n"
        "  help: bind every function before the first request"
    )


def cell(name: str = "cell", module: str = "__main__") -> Any:
    """Make a function as a notebook's cell does: anew at each run."""

    def made(context: Any, message: Any) -> None: ...

    made.__qualname__, made.__module__ = name, module
    return made


def test_a_cell_that_is_run_again() -> None:
    """A notebook may bind the same function of __main__ anew, until the first request."""
    functions = StatefulFunctions()
    functions.register("example/f", cell())
    again = functions.register("example/f", cell())
    assert functions["example/f"] is again
    for other in (cell("other"), cell(module="app")):
        with pytest.raises(BindError, match="it is already bound to cell"):
            functions.register("example/f", other)
    functions.freeze()
    with pytest.raises(BindError, match="a request was answered already"):
        functions.register("example/f", cell())
    assert functions["example/f"] is again


class Nameless:
    """An object of __main__, which has no name of its own."""

    __module__ = "__main__"

    def __call__(self, context: Any, message: Any) -> None:
        """Do nothing."""


def test_objects_are_no_cells() -> None:
    """Two objects of __main__ are not the same cell: neither has a name."""
    functions = StatefulFunctions()
    functions.register("example/f", Nameless())
    with pytest.raises(BindError, match="it is already bound to Nameless"):
        functions.register("example/f", Nameless())


def test_names_of_2x() -> None:
    """A function can be registered by keywords, which have the names that the 2.x SDK gave them."""
    functions = StatefulFunctions()
    assert functions.register(typename="a/b", fun=plain).typename == "a/b"


def test_uses() -> None:
    """What cannot be found by itself is named for the checks of module.yaml."""
    functions = StatefulFunctions()
    assert not functions.used
    functions.uses(SEEN, 5)
    functions.uses("x")
    used: tuple[object, ...] = functions.used
    assert used == (SEEN, 5, "x")


def test_values_that_were_listed() -> None:
    """A listed value is read and written by its ValueSpec."""

    def items(context: Context, message: Login) -> None:
        assert context[SEEN] is None
        context[SEEN] = message
        context[TOTAL] += 1

    functions = StatefulFunctions()
    functions.register("example/f", items, states=[SEEN, TOTAL])
    data = request("v3", packed(Login(user_id="b")), states={"seen": None, "total": None})
    assert answer_of("v3", RequestReplyHandler(functions)(data)).states == {
        "seen": packed(Login(user_id="b")),
        "total": types.pack(1),
    }

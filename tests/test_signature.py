"""What bind reads from a callable, and what it refuses."""
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# A function without hints is one of the things to be read.

from __future__ import annotations

import dataclasses
import enum
import functools
import re
import sys
import textwrap
import types as python_types
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Annotated, Any, ClassVar, NewType, Optional, TypeVar, Union

import pytest
import shop_pb2
from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.message import Message
from shop_pb2 import Admin, User
from typing_extensions import Never, TypeAliasType

from statefun import BindError, Context, State, StatefulFunctions, json_type, types
from statefun._signature import describe, innermost, is_async
from tests import typing_only
from tests.kinds import Bigger, Item, Kinds, Tier, Undeclared
from tests.refusals import refusal

Vip = NewType("Vip", User)
Person = User | Admin
PersonAlias = TypeAliasType("PersonAlias", "User | Admin")
T = TypeVar("T", bound=Message)
G = TypeVar("G")
OrAdmin = TypeAliasType("OrAdmin", Union[G, Admin], type_params=(G,))  # noqa: UP007 -- both spellings
Undefined = TypeAliasType("Undefined", "User | Usr")  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable] -- it is not
Cents = NewType("Cents", int)
untyped_partial: Any = functools.partial
USER_AS_ITEM = types.protobuf(User, typename="kinds/Item")
LEGACY_USER = types.protobuf(User, typename="legacy/user")


class Counts(State):
    """A State to name in a hint."""

    visits: int = 0


class Money:
    """A class that says it has a codec, and has none."""

    __statefun_type__: ClassVar[Any]


class Name(str):
    """A str that is not one on the wire."""

    __slots__ = ()


def accepts(fn: Any) -> str:
    """Return what a function accepts, as bind reads it."""
    return str(StatefulFunctions().register("example/f", fn).accepts)


def with_hint(hint: Any) -> Any:
    """Make a function of which the message has this hint."""

    def f(context: Context, message: Any) -> None: ...

    f.__annotations__["message"] = hint
    return f


# --- what can be bound ---


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (User, "User"),
        (User | Admin, "User | Admin"),
        (Union[User, Admin], "User | Admin"),  # noqa: UP007 -- both spellings
        (Union[User, Union[Admin, "User"]], "User | Admin"),  # noqa: UP007 -- both spellings
        (Annotated[User | Annotated[Admin, "a"], "doc"], "User | Admin"),
        (Person, "User | Admin"),
        (PersonAlias, "User | Admin"),
        (OrAdmin[User], "User | Admin"),
        (Vip, "User"),
        (Vip | Admin, "User | Admin"),
        ("Union['User', 'Admin']", "User | Admin"),
        (shop_pb2.__name__ + ".User", "User"),
        (Any, "Any"),
        (AnyPb, "Any"),
        (User | AnyPb, "User | Any"),
        (Union[User, Annotated[User, 1]], "User"),  # noqa: UP007 -- both spellings
        (bool | int | float | str | bytes, "bool | int | float | str | bytes"),
        (Item | User | int, "Item | User | int"),
        (Cents | str, "int | str"),
        (Annotated[int, types.INT32] | Annotated[User, LEGACY_USER], "Annotated[int, types.INT32] | User"),
    ],
    ids=str,
)
def test_hints(hint: Any, expected: str) -> None:
    """The hint of the message says what is accepted, however it is written."""
    assert accepts(with_hint(hint)) == expected


class Greeter:
    """Functions of every kind that a class can hold."""

    def __call__(self, context: Context[Counts], message: User) -> None:
        """Take the place of a function."""

    def method(self, context: Context[Counts], message: Admin) -> None:
        """Belong to an instance."""

    @classmethod
    def of_class(cls, context: Context, message: Admin) -> None:
        """Belong to the class."""

    @staticmethod
    def static(context: Context, message: Admin) -> None:
        """Belong to nobody."""

    async def async_method(self, context: Context, message: Admin) -> None:
        """Be awaited."""


class AsyncGreeter:
    """An object whose call is awaited."""

    async def __call__(self, context: Context, message: User) -> None:
        """Take the place of an async function."""


def logged(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate as one should."""

    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return wrapper


def hidden(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate as one should not."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return wrapper


def plain(context: Context[Counts], message: User | Admin) -> None:
    """Be a function."""


async def asynchronous(context: Context[Counts], message: User | Admin) -> None:
    """Be an async function."""


def with_clock(context: Context[Counts], message: User, clock: Callable[[], float]) -> None:
    """Take one thing more."""


def with_default(context: Context[Counts], message: User, clock: float = 0.0, *, other: float = 0.0) -> None:
    """Take two things more that need not be given."""


def with_more(context: Context[Counts], message: User, *more: object, **others: object) -> None:
    """Take whatever else comes, which is nothing."""


@pytest.mark.parametrize(
    ("fn", "expected", "awaited"),
    [
        (plain, "User | Admin", False),
        (asynchronous, "User | Admin", True),
        (Greeter(), "User", False),
        (AsyncGreeter(), "User", True),
        (Greeter().method, "Admin", False),
        (Greeter().async_method, "Admin", True),
        (Greeter.of_class, "Admin", False),
        (Greeter.static, "Admin", False),
        (with_default, "User", False),
        (with_more, "User", False),
        (logged(plain), "User | Admin", False),
        (logged(logged(plain)), "User | Admin", False),
        (functools.partial(with_clock, clock=lambda: 0.0), "User", False),
        (functools.partial(logged(with_clock), clock=lambda: 0.0), "User", False),
        (logged(functools.partial(with_clock, clock=lambda: 0.0)), "User", False),
        (functools.partial(functools.partial(asynchronous)), "User | Admin", True),
        (lambda context, message: None, "Any", False),
    ],
    ids=lambda value: describe(value) if callable(value) else "",
)
def test_callables(fn: Any, expected: str, *, awaited: bool) -> None:
    """Whatever can be called with a context and a message can be bound."""
    handle = StatefulFunctions().register("example/f", fn)
    assert str(handle.accepts) == expected
    assert handle.is_async is awaited


def test_the_state_class() -> None:
    """The class of the state is read from the hint of the context, and what it declares with it."""
    functions = StatefulFunctions()
    assert functions.register("a/a", asynchronous).state_class is Counts
    assert functions.register("a/b", Greeter()).state_class is Counts
    assert functions.register("a/c", functools.partial(with_clock, clock=lambda: 0.0)).state_class is Counts
    assert list(functions["a/a"].specs) == ["visits"]
    context: Any = Context
    for index, hint in enumerate([None, Any, Context, context[Any], context[State], context[T]]):
        fn = with_hint(User)
        if hint is None:
            del fn.__annotations__["context"]
        else:
            fn.__annotations__["context"] = hint
        assert functions.register(f"b/{index}", fn).state_class is State


def test_names_of_the_place() -> None:
    """A hint in quotes may use the names that are visible where the function is bound."""
    from shop_pb2 import Logout  # noqa: PLC0415 -- local to this function

    class Local(State):
        count: int = 0
        message: Logout | None = None

    functions = StatefulFunctions()

    @functions.bind("example/local")
    def local(context: Context[Local], message: Logout | Admin) -> None: ...

    assert str(local.accepts) == "Logout | Admin"
    assert local.state_class is Local
    assert list(local.specs) == ["count", "message"]

    def registered(context: Context[Local], message: Logout) -> None: ...

    assert functions.register("example/registered", registered).state_class is Local


# --- what cannot be bound ---

KINDS = (
    "\n  help: a message is a protobuf message, bool, int, float, str, bytes, a dataclass, msgspec Struct or pydantic "
    "model with json_type, or a class with custom_type; "
    "or hint google.protobuf.any_pb2.Any to receive every message packed"
)
FIELD = "\n  help: make it a field of one: 'repeated' or 'map' in protobuf, or a dataclass with json_type"
LIST = (
    "\n  help: list the message types (User | Admin), "
    "or hint google.protobuf.any_pb2.Any to receive every message packed"
)
KEEP = "\n  help: keep one of them"
DEFINE = "\n  help: define or import it before the function is bound, at module level or in the function that binds"


class Level(enum.IntEnum):
    """An Enum that is an int."""

    LOW = 1


@json_type("signature/Locked")
@dataclasses.dataclass
class Locked:
    """A dataclass with a field that has no JSON form."""

    lock: object


HINTS: list[tuple[Any, str]] = [
    (Optional[User], "'message: User | None' includes None, but a message is never None\n  help: drop the None"),  # noqa: UP045 -- both spellings
    (type(None), "'message: None' includes None, but a message is never None\n  help: drop the None"),
    (list[User], f"'message: list[User]' includes list[User], which cannot be a message by itself{FIELD}"),
    (
        User | dict[str, int],
        f"'message: User | dict[str, int]' includes dict[str, int], which cannot be a message by itself{FIELD}",
    ),
    (list, f"'message: list' includes list, which cannot be a message by itself{FIELD}"),
    (
        Tier,
        (
            "'message: Tier' includes Tier, which is an Enum and cannot be a message by itself\n"
            "  help: make it a field of one"
        ),
    ),
    (
        Level,
        (
            "'message: Level' includes Level, which is an Enum and cannot be a message by itself\n"
            "  help: make it a field of one"
        ),
    ),
    (User | datetime, f"'message: User | datetime' includes datetime, which cannot be a message{KINDS}"),
    (typing.Literal["a"], f"'message: Literal['a']' includes Literal['a'], which cannot be a message{KINDS}"),
    (
        Undeclared,
        (
            "'message: Undeclared' includes Undeclared, which has no typename\n"
            "  help: declare it: @json_type('example/Undeclared')"
        ),
    ),
    (
        Bigger,
        "'message: Bigger' includes Bigger, which has no typename\n  help: declare it: @json_type('example/Bigger')",
    ),
    (
        Money,
        (
            "'message: Money' includes Money, which has no codec\n"
            "  help: give it one: custom_type('example/Money', Money, encode=..., decode=...)"
        ),
    ),
    (
        Counts,
        "'message: Counts' includes Counts, which is a State\n  help: a State is stored, not sent; send a message",
    ),
    (
        Name,
        "'message: Name' includes Name, which would arrive as a plain str\n  help: hint str, or NewType('Name', str)",
    ),
    (
        Locked,
        (
            "'message: Locked' includes Locked, which has no JSON form: "
            "Locked.lock: values of type object have no JSON form"
        ),
    ),
    (Message, f"'message: Message' includes Message, which does not say how to unpack what arrives{LIST}"),
    (object, f"'message: object' includes object, which does not say how to unpack what arrives{LIST}"),
    (
        types.DataclassLike,
        f"'message: DataclassLike' includes DataclassLike, which does not say how to unpack what arrives{LIST}",
    ),
    (
        User | Annotated[Any, 1],
        f"'message: User | Any' includes Any, which does not say how to unpack what arrives{LIST}",
    ),
    (
        int | Annotated[int, types.INT32],
        (
            "'message: int | Annotated[int, types.INT32]' is ambiguous: "
            f"int and Annotated[int, types.INT32] both are int in Python{KEEP}"
        ),
    ),
    (
        Annotated[str, types.INT32],
        "'message: Annotated[str, types.INT32]' is contradictory: types.INT32 is a type of int, not of str",
    ),
    (
        Item | Annotated[User, USER_AS_ITEM],
        f"'message: Item | Annotated[User, kinds/Item]' is ambiguous: Item and User both arrive as 'kinds/Item'{KEEP}",
    ),
    (Vip | User, f"'message: Vip | User' is ambiguous: Vip and User both arrive as 'shop.User'{KEEP}"),
    (Never, "'message: Never' accepts no message at all"),
    (typing.NoReturn, "'message: NoReturn' accepts no message at all"),
    (T, "'message: T' uses the type variable ~T, which has no value at run time\n  help: list the message types"),
    ("Usr", f"the type hint of 'message' cannot be evaluated: name 'Usr' is not defined{DEFINE}"),
    (
        Undefined,
        f"the type hint of 'message' cannot be evaluated: name 'Usr' is not defined{DEFINE}",
    ),
    ("shop_pb2.Usr", "the type hint of 'message' cannot be evaluated: module 'shop_pb2' has no attribute 'Usr'"),
]


def one(context: Any) -> None:
    """Take too little."""


def three(context: Any, message: Any, more: Any) -> None:
    """Take too much."""


def keyword(context: Any, message: User, *, clock: Any) -> None:
    """Take what nobody gives."""


def swapped(message: User, context: Context) -> None:
    """Take them in the other order."""


def no_context(context: str, message: User) -> None:
    """Take no context."""


def no_state(context: Context[int], message: User) -> None:  # type: ignore[type-var]  # pyright: ignore[reportInvalidTypeArguments] -- wrong
    """Take a context of no State."""


def generator(context: Any, message: User) -> Iterator[None]:
    """Give something at a time."""
    yield


async def async_generator(context: Any, message: User) -> AsyncIterator[None]:
    """Give something at a time, awaited."""
    yield


def undefined_state(context: Context[Early], message: User) -> None:
    """Name a State of which a value cannot be read."""


def wrong_state(context: Context[Wrong], message: User) -> None:
    """Name a State of which a value cannot be stored."""


class Early(State):
    """A State that names what is never defined."""

    missing: Missing | None = None  # type: ignore[name-defined]  # noqa: F821 -- it is not there, on purpose  # pyright: ignore[reportUndefinedVariable]


class Wrong(State):
    """A State whose wrongness shows when its hint can be read."""

    later: Later | None = None


class Later:
    """A class that cannot be stored."""


class NotCallable:
    """An object that cannot be called."""

    def __repr__(self) -> str:
        return "<not callable>"


POSITIONAL = "a stateful function takes two positional parameters, (context, message); this one takes "
CALLABLES: list[tuple[Any, str, str]] = [
    (one, "one (test_signature.py:{})", f"{POSITIONAL}(context)"),
    (three, "three (test_signature.py:{})", f"{POSITIONAL}(context, message, more)"),
    (
        Greeter.method,
        "Greeter.method (test_signature.py:{})",
        (
            f"{POSITIONAL}(self, context, message)\n"
            "  help: bind the method of an instance: functions.register('example/f', instance.method)"
        ),
    ),
    (
        keyword,
        "keyword (test_signature.py:{})",
        "nothing would pass its keyword argument 'clock'\n  help: give it a default, or bind a functools.partial",
    ),
    (
        hidden(plain),
        "hidden.<locals>.wrapper (test_signature.py:{})",
        (
            "its signature (*args, **kwargs) hides the message type\n"
            "  help: if a decorator made it, let that use functools.wraps; otherwise write (context, message)"
        ),
    ),
    (
        swapped,
        "swapped (test_signature.py:{})",
        (
            "its first parameter 'message' is hinted User, but the first parameter is the context\n"
            "  help: swap the two parameters"
        ),
    ),
    (
        no_context,
        "no_context (test_signature.py:{})",
        (
            "its first parameter is hinted str\n"
            "  help: the first parameter is the context: 'context: Context' or 'context: Context[MyState]'"
        ),
    ),
    (
        no_state,
        "no_state (test_signature.py:{})",
        "the state of its context is int\n  help: name a subclass of statefun.State",
    ),
    (
        undefined_state,
        "undefined_state (test_signature.py:{})",
        (
            "the values of Early cannot be read: name 'Missing' is not defined\n"
            "  help: define the class before the function is bound"
        ),
    ),
    (
        wrong_state,
        "wrong_state (test_signature.py:{})",
        (
            "state 'later': values of type Later cannot be stored; use a protobuf message, bool, int, float, str, "
            "bytes, an Enum, a class declared with json_type, a list or dict of these, "
            "or write a Type and name it: value(type=...)"
        ),
    ),
    (
        generator,
        "generator (test_signature.py:{})",
        "it is a generator function: calling it would run nothing\n  help: use 'def' or 'async def' without yield",
    ),
    (
        async_generator,
        "async_generator (test_signature.py:{})",
        "it is a generator function: calling it would run nothing\n  help: use 'def' or 'async def' without yield",
    ),
    (
        Greeter,
        "Greeter",
        "it is a class\n  help: bind an instance: functions.register('example/f', Greeter())",
    ),
    (NotCallable(), "<not callable>", "it cannot be called"),
    (None, "None", "it cannot be called"),
    (print, "print", "it has no Python signature to read the message types from\n  help: wrap it in a def"),
    (
        untyped_partial(three, 1, 2, 3, 4),
        "three (test_signature.py:{})",
        (
            "its signature cannot be read: partial object functools.partial(<function three at ...>, 1, 2, 3, 4) has "
            "incorrect arguments"
        ),
    ),
    (
        typing_only.hello,
        "hello (typing_only.py:{})",
        (
            "the type hint of 'message' cannot be evaluated: name 'Person' is not defined "
            "('Person' is imported only under 'if TYPE_CHECKING:', line 11)\n"
            "  help: the class is needed at run time to unpack messages: import it outside the 'if'"
        ),
    ),
    (
        typing_only.goodbye,
        "goodbye (typing_only.py:{})",
        (
            "the type hint of 'message' cannot be evaluated: name 'shop' is not defined "
            "('shop' is imported only under 'if TYPE_CHECKING:', line 10)\n"
            "  help: the class is needed at run time to unpack messages: import it outside the 'if'"
        ),
    ),
]


@pytest.mark.parametrize(("hint", "text"), HINTS, ids=[text.partition("\n")[0] for _, text in HINTS])
def test_hints_that_are_refused(hint: Any, text: str) -> None:
    """A hint that does not say how to unpack what arrives is refused when the function is bound."""
    fn = with_hint(hint)
    line = fn.__code__.co_firstlineno
    assert refusal(BindError, lambda: accepts(fn)) == (
        f"cannot bind 'example/f' to with_hint.<locals>.f (test_signature.py:{line}): {text}"
    )


@pytest.mark.parametrize(("fn", "where", "text"), CALLABLES, ids=[where for _, where, _ in CALLABLES])
def test_callables_that_are_refused(fn: Any, where: str, text: str) -> None:
    """A callable that cannot be called with a context and a message is refused when it is bound."""
    inner = innermost(fn)
    where = where.format(inner.__code__.co_firstlineno if inner is not None else "")
    found = re.sub(r" at 0x[0-9a-fA-F]+>", " at ...>", refusal(BindError, lambda: accepts(fn)))
    assert found == f"cannot bind 'example/f' to {where}: {text}"


def test_a_hint_of_the_context_that_cannot_be_evaluated() -> None:
    """The hint of the context is read as that of the message is."""

    def f(context: Contxt, message: User) -> None: ...  # type: ignore[name-defined]  # noqa: F821 -- it is not there, on purpose  # pyright: ignore[reportUndefinedVariable]

    assert refusal(BindError, lambda: accepts(f)).endswith(
        f"the type hint of 'context' cannot be evaluated: name 'Contxt' is not defined{DEFINE}"
    )


def test_a_module_without_source() -> None:
    """A function of a module whose source is not there gets the plain text."""
    module = python_types.ModuleType("sourceless")
    exec("from __future__ import annotations\ndef f(context, message: Person): ...", module.__dict__)  # noqa: S102 -- it is written above
    assert refusal(BindError, lambda: accepts(module.f)).endswith(
        f"the type hint of 'message' cannot be evaluated: name 'Person' is not defined{DEFINE}"
    )


def test_a_forward_reference_that_comes_too_late() -> None:
    """What is defined below the function is not there yet."""

    def early(context: Context, message: Late) -> None: ...

    assert refusal(BindError, lambda: accepts(early)).endswith(
        f"the type hint of 'message' cannot be evaluated: name 'Late' is not defined{DEFINE}"
    )

    class Late: ...


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type` statements came with Python 3.12")
def test_type_statements() -> None:
    """An alias that a `type` statement makes is its value, nested, in quotes and with parameters."""
    module = python_types.ModuleType("aliases")
    code = """
        from shop_pb2 import Admin, Login, User
        type Person = User | Admin
        type Anyone = Person | Login
        type Quoted = "User | Admin"
        type OrAdmin[T] = T | Admin
        type Undefined = User | Missing
        def alias(context, message: Person): ...
        def nested(context, message: Anyone): ...
        def quoted(context, message: Quoted): ...
        def generic(context, message: OrAdmin[User]): ...
        def in_union(context, message: Person | Login): ...
        def undefined(context, message: Undefined): ...
        def parameter[T](context, message: T): ...
    """
    compiled = compile(textwrap.dedent(code), "aliases.py", "exec", dont_inherit=True)
    exec(compiled, module.__dict__)  # noqa: S102 -- it is written above
    found = {name: accepts(getattr(module, name)) for name in ("alias", "nested", "quoted", "generic", "in_union")}
    assert found == {
        "alias": "User | Admin",
        "nested": "User | Admin | Login",
        "quoted": "User | Admin",
        "generic": "User | Admin",
        "in_union": "User | Admin | Login",
    }
    assert "cannot be evaluated: name 'Missing' is not defined" in refusal(BindError, lambda: accepts(module.undefined))
    assert "uses the type variable T, which has no value" in refusal(BindError, lambda: accepts(module.parameter))


# --- the parts ---


def test_describe() -> None:
    """A callable is named by what it is and where it stands."""
    line = plain.__code__.co_firstlineno
    assert describe(plain) == f"plain (test_signature.py:{line})"
    assert describe(logged(plain)) == f"plain (test_signature.py:{line})"
    assert describe(print) == "print"
    assert describe(5) == "5"
    assert describe(Greeter().method).startswith("Greeter.method (test_signature.py:")
    windows = plain.__code__.replace(co_filename="C:\\app\\greeter.py")
    assert describe(python_types.FunctionType(windows, {}, "plain")) == f"plain (greeter.py:{line})"


def test_innermost() -> None:
    """The def behind a callable is found through whatever is around it; a wrapper of itself has none."""
    assert innermost(logged(functools.partial(plain))) is plain
    assert innermost(Greeter().method) is Greeter.method
    assert innermost(Greeter()) is Greeter.__call__
    assert innermost(print) is None

    def endless() -> None: ...

    endless.__wrapped__ = endless  # type: ignore[attr-defined]  # pyright: ignore[reportFunctionMemberAccess] -- on purpose
    assert innermost(endless) is None


def test_is_async() -> None:
    """An async def is seen behind a partial, an object and a bound function, and not behind a plain wrapper."""
    handle = StatefulFunctions().register("example/f", asynchronous)
    awaited: list[Any] = [
        asynchronous,
        functools.partial(asynchronous),
        AsyncGreeter(),
        Greeter().async_method,
        handle,
    ]
    for fn in awaited:
        assert is_async(fn)
    others: list[Any] = [plain, Greeter(), logged(asynchronous), print, Kinds]
    for fn in others:
        assert not is_async(fn)

"""`match` with `assert_never` proves that every accepted message is handled."""

from typing import TypeAlias

from google.protobuf.any_pb2 import Any
from shop_pb2 import Admin, Login, User
from typing_extensions import assert_never, assert_type

from statefun import Context, StatefulFunctions

functions = StatefulFunctions()
Person: TypeAlias = User | Admin


@functions.bind("example/match")
def matches(context: Context, message: User | Admin) -> None:
    match message:
        case User():
            assert_type(message, User)
        case Admin():
            assert_type(message, Admin)
        case _:
            assert_never(message)


@functions.bind("example/missing")
def missing(context: Context, message: User | Admin | Login) -> None:
    match message:
        case User():
            pass
        case Admin():
            pass
        case _:
            assert_never(message)  # E


@functions.bind("example/fields")
def fields(context: Context, message: User | Admin) -> None:
    match message:
        case User(name="bob"):  # does not exhaust User
            pass
        case Admin(roles=roles):
            print(roles)
        case User():
            pass
        case _:
            assert_never(message)


@functions.bind("example/field_only")
def field_only(context: Context, message: User | Admin) -> None:
    match message:
        case User(name="bob"):
            pass
        case Admin():
            pass
        case _:
            assert_never(message)  # E


@functions.bind("example/isinstance")
def instances(context: Context, message: Person) -> None:
    if isinstance(message, User):
        assert_type(message, User)
    elif isinstance(message, Admin):  # E: pyright basedpyright
        assert_type(message, Admin)
    else:
        assert_never(message)


@functions.bind("example/result")
def result(context: Context, message: Person | Any) -> None:
    def text() -> str:
        match message:
            case User():
                return message.name
            case Admin():
                return message.user_id
            case Any():
                return message.type_url

    print(text())


@functions.bind("example/wrong_pattern")
def wrong_pattern(context: Context, message: User | Admin) -> None:
    match message:
        case Login():  # E: mypy pyright basedpyright
            print("never")  # E: mypy
        case _:
            pass

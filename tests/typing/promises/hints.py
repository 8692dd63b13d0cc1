"""Every way to write the accepted messages means the same union; what only bind can refuse is listed, too."""

from __future__ import annotations

import typing
from typing import Annotated, Any, NewType, Optional, TypeAlias

from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.message import Message
from shop_pb2 import Admin, Login, User
from typing_extensions import TypeVar, assert_type

from statefun import Context, State, StatefulFunction, StatefulFunctions

functions = StatefulFunctions()
VipUser = NewType("VipUser", User)
Person: TypeAlias = User | Admin
Implicit = User | Admin
T = TypeVar("T", bound=Message)


@functions.bind("example/union")
def union(context: Context, message: typing.Union[User, Admin]) -> None: ...


@functions.bind("example/alias")
def alias(context: Context, message: Person) -> None: ...


@functions.bind("example/implicit")
def implicit(context: Context, message: Implicit) -> None: ...


@functions.bind("example/quoted")
def quoted(context: "Context", message: "User | Admin") -> None: ...


@functions.bind("example/annotated")
def annotated(context: Context, message: Annotated[User, "doc"] | Admin) -> None: ...


@functions.bind("example/vip")
def vip(context: Context, message: VipUser) -> None: ...


@functions.bind("example/any")
def any_(context: Context, message: Any) -> None: ...


@functions.bind("example/none")
def unhinted(context: Context, message) -> None: ...  # noqa: ANN001  # E


assert_type(union, StatefulFunction[User | Admin, State, None])
assert_type(alias, StatefulFunction[User | Admin, State, None])
assert_type(implicit, StatefulFunction[User | Admin, State, None])
assert_type(quoted, StatefulFunction[User | Admin, State, None])
assert_type(annotated, StatefulFunction[User | Admin, State, None])


def sends(context: Context, any: AnyPb) -> None:
    context.send(any_.at("1"), Login())
    context.send(unhinted.at("1"), Login())
    context.send(unhinted.at("1"), any)
    context.send(vip.at("1"), VipUser(User()))
    context.send(union.at("1"), Login())  # E
    context.send(alias.at("1"), Login())  # E
    context.send(annotated.at("1"), Login())  # E
    context.send(vip.at("1"), User())  # E


# --- refused when they are bound; a checker sees some of them ---


@functions.bind("example/optional")  # E: mypy
def optional(context: Context, message: Optional[User]) -> None: ...


@functions.bind("example/generic")
def generic(context: Context, message: T) -> None: ...  # E: pyright basedpyright


@functions.bind("example/base")
def base(context: Context, message: Message) -> None: ...


@functions.bind("example/object")  # E: mypy
def object_(context: Context, message: object) -> None: ...

"""`type` aliases and type parameters mean what the older spellings mean (checked as Python 3.12)."""

from google.protobuf.message import Message
from shop_pb2 import Admin, GreetRequest, Login, User
from typing_extensions import assert_type  # noqa: UP035 -- pyright reads the stub of typing once, as Python 3.10

from statefun import Context, FunctionRef, State, StatefulFunction, StatefulFunctions

type Person = User | Admin
type OrAdmin[T: Message] = T | Admin

functions = StatefulFunctions()


@functions.bind("example/alias")
def alias(context: Context, message: Person) -> None: ...


@functions.bind("example/generic")
def generic(context: Context, message: OrAdmin[User]) -> None: ...


PEOPLE = FunctionRef[Person]("example/people")


def broadcast[M: Message](context: Context, to: FunctionRef[M], ids: list[str], message: M) -> None:
    for id in ids:
        context.send(to.at(id), message)
        context.send(to.at(id), GreetRequest())  # E


def sends(context: Context, person: Person) -> None:
    context.send(alias.at("1"), User())
    context.send(alias.at("1"), person)
    context.send(generic.at("1"), Admin())
    context.send(PEOPLE.at("1"), person)
    context.send(alias.at("1"), Login())  # E
    context.send(generic.at("1"), Login())  # E
    context.send(PEOPLE.at("1"), Login())  # E
    broadcast(context, alias, ["1"], person)
    broadcast(context, alias, ["1"], Login())  # E


def check() -> None:
    same: StatefulFunction[User | Admin, State, None] = alias
    assert_type(generic, StatefulFunction[User | Admin, State, None])
    print(same)

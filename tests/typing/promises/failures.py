"""What is done about a failure is a policy, a dead letter is typed, and a middleware gives back what it is."""

import datetime as dt
from collections.abc import Awaitable, Callable

from shop_pb2 import GreetRequest, User
from typing_extensions import assert_type

from statefun import (
    Address,
    AsyncRequestReplyHandler,
    Context,
    DeadLetter,
    FunctionRef,
    KafkaEgress,
    KinesisEgress,
    MessageEgress,
    RequestReplyHandler,
    State,
    StatefulFunctions,
    dead_letter,
    raise_,
    skip,
)
from statefun.failures import DeadLetters, Policy
from statefun.types import Sendable

KAFKA = KafkaEgress[DeadLetter]("shop/dead", topic="dead")
USERS = KafkaEgress[User]("shop/users", topic="users")


class Visits(State):
    visits: int = 0


# --- policies ---

assert_type(dead_letter(KAFKA, retries=2), DeadLetters)
dead_letter(KafkaEgress[DeadLetter | User]("shop/dead", topic="dead"))
dead_letter(KinesisEgress[DeadLetter]("shop/dead", stream="dead"))
dead_letter(MessageEgress[DeadLetter]("shop/dead"))
dead_letter(USERS)  # E
dead_letter(KinesisEgress[User]("shop/users", stream="users"))  # E
dead_letter("shop/dead")  # E
dead_letter(KAFKA, 2)  # E
dead_letter(KAFKA, retries="2")  # E
dead_letter()  # E


class Texts:
    """An egress of one's own."""

    typename = "shop/texts"

    def record(self, letter: DeadLetter, /) -> str:
        return letter.text


dead_letter(Texts())


def decide(error: Exception) -> Policy:
    return raise_ if isinstance(error, OSError) else dead_letter(KAFKA)


def decide_nothing(error: Exception) -> None: ...


async def decide_later(error: Exception) -> Policy:
    return skip


functions = StatefulFunctions()
StatefulFunctions(on_failure=raise_)
StatefulFunctions(on_failure=skip)
StatefulFunctions(on_failure=dead_letter(KAFKA))
StatefulFunctions(on_failure=decide)
StatefulFunctions(on_failure="skip")  # E
StatefulFunctions(on_failure=dead_letter)  # E
StatefulFunctions(on_failure=decide_nothing)  # E
StatefulFunctions(on_failure=decide_later)  # E
StatefulFunctions(skip)  # E


@functions.bind("shop/cart", on_failure=skip)
def cart(context: Context[Visits], message: User) -> None: ...


def checkout(context: Context[Visits], message: User) -> None: ...


functions.register("shop/checkout", checkout, on_failure=decide)
functions.register("shop/checkout", checkout, on_failure=True)  # E

# --- a dead letter ---


@functions.bind("shop/triage")
def triage(context: Context, message: DeadLetter) -> None:
    assert_type(message.address, Address)
    assert_type(message.caller, Address | None)
    assert_type(message.typename, str)
    assert_type(message.payload, bytes)
    assert_type(message.error, str)
    assert_type(message.text, str)
    assert_type(message.traceback, str)
    assert_type(message.attempts, int)
    assert_type(message.time, dt.datetime | None)
    message.text = ""  # E
    message.reason  # E
    context.send_egress(KAFKA, message, key=message.address.identity)
    context.send_egress(USERS, message)  # E
    context.send(FunctionRef[DeadLetter]("shop/archive").at("all"), message)


# --- middleware ---


@functions.middleware
def timed(context: Context, message: Sendable, proceed: Callable[[], None]) -> None:
    assert_type(proceed(), None)


@functions.middleware
async def in_session(context: Context, message: object, proceed: Callable[[], Awaitable[None]]) -> None:
    await proceed()


def call(context: Context, message: User) -> None:
    timed(context, message, lambda: None)
    timed(context, message)  # E


@functions.middleware  # E
def too_few(context: Context, proceed: Callable[[], None]) -> None: ...


@functions.middleware  # E
def of_one_message(context: Context, message: GreetRequest, proceed: Callable[[], None]) -> None: ...


@functions.middleware  # E
def of_one_state(context: Context[Visits], message: object, proceed: Callable[[], None]) -> None: ...


@functions.middleware  # E
def answers(context: Context, message: object, proceed: Callable[[], None]) -> int:
    return 1


@functions.middleware  # E
def takes_more(context: Context, message: object, proceed: Callable[[int], None]) -> None: ...


# --- the clock ---


def now() -> dt.datetime:
    return dt.datetime.now(tz=dt.timezone.utc)


RequestReplyHandler(functions, clock=now)
AsyncRequestReplyHandler(functions, clock=now)
RequestReplyHandler(functions, clock=now())  # E
RequestReplyHandler(functions, clock=lambda: 5)  # E

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import SeenCount

from statefun import (
    AsyncRequestReplyHandler,
    Context,
    DeadLetter,
    KafkaEgress,
    KinesisEgress,
    MessageEgress,
    RequestReplyHandler,
    State,
    StatefulFunctions,
    ValueSpec,
    dead_letter,
    raise_,
    skip,
    types,
    value,
)
from statefun._proto.egress_pb2 import KafkaProducerRecord, KinesisEgressRecord
from statefun.errors import DeclarationError, MissingState, PeerError, UndecodableMessage, UnknownFunction
from statefun.failures import OnFailure, Policy
from statefun.types import type_of
from tests.peer import BOTH, Answer, Runtime, Wire, answer_of, packed, request, typed

pytestmark = pytest.mark.parametrize("wire", BOTH)
LETTERS = MessageEgress[DeadLetter]("shop/dead")
NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.timezone.utc)
ASKED = {"n": None, "seen": None}


class Kept(State):
    """One value that can change in place, and one that cannot."""

    n: int = 0
    seen: SeenCount = value(default_factory=SeenCount)


def int_(number: int) -> AnyPb:
    """Return a message."""
    return typed(types.INT64.typename, types.INT64.encode(number))


def letters(answer: Answer) -> list[DeadLetter]:
    """Decode the dead letters of an answer."""
    made: Any = type_of(DeadLetter)
    assert {message.type_url for _, message in answer.egress} <= {"statefun.python/dead-letter"}
    return [made.decode(message.value) for _, message in answer.egress]


def adding(on_failure: OnFailure, ran: list[int] | None = None) -> StatefulFunctions:
    """Make a function that does all that can be done, and then fails on negative numbers."""
    functions = StatefulFunctions(on_failure=on_failure)

    @functions.bind("example/f")
    def f(context: Context[Kept], message: int) -> None:
        if ran is not None:
            ran.append(message)
        context.state.n += message
        context.state.seen.value += message
        context.pack_and_send("example/g", "y", message)
        context.pack_and_send_after(timedelta(seconds=1), "example/g", "y", message)
        if message < 0:
            context.pack_and_send_egress("example/out", message)
            raise ValueError(message)

    return functions


def answered(wire: Wire, functions: StatefulFunctions, *messages: AnyPb, **options: Any) -> Answer:
    """Let a plain handler answer."""
    handler = RequestReplyHandler(functions, clock=options.pop("clock", None))
    options.setdefault("states", ASKED)
    return answer_of(wire, handler(request(wire, *messages, **options)))


# --- the policies ---


def test_a_dead_letter(wire: Wire) -> None:
    """A message that fails leaves as a dead letter, nothing of what it did is kept, and the others go on."""
    answer = answered(
        wire,
        adding(dead_letter(LETTERS)),
        *map(int_, (1, -5, 2)),
        clock=lambda: NOON,
        caller=("a", "b", "c"),
    )
    assert [message for *_, message in answer.sent] == [int_(1), int_(2)]
    assert [message for _, _, _, message, _ in answer.delayed] == [int_(1), int_(2)]
    assert answer.states == {"n": int_(3), "seen": packed(SeenCount(value=3))}
    (letter,) = letters(answer)
    assert (str(letter.address), str(letter.caller)) == ("example/f/x", "a/b/c")
    assert typed(letter.typename, letter.payload) == int_(-5)
    assert (letter.error, letter.text, letter.attempts, letter.time) == ("ValueError", "-5", 1, NOON)
    assert letter.traceback.endswith("\nValueError: -5\n")


def test_retries(wire: Wire) -> None:
    """A message is run again at once, from where it was, as often as is said; then it is a dead letter."""
    ran: list[int] = []
    answer = answered(wire, adding(dead_letter(LETTERS, retries=2), ran), *map(int_, (1, -5, 2, -6)))
    assert ran == [1, -5, -5, -5, 2, -6, -6, -6]
    assert [(letter.text, letter.attempts) for letter in letters(answer)] == [("-5", 3), ("-6", 3)]
    assert answer.states == {"n": int_(3), "seen": packed(SeenCount(value=3))}


def test_a_retry_that_works(wire: Wire) -> None:
    """A message that works when it is run again leaves no dead letter."""
    functions = StatefulFunctions(on_failure=dead_letter(LETTERS, retries=1))
    failing = [True]

    @functions.bind("example/f")
    def f(context: Context[Kept], message: int) -> None:
        context.state.n += message
        context.state.seen.value += message
        if failing and failing.pop():
            raise OSError

    answer = answered(wire, functions, int_(3))
    assert answer == Answer(mutations=[("n", int_(3)), ("seen", packed(SeenCount(value=3)))], missing=answer.missing)


def test_skip(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """A message that fails is dropped, and logged with its address and type."""
    answer = answered(wire, adding(skip), *map(int_, (1, -5, 2)))
    assert answer.egress == []
    assert answer.states == {"n": int_(3), "seen": packed(SeenCount(value=3))}
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("statefun.failures", logging.ERROR)
    assert record.getMessage() == "a message for example/f/x (io.statefun.types/long) failed and is skipped"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "-5"
    fields = {name: value for name, value in vars(record).items() if name.startswith("statefun_")}
    assert fields == {
        "statefun_function": "example/f",
        "statefun_id": "x",
        "statefun_type": "io.statefun.types/long",
        "statefun_attempts": 1,
    }


def test_raise(wire: Wire) -> None:
    """By default the request fails with what the function raised."""
    assert not adding(raise_)["example/f"].guarded
    with pytest.raises(ValueError, match=r"^-5"):
        answered(wire, adding(raise_), int_(1), int_(-5))


def test_a_decision(wire: Wire) -> None:
    """A function decides by the exception; what it has raised is raised, with a note of where."""

    def decide(error: Exception) -> Policy:
        return raise_ if str(error) == "-6" else skip

    assert answered(wire, adding(decide), int_(-5)).states == {}
    with pytest.raises(ValueError, match=r"^-6") as raised:
        answered(wire, adding(decide), int_(-5), int_(-6))
    assert getattr(raised.value, "__notes__", ["statefun: example/f/x, message 2 of 2 (io.statefun.types/long)"]) == [
        "statefun: example/f/x, message 2 of 2 (io.statefun.types/long)"
    ]


def test_a_decision_that_fails(wire: Wire) -> None:
    """What the deciding function raises fails the request, and so does a decision that is none."""

    def broken(error: Exception) -> Policy:
        raise KeyError from error

    with pytest.raises(KeyError):
        answered(wire, adding(broken), int_(-5))

    def nothing(error: Exception) -> Any:
        return None

    with pytest.raises(DeclarationError):
        answered(wire, adding(nothing), int_(-5))


def test_of_one_function(wire: Wire) -> None:
    """What a function says goes before what the registry says."""
    functions = StatefulFunctions(on_failure=skip)

    @functions.bind("example/f", on_failure=raise_)
    def f(context: Context, message: int) -> None:
        raise ValueError

    def g(context: Context, message: int) -> None:
        raise ValueError

    functions.register("example/g", g)
    functions.register("example/h", g, on_failure=dead_letter(LETTERS))
    with pytest.raises(ValueError, match=r"^"):
        answered(wire, functions, int_(1))
    assert answered(wire, functions, int_(1), function="example/g").egress == []
    assert len(letters(answered(wire, functions, int_(1), function="example/h"))) == 1


# --- what is caught ---


def test_what_never_comes_to_the_function(wire: Wire) -> None:
    """A message of an unknown type, or that cannot be decoded, is a dead letter at once, without another attempt."""
    unreadable = typed(types.INT64.typename, b"\xff")
    answer = answered(
        wire, adding(dead_letter(LETTERS, retries=3)), typed("x/y", b"z"), int_(1), unreadable, function="example/f"
    )
    assert answer.states == {"n": int_(1), "seen": packed(SeenCount(value=1))}
    assert [(letter.error, letter.payload, letter.attempts) for letter in letters(answer)] == [
        ("statefun.errors.UnexpectedMessage", b"z", 1),
        ("statefun.errors.UndecodableMessage", b"\xff", 1),
    ]


def test_an_unknown_function(wire: Wire) -> None:
    """The messages for an unknown function of a known namespace are dead letters, each with its address."""
    functions = adding(dead_letter(LETTERS, retries=3))
    answer = answered(wire, functions, int_(1), typed("x/y"), function="example/gone", identity="bob", states={})
    assert [str(letter.address) for letter in letters(answer)] == ["example/gone/bob"] * 2
    assert {(letter.error, letter.text, letter.attempts) for letter in letters(answer)} == {
        ("statefun.errors.UnknownFunction", "no function is bound to 'example/gone' (bound: example/f)", 1)
    }


@pytest.mark.parametrize("policy", [raise_, dead_letter(LETTERS)])
def test_an_unknown_namespace(wire: Wire, policy: OnFailure) -> None:
    """A function of an unknown namespace is a request that went astray, and raises."""
    with pytest.raises(UnknownFunction):
        answered(wire, adding(policy), int_(1), function="elsewhere/f")


def test_an_unknown_function_raises(wire: Wire) -> None:
    """By default an unknown function raises."""
    with pytest.raises(UnknownFunction):
        answered(wire, adding(raise_), int_(1), function="example/gone")


def test_a_state_that_cannot_be_read(wire: Wire) -> None:
    """A message that looks at a state that cannot be decoded fails; the state stays, the others go on."""
    functions = StatefulFunctions(on_failure=dead_letter(LETTERS))

    @functions.bind("example/f")
    def f(context: Context[Kept], message: int) -> None:
        if message:
            context.state.n += message
        context.pack_and_send("a/b", "c", message)

    broken = typed(types.INT64.typename, b"\xff")
    answer = answered(wire, functions, int_(1), int_(0), states={**ASKED, "n": broken})
    assert [letter.error for letter in letters(answer)] == ["statefun.errors.UndecodableState"]
    assert [message for *_, message in answer.sent] == [int_(0)]
    assert answer.mutations == []


def test_a_value_without_bytes(wire: Wire) -> None:
    """A message that leaves a value that cannot be written is the one that fails, not the last of the batch."""
    functions = StatefulFunctions(on_failure=dead_letter(LETTERS))
    tags = ValueSpec("tags", list[str], default=list[str])

    @functions.bind("example/f", states=[tags])
    def f(context: Context, message: int) -> None:
        context[tags].append("\udc80" if message < 0 else "ok")

    answer = answered(wire, functions, int_(1), int_(-1), int_(1), states={"tags": None})
    assert [letter.payload for letter in letters(answer)] == [types.INT64.encode(-1)]
    assert answer.states == {"tags": typed("statefun.python/json", b'["ok","ok"]')}


def test_a_malformed_request(wire: Wire) -> None:
    """What is no request is no message: it raises."""
    with pytest.raises(PeerError):
        RequestReplyHandler(adding(skip), wire=wire)(b"\xff")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt(wire: Wire, error: type[BaseException]) -> None:
    """What is no Exception is no failure, and goes on."""
    functions = StatefulFunctions(on_failure=skip)

    @functions.bind("example/f")
    def f(context: Context, message: int) -> None:
        raise error

    with pytest.raises(error):
        answered(wire, functions, int_(1))


# --- through which egress ---


def test_kafka(wire: Wire) -> None:
    """A letter is the value of a Kafka record, under the identity that the message was for."""
    kafka = KafkaEgress[DeadLetter]("shop/dead", topic="letters")
    (record,) = [message for _, message in answered(wire, adding(dead_letter(kafka)), int_(-1)).egress]
    made = KafkaProducerRecord.FromString(record.value)
    assert (made.topic, made.key) == ("letters", "x")
    found: Any = type_of(DeadLetter)
    assert found.decode(made.value_bytes).text == "-1"


def test_kinesis(wire: Wire) -> None:
    """So it is for Kinesis."""
    kinesis = KinesisEgress[DeadLetter]("shop/dead", stream="letters")
    (record,) = [message for _, message in answered(wire, adding(dead_letter(kinesis)), int_(-1)).egress]
    made = KinesisEgressRecord.FromString(record.value)
    assert (made.stream, made.partition_key) == ("letters", "x")


def test_an_egress_of_ones_own(wire: Wire) -> None:
    """An egress of one's own makes what it likes of a letter."""

    class Texts:
        typename = "shop/texts"

        def record(self, letter: DeadLetter, /) -> str:
            return letter.text

    ((egress, message),) = answered(wire, adding(dead_letter(Texts())), int_(-1)).egress
    assert (egress, types.STRING.decode(message.value)) == ("shop/texts", "-1")


def test_an_egress_that_fails(wire: Wire) -> None:
    """A letter that cannot leave fails the request: the message is not lost."""

    class Broken:
        typename = "shop/broken"

        def record(self, letter: DeadLetter, /) -> str:
            raise OSError("no")

    with pytest.raises(OSError, match=r"^no") as raised:
        answered(wire, adding(dead_letter(Broken())), int_(-1))
    assert isinstance(raised.value.__context__, ValueError)


# --- states that are missing, and those of 2.x ---


def test_the_handshake(wire: Wire) -> None:
    """A state that the runtime does not know yet is no failure: it is asked for, and the batch comes again."""
    runtime = Runtime(wire, adding(dead_letter(LETTERS)), listed=["n", "seen"])
    answer = runtime.send(int_(1), int_(-5), int_(2))
    assert len(letters(answer)) == 1
    assert runtime.state("n") == int_(3)
    assert runtime.asked == ([] if wire == "v2" else [["n", "seen"]])


def test_undeclared_states(wire: Wire) -> None:
    """So it is for a state that nobody declared; what a failed message did to it is taken back."""
    functions = StatefulFunctions(on_failure=skip)

    @functions.bind("example/f")
    def f(context: Context, message: int) -> None:
        try:
            count = context.state("count").unpack(SeenCount) or SeenCount()
            count.value += message
            context.state("count").pack(count)
            if message < 0:
                del context.state("other").value
                raise ValueError  # noqa: TRY301 -- in the block that a state that is missing leaves
        except ValueError:
            raise
        except BaseException as error:
            raise RuntimeError from error  # what it makes of a state that is missing

    runtime = Runtime(wire, functions, listed=["count", "other"])
    runtime.send(int_(1), int_(-5), int_(2))
    assert runtime.state("count") == packed(SeenCount(value=3))


def test_module_yaml(wire: Wire) -> None:
    """A state that module.yaml does not list (2.x) is no message's fault, and raises."""
    functions = StatefulFunctions(on_failure=skip)

    @functions.bind("example/f")
    def f(context: Context, message: int) -> None:
        context["count"] = int_(1)

    if wire == "v3":
        assert answered(wire, functions, int_(1), states={}).missing is not None
        return
    with pytest.raises(MissingState):
        answered(wire, functions, int_(1), states={})


def test_tokens(wire: Wire) -> None:
    """The token of a message that was taken back is free again, the one it cancelled is in use again."""
    if wire == "v2":
        pytest.skip("v2 has no tokens")
    functions = StatefulFunctions(on_failure=dead_letter(LETTERS))

    @functions.bind("example/f")
    def f(context: Context, message: str) -> None:
        action, token = message.split()
        if action == "cancel":
            context.cancel(token)
            raise ValueError
        context.pack_and_send_after(timedelta(1), "a/b", "c", 1, token=token)
        if action == "fail":
            raise ValueError

    texts = ["fail t", "send t", "cancel t", "send t", "send u"]
    answer = answered(wire, functions, *(typed(types.STRING.typename, types.STRING.encode(t)) for t in texts))
    assert [token for *_, token in answer.delayed] == ["t", "u"]
    assert answer.cancelled == []
    assert [(letter.error, types.STRING.decode(letter.payload)) for letter in letters(answer)] == [
        ("ValueError", "fail t"),
        ("ValueError", "cancel t"),
        ("statefun.errors.SendError", "send t"),
    ]


# --- async functions, and threads ---


def answered_async(wire: Wire, functions: StatefulFunctions, *messages: AnyPb, threads: int) -> Answer:
    """Let an async handler answer."""

    async def run() -> bytes:
        return await AsyncRequestReplyHandler(functions, threads=threads)(request(wire, *messages, states=ASKED))

    return answer_of(wire, asyncio.run(run()))


@pytest.mark.parametrize("threads", [0, 2])
def test_plain_under_the_async_handler(wire: Wire, threads: int) -> None:
    """A plain function fails in its thread as it does without one."""
    messages = [int_(1), int_(-5), int_(2)]
    expected = answered(wire, adding(skip), *messages)
    assert answered_async(wire, adding(skip), *messages, threads=threads) == expected


async def fail_before(number: int) -> None:
    """Fail before anything is awaited."""
    if number < 0:
        raise ValueError(number)


async def fail_after(number: int) -> None:
    """Fail after something was awaited."""
    await asyncio.sleep(0)
    await fail_before(number)


async def fail_in_a_task(number: int) -> None:
    """Fail with what a task raised."""
    await asyncio.gather(fail_after(number))


async def fail_by_timeout(number: int) -> None:
    """Fail by a limit of one's own."""
    await asyncio.wait_for(asyncio.sleep(9 if number < 0 else 0), 0.01)


@pytest.mark.parametrize("fail", [fail_before, fail_after, fail_in_a_task, fail_by_timeout])
def test_async(wire: Wire, fail: Callable[[int], Awaitable[None]]) -> None:
    """An async function is taken back and run again, wherever it fails."""
    functions = StatefulFunctions(on_failure=dead_letter(LETTERS, retries=1))
    ran: list[int] = []

    @functions.bind("example/f")
    async def f(context: Context[Kept], message: int) -> None:
        ran.append(message)
        context.state.n += message
        context.state.seen.value += message
        context.pack_and_send("example/g", "y", message)
        await fail(message)

    answer = answered_async(wire, functions, *map(int_, (1, -5, 2, -6)), threads=2)
    assert ran == [1, -5, -5, 2, -6, -6]
    assert answer.states == {"n": int_(3), "seen": packed(SeenCount(value=3))}
    assert [message for *_, message in answer.sent] == [int_(1), int_(2)]
    assert [letter.attempts for letter in letters(answer)] == [2, 2]


def test_cancellation(wire: Wire) -> None:
    """A request that is cancelled is no failure of its message: nothing is run again, and nothing leaves."""
    functions = StatefulFunctions(on_failure=dead_letter(LETTERS, retries=5))
    ran: list[int] = []

    @functions.bind("example/f")
    async def f(context: Context, message: int) -> None:
        ran.append(message)
        await asyncio.sleep(9)

    async def run() -> None:
        handler = AsyncRequestReplyHandler(functions)
        answering = asyncio.ensure_future(handler(request(wire, int_(1), int_(2))))
        await asyncio.sleep(0.01)
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering

    asyncio.run(run())
    assert ran == [1]


def test_many_threads(wire: Wire) -> None:
    """Requests at the same time do not see each other's failures."""
    handler = RequestReplyHandler(adding(skip), wire=wire)
    answers: list[Answer] = []

    def serve(number: int) -> None:
        data = request(wire, int_(number), int_(-5), int_(number), states=ASKED)
        answers.extend(answer_of(wire, handler(data)) for _ in range(50))

    threads = [threading.Thread(target=serve, args=(number,)) for number in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sums = [types.INT64.decode(answer.states["n"].value) for answer in answers if answer.states["n"]]
    assert sorted(sums) == sorted([2, 4, 6, 8] * 50)


def test_a_context_of_a_failed_attempt(wire: Wire) -> None:
    """The context of an attempt that was taken back is over."""
    functions = StatefulFunctions(on_failure=skip)
    kept: list[Context] = []

    @functions.bind("example/f")
    def f(context: Context, message: int) -> None:
        for old in kept:
            old.pack_and_send("a/b", "c", 1)
        kept.append(context)
        raise ValueError

    assert answered(wire, functions, int_(1), int_(2)) == Answer()


def test_an_unreadable_message_and_its_cause(wire: Wire) -> None:
    """The exception that decides is the SDK's, and comes from the codec's."""
    causes: list[object] = []

    def decide(error: Exception) -> Policy:
        assert isinstance(error, UndecodableMessage)
        causes.append(type(error.__cause__))
        return skip

    answered(wire, adding(decide), typed(types.INT64.typename, b"\xff"))
    assert causes == [ValueError]

"""One batch: dispatch, state, and who is to blame."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import Cancel, GreetRequest, Login, SeenCount, Ship

from statefun import AsyncRequestReplyHandler, Context, RequestReplyHandler, State, StatefulFunctions, types, value
from statefun.errors import ConfigError, ContextError, MissingState, SendError, UndecodableState, UnexpectedMessage
from tests.kinds import Item
from tests.peer import ANY, BOTH, Runtime, Wire, answer_of, functions_of, packed, request, run, typed
from tests.refusals import refusal

GO = packed(GreetRequest(name="go"))
wires = pytest.mark.parametrize("wire", BOTH)


class Counts(State):
    """A State with an expiration of each kind."""

    visits: int = 0
    seen: SeenCount | None = value(default=None, expire_after_write=timedelta(milliseconds=1_001))
    name: str = value(default="", name="user_name", expire_after_call=timedelta(days=2))


class Broken(State):
    """A State with a value that can be changed into what has no bytes."""

    item: Item = value(default_factory=lambda: Item("s"))


def count(context: Context[Counts], message: GreetRequest) -> None:
    """Count."""
    context.state.visits += 1


# --- dispatch ---


@wires
def test_messages_arrive_in_order(wire: Wire) -> None:
    """The messages of a batch reach the function one after the other, each as its class."""
    seen: list[Any] = []

    def f(context: Context, message: GreetRequest | Login | int | Item) -> None:
        seen.append(message)

    given: list[Any] = [GreetRequest(name="a"), 5, Login(user_id="b"), Item("s"), GreetRequest()]
    assert run(wire, f, *map(types.pack, given)).mutations == []
    assert seen == given


@wires
def test_messages_without_a_hint(wire: Wire) -> None:
    """Without a hint a message arrives packed, on v3 with its typename as type_url."""
    seen: list[Any] = []

    def f(context: Any, message: Any) -> None:
        seen.append(message)

    given = [GO, types.pack(5), typed("a/b", b""), typed("", b"c")]
    run(wire, f, *given)
    assert seen == given


@wires
def test_no_messages(wire: Wire) -> None:
    """A batch without messages has no effects."""

    def f(context: Context, message: GreetRequest) -> None: ...

    handler = RequestReplyHandler(functions_of(f), wire=wire)
    assert handler(request(wire)) == b""


@wires
def test_effects_of_a_batch_leave_together(wire: Wire) -> None:
    """What the messages of a batch send leaves in one reply, in their order."""

    def f(context: Context, message: GreetRequest) -> None:
        context.pack_and_send("a/b", message.name, 1)
        context.pack_and_send("a/b", message.name, 2)

    answer = run(wire, f, packed(GreetRequest(name="a")), packed(GreetRequest(name="b")))
    assert [(id, types.INT64.decode(message.value)) for _, id, message in answer.sent] == [
        ("a", 1),
        ("a", 2),
        ("b", 1),
        ("b", 2),
    ]


# --- blame ---

with_notes = pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")


def notes(error: BaseException) -> list[str]:
    """Return the notes of an error."""
    return getattr(error, "__notes__", [])


@with_notes
@wires
def test_the_note_of_a_users_error(wire: Wire) -> None:
    """A user's own exception propagates unchanged, with a note of the address, the type and the position."""
    raised = KeyError("mine")

    def f(context: Context, message: GreetRequest | int) -> None:
        if message == 5:
            raise raised

    with pytest.raises(KeyError) as caught:
        run(wire, f, GO, GO, types.pack(5), identity="ada")
    assert caught.value is raised
    assert notes(raised) == ["statefun: example/f/ada, message 3 of 3 (io.statefun.types/long)"]


@with_notes
def test_the_note_of_a_peers_error() -> None:
    """A message that cannot be unpacked is noted in the same way."""

    def f(context: Context, message: GreetRequest | int) -> None: ...

    for message, shown in [(packed(Login()), "shop.Login"), (typed("", b"x"), "a message without a type")]:
        with pytest.raises(UnexpectedMessage) as caught:
            run("v3", f, GO, message)
        assert notes(caught.value) == [f"statefun: example/f/x, message 2 of 2 ({shown})"]


@with_notes
def test_the_note_of_the_end() -> None:
    """What cannot be written at the end of a batch is noted as that."""

    def f(context: Context[Broken], message: GreetRequest) -> None:
        untyped: Any = context.state.item.tags
        untyped.append(5)

    with pytest.raises(TypeError) as caught:
        run("v3", f, GO)
    assert str(caught.value) == "state 'item': Item has no JSON form: $.tags[0]: expected a string, not 5"
    assert notes(caught.value) == ["statefun: example/f/x, the settling of its state"]


@wires
def test_nothing_leaves_where_one_message_failed(wire: Wire) -> None:
    """An exception fails the whole batch: the runtime sends it again."""
    calls: list[str] = []

    def f(context: Context, message: GreetRequest) -> None:
        calls.append(message.name)
        context.pack_and_send("a/b", "1", 5)
        if message.name == "b":
            raise ZeroDivisionError

    handler = RequestReplyHandler(functions_of(f))
    data = request(wire, *(packed(GreetRequest(name=name)) for name in "abc"))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            handler(data)
    assert calls == ["a", "b", "a", "b"]


def test_a_stop_iteration() -> None:
    """A StopIteration of a plain function is raised as it is, or a RuntimeError as in every coroutine: no end of it."""

    def f(context: Context, message: GreetRequest) -> None:
        next(iter([]))

    with pytest.raises(StopIteration) as raised:
        run("v3", f, GO)
    assert raised.traceback[-1].name == "f"
    with pytest.raises(RuntimeError, match="generator raised StopIteration"):
        asyncio.run(AsyncRequestReplyHandler(functions_of(f))(request("v3", GO)))


@wires
def test_nothing_is_kept_of_a_request(wire: Wire) -> None:
    """A request, with its payloads, is let go when it is answered, without a wait for the garbage collector."""

    def f(context: Context[Counts], message: GreetRequest) -> None:
        context.state.visits += 1
        assert context.state("user_name").value is None
        context.pack_and_send_after(timedelta(seconds=1), "a/b", "1", message)

    handler = RequestReplyHandler(functions_of(f))
    data = request(wire, GO, GO, states=dict.fromkeys(["visits", "seen", "user_name"]))
    handler(data)
    gc.collect()
    gc.disable()
    try:
        handler(data)
        assert gc.collect() == 0
    finally:
        gc.enable()


# --- v2: states are listed in module.yaml ---

YAML = (
    "\n  help: list what is missing in module.yaml, under the function's spec (format 2.0; in 1.0 the names alone):\n"
    "    states:\n"
)


def test_a_declared_state_that_v2_did_not_send() -> None:
    """In v2 a state that is declared and not sent is an error that says what to write into module.yaml."""
    functions = functions_of(count)
    handler = RequestReplyHandler(functions)
    text = (
        "example/f uses the states 'visits', 'user_name', which the runtime did not send"
        f"{YAML}      - name: visits\n      - name: user_name"
    )
    for _ in range(2):
        assert refusal(MissingState, lambda: handler(request("v2", GO, states={"seen": None}))) == text
    text = f"example/f uses the state 'seen', which the runtime did not send{YAML}      - name: seen"
    states = dict.fromkeys(["visits", "user_name"])
    assert refusal(MissingState, lambda: handler(request("v2", GO, states=states))) == text
    assert issubclass(MissingState, ConfigError)
    assert issubclass(MissingState, LookupError)


def test_an_undeclared_state_that_v2_did_not_send() -> None:
    """The same holds for a name that a function uses freely, when it does."""

    def f(context: Context, message: GreetRequest) -> None:
        assert context["a"] is None
        context["b"] = GO

    assert refusal(MissingState, lambda: run("v2", f, GO, states={"a": None})) == (
        f"example/f uses the state 'b', which the runtime did not send{YAML}      - name: b"
    )


@wires
def test_states_in_any_order(wire: Wire) -> None:
    """The states of a request come in no order to rely on, with others between them, and never the same way."""

    def f(context: Context[Counts], message: GreetRequest) -> None:
        seen.append((context.state.visits, context.state.seen, context.state.name))
        context.state.visits += 1

    seen: list[Any] = []
    handler = RequestReplyHandler(functions_of(f))
    stored = {"visits": types.pack(5), "seen": packed(SeenCount(value=6)), "user_name": types.pack("n"), "other": None}
    orders = [
        ["visits", "seen", "user_name"],
        ["user_name", "visits", "seen"],
        ["other", "seen", "visits", "user_name"],
        ["seen", "user_name", "other", "visits"],
        ["visits", "seen", "user_name"],
    ]
    for order in orders:
        data = request(wire, GO, states={name: stored[name] for name in order})
        assert answer_of(wire, handler(data)).states == {"visits": types.pack(6)}
    assert seen == [(5, SeenCount(value=6), "n")] * len(orders)


def test_another_module_yaml() -> None:
    """A state that goes missing after it was there once is noticed when it is looked at."""

    def f(context: Context[Counts], message: GreetRequest) -> None:
        assert context.state.visits == 0
        assert context.state.seen is None

    handler = RequestReplyHandler(functions_of(f))
    assert handler(request("v2", GO, states=dict.fromkeys(["visits", "seen", "user_name"]))) == b""
    text = f"example/f uses the state 'seen', which the runtime did not send{YAML}      - name: seen"
    renamed = dict.fromkeys(["visits", "sen", "user_name"])
    assert refusal(MissingState, lambda: handler(request("v2", GO, states=renamed))) == text
    answer = answer_of("v3", handler(request("v3", GO, states=renamed)))
    assert answer.missing == [("seen", "type.googleapis.com/shop.SeenCount", "AFTER_WRITE", 1_001)]
    assert handler(request("v2", GO, states=dict.fromkeys(["visits", "seen", "user_name"]))) == b""


# --- v3: states are asked for ---


def test_the_handshake() -> None:
    """In v3 what is missing is asked for, with its type and its expiration, before any code of the user runs."""
    calls: list[Any] = []

    def f(context: Context[Counts], message: GreetRequest) -> None:
        calls.append(message)
        context.state.visits += 1

    runtime = Runtime("v3", functions_of(f))
    answer = answer_of("v3", runtime.handler(request("v3", GO)))
    assert answer.missing == [
        ("visits", "io.statefun.types/long", "NONE", 0),
        ("seen", "type.googleapis.com/shop.SeenCount", "AFTER_WRITE", 1_001),
        ("user_name", "io.statefun.types/string", "AFTER_INVOKE", 172_800_000),
    ]
    assert calls == []
    runtime.send(GO)
    assert runtime.asked == [["visits", "seen", "user_name"]]
    runtime.send(GO)
    assert len(runtime.asked) == 1
    assert runtime.states["visits"] == types.pack(2)


def test_a_new_state() -> None:
    """A state that a new version of the app declares is asked for by itself; what the old one had is left alone."""
    data = request("v3", GO, states={"visits": types.pack(5), "old": types.pack("x"), "user_name": None})
    answer = answer_of("v3", RequestReplyHandler(functions_of(count))(data))
    assert [name for name, *_ in answer.missing or []] == ["seen"]


def test_another_type_than_registered() -> None:
    """A v3 state that holds another type is refused before it is written: that would fail the job."""
    states: dict[str, AnyPb | None] = {**dict.fromkeys(["seen", "user_name"]), "visits": types.pack(5, types.INT32)}
    text = refusal(UndecodableState, lambda: run("v3", count, GO, states=states))
    assert text == (
        "state 'visits' of example/f holds io.statefun.types/int, but is declared as io.statefun.types/long\n"
        "  help: a v3 runtime fails the job when a state changes its type: declare the type that it holds, "
        "or give it another name"
    )


def free(context: Context, message: GreetRequest) -> None:
    """Use two states that nobody declared."""
    assert context["a"] is None or context["a"] == GO
    context["b"] = GO
    context.pack_and_send("a/b", "1", 5)


def test_undeclared_states() -> None:
    """The first touch of an unknown name ends the attempt: nothing leaves, and the name is asked for as an Any."""
    runtime = Runtime("v3", functions_of(free))
    answer = answer_of("v3", runtime.handler(request("v3", GO, GO)))
    assert answer.missing == [("a", ANY, "NONE", 0)]
    assert (answer.sent, answer.mutations) == ([], [])
    answer = runtime.send(GO, GO)
    assert len(answer.sent) == 2
    assert runtime.states == {"a": None, "b": typed(ANY, GO.SerializeToString())}
    assert runtime.asked == [["a"], ["b"]]


def test_names_that_were_learned() -> None:
    """What a function was seen to use is asked for at once by the next address or worker that lacks it."""
    functions = functions_of(free)
    Runtime("v3", functions).send(GO)
    handler = RequestReplyHandler(functions)
    assert [name for name, *_ in answer_of("v3", handler(request("v3", GO))).missing or []] == ["a", "b"]


def swallowed_here(context: Context, message: GreetRequest) -> None:
    """Look at two names, and let nothing of it be seen."""
    for name in ("a", "b"):
        with contextlib.suppress(BaseException):
            context[name]


def turned_into_another(context: Context, message: GreetRequest) -> None:
    """Look at a name, and raise something else."""
    try:
        context["a"]
    except BaseException:  # noqa: BLE001 -- a user may
        raise ValueError("mine") from None


def in_a_finally(context: Context, message: GreetRequest) -> None:
    """Look at a name, and raise while that goes up."""
    try:
        context["a"]
    finally:
        raise ValueError("mine")


def not_an_exception(context: Context, message: GreetRequest) -> None:
    """Look at a name, and catch every Exception."""
    with contextlib.suppress(Exception):
        context["a"]


@pytest.mark.parametrize(
    ("fn", "names"),
    [(swallowed_here, ["a", "b"]), (turned_into_another, ["a"]), (in_a_finally, ["a"]), (not_an_exception, ["a"])],
)
def test_an_attempt_that_goes_on(fn: Callable[..., Any], names: list[str]) -> None:
    """A function that catches what ends the attempt gets no further: its attempt is discarded all the same."""
    answer = answer_of("v3", RequestReplyHandler(functions_of(fn))(request("v3", GO, GO)))
    assert [name for name, *_ in answer.missing or []] == names


def test_an_interrupt_goes_on() -> None:
    """An interrupt is raised, also when a state is missing."""

    def f(context: Context, message: GreetRequest) -> None:
        with contextlib.suppress(BaseException):
            context["a"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("v3", f, GO)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups came with Python 3.11")
def test_a_task_group() -> None:
    """A name that is touched in a task of a group is asked for, though the group wraps what ends the attempt."""

    async def f(context: Context, message: GreetRequest) -> None:
        async def look() -> None:
            context["a"]

        groups: Any = asyncio
        async with groups.TaskGroup() as group:
            group.create_task(look())

    async def main() -> bytes:
        return await AsyncRequestReplyHandler(functions_of(f))(request("v3", GO))

    assert answer_of("v3", asyncio.run(main())).missing == [("a", ANY, "NONE", 0)]


def test_several_tasks() -> None:
    """The same holds for asyncio.gather."""

    async def f(context: Context, message: GreetRequest) -> None:
        async def look(name: str) -> None:
            context[name]

        await asyncio.gather(look("a"), look("b"), return_exceptions=True)

    async def main() -> bytes:
        return await AsyncRequestReplyHandler(functions_of(f))(request("v3", GO))

    answer = answer_of("v3", asyncio.run(main()))
    assert [name for name, *_ in answer.missing or []] == ["a", "b"]


# --- an app of 2.x ---


def app_of_2x() -> StatefulFunctions:
    """Make an app as the documentation of 2.2 has it."""
    functions = StatefulFunctions()

    @functions.bind("example/greeter")
    def greeter(context: Any, message: GreetRequest) -> None:
        seen = context.state("seen").unpack(SeenCount)
        if not seen:
            seen = SeenCount()
            seen.value = 1
        else:
            seen.value += 1
        context.state("seen").pack(seen)
        context.pack_and_send("example/other", "x", seen)
        if context.caller is not None:
            context.pack_and_reply(seen)

    @functions.bind("example/items")
    def items(context: Any, message: Any) -> None:
        seen = SeenCount()
        if context["seen"] is not None:
            context["seen"].Unpack(seen)
        seen.value += 1
        any_message = AnyPb()
        any_message.Pack(seen)
        context["seen"] = any_message
        context.send("example/other", "x", any_message)
        if seen.value == 3:
            del context["seen"]

    return functions


@wires
@pytest.mark.parametrize("function", ["example/greeter", "example/items"])
def test_an_app_of_2x(wire: Wire, function: str) -> None:
    """An app that was written for 2.x runs without a change on v2 and on v3."""
    runtime = Runtime(wire, app_of_2x(), listed=["seen"])
    caller = ("example", "caller", "c")
    counts = [packed(SeenCount(value=number)) for number in (1, 2, 3)]
    for count_, _ in zip(counts[:2], range(2), strict=True):
        answer = runtime.send(GO, function=function, caller=caller)
        assert answer.sent[0] == ("example/other", "x", count_)
        assert runtime.state("seen") == count_
    answer = runtime.send(GO, function=function)
    assert [message for *_, message in answer.sent] == counts[2:]
    assert runtime.state("seen") == (counts[2] if function == "example/greeter" else None)
    assert runtime.asked == ([["seen"]] if wire == "v3" else [])


def test_refused_effects_do_not_stick() -> None:
    """A send that was refused and caught leaves no trace in the reply."""

    def f(context: Context, message: GreetRequest) -> None:
        with contextlib.suppress(SendError):
            context.pack_and_send_after(timedelta(seconds=1), "a/b", "1", 2**63, token="t")
        context.pack_and_send_after(timedelta(seconds=1), "a/b", "1", Ship(), token="t")
        with contextlib.suppress(SendError):
            context.pack_and_send("a/b", "\ud800", Cancel())

    answer = run("v3", f, GO)
    assert [token for *_, token in answer.delayed] == ["t"]
    assert answer.sent == []


@wires
def test_looks_after_the_end(wire: Wire) -> None:
    """A State that was kept and is looked at for the first time after its batch raises ContextError."""
    kept: list[Counts] = []

    def f(context: Context[Counts], message: GreetRequest) -> None:
        kept.append(context.state)

    run(wire, f, GO, states=dict.fromkeys(["visits", "seen", "user_name"]))
    assert refusal(ContextError, lambda: kept[0].visits) == "state 'visits' belongs to an invocation that has ended"


@wires
def test_another_order_of_states(wire: Wire) -> None:
    """Values are found by their names, also where a request has them in another order than the one before."""
    seen: list[int] = []

    def f(context: Context[Counts], message: GreetRequest) -> None:
        seen.append(context.state.visits)

    handler = RequestReplyHandler(functions_of(f))
    visits = typed(types.INT64.typename, types.INT64.encode(7))
    for names in (["visits", "seen", "user_name"], ["user_name", "seen", "visits"], ["seen", "visits", "user_name"]):
        handler(request(wire, GO, states={name: visits if name == "visits" else None for name in names}))
    assert seen == [7, 7, 7]


def test_a_narrow_int_of_an_older_app() -> None:
    """On v2 a value that is stored under another typename is read as what it is (an int of 32 bits)."""
    seen: list[int] = []

    def f(context: Context[Counts], message: GreetRequest) -> None:
        seen.append(context.state.visits)

    narrow = typed(types.INT32.typename, types.INT32.encode(7))
    run("v2", f, GO, states={"visits": narrow, "seen": None, "user_name": None})
    assert seen == [7]

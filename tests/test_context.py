"""What a function sees, and may do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyPb
from shop_pb2 import Cancel, Greeting, GreetRequest, Login, SeenCount, Ship

from statefun import Address, Context, FunctionRef, KafkaEgress, State, ValueSpec, testing, types, value
from statefun.errors import ContextError, DeclarationError, SendError, StateError, UndeclaredState, UnsendableError
from tests.kinds import WHEN, Item, Undeclared
from tests.peer import BOTH, NOBODY, Wire, packed, run, typed
from tests.refusals import refusal

SHIPPING = FunctionRef[Ship | Cancel]("shop/shipping")
GO = packed(GreetRequest(name="go"))
BOB = ("example", "caller", "bob")
HOUR = timedelta(hours=1)
NOON = datetime(2024, 1, 1, 12)  # noqa: DTZ001 -- one without a zone is a value, too
wires = pytest.mark.parametrize("wire", BOTH)


# --- what it sees ---


@wires
def test_address_and_caller(wire: Wire) -> None:
    """The address is that of the function, the caller the one that sent the message."""
    seen: list[Any] = []

    def f(context: Context, message: AnyPb) -> None:
        seen.extend([context.address, context.caller])
        assert context.address is context.address

    run(wire, f, GO, caller=BOB, identity="ada")
    assert seen == [Address("example", "f", "ada"), Address("example", "caller", "bob")]


@wires
def test_no_caller(wire: Wire) -> None:
    """A message from an ingress has no caller, and nobody to reply to."""

    def f(context: Context, message: AnyPb) -> None:
        assert context.caller is None
        text = "there is nobody to reply to: the message came from an ingress"
        assert refusal(SendError, lambda: context.reply(Greeting())) == text
        assert refusal(SendError, lambda: context.pack_and_reply(Greeting())) == text

    run(wire, f, GO)


def test_a_caller_without_any_part() -> None:
    """3.3 sends an address without any part for a message of an ingress."""

    def f(context: Context, message: AnyPb) -> None:
        assert context.caller is None

    run("v3", f, GO, caller=NOBODY)


@wires
def test_empty_identities(wire: Wire) -> None:
    """An empty id that arrives is served, and can be replied to: a record with an empty key has one."""

    def f(context: Context, message: AnyPb) -> None:
        assert context.address.identity == ""
        context.reply(Greeting())

    assert run(wire, f, GO, identity="", caller=("example", "caller", "")).sent == [
        ("example/caller", "", packed(Greeting()))
    ]


def test_headers() -> None:
    """Headers keep their order and their duplicates; one may be without a value; v2 has none."""
    given = [("a", b"1"), ("b", None), ("a", b""), ("a", b"2")]

    def f(context: Context, message: AnyPb) -> None:
        seen.append(list(context.headers))

    seen: list[Any] = []
    run("v3", f, GO, headers=given)
    run("v3", f, GO)
    run("v2", f, GO)
    assert seen == [given, [], []]


# --- sending ---


@wires
def test_every_way_to_send(wire: Wire) -> None:
    """What is sent leaves in order, to its target, encoded at the call."""

    def f(context: Context, message: AnyPb) -> None:
        ship = Ship(order_id="1")
        context.send(SHIPPING.at("a"), ship)
        ship.order_id = "changed"
        context.send(SHIPPING.at("b"), Cancel())
        context.send("shop/named", "c", typed("a/b", b"c"))
        context.send(typename="shop/named", id="c", message=typed("a/b", b"c"))
        context.pack_and_send("shop/named", "d", 5)
        context.pack_and_send("shop/named", "d", 5, type=types.INT32)
        context.pack_and_send("shop/named", "d", NOON, type=WHEN)
        context.pack_and_send(typename="shop/named", id="d", message=typed("a/b", b"c"))
        context.reply(typed("a/b", b"c"))
        context.reply(5)
        context.reply(5, type=types.INT32)
        context.pack_and_reply(Greeting())

    assert run(wire, f, GO, caller=BOB).sent == [
        ("shop/shipping", "a", packed(Ship(order_id="1"))),
        ("shop/shipping", "b", packed(Cancel())),
        ("shop/named", "c", typed("a/b", b"c")),
        ("shop/named", "c", typed("a/b", b"c")),
        ("shop/named", "d", types.pack(5)),
        ("shop/named", "d", types.pack(5, types.INT32)),
        ("shop/named", "d", types.pack(NOON, WHEN)),
        ("shop/named", "d", typed("a/b", b"c")),
        ("example/caller", "bob", typed("a/b", b"c")),
        ("example/caller", "bob", types.pack(5)),
        ("example/caller", "bob", types.pack(5, types.INT32)),
        ("example/caller", "bob", packed(Greeting())),
    ]


@wires
def test_every_way_to_send_later(wire: Wire) -> None:
    """A delayed message leaves with its delay in whole milliseconds; none at all is a delay, too."""

    def f(context: Context, message: AnyPb) -> None:
        context.send_after(HOUR, SHIPPING.at("a"), Ship())
        context.send_after(timedelta(microseconds=1_999), "shop/named", "b", typed("a/b", b"c"))
        context.send_after(delay=timedelta(0), typename="shop/named", id="b", message=typed("a/b", b"c"))
        context.pack_and_send_after(timedelta.max, "shop/named", "c", 5)
        context.pack_and_send_after(HOUR, typename="shop/named", id="c", message=5, type=types.INT32)

    assert run(wire, f, GO).delayed == [
        (3_600_000, "shop/shipping", "a", packed(Ship()), ""),
        (1, "shop/named", "b", typed("a/b", b"c"), ""),
        (0, "shop/named", "b", typed("a/b", b"c"), ""),
        (86_399_999_999_999_999, "shop/named", "c", types.pack(5), ""),
        (3_600_000, "shop/named", "c", types.pack(5, types.INT32), ""),
    ]


def test_tokens() -> None:
    """A token goes with a delayed message, and can be used again once it was cancelled."""

    def f(context: Context, message: AnyPb) -> None:
        context.send_after(HOUR, SHIPPING.at("a"), Ship(), token="t1")
        context.send_after(HOUR, "shop/named", "b", typed("a/b", b"c"), token="t2")
        context.pack_and_send_after(HOUR, "shop/named", "c", 5, token="t3")
        context.cancel("t1")
        context.send_after(HOUR, SHIPPING.at("a"), Ship(), token="t1")
        context.cancel("never sent")

    answer = run("v3", f, GO)
    assert [token for *_, token in answer.delayed] == ["t1", "t2", "t3", "t1"]
    assert answer.cancelled == ["t1", "never sent"]


def test_a_token_twice() -> None:
    """A token is used once a batch, also from message to message: a second message under it fails the job."""

    def f(context: Context, message: GreetRequest) -> None:
        context.send_after(HOUR, SHIPPING.at("a"), Ship(), token=message.name)

    messages = [packed(GreetRequest(name=name)) for name in ("a", "b", "a")]
    assert refusal(SendError, lambda: run("v3", f, *messages)).partition("\nstatefun: ")[0] == (
        "the token 'a' is in use, and a second message under it fails the job\n"
        "  help: cancel the first message, or give this one another token"
    )


def test_tokens_in_v2() -> None:
    """What v2 has no field for is refused, where it would be dropped."""

    def f(context: Context, message: AnyPb) -> None:
        text = "example/f uses the token 't', but its runtime (2.x) cannot cancel a delayed message"
        assert refusal(SendError, lambda: context.send_after(HOUR, SHIPPING.at("a"), Ship(), token="t")) == text
        assert refusal(SendError, lambda: context.cancel("t")) == text

    assert run("v2", f, GO).delayed == []


ID = "the id of the receiver is a str that is not empty, not "
BY_NAME = "by name, only a google.protobuf.Any can be sent, not {}; use pack_and_send, or a FunctionRef"
SENDABLE = "send a protobuf message, bool, int, float, str, bytes, or a class declared with json_type or custom_type"
SOME = typed("a/b")
REFUSED: list[tuple[Callable[[Any], object], type[Exception], str]] = [
    (lambda c: c.send(SHIPPING.at("1"), Login()), SendError, "shop/shipping accepts Ship | Cancel, not Login"),
    (lambda c: c.send("a/b", "1", Login()), UnsendableError, BY_NAME.format("Login")),
    (lambda c: c.send("a/b", "1", 5), UnsendableError, BY_NAME.format("int")),
    (lambda c: c.send("a/b", "", SOME), SendError, f"{ID}''"),
    (lambda c: c.send("a/b", 5, SOME), SendError, f"{ID}5"),
    (
        lambda c: c.send(SHIPPING, Ship()),
        SendError,
        (
            "FunctionRef('shop/shipping') is no target\n"
            '  help: send to one instance, function.at("id"), or by name: send(typename, id, any)'
        ),
    ),
    (
        lambda c: c.send(5, SOME),
        SendError,
        '5 is no target\n  help: send to one instance, function.at("id"), or by name: send(typename, id, any)',
    ),
    (lambda c: c.pack_and_send("a/b", "", 5), SendError, f"{ID}''"),
    (lambda c: c.pack_and_send("a/b", "1", NOON), UnsendableError, f"datetime cannot be sent\n  help: {SENDABLE}"),
    (
        lambda c: c.pack_and_send("a/b", "1", Undeclared()),
        UnsendableError,
        "Undeclared has no typename\n  help: declare it: @json_type('<namespace>/Undeclared')",
    ),
    (
        lambda c: c.pack_and_send("a/b", "1", "x", type=types.INT32),
        UnsendableError,
        "io.statefun.types/int is a type of int, not of str",
    ),
    (lambda c: c.pack_and_send("a/b", "1", 2**63), SendError, "9223372036854775808 does not fit into 64 bits"),
    (
        lambda c: c.pack_and_send("nowhere", "1", 5),
        DeclarationError,
        "'nowhere' is not a typename: it must be '<namespace>/<name>', e.g. 'example/greeter'",
    ),
    (
        lambda c: c.pack_and_send(5, "1", 5),
        DeclarationError,
        "5 is not a typename: it must be '<namespace>/<name>', e.g. 'example/greeter'",
    ),
    (
        lambda c: c.pack_and_send("a/\ud800", "1", 5),
        DeclarationError,
        "'a/\\ud800' is not a typename: it must be '<namespace>/<name>', e.g. 'example/greeter'",
    ),
    (lambda c: c.reply(NOON), UnsendableError, f"datetime cannot be sent\n  help: {SENDABLE}"),
    (
        lambda c: c.send_after(timedelta(seconds=-1), SHIPPING.at("1"), Ship()),
        SendError,
        "a message cannot be sent in the past: delay is datetime.timedelta(days=-1, seconds=86399)",
    ),
    (
        lambda c: c.send_after(5, SHIPPING.at("1"), Ship()),
        SendError,
        "the delay is a timedelta and comes first, send_after(delay, ...), not 5",
    ),
    (
        lambda c: c.pack_and_send_after("shop/named", "1", HOUR, 5),
        SendError,
        f"{ID}datetime.timedelta(seconds=3600)",
    ),
    (
        lambda c: c.send_after(SHIPPING.at("1"), HOUR, Ship()),
        SendError,
        (
            "datetime.timedelta(seconds=3600) is no target\n"
            '  help: send to one instance, function.at("id"), or by name: send(typename, id, any)'
        ),
    ),
    (lambda c: c.send_after(HOUR, "a/b", "1", Ship()), UnsendableError, BY_NAME.format("Ship")),
    (lambda c: c.send_after(HOUR, "a/b", "", SOME), SendError, f"{ID}''"),
    (
        lambda c: c.send_after(HOUR, SHIPPING.at("1"), Ship(), token=""),
        SendError,
        "a token is a str that is not empty, not ''",
    ),
    (
        lambda c: c.pack_and_send_after(HOUR, "a/b", "1", 5, token=5),
        SendError,
        "a token is a str that is not empty, not 5",
    ),
    (lambda c: c.cancel(""), SendError, "a token is a str that is not empty, not ''"),
    (lambda c: c.cancel(None), SendError, "a token is a str that is not empty, not None"),
    (lambda c: c.send_egress("a/b", Ship()), UnsendableError, BY_NAME.format("Ship")),
    (lambda c: c.send_egress(5, SOME), SendError, "5 is no egress: it has no record()"),
    (
        lambda c: c.send_egress("nowhere", SOME),
        DeclarationError,
        "'nowhere' is not a typename: it must be '<namespace>/<name>', e.g. 'example/greeter'",
    ),
    (
        lambda c: c.pack_and_send_egress("a/b", NOON),
        UnsendableError,
        f"datetime cannot be sent\n  help: {SENDABLE}",
    ),
]


@pytest.mark.parametrize("where", ["handler", "unit test"])
@pytest.mark.parametrize(("do", "kind", "text"), REFUSED, ids=[text.partition("\n")[0] for *_, text in REFUSED])
def test_what_is_refused(do: Callable[[Any], object], kind: type[Exception], text: str, where: str) -> None:
    """What cannot be sent, or has nowhere to go, is refused at the call, and nothing of it leaves."""

    def f(context: Context, message: AnyPb) -> None:
        assert refusal(kind, lambda: do(context)) == text

    if where == "handler":
        answer = run("v3", f, GO, caller=BOB)
        assert (answer.sent, answer.delayed, answer.cancelled, answer.egress) == ([], [], [], [])
    else:
        context = testing.context(caller=Address(*BOB))
        f(context, GO)
        assert (context.sent, context.delayed, context.cancelled, context.egress) == ([], [], [], [])


SURROGATES: list[tuple[Callable[[Any], object], str]] = [
    (lambda c: c.pack_and_send("a/b", "\ud800", 5), "the id '\\ud800' has no UTF-8 form: surrogates not allowed"),
    (
        lambda c: c.pack_and_send_after(HOUR, "a/b", "\ud800", 5),
        "the id or token '\\ud800' has no UTF-8 form: surrogates not allowed",
    ),
    (
        lambda c: c.pack_and_send_after(HOUR, "a/b", "1", 5, token="\ud800"),
        "the id or token '1, \\ud800' has no UTF-8 form: surrogates not allowed",
    ),
    (lambda c: c.cancel("\ud800"), "the token '\\ud800' has no UTF-8 form: surrogates not allowed"),
]


@pytest.mark.parametrize(("do", "text"), SURROGATES, ids=["send", "after", "token", "cancel"])
def test_texts_without_utf8(do: Callable[[Any], object], text: str) -> None:
    """A text with a lone surrogate cannot be written down, and is refused where it is given."""

    def f(context: Context, message: AnyPb) -> None:
        assert refusal(SendError, lambda: do(context)) == text

    answer = run("v3", f, GO)
    assert (answer.sent, answer.delayed, answer.cancelled) == ([], [], [])


def test_options_that_nobody_takes() -> None:
    """An option that does not exist is an error, and is not dropped."""
    untyped: Any = testing.context(caller="a/b/c")
    lines = KafkaEgress[str]("example/lines", topic="t")
    calls: list[Callable[[], object]] = [
        lambda: untyped.send(SHIPPING.at("1"), Ship(), token="t"),
        lambda: untyped.send("a/b", "1", SOME, token="t"),
        lambda: untyped.send("a/b", "1"),
        lambda: untyped.send_egress(lines, "v", kee="b"),
        lambda: untyped.send_egress("a/b", SOME, key="b"),
        lambda: untyped.send_egress("a/b"),
        lambda: untyped.send_after(HOUR, SHIPPING.at("1"), Ship(), tokn="t"),
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()
    assert (untyped.sent, untyped.delayed, untyped.egress) == ([], [], [])


# --- state ---


class Counts(State):
    """A State for the ways that a context gives."""

    seen: SeenCount | None = None
    visits: int = value(default=0, name="n")


LISTED = ValueSpec("listed", Item, default=lambda: Item("s"))
OTHER = ValueSpec("listed", Item)


@wires
def test_items(wire: Wire) -> None:
    """A value can be read, written and deleted by its name and by its ValueSpec."""
    seen: list[Item] = []

    def f(context: Context[Counts], message: AnyPb) -> None:
        assert context["seen"] is None
        context["seen"] = packed(SeenCount(value=1))
        assert context.state.seen == SeenCount(value=1)
        assert context[LISTED] == Item("s")
        context[LISTED].tags.append("a")
        assert context["listed"] == types.pack(Item("s", tags=["a"]))
        context[LISTED] = Item("t")
        del context["n"]
        context.state.visits += 1
        assert context["n"] == types.pack(1)
        seen.append(context[LISTED])

    assert run(wire, f, GO, specs=[LISTED]).states == {
        "seen": packed(SeenCount(value=1)),
        "listed": types.pack(Item("t")),
        "n": types.pack(1),
    }
    assert seen == [Item("t")]


def test_undeclared_items() -> None:
    """A name and a ValueSpec that the function does not declare are refused, with what it does."""

    def f(context: Any, message: AnyPb) -> None:
        text = "example/f declares no state 'other' (it declares seen, n, listed)"
        assert refusal(UndeclaredState, lambda: context["other"]) == text
        assert refusal(UndeclaredState, lambda: context[ValueSpec("other", int)]) == text
        assert refusal(UndeclaredState, lambda: context.__delitem__("other")) == text
        assert refusal(UndeclaredState, lambda: context[OTHER]) == (
            "example/f declares the state 'listed' by another ValueSpec"
        )
        text = "a state is looked up by its name or its ValueSpec, not by 5"
        assert refusal(StateError, lambda: context[5]) == text
        assert refusal(StateError, lambda: context.__setitem__(5, None)) == text

    def typed_f(context: Context[Counts], message: AnyPb) -> None:
        f(context, message)

    run("v3", typed_f, GO, specs=[LISTED])


@pytest.mark.parametrize("name", ["batch", "request-state", "", "\ud800"])
def test_names_that_nobody_may_use(name: str) -> None:
    """A function that declares nothing may use every name but those that crash a job."""

    def f(context: Context, message: AnyPb) -> None:
        with pytest.raises(StateError):
            context[name]
        with pytest.raises(StateError):
            context.state(name)

    assert run("v3", f, GO).missing is None


# --- the end ---


@wires
def test_after_the_invocation(wire: Wire) -> None:
    """A Context belongs to one invocation: used after it, it raises, since what it would do would be lost."""
    kept: list[Any] = []

    def f(context: Context, message: AnyPb) -> None:
        if kept:
            check(kept[0])
        kept.append(context)

    def check(context: Any) -> None:
        text = "this context belongs to an invocation that has ended: what it would send or store now would be lost"
        uses: list[Callable[[], object]] = [
            lambda: context.address,
            lambda: context.caller,
            lambda: context.headers,
            lambda: context.state,
            lambda: context["a"],
            lambda: context.__setitem__("a", None),
            lambda: context.send(SHIPPING.at("a"), Ship()),
            lambda: context.send("a/b", "1", SOME),
            lambda: context.pack_and_send("a/b", "1", 5),
            lambda: context.send_after(HOUR, SHIPPING.at("a"), Ship()),
            lambda: context.send_after(HOUR, SHIPPING.at("a"), Ship(), token="t"),
            lambda: context.cancel("t"),
            lambda: context.reply(5),
            lambda: context.send_egress("a/b", SOME),
            lambda: context.pack_and_send_egress("a/b", 5),
        ]
        for use in uses:
            assert refusal(ContextError, use) == text

    run(wire, f, GO, GO)
    assert len(kept) == 2
    check(kept[1])


def test_after_a_failed_invocation() -> None:
    """The same holds where the function raised."""
    kept: list[Context] = []

    def f(context: Context, message: AnyPb) -> None:
        kept.append(context)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run("v3", f, GO)
    assert refusal(ContextError, lambda: kept[0].address)

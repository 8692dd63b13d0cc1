"""Our replies beside those of the published SDKs, byte for byte, and our reading of what real runtimes send.

The exchanges are under `conformance/golden`: captured from runtimes 2.2.2 and 3.3.0, recorded from the SDKs (`python -m
tests.conformance.record`), or constructed. Where our reply has other bytes, `SAME_IN_EFFECT` says why.
"""

from __future__ import annotations

import asyncio
import json
import runpy
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from statefun import (
    AsyncRequestReplyHandler,
    Context,
    KafkaEgress,
    PeerError,
    RequestReplyHandler,
    State,
    StatefulFunctions,
)
from statefun._proto import wire_v2_pb2, wire_v3_pb2
from statefun.types import INT64
from tests.conformance import golden
from tests.conformance.apps import sdk_2, typed_2, typed_3
from tests.peer import packed, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.conformance.golden import Exchange

_NOTHING_TO_DELETE = "a DELETE of a state without a value does nothing: we leave it out"
_OTHER_ORDER = "2.2.2 writes states in the order of the request, we in the order in which they were first looked at"
_SPACES = "the same JSON without spaces"

SAME_IN_EFFECT = {
    "recorded/v2/delete-absent": _NOTHING_TO_DELETE,
    "recorded/v2/undo-absent": _NOTHING_TO_DELETE,
    "recorded/v3/delete-absent": _NOTHING_TO_DELETE,
    "recorded/v3/undo-absent": _NOTHING_TO_DELETE,
    "recorded/v2/two-states": _OTHER_ORDER,
    "recorded/v3/json": _SPACES,
}
"""Replies of ours that have other bytes than those of the published SDKs and do the same, and what is other in them."""

SERVED = {
    "recorded/v2/delay-zero": "2.2.2 takes a delay of zero for none; to the runtime it is a delay like any other",
    "recorded/v3/empty-identity": "3.x refuses an empty identity, which a Kafka record with an empty key has, forever",
}
"""Requests that the published SDKs refuse and we serve, and why."""


def answer_with(functions: StatefulFunctions) -> Callable[[bytes], bytes]:
    """Serve functions of both kinds."""
    handler = AsyncRequestReplyHandler(functions, threads=0)
    return lambda request: asyncio.run(handler(request))


def answer_as_2_x(request: bytes) -> bytes:
    """Serve an app of 2.x as it is served there: plain functions by one handler, async ones by another."""
    batch = wire_v2_pb2.ToFunction.FromString(request).invocation
    if batch.target.type == "async":
        return asyncio.run(AsyncRequestReplyHandler(sdk_2.async_functions)(request))
    return RequestReplyHandler(sdk_2.functions)(request)


def exchanges(*folders: str) -> list[Exchange]:
    """List the exchanges below some folders of the golden files."""
    return [exchange for folder in folders for exchange in golden.read_all(folder)]


def answered(found: Iterable[Exchange]) -> list[Exchange]:
    """Keep those that have a request and a reply."""
    return [exchange for exchange in found if exchange.request is not None and exchange.replies]


def named(exchange: Exchange) -> str:
    """Name a test after its exchange."""
    return exchange.name


# under the name that pages are run by: the classes of the page that shows it take over its typenames
CART: StatefulFunctions = runpy.run_path(str(golden.FOLDER.parent / "apps" / "typed_cart.py"), run_name="page")[
    "functions"
]
V2 = answered(exchanges("captured/v2-runtime-2.2.2", "recorded/v2", "recorded/v2-captured"))
V3 = answered(exchanges("captured/v3-runtime-3.3.0", "recorded/v3", "recorded/v3-captured"))
GREETER_V2 = [each for each in V2 if "runtime" in each.name or "v2-captured" in each.name]


@pytest.mark.parametrize("path", sorted(golden.FOLDER.rglob("*.txt")), ids=lambda path: path.stem)
def test_golden_text(path: Path) -> None:
    """The text in a golden file says what its bytes say."""
    exchange = golden.read(path)
    for title, data, text in golden.parts_of(path):
        if title.startswith(("request", "reply")):
            kind: golden.Kind = "request" if title.startswith("request") else "reply"
            assert golden.bytes_of(text, kind, exchange.wire) == data


def same(exchange: Exchange, reply: bytes) -> None:
    """Compare our reply with those of the others: the bytes, or what they do."""
    others = list(exchange.replies.values())
    if exchange.name in SAME_IN_EFFECT:
        assert reply not in others, f"{exchange.name} has the same bytes: strike it off SAME_IN_EFFECT"
        assert effect(exchange, reply) in [effect(exchange, other) for other in others]
    elif reply not in others:
        assert golden.text_of(reply, "reply", exchange.wire) == golden.text_of(others[0], "reply", exchange.wire)
        assert reply.hex() == others[0].hex()


def effect(exchange: Exchange, reply: bytes) -> object:
    """Read a reply, and even out what makes no difference to a runtime."""
    assert exchange.request is not None
    batch: Any = golden.message_of(exchange.request, "request", exchange.wire)
    absent = {state.state_name for state in batch.invocation.state if not _present(state)}
    read: Any = golden.message_of(reply, "reply", exchange.wire)
    if read.WhichOneof("response") == "incomplete_invocation_context":
        for spec in read.incomplete_invocation_context.missing_values:
            spec.expiration_spec.SetInParent()
        return read
    result = read.invocation_result
    mutations = sorted(result.state_mutations, key=lambda mutation: mutation.state_name)
    kept = [each for each in mutations if each.mutation_type or each.state_name not in absent]
    del result.state_mutations[:]
    result.state_mutations.extend(kept)
    values = [each.argument for each in result.outgoing_messages]
    values += [each.state_value for each in result.state_mutations]
    for value in values:
        if getattr(value, "typename", "") == "cases/order":
            value.value = json.dumps(json.loads(value.value), sort_keys=True).encode()
    return read


def _present(state: Any) -> bool:
    """Tell whether a state has a value: bytes on v2, a typed value on v3."""
    value = state.state_value
    return bool(value) if isinstance(value, bytes) else bool(value.has_value)


@pytest.mark.parametrize("exchange", V2, ids=named)
def test_app_of_2_x(exchange: Exchange) -> None:
    """An app of 2.x, unchanged, is answered on v2 as apache-flink-statefun 2.2.2 answers."""
    assert exchange.request is not None
    same(exchange, answer_as_2_x(exchange.request))


@pytest.mark.parametrize("exchange", GREETER_V2, ids=named)
def test_typed_on_v2(exchange: Exchange) -> None:
    """The same functions, typed, give the same replies on v2."""
    assert exchange.request is not None
    if wire_v2_pb2.ToFunction.FromString(exchange.request).invocation.target.type != "fault":
        same(exchange, answer_with(typed_2.functions)(exchange.request))


@pytest.mark.parametrize("exchange", V3, ids=named)
def test_typed_on_v3(exchange: Exchange) -> None:
    """Typed functions are answered on v3 as the functions of the 3.x SDKs are."""
    assert exchange.request is not None
    functions = CART if "/cart-" in exchange.name else typed_3.functions
    same(exchange, answer_with(functions)(exchange.request))


REFUSED = [each for each in exchanges("recorded") if each.refusals and each.name not in SERVED]


@pytest.mark.parametrize("exchange", REFUSED, ids=named)
def test_refused(exchange: Exchange) -> None:
    """What the published SDKs refuse, we refuse, as the peer's fault."""
    assert exchange.request is not None
    with pytest.raises(PeerError):
        (answer_as_2_x if exchange.wire == "v2" else answer_with(typed_3.functions))(exchange.request)


def test_served_delay_of_zero() -> None:
    """A delay of zero is a delay, which the bytes of the reply leave out."""
    exchange = golden.read(golden.FOLDER / "recorded/v2/delay-zero.txt")
    assert exchange.request is not None
    (delayed,) = wire_v2_pb2.FromFunction.FromString(
        answer_as_2_x(exchange.request)
    ).invocation_result.delayed_invocations
    assert (delayed.delay_in_ms, delayed.target.id) == (0, "now")


def test_served_empty_identity() -> None:
    """A function is served though its own identity is empty."""
    exchange = golden.read(golden.FOLDER / "recorded/v3/empty-identity.txt")
    assert exchange.request is not None
    reply = answer_with(typed_3.functions)(exchange.request)
    (message,) = wire_v3_pb2.FromFunction.FromString(reply).invocation_result.outgoing_messages
    assert (message.target.id, message.argument.value) == ("x", b"")


class Visits(State):
    """What 2.2.2 kept as a wrapper."""

    visits: int = 0


def test_a_wrapper_becomes_a_primitive() -> None:
    """On v2 an int reads what the 2.x SDK stored as a wrapper, and writes what that SDK cannot read."""

    def count(context: Context[Visits], _message: str) -> None:
        context.state.visits += 1

    hi = packed(StringValue(value="hi"))
    ((_, written),) = run("v2", count, hi, states={"visits": packed(Int32Value(value=4))}).mutations
    assert written is not None
    assert (written.type_url, INT64.decode(written.value)) == (INT64.typename, 5)


# --- the headers of records: constructed from the field numbers ---

TRACE = ("trace-id", b"abc-123")
HEADERS = {
    "01-no-headers": [()],
    "02-one-header": [(TRACE,)],
    "03-null-header": [(("nothing", None),)],
    "04-empty-header": [(("empty", b""),)],
    "05-all-kinds": [
        (TRACE, ("attempt", b"\r\x03\0\0\0"), ("nothing", None), ("empty", b""), ("trace-id", b"again")),
    ],
    "06-empty-value-one-header": [(TRACE,)],
    "07-batch-mixed": [(TRACE,), ()],
    "08-from-function": [(TRACE,)],
}
"""What each message of a request has."""


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_arrive(name: str) -> None:
    """A function sees the headers of its record, in order and with duplicates; null and empty are two things."""
    seen: list[tuple[tuple[str, bytes | None], ...]] = []
    functions = StatefulFunctions()

    @functions.bind("demo/greeter")
    @functions.bind("demo/echo")
    def note(context: Context, message: str) -> None:
        assert message in ("hi", "")
        seen.append(tuple(context.headers))

    exchange = golden.read(golden.FOLDER / f"constructed/v3-record-headers/{name}.txt")
    assert exchange.request is not None
    RequestReplyHandler(functions)(exchange.request)
    assert seen == HEADERS[name]


def test_headers_that_leave() -> None:
    """A record leaves with its headers."""
    out = KafkaEgress[str]("demo/greetings", topic="greetings")
    functions = StatefulFunctions()

    @functions.bind("demo/greeter")
    def greet(context: Context, _message: str) -> None:
        context.send_egress(out, "hello", key="ada", headers=[TRACE, ("nothing", None), ("empty", b"")])

    request = golden.read(golden.FOLDER / "constructed/v3-record-headers/01-no-headers.txt").request
    assert request is not None
    reply = golden.read(golden.FOLDER / "constructed/v3-record-headers/10-egress-with-headers.txt").replies[""]
    assert RequestReplyHandler(functions)(request) == reply

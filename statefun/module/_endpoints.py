"""Where functions are called: entries under `functions` (1.0, 2.0), under `endpoints` (3.0), and components.

Here: their keys, the two HTTP clients, and what they refuse on the first message only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Literal, cast

from statefun.module._dialect import Dialect, to_pattern
from statefun.module._fields import Field, Fields, Record, Tagged
from statefun.module._grammar import Choice, Items, Shape, Span, Text, Whole
from statefun.module._model import AsyncTransport, Endpoint, OkHttpTransport, Pattern, StateEntry, Transport
from statefun.module._runtimes import Runtime, since
from statefun.module._states import StateNames, check_name

__all__ = ["endpoint", "function"]

ZERO_SAYS = "Timeout durations must be larger than 0."
ASYNC = "io.statefun.transports.v1/async"
OKHTTP = "io.statefun.transports.v1/okhttp"
TIMEOUTS_2_2 = frozenset[Runtime](("2.2", "embedded"))
TLS = since("3.3")
STATES_HINT = "states are declared by the function itself, since format 3.0"
NESTED_TIMEOUTS = since("3.2")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_IN_URI = r"([^\x00-\x20\x7f<>\"{}|\\^`%]|%[0-9A-Fa-f]{2})"
_UNIX_SOCKET = r"(?![hH][tT][tT][pP][sS]?\+[uU][nN][iI][xX]:(?!.*\.sock(/|$)))"
"""Not a unix socket without a socket."""
_BAD_IN_URI = re.compile(r"[\x00-\x20\x7f<>\"{}|\\^`]|%(?![0-9A-Fa-f]{2})")


# --- formats 1.0 and 2.0 ---


def function(how: Dialect) -> Fields[Endpoint]:
    """Return the shape of the spec of a function; its name is put in by the reader."""
    zero = ZERO_SAYS
    batch = Whole(what="how many messages of one address may wait")
    return Fields(
        what="a function",
        fields=(
            Field(name="endpoint", of=_endpoint_uri(how), needed=True),
            Field(name="states", of=_states(how)),
            Field(name="maxNumBatchRequests", of=batch),
            Field(name="timeout", of=Span(zero=zero)),
            Field(name="connectTimeout", of=Span(zero=zero), runtimes=TIMEOUTS_2_2),
            Field(name="readTimeout", of=Span(zero=zero), runtimes=TIMEOUTS_2_2),
            Field(name="writeTimeout", of=Span(zero=zero), runtimes=TIMEOUTS_2_2),
        ),
        make=_make_function,
    )


def _make_function(record: Record) -> Endpoint:
    transport = OkHttpTransport(
        **_given(record, call="timeout", connect="connectTimeout", read="readTimeout", write="writeTimeout")
    )
    if record.reading.runtime in TIMEOUTS_2_2:  # earlier runtimes do not know but `timeout`
        _compare(record, transport, "timeout", ("connectTimeout", "readTimeout", "writeTimeout"))
    limit = record.find("maxNumBatchRequests", int)
    return Endpoint(
        pattern=Pattern("", None),
        url=record.get("endpoint", str),
        transport=transport,
        max_num_batch_requests=1000 if limit is None else limit,
        states=record.every("states", StateEntry),
        source=record.source(),
    )


def _endpoint_uri(how: Dialect) -> Text:
    unix = how.runtime != "2.0"
    schemes = "http, https, http+unix or https+unix" if unix else "http or https"

    def check(text: str) -> str:
        scheme = text.partition(":")[0].lower() if _SCHEME.match(text) else ""
        if scheme in ("http", "https") or (unix and scheme in ("http+unix", "https+unix")):
            return _bad_uri(text)
        return f"{text!r} is no URL with the scheme {schemes}"

    return Text(
        what=f"the URL of the function, with the scheme {schemes}",
        check=check,
        pattern=f"^{_UNIX_SOCKET}[hH][tT][tT][pP][sS]?(\\+[uU][nN][iI][xX])?:{_IN_URI}*$",
        code="SF112",
        says=_uri_says,
    )


def _uri_says(text: str) -> str:
    if "names no socket" in _bad_uri(text):
        return "Unix Domain Socket path should contain a .sock file"
    if _bad_uri(text):
        return "java.net.URISyntaxException"
    return "Missing scheme in function endpoint <s>; an http or https scheme must be provided."


def _states(how: Dialect) -> Shape[tuple[StateEntry, ...]]:
    if how.format == "1.0":
        return StateNames()
    mode = Choice(
        words=("after-invoke", "after-write"),
        says="Invalid state ttl expire mode; must be one of [after-invoke, after-write].",
    )
    state = Fields(
        what="a state",
        fields=(
            Field(name="name", of=Text(what="the name of the state"), needed=True),
            Field(name="expireAfter", of=Span()),
            Field(name="expireMode", of=mode, runtimes=frozenset(("2.2", "embedded"))),
        ),
        make=_make_state,
    )
    return Items(of=state, what="a list of states, each with a name")


def _make_state(record: Record) -> StateEntry:
    name = record.get("name", str)
    span = record.find("expireAfter", timedelta)
    check_name(name, record.node.entries["name"].value, (*record.path, "name"), record.reading)
    if span is not None and not span and record.reading.runtime != "2.1":
        says = "crash loop on the first message: TTL is expected to be positive."
        record.report("SF107", "expireAfter", "an expiration of zero", expected="more than zero", says=says)
    if span is None and "expireMode" in record.values:
        record.report("SF123", "expireMode", "'expireMode' without 'expireAfter' does nothing")
    mode = cast("Literal['after-invoke', 'after-write']", record.find("expireMode", str) or "after-invoke")
    return StateEntry(name=name, expire_after=span, mode=mode, source=record.source())


# --- formats since 3.0 ---


def endpoint(how: Dialect, version: Literal["v1", "v2"]) -> Fields[Endpoint]:
    """Return the shape of the spec of an endpoint."""
    strict = version == "v1"
    template = Text(
        what="a URL, with {function.name} for the name of the function",
        strict=strict,
        check=_bad_template,
        pattern=f"^{_UNIX_SOCKET}[a-zA-Z][a-zA-Z0-9+.-]*:({_IN_URI}|\\{{function\\.name\\}})*$",
        code="SF112",
        says=lambda text: f"the first message fails: {_template_says(text)}",
    )
    says = None if strict else "NullPointerException"
    transport = (
        Field(name="timeouts", of=_okhttp_timeouts(strict=True))
        if strict
        else Field(name="transport", of=_transport(how))
    )
    batch = Whole(what="how many messages of one address may wait", strict=strict, empty=None if strict else 0)
    return Fields(
        what="an endpoint",
        fields=(
            Field(name="functions", of=how.pattern(strict=strict), needed=True, says=says),
            Field(name="urlPathTemplate", of=template, needed=True, says=says),
            Field(name="maxNumBatchRequests", of=batch),
            Field(name="states", of=Items(of=batch, what=""), runtimes=frozenset(), hint=STATES_HINT),
            transport,
        ),
        make=lambda record: _make_endpoint(record, version),
    )


def _make_endpoint(record: Record, version: Literal["v1", "v2"]) -> Endpoint:
    default = OkHttpTransport() if version == "v1" or record.reading.runtime == "3.1" else AsyncTransport()
    transport = record.values.get("transport") or record.values.get("timeouts") or default
    limit = record.find("maxNumBatchRequests", int)
    url = record.get("urlPathTemplate", str)
    if isinstance(transport, AsyncTransport) and url.lower().startswith(("http+unix:", "https+unix:")):
        record.report(
            "SF121", "urlPathTemplate", "the async transport knows no unix sockets",
            expected=f"transport: {{type: {OKHTTP}}}", says="the first message fails: hostname can't be null",
        )  # fmt: skip
    return Endpoint(
        pattern=to_pattern(record.get("functions", str)),
        url=url,
        transport=cast("Transport", transport),  # the shapes of both keys make nothing else
        max_num_batch_requests=1000 if limit is None else limit,
        source=record.source(),
    )


def _transport(how: Dialect) -> Tagged[Transport]:
    return Tagged(
        what="the HTTP client",
        cases={
            ASYNC: Fields(what="the async transport", fields=_async_fields(), make=_make_async, tag="type"),
            OKHTTP: Fields(
                what="the okhttp transport",
                fields=(Field(name="timeouts", of=_okhttp_timeouts(strict=False)),),
                make=lambda record: cast("Transport", record.values.get("timeouts") or OkHttpTransport()),
                tag="type",
            ),
        },
        default=None if how.runtime == "3.1" else ASYNC,
        says="An extension with type <s> does not exist.",
    )


def _async_fields() -> tuple[Field, ...]:
    span, zero = Span(strict=False), Span(strict=False, zero=ZERO_SAYS)

    def count(what: str) -> Whole:
        return Whole(what=what, strict=False)

    def place(what: str) -> Text:
        return Text(what=what, strict=False)

    nested = Fields(
        what="the timeouts of the async transport",
        fields=(Field(name="call", of=zero), Field(name="connect", of=zero)),
        make=lambda record: AsyncTransport(
            call=record.find("call", timedelta) or timedelta(minutes=1),
            connect=record.find("connect", timedelta) or timedelta(seconds=10),
        ),
    )
    return (
        Field(name="call", of=span),
        Field(name="connect", of=span),
        Field(name="pool_ttl", of=span),
        Field(name="pool_size", of=count("how many connections at most")),
        Field(name="payload_max_bytes", of=count("how many bytes a reply may hold")),
        Field(name="timeouts", of=nested, runtimes=NESTED_TIMEOUTS),
        Field(name="trust_cacerts", of=place("a PEM file of certificate authorities"), runtimes=TLS),
        Field(name="client_cert", of=place("a PEM file with the client's certificate"), runtimes=TLS),
        Field(name="client_key", of=place("a PEM file with the client's key (PKCS#8)"), runtimes=TLS),
        Field(name="client_key_password", of=place("a file that holds the password"), runtimes=TLS),
    )


def _make_async(record: Record) -> Transport:
    nested = record.find("timeouts", AsyncTransport)
    plain = _given(record, call="call", connect="connect", pool_ttl="pool_ttl")
    timeouts = {**plain, "call": nested.call, "connect": nested.connect} if nested else plain
    if nested and {"call", "connect"} & set(plain):
        name = "call" if "call" in plain else "connect"
        record.report("SF123", name, f"{name!r} is ignored where 'timeouts' is there")
    cert, key = record.find("client_cert", str), record.find("client_key", str)
    if (cert is None) != (key is None):
        name = "client_key" if cert is None else "client_cert"
        says = "You need to provide both the cert and they key if you want to use mutual TLS."
        record.report("SF120", name, f"{name!r} without the other of client_cert and client_key", says=says)
    size, payload = record.find("pool_size", int), record.find("payload_max_bytes", int)
    return AsyncTransport(
        **timeouts,
        pool_size=1024 if size is None else size,
        payload_max_bytes=32 * 1024 * 1024 if payload is None else payload,
        trust_cacerts=record.find("trust_cacerts", str),
        client_cert=cert,
        client_key=key,
        client_key_password=record.find("client_key_password", str),
    )


def _okhttp_timeouts(*, strict: bool) -> Fields[OkHttpTransport]:
    span = Span(strict=strict, zero=ZERO_SAYS)

    def make(record: Record) -> OkHttpTransport:
        transport = OkHttpTransport(**_given(record, call="call", connect="connect", read="read", write="write"))
        _compare(record, transport, "call", ("connect", "read", "write"))
        return transport

    return Fields(
        what="the timeouts",
        fields=tuple(Field(name=name, of=span) for name in ("call", "connect", "read", "write")),
        make=make,
    )


# --- what they share ---


def _given(record: Record, **names: str) -> dict[str, timedelta]:
    spans = {argument: record.find(name, timedelta) for argument, name in names.items()}
    return {argument: span for argument, span in spans.items() if span is not None}


def _compare(record: Record, transport: OkHttpTransport, call: str, others: Iterable[str]) -> None:
    """Report each timeout that is longer than the whole call; those that are so by default, in one."""
    spans = (transport.connect, transport.read, transport.write)
    long = [
        (name, word, span)
        for name, word, span in zip(others, ("Connect", "Read", "Write"), spans, strict=True)
        if span > transport.call
    ]
    whole = _seconds(transport.call)
    for name, word, span in long:
        if name in record.values:
            problem = f"{name!r} is {_seconds(span)}, longer than {call!r} ({whole})"
            says = f"{word} timeout cannot be larger than request timeout."
            record.report("SF116", name, problem, expected=f"{name!r} at most {whole}", says=says)
    unsaid = [(name, word) for name, word, _ in long if name not in record.values]
    if unsaid:
        names = ", ".join(repr(name) for name, _ in unsaid)
        problem = f"{call!r} is {whole}, less than the default of 10 s of {names}"
        says = f"{unsaid[0][1]} timeout cannot be larger than request timeout."
        record.report("SF116", call, problem, expected=f"{names} at most {whole}", says=says)


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g} s"


def _bad_uri(text: str) -> str:
    wrong = _BAD_IN_URI.search(text)
    if wrong:
        return f"{text!r} is no URL: {wrong[0]!r} may not stand in it"
    if text.lower().split(":", 1)[0].endswith("+unix") and not any(part.endswith(".sock") for part in text.split("/")):
        return f"{text!r} names no socket: a part of its path must end in .sock"
    return ""


def _template_says(text: str) -> str:
    if "names no socket" in _bad_template(text):
        return "Unix Domain Socket path should contain a .sock file"
    return "java.net.URISyntaxException"


def _bad_template(text: str) -> str:
    if not _SCHEME.match(text):
        return f"{text!r} is no URL: it has no scheme"
    filled = text.replace("{function.name}", "name")
    unknown = re.search(r"\{[^}]*\}?", filled)
    if unknown:
        return f"{unknown[0]!r} is no placeholder: only '{{function.name}}' is"
    return _bad_uri(filled)

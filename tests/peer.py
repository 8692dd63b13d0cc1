"""The other side of the wire: what a runtime sends, and what it reads in the answer.

Here: requests and replies by protobuf's own classes, so that nothing of what the SDK writes or reads by hand has a part
in them; and `Runtime`, which keeps states and answers the handshake of v3 as a job does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from google.protobuf.any_pb2 import Any as AnyPb
from google.protobuf.message import Message

from statefun import RequestReplyHandler, StatefulFunctions, ValueSpec
from statefun._proto import wire_v2_pb2, wire_v3_pb2

__all__ = [
    "ANY",
    "BOTH",
    "NOBODY",
    "Answer",
    "Caller",
    "Runtime",
    "Wire",
    "answer_of",
    "functions_of",
    "packed",
    "request",
    "run",
    "typed",
]

Wire = Literal["v2", "v3"]
BOTH: tuple[Wire, Wire] = ("v2", "v3")
Caller = tuple[str, str, str]
Header = tuple[str, "bytes | None"]

NOBODY = ("", "", "")
"""The address without any part that 3.3 sends for a message of an ingress."""
ANY = "type.googleapis.com/google.protobuf.Any"


def packed(message: Message) -> AnyPb:
    """Pack a message as protobuf does."""
    made = AnyPb()
    made.Pack(message)
    return made


def typed(typename: str, value: bytes = b"") -> AnyPb:
    """Pair a typename with bytes."""
    return AnyPb(type_url=typename, value=value)


# --- requests ---


def request(
    wire: Wire,
    *messages: AnyPb,
    function: str = "example/f",
    identity: str = "x",
    states: Mapping[str, AnyPb | None] | None = None,
    caller: Caller | None = None,
    headers: Sequence[Header] = (),
) -> bytes:
    """Serialize a batch; every message has the same caller and headers (v3)."""
    return (_request_v2 if wire == "v2" else _request_v3)(
        messages, function, identity, states or {}, caller, headers
    ).SerializeToString()


def _request_v2(
    messages: Sequence[AnyPb],
    function: str,
    identity: str,
    states: Mapping[str, AnyPb | None],
    caller: Caller | None,
    headers: Sequence[Header],
) -> Message:
    assert not headers, "v2 has no headers"
    made = wire_v2_pb2.ToFunction()
    batch = made.invocation
    batch.target.namespace, _, batch.target.type = function.rpartition("/")
    batch.target.id = identity
    for name, value in states.items():
        data = b"" if value is None else value.value if value.type_url == ANY else value.SerializeToString()
        batch.state.add(state_name=name, state_value=data)
    for message in messages:
        invocation = batch.invocations.add()
        if caller is not None:
            invocation.caller.namespace, invocation.caller.type, invocation.caller.id = caller
            invocation.caller.SetInParent()
        invocation.argument.typename, invocation.argument.value = message.type_url, message.value
    return made


def _request_v3(
    messages: Sequence[AnyPb],
    function: str,
    identity: str,
    states: Mapping[str, AnyPb | None],
    caller: Caller | None,
    headers: Sequence[Header],
) -> Message:
    made = wire_v3_pb2.ToFunction()
    batch = made.invocation
    batch.target.namespace, _, batch.target.type = function.rpartition("/")
    batch.target.id = identity
    for name, value in states.items():
        entry = batch.state.add(state_name=name)
        if value is not None:
            stored = entry.state_value
            stored.typename, stored.has_value, stored.value = value.type_url, True, value.value
    for message in messages:
        invocation = batch.invocations.add()
        if caller is not None:
            invocation.caller.namespace, invocation.caller.type, invocation.caller.id = caller
            invocation.caller.SetInParent()
        argument = invocation.argument
        argument.typename, argument.has_value, argument.value = message.type_url, True, message.value
        for key, content in headers:
            argument.metadata.add(key=key, value=content or b"", has_value=content is not None)
    return made


# --- replies ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a runtime reads in a reply. Values are Anys, whatever the wire calls them."""

    sent: list[tuple[str, str, AnyPb]] = field(default_factory=list[tuple[str, str, AnyPb]])
    """Target, identity, message."""
    delayed: list[tuple[int, str, str, AnyPb, str]] = field(default_factory=list[tuple[int, str, str, AnyPb, str]])
    """Milliseconds, target, identity, message, token."""
    cancelled: list[str] = field(default_factory=list[str])
    egress: list[tuple[str, AnyPb]] = field(default_factory=list[tuple[str, AnyPb]])
    mutations: list[tuple[str, AnyPb | None]] = field(default_factory=list[tuple[str, "AnyPb | None"]])
    """State name and new value, in order; None deletes it."""
    missing: list[tuple[str, str, str, int]] | None = None
    """Name, typename, mode and milliseconds of each state asked for; None if none is asked for."""

    @property
    def states(self) -> dict[str, AnyPb | None]:
        """The mutations by name."""
        return dict(self.mutations)


def answer_of(wire: Wire, reply: bytes) -> Answer:
    """Read a reply."""
    return _answer_v2(reply) if wire == "v2" else _answer_v3(reply)


def _answer_v2(reply: bytes) -> Answer:
    result = wire_v2_pb2.FromFunction.FromString(reply).invocation_result
    modify = wire_v2_pb2.FromFunction.PersistedValueMutation.MODIFY
    return Answer(
        sent=[(_name(m.target), m.target.id, _of(m.argument)) for m in result.outgoing_messages],
        delayed=[
            (m.delay_in_ms, _name(m.target), m.target.id, _of(m.argument), "") for m in result.delayed_invocations
        ],
        egress=[(f"{m.egress_namespace}/{m.egress_type}", _of(m.argument)) for m in result.outgoing_egresses],
        mutations=[
            (m.state_name, AnyPb.FromString(m.state_value) if m.mutation_type == modify else None)
            for m in result.state_mutations
        ],
    )


def _answer_v3(reply: bytes) -> Answer:
    read = wire_v3_pb2.FromFunction.FromString(reply)
    result = read.invocation_result
    modify = wire_v3_pb2.FromFunction.PersistedValueMutation.MODIFY
    delayed = result.delayed_invocations
    missing: list[tuple[str, str, str, int]] | None = None
    if read.HasField("incomplete_invocation_context"):
        modes = wire_v3_pb2.FromFunction.ExpirationSpec.ExpireMode
        missing = [
            (m.state_name, m.type_typename, modes.Name(m.expiration_spec.mode), m.expiration_spec.expire_after_millis)
            for m in read.incomplete_invocation_context.missing_values
        ]
    values = (
        *(m.argument for m in result.outgoing_messages),
        *(m.argument for m in delayed if not m.is_cancellation_request),
        *(m.argument for m in result.outgoing_egresses),
        *(m.state_value for m in result.state_mutations if m.mutation_type == modify),
    )
    assert all(value.has_value for value in values), "a value without has_value is none to a v3 runtime"
    return Answer(
        sent=[(_name(m.target), m.target.id, _of(m.argument)) for m in result.outgoing_messages],
        delayed=[
            (m.delay_in_ms, _name(m.target), m.target.id, _of(m.argument), m.cancellation_token)
            for m in delayed
            if not m.is_cancellation_request
        ],
        cancelled=[m.cancellation_token for m in delayed if m.is_cancellation_request],
        egress=[(f"{m.egress_namespace}/{m.egress_type}", _of(m.argument)) for m in result.outgoing_egresses],
        mutations=[
            (m.state_name, _of(m.state_value) if m.mutation_type == modify else None) for m in result.state_mutations
        ],
        missing=missing,
    )


def _of(value: wire_v2_pb2.Value | wire_v3_pb2.Value) -> AnyPb:
    return typed(value.typename, value.value)


def _name(address: wire_v2_pb2.Address | wire_v3_pb2.Address) -> str:
    return f"{address.namespace}/{address.type}"


# --- a function served ---


def functions_of(
    fn: Callable[..., Any], *, function: str = "example/f", states: Sequence[ValueSpec[Any, Any]] = ()
) -> StatefulFunctions:
    """Make a registry of one function."""
    functions = StatefulFunctions()
    functions.register(function, fn, states=states)
    return functions


class Runtime:
    """The states of one address, as a runtime of this wire keeps them, before a plain handler.

    In v2 they are those that module.yaml lists; in v3 those that were asked for.
    """

    def __init__(self, wire: Wire, functions: StatefulFunctions, *, listed: Sequence[str] = ()) -> None:
        self.wire: Wire = wire
        self.handler = RequestReplyHandler(functions)
        self.states: dict[str, AnyPb | None] = dict.fromkeys(listed) if wire == "v2" else {}
        self.typenames: dict[str, str] = {}
        """What each state was registered as (v3)."""
        self.asked: list[list[str]] = []
        """What each answer that registers states asked for."""

    def send(
        self,
        *messages: AnyPb,
        function: str = "example/f",
        identity: str = "x",
        caller: Caller | None = None,
        headers: Sequence[Header] = (),
    ) -> Answer:
        """Send a batch until it is handled; apply what it does to the states."""
        while True:
            data = request(
                self.wire,
                *messages,
                function=function,
                identity=identity,
                states=self.states,
                caller=caller,
                headers=headers,
            )
            answer = answer_of(self.wire, self.handler(data))
            if answer.missing is None:
                self._apply(answer)
                return answer
            self._register(answer.missing)

    def _register(self, missing: list[tuple[str, str, str, int]]) -> None:
        new = [name for name, *_ in missing if name not in self.states]
        assert new, "an answer that asks for nothing new makes a runtime send forever"
        self.asked.append([name for name, *_ in missing])
        for name, typename, *_ in missing:
            self.states.setdefault(name, None)
            assert self.typenames.setdefault(name, typename) == typename

    def _apply(self, answer: Answer) -> None:
        for name, value in answer.mutations:
            assert name in self.states, "a runtime fails the job for a state that it does not know"
            if self.wire == "v3" and value is not None:
                assert value.type_url == self.typenames[name], (
                    "a v3 runtime fails the job when a state changes its type"
                )
            self.states[name] = value

    def state(self, name: str) -> AnyPb | None:
        """Return what is stored, without the Any around an Any that v3 has."""
        value = self.states[name]
        if value is not None and value.type_url == ANY:
            return AnyPb.FromString(value.value)
        return value


def run(
    wire: Wire,
    fn: Callable[..., Any],
    *messages: AnyPb,
    states: Mapping[str, AnyPb | None] | None = None,
    specs: Sequence[ValueSpec[Any, Any]] = (),
    caller: Caller | None = None,
    headers: Sequence[Header] = (),
    identity: str = "x",
) -> Answer:
    """Serve one function and send it one batch. States that it declares and that are not given are there, unset."""
    functions = functions_of(fn, states=specs)
    known: dict[str, AnyPb | None] = {**dict.fromkeys(functions["example/f"].specs), **(states or {})}
    data = request(wire, *messages, states=known, caller=caller, headers=headers, identity=identity)
    return answer_of(wire, RequestReplyHandler(functions)(data))

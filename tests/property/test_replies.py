"""A reply that is encoded by hand is what protobuf makes of the same effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from statefun._proto import wire_v2_pb2, wire_v3_pb2
from statefun._wire import v2, v3
from statefun.protocol import ANY
from tests.peer import Wire

parts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=9)
names = st.builds("{}/{}".format, parts | st.just("com.example/a") | st.text("x", min_size=100, max_size=200), parts)
texts = st.text(max_size=9) | st.text("y", min_size=110, max_size=140)
data = st.one_of(
    st.binary(max_size=9),
    st.integers(90, 140).map(bytes),
    st.sampled_from([4_095, 4_096, 4_097, 16_383, 16_384, 70_000]).map(bytes),
)
RECORDS = {
    f"{prefix}{package}.{record}": record
    for prefix in ("type.googleapis.com/", "", "example.com/x/")
    for package in ("org.apache.flink.statefun.flink.io", "io.statefun.sdk.egress", "statefun.egress")
    for record in ("KafkaProducerRecord", "KinesisEgressRecord")
}


@dataclass(frozen=True)
class Send:
    """An outgoing message."""

    target: str
    identity: str
    typename: str
    data: bytes


@dataclass(frozen=True)
class SendAfter:
    """A delayed message."""

    delay_ms: int
    target: str
    identity: str
    typename: str
    data: bytes
    token: str


@dataclass(frozen=True)
class Cancel:
    """A cancellation."""

    token: str


@dataclass(frozen=True)
class ToEgress:
    """A record."""

    egress: str
    typename: str
    data: bytes


@dataclass(frozen=True)
class Write:
    """A value to store."""

    name: str
    typename: str
    data: bytes


@dataclass(frozen=True)
class Delete:
    """A value to delete."""

    name: str


Effect = Send | SendAfter | Cancel | ToEgress | Write | Delete
Reply = v2.Reply | v3.Reply

effects: st.SearchStrategy[Effect] = st.one_of(
    st.builds(Send, names, texts, texts, data),
    st.builds(SendAfter, st.integers(0, 2**63 - 1) | st.integers(0, 300), names, texts, texts, data, texts),
    st.builds(Cancel, texts),
    st.builds(ToEgress, names, texts | st.sampled_from(list(RECORDS)), data),
    st.builds(Write, texts, texts | st.just(ANY), data),
    st.builds(Delete, texts),
)


def apply(reply: Reply, effect: Effect) -> None:
    """Append an effect by the calls that a context makes."""
    match effect:
        case Send():
            reply.send(effect.target, effect.identity, effect.typename, effect.data, None)
        case SendAfter():
            reply.send_after(
                effect.delay_ms, effect.target, effect.identity, effect.typename, effect.data, None, effect.token
            )
        case Cancel():
            reply.cancel(effect.token)
        case ToEgress():
            reply.egress(effect.egress, effect.typename, effect.data)
        case Write():
            reply.write_state(effect.name, effect.typename, effect.data)
        case Delete():
            reply.delete_state(effect.name)


def expected_v2(done: Sequence[Effect]) -> wire_v2_pb2.FromFunction:
    """Build the reply of protobuf messages."""
    made = wire_v2_pb2.FromFunction()
    result = made.invocation_result
    for effect in done:
        match effect:
            case Send():
                sent = result.outgoing_messages.add()
                address(sent.target, effect.target, effect.identity)
                sent.argument.SetInParent()
                sent.argument.typename, sent.argument.value = effect.typename, effect.data
            case SendAfter():
                delayed = result.delayed_invocations.add(delay_in_ms=effect.delay_ms)
                address(delayed.target, effect.target, effect.identity)
                delayed.argument.SetInParent()
                delayed.argument.typename, delayed.argument.value = effect.typename, effect.data
            case ToEgress():
                namespace, _, name = effect.egress.rpartition("/")
                left = result.outgoing_egresses.add(egress_namespace=namespace, egress_type=name)
                left.argument.SetInParent()
                left.argument.value = effect.data
                left.argument.typename = known(effect.typename, "org.apache.flink.statefun.flink.io")
            case Write():
                stored = wire_v2_pb2.Value(typename=effect.typename, value=effect.data).SerializeToString()
                result.state_mutations.add(
                    mutation_type=wire_v2_pb2.FromFunction.PersistedValueMutation.MODIFY,
                    state_name=effect.name,
                    state_value=effect.data if effect.typename == ANY else stored,
                )
            case Delete():
                result.state_mutations.add(state_name=effect.name)
            case Cancel():
                raise AssertionError(effect)
    return made


def expected_v3(done: Sequence[Effect]) -> wire_v3_pb2.FromFunction:
    """Build the reply of protobuf messages."""
    made = wire_v3_pb2.FromFunction()
    result = made.invocation_result
    for effect in done:
        match effect:
            case Send():
                sent = result.outgoing_messages.add()
                address(sent.target, effect.target, effect.identity)
                value(sent.argument, effect.typename, effect.data)
            case SendAfter():
                delayed = result.delayed_invocations.add(delay_in_ms=effect.delay_ms, cancellation_token=effect.token)
                address(delayed.target, effect.target, effect.identity)
                value(delayed.argument, effect.typename, effect.data)
            case Cancel():
                result.delayed_invocations.add(is_cancellation_request=True, cancellation_token=effect.token)
            case ToEgress():
                namespace, _, name = effect.egress.rpartition("/")
                left = result.outgoing_egresses.add(egress_namespace=namespace, egress_type=name)
                value(left.argument, known(effect.typename, "io.statefun.sdk.egress"), effect.data)
            case Write():
                written = result.state_mutations.add(
                    mutation_type=wire_v3_pb2.FromFunction.PersistedValueMutation.MODIFY, state_name=effect.name
                )
                value(written.state_value, effect.typename, effect.data)
            case Delete():
                result.state_mutations.add(state_name=effect.name)
    return made


def address(target: wire_v2_pb2.Address | wire_v3_pb2.Address, typename: str, identity: str) -> None:
    """Fill an address."""
    target.namespace, _, target.type = typename.rpartition("/")
    target.id = identity


def value(target: wire_v3_pb2.Value, typename: str, content: bytes) -> None:
    """Fill a value of v3."""
    target.typename, target.has_value, target.value = typename, True, content


def known(typename: str, package: str) -> str:
    """Return the name that the runtime of a version knows a record by."""
    return f"type.googleapis.com/{package}.{RECORDS[typename]}" if typename in RECORDS else typename


@given(st.lists(effects.filter(lambda effect: not isinstance(effect, Cancel)), max_size=8))
def test_v2(done: list[Effect]) -> None:
    """The bytes of a v2 reply are those of protobuf; without effects there are none."""
    reply = v2.Reply()
    for effect in done:
        apply(reply, without_token(effect))
    assert reply.encode() == (expected_v2(done).SerializeToString(deterministic=True) if done else b"")


def without_token(effect: Effect) -> Effect:
    """Leave out what v2 has no field for."""
    if isinstance(effect, SendAfter):
        return SendAfter(effect.delay_ms, effect.target, effect.identity, effect.typename, effect.data, "")
    return effect


@given(st.lists(effects, max_size=8))
def test_v3(done: list[Effect]) -> None:
    """The bytes of a v3 reply are those of protobuf; without effects there are none."""
    reply = v3.Reply()
    for effect in done:
        apply(reply, effect)
    assert reply.encode() == (expected_v3(done).SerializeToString(deterministic=True) if done else b"")


REPLIES: dict[Wire, Callable[[], Reply]] = {"v2": v2.Reply, "v3": v3.Reply}


@given(st.sampled_from(["v2", "v3"]), st.lists(effects, max_size=6), st.lists(effects, max_size=6), st.lists(effects))
def test_rollback(wire: Wire, before: list[Effect], taken_back: list[Effect], after: list[Effect]) -> None:
    """What was appended between a mark and its rollback leaves no trace."""
    rolled, plain = REPLIES[wire](), REPLIES[wire]()
    for effect in before:
        apply(rolled, effect)
        apply(plain, effect)
    mark = rolled.mark()
    for effect in taken_back:
        apply(rolled, effect)
    rolled.rollback(mark)
    assert rolled.encode() == plain.encode()
    for effect in after:
        apply(rolled, effect)
        apply(plain, effect)
    assert rolled.encode() == plain.encode()


@given(st.lists(st.lists(effects, max_size=3), min_size=1, max_size=4), st.data())
def test_nested_marks(steps: list[list[Effect]], draw: st.DataObject) -> None:
    """A rollback to an older mark takes back what stands behind the newer ones, too."""
    reply = v3.Reply()
    marks = [(reply.mark(), reply.encode())]
    for step in steps:
        for effect in step:
            apply(reply, effect)
        marks.append((reply.mark(), reply.encode()))
    mark, encoded = draw.draw(st.sampled_from(marks))
    reply.rollback(mark)
    assert reply.encode() == encoded

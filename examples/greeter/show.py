"""Answers requests from files and prints both in words: what a runtime sends, and what it gets back.

No app needs this. It reads the messages of the protocol, which are no part of the public API.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf import descriptor_pool, message_factory, text_format
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from statefun import RequestReplyHandler, types
from statefun._proto import wire_v2_pb2 as v2
from statefun._proto import wire_v3_pb2 as v3
from statefun._proto.egress_pb2 import KafkaProducerRecord
from statefun._wire.detect import version_of

REQUESTS = Path(__file__).parent / "requests"
PRIMITIVES = {known.typename: known for known in (types.INT64, types.STRING)}
Batch = v2.ToFunction.InvocationBatchRequest | v3.ToFunction.InvocationBatchRequest
MINUTE, HOUR = 60_000, 3_600_000  # milliseconds


def main(handler: RequestReplyHandler) -> None:
    """Answer the files that are named, "-" for standard input; without any, those under requests/."""
    names = sys.argv[1:] or sorted(str(path) for path in REQUESTS.glob("*.bin"))
    try:
        answer(handler, names)
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def answer(handler: RequestReplyHandler, names: Iterable[str]) -> None:
    """Print each request and its reply."""
    for name in names:
        request = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        wire = v2 if version_of(request) == "v2" else v3
        print(f"{Path(name).name}: {len(request)} bytes")
        print_lines(request_lines(wire.ToFunction.FromString(request).invocation))
        reply = handler(request)
        print(f"reply: {len(reply)} bytes")
        print_lines(reply_lines(wire.FromFunction.FromString(reply)))


def print_lines(lines: Iterator[tuple[str, str]]) -> None:
    """Print what each line is about, and the line, cut where a terminal ends."""
    for what, text in lines:
        print(f"  {what:<9}{text}"[:80])


def request_lines(batch: Batch) -> Iterator[tuple[str, str]]:
    """Describe what a runtime sends: an address, its states, and messages for it."""
    yield "to", f"{batch.target.namespace}/{batch.target.type}/{batch.target.id}"
    for state in batch.state:
        yield "state", f"{state.state_name} {stored(state.state_value)}"
    for invocation in batch.invocations:
        yield "message", shown(invocation.argument)


def reply_lines(reply: v2.FromFunction | v3.FromFunction) -> Iterator[tuple[str, str]]:
    """Describe what a function does: states to register (v3), or the effects of the batch."""
    if isinstance(reply, v3.FromFunction):
        for spec in reply.incomplete_invocation_context.missing_values:
            after = spec.expiration_spec.expire_after_millis // HOUR
            yield "register", f"{spec.state_name}: {spec.type_typename}" + (f", for {after} h" if after else "")
    result = reply.invocation_result
    for mutation in result.state_mutations:
        yield "store", f"{mutation.state_name} {stored(mutation.state_value)}"
    for sent in result.outgoing_messages:
        yield "send", f"to {sent.target.id}: {shown(sent.argument)}"
    for later in result.delayed_invocations:
        yield "later", f"in {later.delay_in_ms // MINUTE} min to {later.target.id}: {shown(later.argument)}"
    for out in result.outgoing_egresses:
        yield "egress", f"{out.egress_namespace}/{out.egress_type}: {shown(out.argument)}"


def stored(value: bytes | v3.Value) -> str:
    """Write a stored value: in v2 a serialized Any, in v3 a typed value."""
    if isinstance(value, bytes):
        packed = Any.FromString(value)
        return shown(v2.Value(typename=packed.type_url, value=packed.value)) if value else "(none)"
    return shown(value) if value.has_value else "(none)"


def shown(value: v2.Argument | v2.Value | v3.Value) -> str:
    """Write a value as its typename says."""
    if value.typename in PRIMITIVES:
        return repr(PRIMITIVES[value.typename].decode(value.value))
    name = value.typename.rpartition("/")[2]
    short = name.rpartition(".")[2]
    if short == "KafkaProducerRecord":
        record = KafkaProducerRecord.FromString(value.value)
        return f"{record.topic} <- {record.key}: {record.value_bytes!r}"
    cls: type[Message] = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
    return f"{short}({text_format.MessageToString(cls.FromString(value.value), as_one_line=True)})"

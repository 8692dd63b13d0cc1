"""FLOOR: the least that a pure-Python SDK on protobuf has to do for a request.

`full`: parse the request, parse each argument into its class, call the user's code, build the reply with the fastest
protobuf idiom that was found (add() and assignments through locals), serialize it. State is decoded and encoded once a
batch. There is no context, no dispatch, no address for the user, and nothing is checked.

`bytes`: parse the request and serialize a reply that was made before; nothing else.
"""

import asyncio
import sys

import scenarios
from contestant import serve
from google.protobuf.any_pb2 import Any
from scenarios import Blob, Counter, Ping, Pong

MODIFY = 1
PONG, COUNTER, BLOB = (scenarios.type_url(cls) for cls in (Pong, Counter, Blob))
NAMESPACE, NAME = scenarios.SINK.split("/")
CLASSES = {scenarios.type_url(cls): cls for cls in scenarios.OPS}


def body(state, message):
    """Do what the user's function does, on decoded values."""
    state.value += message.amount
    state.last = message.key
    return Pong(value=state.value, origin=message.key)


async def async_body(state, message):
    """Do the same in a coroutine."""
    return body(state, message)


def v3(wire):  # noqa: PLR0915 - straight lines are the point
    """Return the floor of each scenario on v3."""
    parse, reply_class = wire["ToFunction"].FromString, wire["FromFunction"]

    def finish(whole, result, state):
        mutation = result.state_mutations.add()
        mutation.mutation_type = MODIFY
        mutation.state_name = "count"
        value = mutation.state_value
        value.typename = COUNTER
        value.has_value = True
        value.value = state.SerializeToString()
        return whole.SerializeToString()

    def counter(request):
        batch = parse(request).invocation
        state = Counter.FromString(batch.state[0].state_value.value)
        whole = reply_class()
        result = whole.invocation_result
        messages = result.outgoing_messages
        for invocation in batch.invocations:
            message = Ping.FromString(invocation.argument.value)
            pong = body(state, message)
            out = messages.add()
            target = out.target
            target.namespace = NAMESPACE
            target.type = NAME
            target.id = message.key
            argument = out.argument
            argument.typename = PONG
            argument.has_value = True
            argument.value = pong.SerializeToString()
        return finish(whole, result, state)

    def union(request):
        batch = parse(request).invocation
        state = Counter.FromString(batch.state[0].state_value.value)
        whole = reply_class()
        result = whole.invocation_result
        messages = result.outgoing_messages
        for invocation in batch.invocations:
            argument = invocation.argument
            message = CLASSES[argument.typename].FromString(argument.value)
            pong = body(state, message)
            out = messages.add()
            target = out.target
            target.namespace = NAMESPACE
            target.type = NAME
            target.id = message.key
            argument = out.argument
            argument.typename = PONG
            argument.has_value = True
            argument.value = pong.SerializeToString()
        return finish(whole, result, state)

    async def async_counter(request):
        batch = parse(request).invocation
        state = Counter.FromString(batch.state[0].state_value.value)
        whole = reply_class()
        result = whole.invocation_result
        messages = result.outgoing_messages
        for invocation in batch.invocations:
            message = Ping.FromString(invocation.argument.value)
            pong = await async_body(state, message)
            out = messages.add()
            target = out.target
            target.namespace = NAMESPACE
            target.type = NAME
            target.id = message.key
            argument = out.argument
            argument.typename = PONG
            argument.has_value = True
            argument.value = pong.SerializeToString()
        return finish(whole, result, state)

    def states(request):
        batch = parse(request).invocation
        message = Ping.FromString(batch.invocations[0].argument.value)
        state = Blob.FromString(batch.state[7].state_value.value)
        state.n += message.amount
        whole = reply_class()
        mutation = whole.invocation_result.state_mutations.add()
        mutation.mutation_type = MODIFY
        mutation.state_name = scenarios.TOUCHED
        value = mutation.state_value
        value.typename = BLOB
        value.has_value = True
        value.value = state.SerializeToString()
        return whole.SerializeToString()

    def echo(request):
        batch = parse(request).invocation
        invocation = batch.invocations[0]
        message = Blob.FromString(invocation.argument.value)
        caller = invocation.caller
        whole = reply_class()
        out = whole.invocation_result.outgoing_messages.add()
        target = out.target
        target.namespace = caller.namespace
        target.type = caller.type
        target.id = caller.id
        argument = out.argument
        argument.typename = BLOB
        argument.has_value = True
        argument.value = message.SerializeToString()
        return whole.SerializeToString()

    return {"S1": counter, "S2": counter, "S3": union, "S4": states, "S5": async_counter, "S6": echo}


def v2(wire):  # noqa: C901, PLR0915 - straight lines are the point
    """Return the floor of each scenario on v2."""
    parse, reply_class = wire["ToFunction"].FromString, wire["FromFunction"]

    def packed(typename, message):
        value = Any()
        value.type_url = typename
        value.value = message.SerializeToString()
        return value.SerializeToString()

    def finish(whole, result, state):
        mutation = result.state_mutations.add()
        mutation.mutation_type = MODIFY
        mutation.state_name = "count"
        mutation.state_value = packed(COUNTER, state)
        return whole.SerializeToString()

    def counter(request):
        batch = parse(request).invocation
        state = Counter.FromString(Any.FromString(batch.state[0].state_value).value)
        whole = reply_class()
        result = whole.invocation_result
        messages = result.outgoing_messages
        for invocation in batch.invocations:
            message = Ping.FromString(invocation.argument.value)
            pong = body(state, message)
            out = messages.add()
            target = out.target
            target.namespace = NAMESPACE
            target.type = NAME
            target.id = message.key
            argument = out.argument
            argument.type_url = PONG
            argument.value = pong.SerializeToString()
        return finish(whole, result, state)

    def union(request):
        batch = parse(request).invocation
        state = Counter.FromString(Any.FromString(batch.state[0].state_value).value)
        whole = reply_class()
        result = whole.invocation_result
        messages = result.outgoing_messages
        for invocation in batch.invocations:
            argument = invocation.argument
            message = CLASSES[argument.type_url].FromString(argument.value)
            pong = body(state, message)
            out = messages.add()
            target = out.target
            target.namespace = NAMESPACE
            target.type = NAME
            target.id = message.key
            argument = out.argument
            argument.type_url = PONG
            argument.value = pong.SerializeToString()
        return finish(whole, result, state)

    async def async_counter(request):
        batch = parse(request).invocation
        state = Counter.FromString(Any.FromString(batch.state[0].state_value).value)
        whole = reply_class()
        result = whole.invocation_result
        messages = result.outgoing_messages
        for invocation in batch.invocations:
            message = Ping.FromString(invocation.argument.value)
            pong = await async_body(state, message)
            out = messages.add()
            target = out.target
            target.namespace = NAMESPACE
            target.type = NAME
            target.id = message.key
            argument = out.argument
            argument.type_url = PONG
            argument.value = pong.SerializeToString()
        return finish(whole, result, state)

    def states(request):
        batch = parse(request).invocation
        message = Ping.FromString(batch.invocations[0].argument.value)
        state = Blob.FromString(Any.FromString(batch.state[7].state_value).value)
        state.n += message.amount
        whole = reply_class()
        mutation = whole.invocation_result.state_mutations.add()
        mutation.mutation_type = MODIFY
        mutation.state_name = scenarios.TOUCHED
        mutation.state_value = packed(BLOB, state)
        return whole.SerializeToString()

    def echo(request):
        batch = parse(request).invocation
        invocation = batch.invocations[0]
        message = Blob.FromString(invocation.argument.value)
        caller = invocation.caller
        whole = reply_class()
        out = whole.invocation_result.outgoing_messages.add()
        target = out.target
        target.namespace = caller.namespace
        target.type = caller.type
        target.id = caller.id
        argument = out.argument
        argument.type_url = BLOB
        argument.value = message.SerializeToString()
        return whole.SerializeToString()

    return {"S1": counter, "S2": counter, "S3": union, "S4": states, "S5": async_counter, "S6": echo}


_made = {}


def build(scenario, wire, mode):
    """Return what answers a request."""
    if wire not in _made:
        _made[wire] = scenarios.wire_classes(wire)
    classes = _made[wire]
    full = {"v2": v2, "v3": v3}[wire](classes)[scenario]
    if sys.argv[1:] != ["bytes"]:
        return full
    request = scenarios.request(scenario, wire, classes)
    reply = asyncio.run(full(request)) if mode == "async" else full(request)
    ready = classes["FromFunction"].FromString(reply)
    parse = classes["ToFunction"].FromString

    def parse_and_serialize(request):
        parse(request)
        return ready.SerializeToString()

    async def in_a_coroutine(request):
        return parse_and_serialize(request)

    return in_a_coroutine if mode == "async" else parse_and_serialize


if __name__ == "__main__":
    serve(build)

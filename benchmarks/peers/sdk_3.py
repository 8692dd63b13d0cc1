"""apache-flink-statefun 3.3.0 and flink-statefun 3.5.0, which have one API: v3, typed values."""

from contestant import Unsupported, serve
from scenarios import OPS, SINK, STATES, Blob, Counter, Ping, Pong

from statefun import RequestReplyHandler, StatefulFunctions, ValueSpec, make_protobuf_type, message_builder

PING, PONG, COUNTER, BLOB = (make_protobuf_type(cls) for cls in (Ping, Pong, Counter, Blob))
OP0, OP1, OP2, OP3, OP4, OP5, OP6, OP7 = (make_protobuf_type(cls) for cls in OPS)


def typed(message):
    """Decode a message of one of eight types."""
    if message.is_type(OP0):
        return message.as_type(OP0)
    if message.is_type(OP1):
        return message.as_type(OP1)
    if message.is_type(OP2):
        return message.as_type(OP2)
    if message.is_type(OP3):
        return message.as_type(OP3)
    if message.is_type(OP4):
        return message.as_type(OP4)
    if message.is_type(OP5):
        return message.as_type(OP5)
    if message.is_type(OP6):
        return message.as_type(OP6)
    if message.is_type(OP7):
        return message.as_type(OP7)
    raise TypeError(message.value_typename())


def functions():
    """Bind the functions of the scenarios."""
    bound = StatefulFunctions()
    count = [ValueSpec(name="count", type=COUNTER)]

    @bound.bind("bench/counter", specs=count)
    def counter(context, message):
        ping = message.as_type(PING)
        state = context.storage.count
        state.value += ping.amount
        state.last = ping.key
        context.storage.count = state
        pong = Pong(value=state.value, origin=ping.key)
        context.send(message_builder(target_typename=SINK, target_id=ping.key, value=pong, value_type=PONG))

    @bound.bind("bench/union", specs=count)
    def union(context, message):
        operation = typed(message)
        state = context.storage.count
        state.value += operation.amount
        state.last = operation.key
        context.storage.count = state
        pong = Pong(value=state.value, origin=operation.key)
        context.send(message_builder(target_typename=SINK, target_id=operation.key, value=pong, value_type=PONG))

    @bound.bind("bench/states", specs=[ValueSpec(name=name, type=BLOB) for name in STATES])
    def states(context, message):
        ping = message.as_type(PING)
        state = context.storage.s07
        state.n += ping.amount
        context.storage.s07 = state

    @bound.bind("bench/acounter", specs=count)
    async def acounter(context, message):
        ping = message.as_type(PING)
        state = context.storage.count
        state.value += ping.amount
        state.last = ping.key
        context.storage.count = state
        pong = Pong(value=state.value, origin=ping.key)
        context.send(message_builder(target_typename=SINK, target_id=ping.key, value=pong, value_type=PONG))

    @bound.bind("bench/echo")
    def echo(context, message):
        blob = message.as_type(BLOB)
        caller = context.caller
        context.send(message_builder(target_typename=caller.typename, target_id=caller.id, value=blob, value_type=BLOB))

    return bound


def build(scenario, wire, mode):  # noqa: ARG001
    """Return what answers a request."""
    if wire != "v3":
        raise Unsupported("3.x speaks v3 only")
    handler = RequestReplyHandler(functions())
    return handler.handle_async if mode == "async" else handler.handle_sync


if __name__ == "__main__":
    serve(build)

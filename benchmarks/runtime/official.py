"""W1 on apache-flink-statefun 3.3.0, served as its documentation says: aiohttp on a loop. For engines.py.

Runs in an environment of its own, on protobuf 3.20 too: its messages are made here, not by a newer protoc.
"""

import sys

from aiohttp import web
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from statefun import RequestReplyHandler, StatefulFunctions, ValueSpec, kafka_egress_message, make_protobuf_type

FIELDS = {
    "Ping": (("amount", 3), ("key", 9)),
    "Pong": (("value", 3), ("origin", 9)),
    "Counter": (("value", 3), ("last", 9)),
}


def made():
    """Make the messages of tests/protos/bench.proto."""
    file = descriptor_pb2.FileDescriptorProto(name="bench.proto", package="bench", syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields, 1):
            message.field.add(name=field, number=number, type=kind, label=1)
    pool = descriptor_pool.Default()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    for name in FIELDS:
        descriptor = pool.FindMessageTypeByName(f"bench.{name}")
        get = getattr(message_factory, "GetMessageClass", None) or message_factory.MessageFactory().GetPrototype
        yield get(descriptor)


Ping, Pong, Counter = made()
PING, PONG, COUNTER = (make_protobuf_type(cls) for cls in (Ping, Pong, Counter))
functions = StatefulFunctions()


@functions.bind("bench/counter", specs=[ValueSpec(name="count", type=COUNTER)])
def counter(context, message):
    """Decode, count in a state, one record out."""
    ping = message.as_type(PING)
    count = context.storage.count or Counter()
    count.value += ping.amount
    count.last = ping.key
    context.storage.count = count
    pong = Pong(value=count.value, origin=ping.key)
    context.send_egress(
        kafka_egress_message(typename="bench/out", topic="totals", key=ping.key, value=pong, value_type=PONG)
    )


handler = RequestReplyHandler(functions)


async def handle(request):
    """Answer a request."""
    reply = await handler.handle_async(await request.read())
    return web.Response(body=reply, content_type="application/octet-stream")


if __name__ == "__main__":
    app = web.Application(client_max_size=64 << 20)
    app.add_routes([web.post("/statefun", handle)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)

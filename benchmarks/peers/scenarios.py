"""What every contestant is measured on: messages, the six scenarios, their requests and the answers they must get.

Nothing here imports an SDK, and nothing is generated code: the classes are made from descriptors at run time, so that
this one file runs on every protobuf that a contestant brings, from 3.20 on.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
    "int64": _FIELD.TYPE_INT64,
    "bool": _FIELD.TYPE_BOOL,
    "enum": _FIELD.TYPE_INT32,  # a varint on the wire, as an enum is
}


def make_classes(package, messages):
    """Make message classes: {"Name": [(field, number, "scalar" | "Name" | "*Name"), ...]} -> {"Name": class}."""
    file = descriptor_pb2.FileDescriptorProto(name=package + ".proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            field = message.field.add(name=field_name, number=number, label=_FIELD.LABEL_OPTIONAL)
            if kind.startswith("*"):
                field.label = _FIELD.LABEL_REPEATED
            kind = kind.lstrip("*")  # noqa: PLW2901
            if kind in _SCALARS:
                field.type = _SCALARS[kind]
            else:
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, "." + package + "." + kind
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    found = {name: pool.FindMessageTypeByName(package + "." + name) for name in messages}
    if hasattr(message_factory, "GetMessageClass"):
        return {name: message_factory.GetMessageClass(each) for name, each in found.items()}
    return {name: message_factory.MessageFactory(pool).GetPrototype(each) for name, each in found.items()}


# --- the messages of the users ---

_amount_and_key = [("amount", 1, "int64"), ("key", 2, "string")]
_user = make_classes(
    "bench",
    {
        "Ping": _amount_and_key,
        "Pong": [("value", 1, "int64"), ("origin", 2, "string")],
        "Counter": [("value", 1, "int64"), ("last", 2, "string")],
        "Blob": [("n", 1, "int64"), ("data", 2, "bytes")],
        **{"Op" + str(number): _amount_and_key for number in range(8)},
    },
)
Ping, Pong, Counter, Blob = (_user[name] for name in ("Ping", "Pong", "Counter", "Blob"))
OPS = [_user["Op" + str(number)] for number in range(8)]


def type_url(cls):
    """Return the typename of a message class."""
    return "type.googleapis.com/" + cls.DESCRIPTOR.full_name


# --- the messages of the wire ---


def wire_classes(version):
    """Make the request-reply messages. v2: arguments are Any, states raw bytes; v3: TypedValue for both."""
    if version == "v3":
        value = [("typename", 1, "string"), ("has_value", 2, "bool"), ("value", 3, "bytes")]
    else:
        value = [("type_url", 1, "string"), ("value", 2, "bytes")]
    state = "Value" if version == "v3" else "bytes"
    return make_classes(
        "bench.wire_" + version,
        {
            "Value": value,
            "Address": [("namespace", 1, "string"), ("type", 2, "string"), ("id", 3, "string")],
            "PersistedValue": [("state_name", 1, "string"), ("state_value", 2, state)],
            "In": [("caller", 1, "Address"), ("argument", 2, "Value")],
            "Batch": [("target", 1, "Address"), ("state", 2, "*PersistedValue"), ("invocations", 3, "*In")],
            "ToFunction": [("invocation", 100, "Batch")],
            "Mutation": [("mutation_type", 1, "enum"), ("state_name", 2, "string"), ("state_value", 3, state)],
            "Out": [("target", 1, "Address"), ("argument", 2, "Value")],
            "Result": [("state_mutations", 1, "*Mutation"), ("outgoing_messages", 2, "*Out")],
            "FromFunction": [("invocation_result", 100, "Result")],
        },
    )


# --- the scenarios ---

SINK = "bench/sink"
CALLER = ("bench", "caller", "caller-7")
STATES = [f"s{number:02d}" for number in range(16)]
TOUCHED = STATES[7]
KIB = b"\xab" * 1000  # 1 KiB with its envelope
PAYLOAD = bytes(range(256)) * 256  # 64 KiB

SCENARIOS = {
    "S1": ("counter", 1, "1 message: read and write 1 state, send 1 message"),
    "S2": ("counter", 100, "a batch of 100, same function"),
    "S3": ("union", 100, "a batch of 100 of 8 message types, same body"),
    "S4": ("states", 1, "1 message, 16 states of 1 KiB, 1 of them read and written"),
    "S5": ("acounter", 100, "a batch of 100, async function"),
    "S6": ("echo", 1, "a message of 64 KiB sent back to the caller"),
}
"""Name -> the function, the messages in a request, what it is."""
ASYNC = ("S5",)
WIRES = ("v2", "v3")


def arguments(scenario, count=None):
    """Return the messages of a request."""
    if scenario == "S4":
        return [Ping(amount=3, key="user-0")]
    if scenario == "S6":
        return [Blob(n=1, data=PAYLOAD)]
    count = count or SCENARIOS[scenario][1]
    kinds = OPS if scenario == "S3" else [Ping]
    return [kinds[n % len(kinds)](amount=n + 1, key="user-" + str(n)) for n in range(count)]


def stored(scenario):
    """Return the states of a request."""
    if scenario == "S4":
        return [(name, Blob(n=10, data=KIB)) for name in STATES]
    if scenario == "S6":
        return []
    return [("count", Counter(value=1000, last="nobody"))]


def request(scenario, wire, classes, count=None):
    """Return the bytes of a request, of `count` messages if that is given."""

    def value_of(message):
        data = message.SerializeToString()
        if wire == "v3":
            return classes["Value"](typename=type_url(type(message)), has_value=True, value=data)
        return classes["Value"](type_url=type_url(type(message)), value=data)

    whole = classes["ToFunction"]()
    batch = whole.invocation
    batch.target.namespace, batch.target.type, batch.target.id = "bench", SCENARIOS[scenario][0], "key-42"
    for name, state in stored(scenario):
        entry = batch.state.add(state_name=name)
        if wire == "v3":
            entry.state_value.CopyFrom(value_of(state))
        else:
            entry.state_value = value_of(state).SerializeToString()
    for message in arguments(scenario, count):
        invocation = batch.invocations.add()
        invocation.caller.namespace, invocation.caller.type, invocation.caller.id = CALLER
        invocation.argument.CopyFrom(value_of(message))
    return whole.SerializeToString()


def _expected(scenario):
    if scenario == "S4":
        return {TOUCHED: Blob(n=13, data=KIB)}, []
    if scenario == "S6":
        return {}, [(CALLER, Blob(n=1, data=PAYLOAD))]
    total, last, sent = 1000, "", []
    for message in arguments(scenario):
        total, last = total + message.amount, message.key
        sent.append((("bench", "sink", last), Pong(value=total, origin=last)))
    return {"count": Counter(value=total, last=last)}, sent


def check(scenario, wire, classes, reply):
    """Raise AssertionError unless a reply means what it has to mean."""
    known = {type_url(cls): cls for cls in [Ping, Pong, Counter, Blob, *OPS]}

    def message_of(value):
        if wire == "v3":
            assert value.has_value
            return known[value.typename].FromString(value.value)
        return known[value.type_url].FromString(value.value)

    states, sent = _expected(scenario)
    result = classes["FromFunction"].FromString(reply).invocation_result
    found = {}
    for mutation in result.state_mutations:
        assert mutation.mutation_type == 1, "not MODIFY"
        assert mutation.state_name not in found, "a state is written twice"
        value = mutation.state_value if wire == "v3" else classes["Value"].FromString(mutation.state_value)
        found[mutation.state_name] = message_of(value)
    assert found == states, "the states differ"
    assert len(result.outgoing_messages) == len(sent), "the number of messages differs"
    for out, (address, message) in zip(result.outgoing_messages, sent):  # noqa: B905 - counted above
        assert (out.target.namespace, out.target.type, out.target.id) == address, "the address differs"
        assert message_of(out.argument) == message, "the message differs"

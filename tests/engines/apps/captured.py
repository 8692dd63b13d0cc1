"""The greeters whose requests are kept in tests/conformance/golden/captured, written anew with this SDK."""

from __future__ import annotations

from typing import Annotated, ClassVar

from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from statefun import Context, KafkaEgress, State, StatefulFunctions, Type, custom_type, types, value

three, two = StatefulFunctions(), StatefulFunctions()
OUT = KafkaEgress[str]("demo/out", topic="captured-out")


class Text:
    """A text without any envelope."""

    __statefun_type__: ClassVar[Type[Text]]

    def __init__(self, text: str) -> None:
        self.text = text


custom_type("demo/text", Text, encode=lambda one: one.text.encode(), decode=lambda data: Text(data.decode()))


class Seen(State):
    """The state of the greeter on 3.x."""

    seen: Annotated[int, types.INT32] = 0


class SeenTwo(State):
    """The states of the greeter on 2.x."""

    seen: Int32Value | None = None
    session: StringValue | None = value(default=None)


@three.bind("demo/greeter")
def greeter(context: Context[Seen], message: Text) -> None:
    """Count, or forget."""
    if message.text == "clear":
        del context.state.seen
    else:
        context.state.seen += 1
    context.send_egress(OUT, "done", key=context.address.identity)


@two.bind("demo/greeter")
def greeter_two(context: Context[SeenTwo], message: StringValue) -> None:
    """Count."""
    seen = context.state.seen
    context.state.seen = Int32Value(value=1 if seen is None else seen.value + 1)
    context.send_egress(OUT, "done", key=context.address.identity)

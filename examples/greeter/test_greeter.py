"""The greeter's unit tests: the function is called, and what it did is looked at."""

from datetime import timedelta

from greeter import GREETINGS, GreeterState, functions, greeter
from greeter_pb2 import Greeting, GreetRequest, Login

from statefun import Address, testing


def test_greeting() -> None:
    """A visit is counted, greeted through Kafka, and answered."""
    context = testing.context(GreeterState(visits=2), address="example/greeter/bob", caller="example/front/f1")
    greeter(context, GreetRequest(name="bob"))
    greeting = Greeting(text="Hello bob, visit 3")
    assert context.state == GreeterState(visits=3)
    assert context.egress.to(GREETINGS) == [greeting]
    assert context.sent == [testing.Sent(Address("example", "front", "f1"), greeting)]


def test_login() -> None:
    """A login is remembered, and followed by a greeting."""
    context = testing.context(GreeterState(), address="example/greeter/bob")
    greeter(context, Login(device="phone"))
    assert context.state == GreeterState(device="phone")
    assert context.delayed.to(greeter.at("bob")) == [GreetRequest(name="bob")]
    assert context.delayed[0].delay == timedelta(minutes=30)


def test_reminder() -> None:
    """The reminder after a login greets, and is not answered: its sender is the greeter itself."""
    harness = testing.Harness(functions)
    harness.send(greeter.at("bob"), Login(device="phone"))
    harness.run()
    harness.advance(timedelta(minutes=30))
    assert [record.value for record in harness.egress(GREETINGS)] == [Greeting(text="Hello bob, visit 1")]
    assert harness.state(greeter, "bob") == GreeterState(visits=1, device="phone")

"""What the real runtime does, done here: order, batches, delays, tokens, expiration, the handshake, refusals."""

from __future__ import annotations

from datetime import timedelta

import pytest

from statefun import Context, MessageEgress, State, StatefulFunctions, value
from statefun.runtime._boxes import Limits
from tests.runtime.rig import V3, Rig, Scripted, Wire, app_rig, scripted, unwrap, wrap

STRING = "io.statefun.types/string"
OUT = MessageEgress[str]("t/out")
Batch = V3.ToFunction.InvocationBatchRequest


def reply() -> tuple[V3.FromFunction, V3.FromFunction.InvocationResponse]:
    """Return an empty reply and its result."""
    made = V3.FromFunction()
    made.invocation_result.SetInParent()
    return made, made.invocation_result


def text(data: str) -> V3.Value:
    """Return a message."""
    return V3.Value(typename=STRING, has_value=True, value=wrap(data.encode()))


def at(name: str, id: str = "x") -> V3.Address:
    """Return an address."""
    return V3.Address(namespace="t", type=name, id=id)


class TestOrderAndBatches:
    def test_order(self) -> None:
        """Messages from one address to another arrive in the order in which they were sent, across replies."""
        rig, endpoint = scripted("t/a", "t/b")

        def answer(batch: Batch) -> V3.FromFunction:
            made, result = reply()
            if batch.target.type == "a":
                for one in batch.invocations:
                    for number in range(3):
                        sent = f"{unwrap(one.argument.value)}{number}"
                        result.outgoing_messages.add(target=at("b"), argument=text(sent))
            return made

        endpoint.answer = answer
        for name in ("p", "q", "r"):
            rig.send("t/a", "x", name)
            rig.step()
        rig.run()
        got = [value for values, batch in zip(endpoint.values(), endpoint.requests, strict=True) for value in values
               if batch.target.type == "b"]  # fmt: skip
        assert got == ["p0", "p1", "p2", "q0", "q1", "q2", "r0", "r1", "r2"]

    def test_a_batch(self) -> None:
        """What waits for an address goes out in one request, in the order of its arrival."""
        rig, endpoint = scripted("t/a")
        rig.run()
        for name in ("p", "q", "r"):
            rig.send("t/a", "x", name)
        rig.run()
        assert endpoint.values() == [["p", "q", "r"]]

    def test_the_cap_of_a_batch(self) -> None:
        """MaxNumBatchRequests caps a batch here; in the real runtime it stops everyone."""
        rig, endpoint = scripted("t/a")
        rig.plan("t/a").max_batch = 2
        rig.run()
        for name in "pqrst":
            rig.send("t/a", "x", name)
        rig.run()
        assert endpoint.values() == [["p", "q"], ["r", "s"], ["t"]]

    def test_one_request_an_address(self) -> None:
        """While a request is out, what arrives for its address waits and is the next batch."""
        rig, endpoint = scripted("t/a")
        rig.run()
        rig.send("t/a", "x", "first")
        call = rig.engine.step(rig.now)
        rig.send("t/a", "x", "second")
        rig.send("t/a", "x", "third")
        assert rig.engine.step(rig.now) is None
        rig.engine.reply(call, b"", rig.now)  # type: ignore[arg-type]  # it is a Call
        rig.run()
        assert endpoint.values() == [["second", "third"]]

    def test_a_message_to_oneself(self) -> None:
        """A message to oneself comes in the next request, with oneself as its caller."""
        rig, endpoint = scripted("t/a")

        def answer(batch: Batch) -> V3.FromFunction:
            made, result = reply()
            if unwrap(batch.invocations[0].argument.value) == "go":
                result.outgoing_messages.add(target=at("a"), argument=text("again"))
            return made

        endpoint.answer = answer
        rig.send("t/a", "x", "go")
        rig.run()
        assert endpoint.values() == [["go"], ["again"]]
        assert endpoint.requests[1].invocations[0].caller == at("a")
        assert not endpoint.requests[0].invocations[0].HasField("caller")

    def test_an_empty_id(self) -> None:
        """An address may have an empty id."""
        rig, endpoint = scripted("t/a")
        rig.send("t/a", "", "m")
        rig.run()
        assert endpoint.requests[0].target == V3.Address(namespace="t", type="a")

    def test_an_address_in_another_encoding(self) -> None:
        """An address whose fields come in another order is the same address."""
        rig, endpoint = scripted("t/a", "t/b")
        swapped = b"\x1a\x01x\x12\x01b\x0a\x01t"

        def answer(batch: Batch) -> bytes:
            if batch.target.type != "a":
                return b""
            message = b"\x0a" + bytes([len(swapped)]) + swapped + b"\x12\x04\x0a\x02ab"
            body = b"\x12" + bytes([len(message)]) + message
            return b"\xa2\x06" + bytes([len(body)]) + body

        endpoint.answer = answer
        rig.send("t/b", "x", "m")
        rig.send("t/a", "x", "m")
        rig.run()
        rig.send("t/a", "x", "m")
        rig.run()
        assert len(rig.engine.boxes.resident()) == 2
        assert [batch.target for batch in endpoint.requests if batch.target.type == "b"] == [at("b")] * 3


class TestHandshake:
    @staticmethod
    def functions() -> StatefulFunctions:
        functions = StatefulFunctions()

        class Kept(State):
            n: int = 0
            old: int = value(default=0, expire_after_write=timedelta(seconds=1))
            used: int = value(default=0, expire_after_call=timedelta(seconds=1))

        @functions.bind("t/f")
        def f(context: Context[Kept], message: str) -> None:
            context.state.n += 1
            if message == "write":
                context.state.old = context.state.used = 1
            context.send_egress(OUT, f"{context.state.old} {context.state.used}")

        return functions

    def test_states_are_registered_once(self) -> None:
        """The first request of a function names no state; its answer registers them, and the messages come again."""
        rig = app_rig(self.functions())
        rig.send("t/f", "x", "m")
        rig.send("t/f", "x", "m")
        rig.send("t/f", "y", "m")
        rig.run()
        plan = rig.plan("t/f")
        assert [(cell.name, cell.spec.expire, cell.spec.expire_ms) for cell in plan.cells] == [
            ("n", "never", 0),
            ("old", "after-write", 1_000),
            ("used", "after-call", 1_000),
        ]
        assert rig.states() == {"t/f/x n": 2, "t/f/y n": 1}

    def test_others_wait_for_the_first_answer(self) -> None:
        """While the first request of a function is out, its other addresses wait for the answer."""
        rig, _ = scripted("t/a")
        rig.run()
        rig.send("t/a", "x", "m")
        rig.send("t/a", "y", "m")
        call = rig.engine.step(rig.now)
        assert rig.engine.step(rig.now) is None
        rig.engine.reply(call, b"", rig.now)  # type: ignore[arg-type]  # it is a Call
        assert rig.engine.step(rig.now) is not None

    def test_a_state_that_comes_later(self) -> None:
        """A function that is deployed anew with one more state registers it, and keeps what it had."""
        rig, endpoint = scripted("t/a")
        names = ["one"]

        def answer(batch: Batch) -> V3.FromFunction:
            made, result = reply()
            known = [entry.state_name for entry in batch.state]
            missing = [name for name in names if name not in known]
            if missing:
                made = V3.FromFunction()
                for name in missing:
                    made.incomplete_invocation_context.missing_values.add(state_name=name, type_typename=STRING)
                return made
            for name in names:
                change = result.state_mutations.add(mutation_type=1, state_name=name)
                change.state_value.CopyFrom(text(name))
            return made

        endpoint.answer = answer
        rig.send("t/a", "x", "m")
        rig.run()
        names.append("two")
        rig.send("t/a", "x", "m")
        rig.send("t/a", "y", "m")
        rig.run()
        assert sorted(rig.states()) == ["t/a/x one", "t/a/x two", "t/a/y one", "t/a/y two"]
        assert rig.failures() == {}

    def test_a_loop(self) -> None:
        """A function that asks for what it was just sent fails; the real runtime would call it for ever."""
        rig, endpoint = scripted("t/a")

        def answer(_batch: Batch) -> V3.FromFunction:
            made = V3.FromFunction()
            made.incomplete_invocation_context.missing_values.add(state_name="s", type_typename=STRING)
            return made

        endpoint.answer = answer
        rig.send("t/a", "x", "m")
        rig.run()
        assert rig.failures() == {"t/a/x": (1, "t/a asks for states that it was just sent: ['s']")}


class TestExpiration:
    def test_after_write(self) -> None:
        """expire_after_write counts from the last write; a call does not put it off."""
        rig = app_rig(TestHandshake.functions())
        rig.send("t/f", "x", "write")
        rig.run()
        for wait in (600, 500):
            rig.later(wait)
            rig.send("t/f", "x", "look")
        rig.run()
        assert rig.records() == ["1 1", "1 1", "0 1"]

    def test_after_call(self) -> None:
        """expire_after_call counts from the last call of the address."""
        rig = app_rig(TestHandshake.functions())
        rig.send("t/f", "x", "write")
        rig.run()
        for wait in (900, 900, 1_000):
            rig.later(wait)
            rig.send("t/f", "x", "look")
        rig.run()
        assert rig.records() == ["1 1", "1 1", "0 1", "0 0"]

    def test_over_a_restart(self) -> None:
        """When a state expires is kept with it."""
        rig = app_rig(TestHandshake.functions())
        rig.send("t/f", "x", "write")
        rig.run()
        rig.restart()
        rig.later(999)
        rig.send("t/f", "x", "look")
        rig.run()
        rig.restart()
        rig.later(1)
        rig.send("t/f", "x", "look")
        rig.run()
        assert rig.records() == ["1 1", "1 1", "0 1"]


class TestDelays:
    @staticmethod
    def rig() -> tuple[Rig, Scripted]:
        """Return a function that does what its message says: "<delay> <token>", or "cancel <token>"."""
        rig, endpoint = scripted("t/a", "t/b")

        def answer(batch: Batch) -> V3.FromFunction:
            made, result = reply()
            for one in batch.invocations:
                for order in filter(None, unwrap(one.argument.value).split(";")):
                    first, _, token = order.partition(" ")
                    if first == "cancel":
                        result.delayed_invocations.add(is_cancellation_request=True, cancellation_token=token)
                    elif first.lstrip("-").isdigit():
                        result.delayed_invocations.add(
                            delay_in_ms=int(first), target=at(batch.target.type, batch.target.id),
                            argument=text(f"after {first}"), cancellation_token=token,
                        )  # fmt: skip
            return made

        endpoint.answer = answer
        return rig, endpoint

    def test_when(self) -> None:
        """A delayed message is delivered when it is due and not before, with its sender as the caller."""
        rig, endpoint = self.rig()
        rig.send("t/a", "x", "1000")
        rig.later(999)
        assert endpoint.values() == [["1000"]]
        rig.later(1)
        assert endpoint.values() == [["1000"], ["after 1000"]]
        assert endpoint.requests[1].invocations[0].caller == at("a")

    def test_at_once(self) -> None:
        """A delay of 0 is delivered, in a request of its own."""
        rig, endpoint = self.rig()
        rig.send("t/a", "x", "0")
        rig.run()
        assert endpoint.values() == [["0"], ["after 0"]]

    def test_order(self) -> None:
        """What is due earlier comes first; what is due together comes in the order in which it was sent."""
        rig, endpoint = self.rig()
        rig.send("t/a", "x", "20;10;20 t")
        rig.later(10)
        rig.later(20)
        assert endpoint.values()[1:] == [["after 10"], ["after 20", "after 20"]]

    def test_cancel(self) -> None:
        """A token takes back its message; one that is unknown or was delivered does nothing."""
        rig, endpoint = self.rig()
        rig.send("t/a", "x", "50 t;60 u;cancel nothing")
        rig.later(10)
        rig.send("t/a", "x", "cancel t")
        rig.later(100)
        rig.send("t/a", "x", "cancel u")
        rig.later(100)
        assert endpoint.values() == [["50 t;60 u;cancel nothing"], ["cancel t"], ["after 60"], ["cancel u"]]
        assert rig.failures() == {}

    def test_sent_and_cancelled_at_once(self) -> None:
        """Sends and cancellations of one reply apply as they are listed, and a freed token may be used again."""
        rig, endpoint = self.rig()
        rig.send("t/a", "x", "5 t;cancel t;7 t")
        rig.later(20)
        assert endpoint.values()[1:] == [["after 7"]]

    def test_tokens_belong_to_an_id(self) -> None:
        """As in the real runtime a token is shared by the functions of one id, and by no other id."""
        rig, endpoint = self.rig()
        rig.send("t/a", "x", "50 t")
        rig.run()
        rig.send("t/b", "y", "cancel t")
        rig.run()
        rig.send("t/b", "x", "cancel t")
        rig.later(100)
        assert "after 50" not in [one for batch in endpoint.values() for one in batch]

    def test_a_token_in_use(self) -> None:
        """A token whose message is still to come cannot be used again: the reply is refused as a whole."""
        rig, _ = self.rig()
        rig.send("t/a", "x", "50 t")
        rig.run()
        rig.send("t/a", "x", "60;70 t")
        rig.run()
        assert rig.failures() == {"t/a/x": (1, "the token 't' belongs to a delayed message that is still to come")}
        assert rig.store.counts().delayed == 1

    def test_over_a_restart(self) -> None:
        """Delayed messages and their tokens survive a restart; what became due meanwhile comes at once."""
        rig, endpoint = self.rig()
        rig.send("t/a", "x", "50 t;60 u")
        rig.run()
        rig.restart()
        rig.send("t/a", "x", "cancel t")
        rig.run()
        rig.restart()
        rig.now += 1_000
        rig.run()
        rig.run()
        assert endpoint.values() == [["50 t;60 u"], ["cancel t"], ["after 60"]]

    def test_a_negative_delay(self) -> None:
        """A negative delay is refused."""
        rig, _ = self.rig()
        rig.send("t/a", "x", "-1")
        rig.run()
        assert rig.failures() == {"t/a/x": (1, "a delay of -1 ms cannot be")}

    def test_a_cancellation_without_token(self) -> None:
        """A cancellation without a token is refused."""
        rig, _ = self.rig()
        rig.send("t/a", "x", "cancel")
        rig.run()
        assert rig.failures() == {"t/a/x": (1, "a cancellation has no token")}

    def test_more_than_memory_holds(self) -> None:
        """Delayed messages that memory does not hold come in their order all the same."""
        rig, endpoint = scripted("t/a", limits=Limits(messages=4))

        def answer(batch: Batch) -> V3.FromFunction:
            made, result = reply()
            if unwrap(batch.invocations[0].argument.value) == "go":
                for number in range(30):
                    result.delayed_invocations.add(
                        delay_in_ms=1_000 - 30 * number, target=at("a"), argument=text(str(number))
                    )
            return made

        endpoint.answer = answer
        rig.send("t/a", "x", "go")
        rig.run()
        assert len(rig.engine.timers) <= 10
        rig.later(2_000)
        assert [one for batch in endpoint.values()[1:] for one in batch] == [
            str(number) for number in reversed(range(30))
        ]


class TestRefusals:
    @pytest.mark.parametrize("wire", ["v2", "v3"])
    def test_an_unknown_function(self, wire: Wire) -> None:
        """A message to a function that is not there is refused, and nothing else of the reply is done."""
        functions = StatefulFunctions()

        class Kept(State):
            n: int = 0

        @functions.bind("t/f")
        def f(context: Context[Kept], message: str) -> None:
            context.state.n = 5
            context.send_egress(OUT, message)
            context.pack_and_send("t/nobody", "x", message)

        rig = app_rig(functions, wire=wire)
        rig.send("t/f", "x", "m")
        rig.run()
        assert rig.failures() == {"t/f/x": (1, "there is no function 't/nobody' to send to")}
        assert (rig.states(), rig.records()) == ({}, [])

    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            ("egress", "there is no egress 't/nowhere'"),
            ("state", "t/a changes the state 'nope', which is not registered"),
            (
                "type",
                "state 's' is registered as 'io.statefun.types/string', and what is written is 'io.statefun.types/int'",
            ),
            ("kind", "state 's' has a mutation of the unknown type 7"),
        ],
    )
    def test_an_effect(self, kind: str, error: str) -> None:
        """What would fail the job of a real runtime fails the address, and nothing of the reply is done."""
        rig, endpoint = scripted("t/a")
        rig.knows_egress = {"t/out"}.__contains__
        rig.restart()

        def answer(batch: Batch) -> V3.FromFunction:
            made, result = reply()
            if not batch.state:
                made = V3.FromFunction()
                made.incomplete_invocation_context.missing_values.add(state_name="s", type_typename=STRING)
                return made
            result.outgoing_egresses.add(egress_namespace="t", egress_type="out", argument=text("done"))
            change = result.state_mutations.add(mutation_type=1, state_name="s")
            change.state_value.CopyFrom(text("new"))
            if kind == "egress":
                result.outgoing_egresses.add(egress_namespace="t", egress_type="nowhere", argument=text("m"))
            elif kind == "state":
                result.state_mutations.add(mutation_type=1, state_name="nope").state_value.CopyFrom(text("m"))
            elif kind == "type":
                change.state_value.typename = "io.statefun.types/int"
            else:
                change.ClearField("mutation_type")
                change.MergeFromString(b"\x08\x07")
            return made

        endpoint.answer = answer
        rig.send("t/a", "x", "m")
        rig.run()
        assert rig.failures() == {"t/a/x": (1, error)}
        assert (rig.states(), rig.records()) == ({}, [])

    def test_a_state_of_another_type(self) -> None:
        """A stored value of another type than what is registered fails the address before it is called."""
        rig, endpoint = scripted("t/a")
        typename = [STRING]

        def answer(batch: Batch) -> V3.FromFunction:
            made, result = reply()
            if not batch.state:
                made = V3.FromFunction()
                missing = made.incomplete_invocation_context.missing_values.add(state_name="s")
                missing.type_typename = typename[0]
                return made
            result.state_mutations.add(mutation_type=1, state_name="s").state_value.CopyFrom(text("kept"))
            return made

        endpoint.answer = answer
        rig.send("t/a", "x", "m")
        rig.run()
        typename[0] = "io.statefun.types/int"
        rig.restart()
        rig.send("t/a", "x", "m")
        rig.run()
        error = "state 's' of t/a is registered as 'io.statefun.types/int', and holds 'io.statefun.types/string'"
        assert rig.failures() == {"t/a/x": (1, error)}

    def test_garbage(self) -> None:
        """Bytes that are no reply fail the address."""
        rig, endpoint = scripted("t/a")
        endpoint.answer = lambda _: b"\xff\xff\xff"
        rig.send("t/a", "x", "m")
        rig.run()
        ((attempts, error),) = rig.failures().values()
        assert attempts == 1
        assert error.startswith("the reply of 3 bytes is no FromFunction: ")

    @pytest.mark.parametrize("value", [b"", b"\x0a", b"\x0a\x18" + STRING.encode() + b"\x10\x01\x1a"])
    def test_a_cut_off_value(self, value: bytes) -> None:
        """A state whose bytes end in the middle fails the address."""
        rig, endpoint = scripted("t/a")

        def answer(batch: Batch) -> V3.FromFunction | bytes:
            if not batch.state:
                made = V3.FromFunction()
                made.incomplete_invocation_context.missing_values.add(state_name="s", type_typename=STRING)
                return made
            change = b"\x08\x01\x12\x01s\x1a" + bytes([len(value)]) + value
            return b"\xa2\x06" + bytes([len(change) + 2]) + b"\x0a" + bytes([len(change)]) + change

        endpoint.answer = answer
        rig.send("t/a", "x", "m")
        rig.run()
        ((_, error),) = rig.failures().values()
        refused = "state 's' is registered as 'io.statefun.types/string', and what is written is ''"
        assert error.startswith(f"a value of {len(value)} bytes cannot be read: " if value else refused)

    def test_an_empty_value(self) -> None:
        """A state may be zero bytes long, which is not the same as none."""
        rig, endpoint = scripted("t/a")
        seen: list[tuple[bool, bytes]] = []

        def answer(batch: Batch) -> V3.FromFunction:
            made, result = reply()
            if not batch.state:
                made = V3.FromFunction()
                made.incomplete_invocation_context.missing_values.add(state_name="s", type_typename=STRING)
                return made
            state = batch.state[0]
            seen.append((state.HasField("state_value"), state.state_value.value))
            if unwrap(batch.invocations[0].argument.value) == "delete":
                result.state_mutations.add(mutation_type=0, state_name="s")
            else:
                change = result.state_mutations.add(mutation_type=1, state_name="s")
                change.state_value.typename = STRING
            return made

        endpoint.answer = answer
        for order in ("write", "look", "delete", "look"):
            rig.send("t/a", "x", order)
            rig.run()
            rig.restart()
        assert seen == [(False, b""), (True, b""), (True, b""), (False, b"")]

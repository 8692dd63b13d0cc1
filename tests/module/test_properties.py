"""Laws of the reader: what holds of any file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from statefun.module import RUNTIMES, Finding, Module, ModuleError, Runtime, read_text

Step = str | int
CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(CORPUS.rglob("*.yaml"))
KEYS = sorted({word.strip(" -:\"'") for file in FILES for word in file.read_text("latin-1").split()} - {""})

runtimes = st.sampled_from([None, *RUNTIMES])
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(KEYS), st.dates()
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(KEYS), scalars), inner, max_size=6)
    ),
    max_leaves=40,
)


def read(text: str | bytes, runtime: Runtime | None) -> Module | ModuleError:
    """Return the module, or the error; whatever else is raised is not caught."""
    try:
        return read_text(text, runtime=runtime)
    except ModuleError as error:
        return error


@settings(deadline=None)
@given(st.one_of(st.binary(), st.text()), runtimes)
@example(b"\xef\xbb\xbf\xef\xbb\xbf", None)
@example("a: !!python/object/apply:os.system [ls]", "2.2")
def test_any_bytes(text: str | bytes, runtime: Runtime | None) -> None:
    """No bytes raise anything but ModuleError."""
    read(text, runtime)


@settings(deadline=None)
@given(st.lists(values, max_size=3), runtimes, st.booleans())
def test_any_yaml(documents: list[object], runtime: Runtime | None, flow: bool) -> None:
    """No YAML of any kind raises anything but ModuleError, and each finding has its place."""
    result = read(yaml.safe_dump_all(documents, default_flow_style=flow, allow_unicode=True), runtime)

    for finding in result.findings:
        assert finding.line >= 1 or finding.code in ("SF002", "SF011", "SF013")
        assert finding.problem


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FILES), st.data(), runtimes)
def test_any_damage(file: Path, data: st.DataObject, runtime: Runtime | None) -> None:
    """A file of the corpus that is cut, or has anything put in, raises nothing but ModuleError."""
    text = file.read_bytes()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    put = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from([key.encode() for key in KEYS])))

    read(text[:start] + put + text[end:], runtime)


WHOLE_FILES = [
    "components/good-carts",
    "components/kzm-keys",
    "components/playground",
    "embedded/good",
    "format-1.0/good-states",
    "format-2.0/good-carts",
    "format-2.0/good-router",
    "format-3.0/good-carts",
]
LONG = "9" * 5000
ODD = [
    "0x10", "010", "0b11", "1_000", "1.5", ".5", "1e3", "1e999", "-.inf", ".nan", "-1", "1:30", LONG, f"0x{LONG}",
    f"'{LONG}'", f"1.{LONG}", f"{LONG}d", "99999999999999d", "0s", "yes", "~", "''", "' '", "'*'", "/", "a/b/c/d",
    "<<", "=", "${X}", "[]", "{}", "[[], {}]", "{type: [], name: {}}", "[{}]", "[~]", "!!binary aGk=", "!!float x",
    "!!int x", "'{function.name'", "http+unix://", "'%zz'", "*alias", "&anchor x", "? complex", "specific-offsets",
    "exactly-once", "date",
]  # fmt: skip


@pytest.mark.parametrize("name", WHOLE_FILES)
def test_odd_values(name: str) -> None:
    """Each odd thing in the place of each value of a good file raises nothing but ModuleError, whatever the runtime."""
    lines = (CORPUS / f"{name}.yaml").read_text().splitlines()
    count = 0
    for number, line in enumerate(lines):
        before, colon, value = line.partition(": ")
        if not colon:
            before, _, value = line.partition("- ")
            colon = "- " if value else ""
        for odd in ODD[number % 3 :: 3] if colon else ():
            read("\n".join([*lines[:number], f"{before}{colon}{odd}", *lines[number + 1 :]]), RUNTIMES[count % 9])
            count += 1
    assert count > 60


def test_odd_offsets() -> None:
    """The number of an offset may be written in any way, and its partition must be one."""
    position = "  startupPosition: {{type: specific-offsets, offsets: [{{{0}}}]}}\n"
    text = (CORPUS / "components" / "good-small.yaml").read_text()
    for odd in ODD:
        for pair in (f"orders/0: {odd}", f"orders/{odd}: 1"):
            read(text.replace("  consumerGroupId", f"{position.format(pair)}  consumerGroupId"), None)


GOOD = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: http://shop:8000/{function.name}
  maxNumBatchRequests: 100
  transport:
    type: io.statefun.transports.v1/okhttp
    timeouts: {call: 30s, connect: 5s, read: 10s, write: 10s}
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: shop/orders
  address: kafka:9092
  consumerGroupId: carts
  autoOffsetResetPosition: earliest
  startupPosition: {type: specific-offsets, offsets: [orders/0: 7]}
  topics:
    - topic: orders
      valueType: shop.types/Order
      targets: [shop/cart]
  properties:
    - max.poll.records: 500
---
kind: io.statefun.kafka.v1/egress
spec:
  id: shop/receipts
  address: kafka:9092
  deliverySemantic: {type: exactly-once, transactionTimeout: 10min}
---
kind: io.statefun.kinesis.v1/egress
spec:
  id: shop/clicks
  awsRegion: {type: specific, id: eu-west-1}
  awsCredentials: {type: basic, accessKeyId: a, secretAccessKey: b}
  maxOutstandingRecords: 10
"""

E, J, K, N = 0, 1, 2, 3  # the documents: endpoint, ingress, egresses
DROPPED: dict[tuple[Step, ...], list[str]] = {
    (E, "kind"): ["SF101"],
    (E, "spec"): ["SF101"],
    (E, "spec", "functions"): ["SF101"],
    (E, "spec", "urlPathTemplate"): ["SF101"],
    (E, "spec", "maxNumBatchRequests"): [],
    (E, "spec", "transport"): [],
    (E, "spec", "transport", "type"): ["SF103", "SF103"],  # the async transport has no read and no write
    (E, "spec", "transport", "timeouts"): [],
    (E, "spec", "transport", "timeouts", "call"): [],
    (E, "spec", "transport", "timeouts", "connect"): [],
    (J, "spec", "id"): ["SF101"],
    (J, "spec", "address"): ["SF119"],
    (J, "spec", "consumerGroupId"): ["SF118"],
    (J, "spec", "autoOffsetResetPosition"): [],
    (J, "spec", "startupPosition"): [],
    (J, "spec", "startupPosition", "type"): ["SF101"],
    (J, "spec", "startupPosition", "offsets"): ["SF101"],
    (J, "spec", "startupPosition", "offsets", 0): ["SF124"],
    (J, "spec", "topics"): ["SF101"],
    (J, "spec", "topics", 0): ["SF124"],
    (J, "spec", "topics", 0, "topic"): ["SF101"],
    (J, "spec", "topics", 0, "valueType"): ["SF101"],
    (J, "spec", "topics", 0, "targets"): ["SF101"],
    (J, "spec", "topics", 0, "targets", 0): ["SF126"],
    (J, "spec", "properties"): [],
    (K, "spec", "id"): ["SF101"],
    (K, "spec", "address"): ["SF101"],
    (K, "spec", "deliverySemantic"): [],
    (K, "spec", "deliverySemantic", "type"): ["SF101"],
    (K, "spec", "deliverySemantic", "transactionTimeout"): ["SF117"],
    (N, "spec", "awsRegion", "id"): ["SF101"],
    (N, "spec", "awsCredentials", "accessKeyId"): ["SF101"],
    (N, "spec", "awsCredentials", "secretAccessKey"): ["SF101"],
    (N, "spec", "maxOutstandingRecords"): [],
}
"""What is said where a value is not there."""
SET: list[tuple[tuple[Step, ...], object, list[str]]] = [
    ((E, "kind"), "io.statefun.endpoints.v2/https", ["SF108"]),
    ((E, "spec"), [], ["SF102"]),
    ((E, "spec", "functions"), "shop", ["SF113"]),
    ((E, "spec", "functions"), ["shop/*"], ["SF102"]),
    ((E, "spec", "urlPathTemplate"), "shop:8000 /", ["SF112"]),
    ((E, "spec", "maxNumBatchRequests"), "many", ["SF102"]),
    ((E, "spec", "maxNumBatchRequests"), None, ["SF123"]),
    ((E, "spec", "maxNumBatchRequests"), 2**31, ["SF107"]),
    ((E, "spec", "transport", "type"), "okhttp", ["SF104"]),
    ((E, "spec", "transport", "timeouts", "call"), "5s", ["SF116", "SF116"]),
    ((E, "spec", "transport", "timeouts", "connect"), "0s", ["SF107"]),
    ((E, "spec", "transport", "timeouts", "connect"), "soon", ["SF106"]),
    ((E, "spec", "owner"), "carts", ["SF103"]),
    ((J, "spec", "id"), "orders", ["SF105"]),
    ((J, "spec", "autoOffsetResetPosition"), "earlier", ["SF104"]),
    ((J, "spec", "startupPosition", "type"), "earliest", ["SF103"]),
    ((J, "spec", "startupPosition", "offsets"), [{"orders": 7}], ["SF105"]),
    ((J, "spec", "startupPosition", "offsets"), [{"orders/0": "seven"}], ["SF102"]),
    ((J, "spec", "topics", 0, "valueType"), 7, ["SF102"]),
    ((J, "spec", "topics", 0, "targets"), ["shop/cart", "cart"], ["SF105"]),
    ((J, "spec", "properties"), {"max.poll.records": 500}, ["SF102"]),
    ((J, "spec", "forwardHeaders"), True, ["SF122"]),
    ((K, "spec", "id"), "a/b/c", ["SF105"]),
    ((K, "spec", "deliverySemantic", "type"), "none", ["SF103"]),
    ((K, "spec", "deliverySemantic", "transactionTimeoutMillis"), 0, ["SF107"]),
    ((N, "spec", "awsRegion", "type"), "default", ["SF103"]),
    ((N, "spec", "maxOutstandingRecords"), 0, ["SF107"]),
    ((K,), None, []),
    ((K,), "text", ["SF102"]),
]
"""What is said where a value is another, or one too many."""


def changed(path: tuple[Step, ...], value: object, *, drop: bool) -> str:
    """Return the good file with one value dropped or put elsewhere."""
    documents = list(yaml.safe_load_all(GOOD))
    holder: object = documents
    for step in path[:-1]:
        holder = holder[step]  # type: ignore[index]
    if drop:
        del holder[path[-1]]  # type: ignore[attr-defined]
    else:
        holder[path[-1]] = value  # type: ignore[index]
    return yaml.safe_dump_all(documents)


def codes(result: Module | ModuleError) -> list[str]:
    """Return what kinds of faults were found."""
    return [finding.code for finding in result.findings]


def test_good() -> None:
    """There is nothing to say of the file that the mutations start from."""
    assert codes(read(GOOD, None)) == []


@pytest.mark.parametrize("path", DROPPED, ids=lambda path: ".".join(map(str, path)))
def test_drop(path: tuple[Step, ...]) -> None:
    """Where one value is missing, exactly that is said."""
    assert codes(read(changed(path, None, drop=True), None)) == DROPPED[path]


@pytest.mark.parametrize(("path", "value", "expected"), SET, ids=str)
def test_set(path: tuple[Step, ...], value: object, expected: list[str]) -> None:
    """Where one value is wrong, exactly that is said."""
    assert codes(read(changed(path, value, drop=False), None)) == expected


def test_all_at_once() -> None:
    """Faults in different places are reported together, in the order of the file."""
    text = GOOD.replace("functions: shop/*", "functions: shop").replace("id: shop/receipts", "id: receipts")
    result = read(text.replace("consumerGroupId: carts", "consumerGroupId: [carts]"), None)

    assert codes(result) == ["SF113", "SF102", "SF105"]
    assert isinstance(result, ModuleError)
    assert result.errors == result.findings


def test_is_a_value_error() -> None:
    """A ModuleError may be caught as the ValueError that it is."""
    finding = Finding(code="SF001", file="m.yaml", line=0, column=0, path="", problem="lost")

    assert isinstance(ModuleError([finding]), ValueError)
    assert str(ModuleError([finding])) == "m.yaml: error SF001: lost"

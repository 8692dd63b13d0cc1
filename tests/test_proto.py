"""What must hold for the generated code, so that it gets in nobody's way."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import FileDescriptor

ROOT = Path(__file__).parent.parent
OURS = sorted(path.stem for path in (ROOT / "statefun" / "_proto").glob("*_pb2.py"))
GENERATED = sorted(
    path for folder in ("statefun/_proto", "tests", "examples") for path in (ROOT / folder).rglob("*_pb2.py")
)

IMPORT_OURS = f"""
from statefun._proto import {", ".join(OURS)}
import statefun
"""

IMPORT_STATEFUN_TASKS = """
import statefun_tasks
from statefun_tasks.core.statefun import (
    kafka_egress_pb2 as other_egress, kinesis_egress_pb2, request_reply_pb2 as other_wire, types_pb2
)
"""

# What the generated code of apache-flink-statefun 2.2.2 puts into the pool: file, package, some of the messages.
DECLARE_SDK_2 = """
from google.protobuf import descriptor_pb2, descriptor_pool

for name, package, messages in [
    ("http-function.proto", "org.apache.flink.statefun.flink.core.polyglot", ["Address", "ToFunction", "FromFunction"]),
    ("kafka-egress.proto", "org.apache.flink.statefun.flink.io", ["KafkaProducerRecord"]),
    ("kinesis-egress.proto", "org.apache.flink.statefun.flink.io", ["KinesisEgressRecord"]),
]:
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    for message in messages:
        file.message_type.add(name=message)
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
"""

THE_SAME_BYTES = """
address = {"namespace": "shop", "type": "user", "id": "anna"}
theirs = other_wire.Address(**address).SerializeToString()
assert wire_v3_pb2.Address.FromString(theirs) == wire_v3_pb2.Address(**address)
record = {"topic": "orders", "key": "anna", "value_bytes": b"7"}
theirs = other_egress.KafkaProducerRecord(**record).SerializeToString()
assert egress_pb2.KafkaProducerRecord.FromString(theirs) == egress_pb2.KafkaProducerRecord(**record)
"""


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.stem)
def test_gencode_floor(path: Path) -> None:
    """Generated code asks for no newer runtime than the oldest that the package may be installed with."""
    assert asked_for(path) <= floor()


@pytest.mark.parametrize("name", OURS)
def test_names_of_our_own(name: str) -> None:
    """Files, packages and messages have names in the pool that no other copy of StateFun's protos has."""
    descriptor = importlib.import_module(f"statefun._proto.{name}").DESCRIPTOR
    assert isinstance(descriptor, FileDescriptor)
    assert descriptor.name == f"statefun/_proto/{name.removesuffix('_pb2')}.proto"
    assert descriptor.package.startswith("statefun.")


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(IMPORT_OURS + IMPORT_STATEFUN_TASKS + THE_SAME_BYTES, id="statefun-tasks second"),
        pytest.param(IMPORT_STATEFUN_TASKS + IMPORT_OURS + THE_SAME_BYTES, id="statefun-tasks first"),
        pytest.param(IMPORT_OURS + DECLARE_SDK_2, id="2.x SDK second"),
        pytest.param(DECLARE_SDK_2 + IMPORT_OURS, id="2.x SDK first"),
    ],
)
def test_beside_another_copy(program: str) -> None:
    """The process may hold another copy of StateFun's protos, imported before or after this one."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def asked_for(path: Path) -> tuple[int, ...]:
    """Return the runtime version that a generated module asks for at its import."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("ValidateProtobufRuntimeVersion"):
            return tuple(ast.literal_eval(argument) for argument in node.args[1:4])
    raise AssertionError(f"{path} asks for no version")


def floor() -> tuple[int, ...]:
    """Return the oldest protobuf that the package's metadata allows."""
    for requirement in importlib.metadata.requires("statefun") or ():
        if found := re.fullmatch(r"protobuf\b.*>=([\d.]+).*", requirement):
            return tuple(map(int, found[1].split(".")))
    raise AssertionError("statefun does not require protobuf")

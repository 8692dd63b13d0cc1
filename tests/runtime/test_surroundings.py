"""What a module.yaml makes of the embedded runtime: what is read, what is written, what listens."""

from __future__ import annotations

from pathlib import Path

import pytest

from statefun.errors import ConfigError
from statefun.module import read_text
from statefun.runtime._catalog import StoredCatalog
from statefun.runtime._sinks import FileSink, StdoutSink
from statefun.runtime._sources import FileSource, StdinSource
from statefun.runtime._surroundings import Surroundings, surroundings
from statefun.runtime._values import Values

ENDPOINT = "kind: io.statefun.endpoints.v2/http\nspec: {functions: t/*, urlPathTemplate: http://127.0.0.1:1/}\n"


def made(text: str, stub: Path | None = None) -> Surroundings:
    """Return what a file makes, without Kafka."""
    return surroundings(
        read_text(text, runtime="embedded"), Values(StoredCatalog()), "v3", stub=stub, wake=lambda: None,
        moved=lambda _name: None, name=lambda: "here",
    )  # fmt: skip


def kinds(*components: tuple[str, str]) -> str:
    """Write a module.yaml."""
    return "---\n".join([ENDPOINT, *(f"kind: {kind}\nspec: {spec}\n" for kind, spec in components)])


def test_kinds_of_this_machine() -> None:
    """Every kind of the embedded runtime and of the playground becomes what it says."""
    found = made(
        kinds(
            ("io.statefun.embedded.v1/stdin-ingress", "{id: t/in, targets: [t/f]}"),
            ("io.statefun.embedded.v1/jsonl-ingress", "{id: t/file, path: in.jsonl, targets: [t/f]}"),
            ("io.statefun.embedded.v1/http-ingress", "{id: t/door, host: 127.0.0.1, port: 0}"),
            ("io.statefun.playground.v1/ingress", "{port: 8090}"),
            ("io.statefun.embedded.v1/jsonl-egress", "{id: t/out, path: out.jsonl}"),
            ("io.statefun.embedded.v1/stdout-egress", "{id: t/shown}"),
            ("io.statefun.embedded.v1/kept-egress", "{id: t/kept}"),
            ("io.statefun.playground.v1/egress", "{port: 8091, topics: [a]}"),
        )
    )
    assert [type(source) for source in found.sources] == [StdinSource, FileSource]
    assert [type(sink) for sink in found.sinks] == [FileSink, StdoutSink]
    assert [(name, host, port) for name, _, host, port in found.doors] == [
        ("messages: POST", "127.0.0.1", 0),
        ("playground ingress:", "127.0.0.1", 8090),
        ("playground egress:", "127.0.0.1", 8091),
    ]


REGION = "awsRegion: {type: specific, id: eu-west-1}"
STREAM = "{stream: in, valueType: io.statefun.types/string, targets: [t/f]}"
KINESIS_IN = ("io.statefun.kinesis.v1/ingress", f"{{id: t/in, {REGION}, streams: [{STREAM}]}}")
KINESIS_OUT = ("io.statefun.kinesis.v1/egress", f"{{id: t/out, {REGION}}}")


@pytest.mark.parametrize(("kind", "what"), [(KINESIS_IN, "ingress 't/in'"), (KINESIS_OUT, "egress 't/out'")])
def test_kinesis(kind: tuple[str, str], what: str) -> None:
    """Kinesis is not connected, and the error says what is there instead."""
    with pytest.raises(ConfigError) as raised:
        made(kinds(kind))
    assert str(raised.value) == (
        f"the {what} is Kinesis, which is not connected\n"
        "  help: --stub-kafka DIR reads and writes JSONL files of the topics' names instead"
    )


def test_stubbed(tmp_path: Path) -> None:
    """With a folder of stubs, a topic or stream is a file of its name there."""
    found = made(kinds(KINESIS_IN, KINESIS_OUT), tmp_path / "stubs")
    assert [source.name for source in found.sources] == [f"jsonl:{tmp_path}/stubs/in.jsonl"]
    assert [sink.name.endswith("/stubs/out.jsonl") for sink in found.sinks] == [True]

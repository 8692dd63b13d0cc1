from __future__ import annotations

import time

import pytest
import yaml

from statefun.module import ModuleError, _yaml, read_text


def said(text: str | bytes) -> str:
    """Return what is said of a file that is refused."""
    with pytest.raises(ModuleError) as caught:
        read_text(text)
    return str(caught.value)


def test_too_large() -> None:
    """A file of more than 10 MiB is not looked at."""
    assert said(b"#" * (_yaml.MAX_BYTES + 1)) == "module.yaml: error SF002: the file holds more than 10,485,760 bytes"


def test_too_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading ends at the millionth value."""
    monkeypatch.setattr(_yaml, "MAX_NODES", 5)

    assert said("[1,2,3,4,5]") == "module.yaml:1:10: error SF006: [0][4]: more than 5 values"


def test_too_many_faults() -> None:
    """Reading ends at the thousandth fault of the YAML itself."""
    text = said("[" + "*a," * 2000 + "]")

    assert text.count("SF007") == 1000


def test_lone_surrogate() -> None:
    """A str that is no text is refused as bytes that are none are."""
    assert said("a: \ud800") == "module.yaml:1:4: error SF003: the byte 0xED is not UTF-8"


@pytest.mark.parametrize("loader", [yaml.SafeLoader, _yaml._LOADER], ids=["python", "libyaml"])
def test_both_parsers(loader: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML's own parser is used where libyaml is missing, and sees the same."""
    monkeypatch.setattr(_yaml, "_LOADER", loader)
    text = (
        "kind: &a io.statefun.kafka.v1/egress\nspec:\n  ? [x, {y: z}]\n  : *a\n  <<: 1\n  id: a/b\n  id: a/c\n*a : b\n"
    )

    assert said(text) == TEXT


TEXT = """\
module.yaml:1:7: error SF007: [0].kind: the anchor &a names nothing: no runtime follows an alias to it
module.yaml:3:3: error SF101: [0].spec: a Kafka egress without 'address'
  expected: the brokers: "host:port,host:port"
  says: StateFun 3.3: NullPointerException
module.yaml:3:5: error SF009: [0].spec: a list or a mapping cannot be a key
module.yaml:4:5: error SF007: [0].spec.?: the alias *a stands for nothing: the runtimes read it as the text 'a'
module.yaml:5:3: error SF008: [0].spec.<<: the merge key '<<' merges nothing: the runtimes read it as a key of that name
module.yaml:5:3: warning SF103: [0].spec.<<: a Kafka egress has no key '<<': it is ignored
module.yaml:7:3: warning SF010: [0].spec.id: the key 'id' stands here a second time, after line 6: the last is read
module.yaml:8:1: error SF007: [0].*a: the alias *a stands for nothing: the runtimes read it as the text 'a'
module.yaml:8:1: warning SF103: [0].*a: a component has no key '*a': it is ignored"""


def test_bombs_are_quick() -> None:
    """Ten megabytes of brackets, of aliases or of keys take no more than seconds, and end in an error."""
    bombs = ["[" * 10_000_000, "*a, " * 2_500_000, "a: &a [" + "*a," * 3_000_000, "? " * 5_000_000, "- " * 5_000_000]
    start = time.process_time()
    for bomb in [*bombs, "".join(f"k{number}: 1\n" for number in range(30_000))]:
        with pytest.raises(ModuleError):
            read_text(bomb)

    assert time.process_time() - start < 60

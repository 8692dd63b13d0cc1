"""The reader refuses what the real runtimes refuse: held against what they were recorded to say of the corpus.

`tests/engines/refusals.py` asks them, and `tests/engines/test_refusals.py` asks again.
"""

from __future__ import annotations

import pytest

from statefun.module import ModuleError, Runtime, read_text
from tests.engines.refusals import CORPUS, READERS, files, read

RECORD = read()
NO_JOB = ("There are no ingress defined.", "There are no function providers defined.")
"""What starts no job by itself, and need not: the check warns of it (SF348). What else is in it is not known then."""
DIFFERENT = {
    "components/badly-silenced.yaml": "comments of ours, which the runtimes do not read",
    "yaml/aliases.yaml": "an alias is a text to the runtimes, and a merge key a key: never what was meant",
    "yaml/python-tags.yaml": "a list and binary data where a text is due: they are read when they are used",
    "format-2.0/good-router.yaml": "the descriptors that it names are not there",
}


def is_refused(name: str) -> bool:
    """Tell whether the reader refuses to start with a file; what fails at the first message does not count."""
    runtime: Runtime = "3.3" if READERS[name.partition("/")[0]] == "flink-3.3" else "2.2"
    try:
        read_text((CORPUS / name).read_bytes(), runtime=runtime, file=name)
    except ModuleError as error:
        errors = [finding for finding in error.findings if finding.severity == "error"]
        return any("first message" not in (finding.says or "") for finding in errors)
    return False


@pytest.mark.parametrize("name", [name for name in RECORD if not RECORD[name].endswith(NO_JOB)])
def test_as_recorded(name: str) -> None:
    """A file is refused by the reader if, and only if, a real runtime does not start with it."""
    assert (is_refused(name) == (RECORD[name] != "accepted")) is (name not in DIFFERENT)


def test_every_file_was_asked_about() -> None:
    """The record knows every file of the corpus that a real runtime here can read."""
    assert RECORD.keys() == set(files())

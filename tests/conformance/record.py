"""Asks the published SDKs for their replies, and writes them down as golden files.

Each SDK runs in an environment of its own (`tools/peer_environments.py`) with the app under `apps/` that was written
for it. It gets the captured requests, and those of `requests.py`; what it answers goes to `golden/recorded`.

    python -m tests.conformance.record            write the files
    python -m tests.conformance.record --check    write nothing; exit 1 and name the files that differ
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conformance import golden
from tests.conformance.requests import CASES
from tools import peer_environments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

APPS = Path(__file__).parent / "apps"
PEERS = {
    "v2": [("apache-flink-statefun 2.2.2", "apache-2.2.2", "sdk_2")],
    "v3": [
        ("apache-flink-statefun 3.3.0", "apache-3.3.0", "sdk_3"),
        ("flink-statefun 3.5.0", "flink-3.5.0", "sdk_3"),
    ],
}
"""By wire: the SDK's name, its environment, its app."""
CAPTURED = {"v2": "captured/v2-runtime-2.2.2", "v3": "captured/v3-runtime-3.3.0"}

Question = tuple[str, str, str, bytes]
"""The name of an exchange, what it shows, where the request is from, and the request."""


def questions(wire: golden.Wire) -> Iterator[Question]:
    """Yield what is asked on a wire: the captured requests, and our own."""
    for captured in golden.read_all(CAPTURED[wire]):
        if captured.request is not None:
            name = f"recorded/{wire}-captured/{captured.name.rpartition('/')[2]}"
            yield (
                name,
                captured.what,
                f"The request was captured from a {Path(CAPTURED[wire]).name[3:]}",
                captured.request,
            )
    for case in CASES[wire]:
        yield f"recorded/{wire}/{case.name}", case.what, "The request is our own", case.request


def ask(environment: str, app: str, requests: Sequence[bytes]) -> list[dict[str, str]]:
    """Return the answers of an SDK, each a "reply" in hex or a "refusal"."""
    done = subprocess.run(
        [peer_environments.environment(environment), APPS / "answer.py", app],
        input="".join(request.hex() + "\n" for request in requests),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def record(wire: golden.Wire) -> Iterator[golden.Exchange]:
    """Yield the exchanges of a wire. SDKs that answer alike stand together."""
    asked = list(questions(wire))
    answers = [(sdk, ask(environment, app, [each[-1] for each in asked])) for sdk, environment, app in PEERS[wire]]
    for number, (name, what, source, request) in enumerate(asked):
        replies: dict[str, list[str]] = {}
        refusals: dict[str, list[str]] = {}
        for sdk, given in answers:
            answer = given[number]
            kind, text = (replies, answer["reply"]) if "reply" in answer else (refusals, answer["refusal"])
            kind.setdefault(text, []).append(sdk)
        yield golden.Exchange(
            name=name,
            what=what,
            source=f"{source}; the answers were recorded from the SDKs.",
            request=request,
            replies={" and ".join(sdks): bytes.fromhex(text) for text, sdks in replies.items()},
            refusals={" and ".join(sdks): text for text, sdks in refusals.items()},
        )


def main() -> int:
    """Write the files, or compare them; return the exit status."""
    parser = argparse.ArgumentParser(description="Record the replies of the published SDKs.")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 if anything differs")
    check: bool = parser.parse_args().check
    recorded = {f"{each.name}.txt": golden.render(each) for wire in ("v2", "v3") for each in record(wire)}
    present = {path.relative_to(golden.FOLDER).as_posix(): path for path in (golden.FOLDER / "recorded").rglob("*.txt")}
    different = {name for name in recorded.keys() | present.keys() if _content(present.get(name)) != recorded.get(name)}
    for name in sorted(different):
        print(f"{'differs' if check else 'written'}: {name}")
        if not check:
            _write(golden.FOLDER / name, recorded.get(name))
    return 1 if check and different else 0


def _content(path: Path | None) -> str | None:
    return None if path is None else path.read_text(encoding="utf-8")


def _write(path: Path, content: str | None) -> None:
    if content is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

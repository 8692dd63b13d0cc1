"""Golden exchanges: literal bytes beside the text of the same message.

Here: how such a file is written and read, and nothing of what any SDK does. A file holds one exchange:

    # what it shows
    # where its bytes are from

    --- request, 103 bytes
    <hex>

    <the message in protobuf's text format>

    --- reply of apache-flink-statefun 2.2.2, 192 bytes
    ...

    --- refused by apache-flink-statefun 3.3.0
    ValueError: target_id can not be missing

The bytes are what counts. The text is for the reader, in the names of `statefun/_proto/wire_v2.proto` and
`wire_v3.proto`; a test holds it to the bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from google.protobuf import text_format

from statefun._proto import wire_v2_pb2, wire_v3_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from google.protobuf.message import Message

__all__ = [
    "FOLDER",
    "Exchange",
    "Kind",
    "Wire",
    "bytes_of",
    "message_of",
    "parts_of",
    "read",
    "read_all",
    "render",
    "text_of",
]

FOLDER = Path(__file__).parent / "golden"
Kind = Literal["request", "reply"]
Wire = Literal["v2", "v3"]

_BYTES_A_LINE = 48
_PART = re.compile(r"^--- (?P<title>.+)\n(?P<body>(?:(?!--- ).*\n?)*)", re.MULTILINE)
_TITLE = re.compile(r"(?P<kind>request|reply)(?: of (?P<by>.+?))?, (?P<size>\d+) bytes?")
_REFUSED = "refused by "


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and what answered it."""

    name: str
    """Where it stands, as "captured/v2-runtime-2.2.2/01-first-call"."""
    what: str
    source: str
    request: bytes | None
    """None where only the reply was captured."""
    replies: Mapping[str, bytes]
    """By the SDKs that gave it, as "apache-flink-statefun 3.3.0 and flink-statefun 3.5.0"; constructed: by ""."""
    refusals: Mapping[str, str]
    """The exception that an SDK raised in place of a reply."""

    @property
    def wire(self) -> Wire:
        """The wire that it is on, which its folder tells."""
        return "v2" if self.name.split("/")[1].startswith("v2") else "v3"


def message_of(data: bytes, kind: Kind, wire: Wire) -> Message:
    """Parse a request or reply of a wire."""
    if wire == "v2":
        return (wire_v2_pb2.ToFunction if kind == "request" else wire_v2_pb2.FromFunction).FromString(data)
    return (wire_v3_pb2.ToFunction if kind == "request" else wire_v3_pb2.FromFunction).FromString(data)


def text_of(data: bytes, kind: Kind, wire: Wire) -> str:
    """Return the text format of a request or reply."""
    return text_format.MessageToString(message_of(data, kind, wire), as_utf8=True)


def bytes_of(text: str, kind: Kind, wire: Wire) -> bytes:
    """Return the bytes of a request or reply in text format."""
    return text_format.Parse(text, message_of(b"", kind, wire)).SerializeToString()


def render(exchange: Exchange) -> str:
    """Return the content of the file of an exchange."""
    parts = [f"# {exchange.what}\n# {exchange.source}\n"]
    if exchange.request is not None:
        parts.append(_part("request", "request", exchange.request, exchange.wire))
    for sdk, reply in exchange.replies.items():
        parts.append(_part(f"reply of {sdk}" if sdk else "reply", "reply", reply, exchange.wire))
    for sdk, refusal in exchange.refusals.items():
        parts.append(f"--- {_REFUSED}{sdk}\n{refusal}\n")
    return "\n".join(parts)


def _part(title: str, kind: Kind, data: bytes, wire: Wire) -> str:
    starts = range(0, len(data), _BYTES_A_LINE)
    lines = "".join(data[start : start + _BYTES_A_LINE].hex() + "\n" for start in starts)
    text = text_of(data, kind, wire)
    return f"--- {title}, {len(data)} bytes\n{lines}" + (f"\n{text}" if text else "")


def parts_of(path: Path) -> Iterator[tuple[str, bytes, str]]:
    """Yield the parts of a file: title, bytes, and the text below them (of a refusal, only the text)."""
    for part in _PART.finditer(path.read_text(encoding="utf-8")):
        title, body = part["title"], part["body"].strip()
        if title.startswith(_REFUSED):
            yield title, b"", body
            continue
        match = _TITLE.fullmatch(title)
        size = int(match["size"]) if match else -1
        digits, text = ("", body) if size == 0 else body.split("\n\n")
        data = bytes.fromhex(digits)
        if len(data) != size:
            raise ValueError(f"{path}: '--- {title}' does not fit the {len(data)} bytes below it")
        yield title, data, text


def read(path: Path) -> Exchange:
    """Read the file of an exchange. The texts in it are not looked at."""
    what, source = (line.removeprefix("# ") for line in path.read_text(encoding="utf-8").splitlines()[:2])
    request: bytes | None = None
    replies: dict[str, bytes] = {}
    refusals: dict[str, str] = {}
    for title, data, text in parts_of(path):
        match = _TITLE.fullmatch(title)
        if match is None:
            refusals[title.removeprefix(_REFUSED)] = text
        elif match["kind"] == "request":
            request = data
        else:
            replies[match["by"] or ""] = data
    name = path.relative_to(FOLDER).with_suffix("").as_posix()
    return Exchange(name=name, what=what, source=source, request=request, replies=replies, refusals=refusals)


def read_all(folder: str) -> Iterator[Exchange]:
    """Read every exchange below a folder of `golden`, in the order of their names."""
    for path in sorted((FOLDER / folder).rglob("*.txt")):
        yield read(path)

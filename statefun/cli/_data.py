"""What the commands that look at data share: the folder, how it is read, and how it is printed.

Here: `Data`, which reads a folder whether a runtime works in it or not, and `change`, which lets the runtime do
something, or does it if none runs. Nothing here decides anything.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import cast

from statefun.cli._terminal import print_table
from statefun.protocol import ANY
from statefun.runtime._assembly import DATABASE
from statefun.runtime._catalog import StoredCatalog
from statefun.runtime._control import ask, is_running, perform
from statefun.runtime._operations import OFFSET, OperationError, offline
from statefun.runtime._plans import Wire
from statefun.runtime._sqlite import SqliteStore
from statefun.runtime._values import Json, Values, brief, read_invocation

__all__ = ["Data", "add_data", "address", "address_or_function", "change", "json_value", "print_rows", "shown_time"]

LIMIT = 100


def add_data(parser: argparse.ArgumentParser, *, limit: bool = False, as_json: bool = True) -> None:
    """Add the options that these commands have in common."""
    parser.add_argument(
        "--data", type=Path, default=Path(".statefun"), metavar="DIR", help="the data folder (.statefun)"
    )
    if as_json:
        parser.add_argument("--json", action="store_true", help="print one JSON object a line, for programs")
    if limit:
        parser.add_argument("--limit", type=int, default=LIMIT, metavar="N", help=f"print at most N ({LIMIT})")


class Data:
    """A data folder, read only."""

    def __init__(self, folder: Path) -> None:
        path = folder / DATABASE
        if not path.exists():
            msg = f"there is no data in {folder}: `statefun run` makes it, --data names another folder"
            raise OperationError(msg)
        self.store = SqliteStore(path, read_only=True)
        self.values = Values(StoredCatalog.from_bytes(self.store.catalog()))
        self.wire: Wire = "v2" if self.store.meta("wire") == "v2" else "v3"

    def now(self) -> int:
        """Return the time of the runtime: the wall's, moved by hand, or that of the records."""
        from_records = self.store.positions().get("clock")
        if from_records is not None:
            return int(from_records)
        return int(datetime.now(timezone.utc).timestamp() * 1_000) + int(self.store.meta(OFFSET) or 0)

    def message(self, message: bytes) -> dict[str, Json]:
        """Show a waiting message."""
        caller, typename, data = read_invocation(message, self.wire)
        return {"caller": caller or None, "type": typename, "value": self.values.decode(typename, data)}

    def state(self, typename: str, value: bytes) -> Json:
        """Show a stored value; what 2.x stores is an Any."""
        return self.values.decode(typename or ANY, value)


def change(folder: Path, op: str, **args: Json) -> Json:
    """Let the runtime of a folder do something; do it here if none runs. Raises StatefunError."""
    if is_running(folder):
        return ask(folder, op, args)
    if not (folder / DATABASE).exists():
        Data(folder)  # says what is wrong
    with offline(folder, DATABASE) as operations:
        return perform(operations, op, args)


def address(text: str) -> tuple[str, str]:
    """Read "<namespace>/<name>/<id>": the function and the id."""
    namespace, _, rest = text.partition("/")
    name, slash, id = rest.partition("/")
    if not namespace or not name or not slash:
        msg = f"{text!r} is not an address: <namespace>/<name>/<id>"
        raise argparse.ArgumentTypeError(msg)
    return f"{namespace}/{name}", id


def json_value(text: str) -> Json:
    """Read a value that is given in JSON."""
    try:
        return cast("Json", json.loads(text))
    except ValueError as error:
        msg = f"{text!r} is no JSON ({error}); text is written in quotes of its own: '\"text\"'"
        raise argparse.ArgumentTypeError(msg) from None


def address_or_function(text: str) -> tuple[str, str | None]:
    """Read a function, or an address."""
    if text.count("/") == 1:
        return text, None
    return address(text)


def shown_time(at: int | None) -> str:
    """Write a time for people."""
    if at is None:
        return ""
    return f"{datetime.fromtimestamp(at / 1_000, tz=timezone.utc):%Y-%m-%d %H:%M:%S}Z"


def print_rows(args: argparse.Namespace, headings: Sequence[str], rows: Sequence[Mapping[str, Json]], none: str) -> int:
    """Print rows: a table for people, one JSON object a line for programs."""
    if getattr(args, "json", False):
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return 0
    if not rows:
        print(none)
        return 0
    print_table(headings, [[_cell(heading, row.get(heading)) for heading in headings] for row in rows])
    limit: object = getattr(args, "limit", None)
    if limit == len(rows):
        print(f"(the first {limit}; --limit shows more)", file=sys.stderr)
    return 0


def _cell(heading: str, value: Json) -> Json:
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    if heading == "type":
        return brief(str(value))
    if isinstance(value, int) and heading in ("due", "expires", "retry", "at", "replayed"):
        return shown_time(value)
    return value

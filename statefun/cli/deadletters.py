"""`statefun deadletters`: list and show dead letters, and send their messages again.

They are looked for among the records that a runtime keeps, or in a JSONL file that an egress wrote.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from statefun.cli import Subparsers
from statefun.cli._data import Data, add_data, change, print_rows, shown_time
from statefun.failures import DeadLetter
from statefun.runtime._assembly import DATABASE
from statefun.runtime._catalog import StoredCatalog
from statefun.runtime._dead_letters import REPLAYED, Found, letters_in_file, letters_of_records
from statefun.runtime._operations import OperationError
from statefun.runtime._values import Json, Values, brief

__all__ = ["add_parser", "run"]

_PAGE = 1_000
_AT_ONCE = 200
"""Letters that are sent with one commit."""


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say what the command takes."""
    top = subparsers.add_parser("deadletters", help="list and show dead letters, and send their messages again")
    top.description = __doc__
    verbs = top.add_subparsers(dest="verb", required=True, metavar="<verb>")
    ls = verbs.add_parser("ls", help="list dead letters", description="List dead letters, the oldest first.")
    _add_source(ls)
    add_data(ls, limit=True)
    show = verbs.add_parser("show", help="print a dead letter whole", description="Print a dead letter whole.")
    show.add_argument("number", type=int, metavar="NR", help="its number, as `ls` prints it")
    _add_source(show)
    add_data(show)
    replay = verbs.add_parser("replay", help="send the messages of dead letters again")
    replay.description = (
        "Send the messages of dead letters again, each to its address and as its caller sent it. "
        "One that was sent again is not sent a second time without --again."
    )
    replay.add_argument("numbers", type=int, nargs="*", metavar="NR", help="which, as `ls` numbers them")
    replay.add_argument("--all", action="store_true", help="all of them")
    replay.add_argument("--again", action="store_true", help="also those that were sent again before")
    replay.add_argument("--dry-run", action="store_true", help="only say what would be sent")
    _add_source(replay)
    add_data(replay)
    return top


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", type=Path, metavar="FILE", help="look in a JSONL file, not among the kept records")
    parser.add_argument("--egress", metavar="EGRESS", help="only those that left through this egress")
    parser.add_argument("--function", metavar="FUNCTION", help="only those for this function")


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    source = _Source(args)
    if args.verb == "ls":
        return source.print_list()
    if args.verb == "show":
        return source.print_one(args.number)
    return source.send_again()


class _Source:
    """Where the letters are, and the data folder that their messages are for."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._file: Path | None = args.file
        is_there = (args.data / DATABASE).exists()
        self._data = Data(args.data) if is_there or self._file is None else None
        self._values = Values(StoredCatalog()) if self._data is None else self._data.values
        positions: Mapping[str, str] = {} if self._data is None else self._data.store.positions()
        self._replayed = {
            key.removeprefix(REPLAYED): int(at) for key, at in positions.items() if key.startswith(REPLAYED)
        }

    def _all(self) -> Iterator[Found]:
        if self._file is not None:
            found = self._in_file(self._file)
        else:
            found = iter(()) if self._data is None else self._kept(self._data)
        function, egress = self._args.function, self._args.egress
        for one in found:
            if function in (None, one.letter.address.typename()) and egress in (None, one.egress):
                yield one

    def _in_file(self, path: Path) -> Iterator[Found]:
        others = 0
        for found in letters_in_file(path):
            if isinstance(found, Found):
                yield found
            else:
                others += 1
        if others:
            lines = "line of {path} holds" if others == 1 else "lines of {path} hold"
            print(f"({others} {lines.format(path=path)} no dead letter)", file=sys.stderr)

    def _kept(self, data: Data) -> Iterator[Found]:
        last = 0
        while rows := data.store.list_records(self._args.egress, last, _PAGE):
            yield from letters_of_records(rows)
            last = rows[-1].seq

    # --- ls and show ---

    def print_list(self) -> int:
        """Print a line a letter."""
        rows: list[dict[str, Json]] = []
        for found in self._all():
            if len(rows) == self._args.limit:
                break
            rows.append(self._row(found))
        headings = ["nr", "at", "address", "type", "attempts", "error", "replayed"]
        where = f"in {self._file}" if self._file is not None else f"among the records of {self._args.data}"
        return print_rows(self._args, headings, rows, f"There is no dead letter {where}.")

    def _row(self, found: Found) -> dict[str, Json]:
        letter = found.letter
        return {
            "nr": found.number,
            "egress": found.egress,
            "at": None if letter.time is None else int(letter.time.timestamp() * 1_000),
            "address": str(letter.address),
            "caller": None if letter.caller is None else str(letter.caller),
            "type": letter.typename,
            "attempts": letter.attempts,
            "error": _error(letter),
            "replayed": self._replayed.get(found.key),
        }

    def print_one(self, number: int) -> int:
        """Print a letter whole."""
        found = self._named([number])[0]
        letter = found.letter
        shown: dict[str, Json] = {
            **self._row(found),
            "value": self._values.decode(letter.typename, letter.payload),
            "headers": [[key, None if value is None else _base64(value)] for key, value in letter.headers],
            "text": letter.text,
            "traceback": letter.traceback,
        }
        if self._args.json:
            print(json.dumps(shown, ensure_ascii=False))
            return 0
        when = "" if shown["at"] is None else f" at {shown_time(cast('int', shown['at']))}"
        times = "time" if letter.attempts == 1 else "times"
        print(f"{letter.address} failed {letter.attempts} {times}{when}")
        print(f"caller: {letter.caller or 'none, it came from an ingress'}")
        if shown["replayed"] is not None:
            print(f"sent again at {shown_time(cast('int', shown['replayed']))}")
        print(f"error: {_error(letter)}\n")
        print(f"{brief(letter.typename)}: {json.dumps(shown['value'], ensure_ascii=False, indent=2)}")
        if letter.headers:
            print(f"headers: {json.dumps(shown['headers'], ensure_ascii=False)}")
        print(f"\n{letter.traceback.rstrip()}")
        return 0

    def _named(self, numbers: Sequence[int]) -> list[Found]:
        """Return the letters with these numbers, in their order. Raises OperationError."""
        wanted = set(numbers)
        found = {one.number: one for one in self._all() if one.number in wanted}
        for number in numbers:
            if number not in found:
                raise OperationError(f"there is no dead letter {number}: `statefun deadletters ls` lists them")
        return [found[number] for number in dict.fromkeys(numbers)]

    # --- replay ---

    def send_again(self) -> int:
        """Send what is chosen, and say of each letter what became of it."""
        args = self._args
        if not args.numbers and not args.all and args.function is None:
            raise OperationError("say which: their numbers, as `statefun deadletters ls` prints them, or --all")
        if self._data is None:
            Data(args.data)  # says what is wrong
        letters = self._named(args.numbers) if args.numbers else list(self._all())
        status = 0
        for start in range(0, len(letters), _AT_ONCE):
            some = letters[start : start + _AT_ONCE]
            for found, outcome in zip(some, self._outcomes(some), strict=True):
                self._say(found, outcome)
                status = max(status, int(outcome == "unknown"))
        if not letters:
            print("There is no dead letter to send.", file=sys.stderr)
        return status

    def _outcomes(self, letters: Sequence[Found]) -> Sequence[str]:
        again: bool = self._args.again
        if self._args.dry_run:
            known = self._values.catalog.functions
            return [
                "unknown" if one.letter.address.typename() not in known
                else "already" if one.key in self._replayed and not again
                else "would be sent"
                for one in letters
            ]  # fmt: skip
        done = change(self._args.data, "deadletters.replay", letters=[_json(one) for one in letters], again=again)
        return cast("list[str]", done)

    def _say(self, found: Found, outcome: str) -> None:
        address = found.letter.address
        if self._args.json:
            print(json.dumps({"nr": found.number, "address": str(address), "outcome": outcome}, ensure_ascii=False))
            return
        said = {
            "already": "not sent: it was sent again before; --again sends it once more",
            "unknown": f"not sent: there is no function {address.typename()!r} here",
        }.get(outcome, outcome)
        print(f"{found.number}  {address}  {said}", file=sys.stderr if outcome == "unknown" else sys.stdout)


def _error(letter: DeadLetter) -> str:
    first = letter.text.strip().partition("\n")[0]
    return f"{letter.error}: {first}" if first else letter.error


def _json(found: Found) -> dict[str, Json]:
    letter = found.letter
    return {
        "key": found.key,
        "function": letter.address.typename(),
        "id": letter.address.identity,
        "caller": None if letter.caller is None else list[Json](letter.caller),
        "type": letter.typename,
        "payload": _base64(letter.payload),
        "headers": [[key, None if value is None else _base64(value)] for key, value in letter.headers],
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

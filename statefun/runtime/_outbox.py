"""What is known of the records that an egress sends by itself: how far they are sent, and which batch is under way.

Here: `Progress`, which stands in the store, and `settle`, which decides after a crash. No I/O. A batch has a random
tag. The tag is in the store before the batch is sent, and in Kafka, as a mark, if and only if the batch is: so the mark
that is found later says whether the last batch is in. Any other mark means that the store and Kafka have gone separate
ways (a backup put back, a folder copied), and nobody can tell from here what would be lost or sent twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast

__all__ = ["PREFIX", "Decision", "Held", "Mark", "Progress", "all_progress", "decided", "settle"]

PREFIX = "out kafka:"
"""What stands before the id of an egress in the name of its position."""

Decision = Literal["resend", "confirm"]
Why = Literal["mark lost", "diverged", "refused"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A batch: the number of its last record, and its tag."""

    seq: int
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why nothing more is sent until somebody decides."""

    why: Why
    text: str
    upto: int
    """The last record that a decision is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an egress has come."""

    sent: int = 0
    """Up to this number its records are in Kafka."""
    tag: str = ""
    """The mark that says so."""
    pending: Mark | None = None
    """The batch under way: its last record is this one at most."""
    topic: str = ""
    """The topic under which the mark stands."""
    held: Held | None = None
    decision: Decision | None = None
    """What somebody has decided about what is held, and is not done yet."""

    @property
    def why_held(self) -> str:
        """Why nothing is sent, in words; "" where nothing is held."""
        if self.held is None:
            return ""
        noted = "" if self.decision is None else f"; {self.decision} is noted, and done while a runtime works"
        return f"{self.held.text}{noted}"

    def to_json(self) -> str:
        """Write it as it stands in the store."""
        made: dict[str, object] = {"sent": self.sent, "tag": self.tag, "topic": self.topic}
        if self.pending is not None:
            made["pending"] = [self.pending.seq, self.pending.tag]
        if self.held is not None:
            made["held"] = [self.held.why, self.held.text, self.held.upto]
        if self.decision is not None:
            made["decision"] = self.decision
        return json.dumps(made)

    @classmethod
    def from_json(cls, text: str | None) -> Progress:
        """Read it; nothing is where nothing was sent."""
        if text is None:
            return cls()
        known = cast("dict[str, object]", json.loads(text))
        pending, held = known.get("pending"), known.get("held")
        return cls(
            sent=cast("int", known["sent"]),
            tag=cast("str", known["tag"]),
            topic=cast("str", known["topic"]),
            pending=None if pending is None else Mark(*cast("tuple[int, str]", pending)),
            held=None if held is None else _held(*cast("tuple[Why, str, int]", held)),
            decision=cast("Decision | None", known.get("decision")),
        )


def all_progress(positions: Mapping[str, str]) -> dict[str, Progress]:
    """Return how far each egress has come, by its id, of the positions in a store."""
    names = sorted(name for name in positions if name.startswith(PREFIX))
    return {name.removeprefix(PREFIX): Progress.from_json(positions[name]) for name in names}


def _held(why: Why, text: str, upto: int) -> Held:
    return Held(why=why, text=text, upto=upto)


def settle(progress: Progress, mark: Mark | None) -> Progress:
    """Say what became of the batch under way, by the mark that Kafka has; held if the mark says nothing."""
    pending, open = progress.pending, replace(progress, pending=None, held=None)
    if progress.decision is not None:
        return _decide(progress, mark)
    if pending is not None and mark is not None and mark.tag == pending.tag:
        return replace(open, sent=mark.seq, tag=mark.tag)  # it is in
    if mark is None and (pending is None or not progress.tag):
        return open  # nothing is in doubt, or the very first batch did not get in
    if mark is not None and mark.tag == progress.tag:
        return open  # it is not in
    if mark is None:
        assert pending is not None
        text = (
            f"the records up to {pending.seq} may or may not be in Kafka: the mark that would say so is not there "
            "any more (the consumer group was deleted, or its offsets have expired)"
        )
        return replace(progress, held=Held(why="mark lost", text=text, upto=pending.seq))
    text = (
        f"Kafka was given records up to {mark.seq} by another store than this one, which knows of {progress.sent}: "
        "this data folder is a backup or a copy"
    )
    return replace(progress, held=Held(why="diverged", text=text, upto=mark.seq))


def _decide(progress: Progress, mark: Mark | None) -> Progress:
    held = progress.held
    sent, upto = progress.sent, progress.sent if held is None else held.upto
    if held is not None and held.why == "refused" and mark is not None and mark.tag != progress.tag:
        return settle(replace(progress, decision=None, held=None), mark)  # somebody else has sent since
    if progress.decision == "confirm":
        sent = max(sent, upto)
    tag = "" if mark is None else mark.tag
    return replace(progress, sent=sent, tag=tag, pending=None, held=None, decision=None)


def decided(progress: Progress, decision: Decision) -> Progress:
    """Note a decision about what is held. Raises ValueError if nothing is."""
    if progress.held is None:
        raise ValueError
    return replace(progress, decision=decision)

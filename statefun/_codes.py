"""Every code of a finding: how bad it is, and what its page in the documentation says.

Here: the table from which docs/reference/findings.md is made. Who reports a code is not known here. A code is never
given another meaning, and a number never used again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CODES", "Code"]


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of fault."""

    severity: Literal["error", "warning", "note"]
    title: str
    text: str
    """What happens, and what to do."""


def _error(title: str, text: str) -> Code:
    return Code("error", title, text)


def _warning(title: str, text: str) -> Code:
    return Code("warning", title, text)


def _note(title: str, text: str) -> Code:
    return Code("note", title, text)


_FILE = {
    "SF001": _error("the file cannot be read", "It is not there, or may not be read."),
    "SF002": _error("the file is too large", "More than 10 MiB are not read; split it into several modules."),
    "SF003": _error("not UTF-8", "Every runtime reads the file as UTF-8. A byte order mark does no harm."),
    "SF004": _error("not YAML", "The text is no YAML at this place. A tab does not indent: use spaces."),
    "SF005": _error("nested too deep", "A module needs twelve levels at most; more than 64 are not read."),
    "SF006": _error(
        "too many values", "More than 250,000 values are not read: a file of 40,000 lines holds a quarter."
    ),
    "SF007": _error(
        "an anchor or an alias",
        "Jackson, which reads the file in every Apache runtime, takes the alias `*name` for the text `name`. "
        "Write the value out where it is needed.",
    ),
    "SF008": _error("a merge key", "`<<` merges nothing: Jackson takes it for a key of that name. Write the keys out."),
    "SF009": _error("a key that is no text", "A list or a mapping stands where a key belongs."),
    "SF010": _warning("a key stands twice", "The runtimes read the last one, and say nothing."),
    "SF011": _error("an empty file", "There is nothing to run in it."),
    "SF012": _warning("a second document", "The runtime reads the first document only, and ignores the others."),
    "SF013": _error("an empty document", "StateFun 3.1 refuses it; 3.2 and later skip it. Remove the extra `---`."),
    "SF014": _error(
        "a document too many",
        "A file with `version` has one document; the runtime takes more than one for components.",
    ),
    "SF015": _warning(
        "a placeholder",
        "No runtime puts anything in the place of `${NAME}`: it is used as it stands. Fill it in before deployment, "
        "with envsubst or with the tool that deploys.",
    ),
    "SF016": _error(
        "a code cannot be silenced like this",
        "`# statefun: silence SF142 why` in the file silences one code, and says why. What a runtime refuses cannot "
        "be silenced.",
    ),
}

_STRUCTURE = {
    "SF101": _error("a key is missing", "The runtime refuses the file, or fails on the first message."),
    "SF102": _error(
        "something else stands here",
        "A text, a number, a list or a mapping belongs here. What is not in quotes is read as Jackson reads it: `1.0` "
        "and `60000` are numbers, `yes`, `no`, `on` and `off` truth values, nothing at all is null; `1:30` is a text.",
    ),
    "SF103": _warning("an unknown key", "The runtimes ignore keys that they do not know, and say nothing."),
    "SF104": _error("an unknown word", "One of a few words belongs here. Components are case-sensitive, 2.x is not."),
    "SF105": _error(
        "not a name",
        "A name is `<namespace>/<name>`. In 2.x and 3.0 it is split at the last slash; since 3.1 it has exactly one, "
        "so that a namespace with a slash must be renamed.",
    ),
    "SF106": _error("not a duration", "A duration is a whole number and a unit, like `30s`, `10min` or `1 day`."),
    "SF107": _error("a number out of range", "The runtime refuses the number, or fails on the first message."),
    "SF108": _error(
        "an unknown kind",
        "The kinds were renamed twice: `statefun.kafka.io/generic-egress` (2.x), `io.statefun.kafka/egress` (3.0), "
        "`io.statefun.kafka.v1/egress` (since 3.1).",
    ),
    "SF109": _error("a version that is no text", '`version: 3.0` is a number. Write `version: "3.0"`.'),
    "SF110": _error("a format that the runtime does not read", "See the format matrix."),
    "SF111": _error("not a date", "The pattern is `yyyy-MM-dd HH:mm:ss.SSS Z`: three digits of a second, and `+0000`."),
    "SF112": _error("not a URL", "Some runtimes see it on the first message only, which then fails for ever."),
    "SF113": _error("not a pattern of functions", "`<namespace>/<name>` or `<namespace>/*`, nothing else with a `*`."),
    "SF114": _error("bound twice", "A function, a namespace, an ingress or an egress has one entry only."),
    "SF115": _error("not a list of properties", "Properties are a list of mappings with one key each."),
    "SF116": _error(
        "a timeout is longer than the whole call",
        "The timeouts connect, read and write are 10 seconds unless said otherwise: a call of less needs all three.",
    ),
    "SF117": _error("exactly-once without a timeout", "The transaction's timeout has no default."),
    "SF118": _error("no consumer group", "A Kafka ingress needs one."),
    "SF119": _error("no brokers", "A Kafka ingress needs an address."),
    "SF120": _error("half of mutual TLS", "The client's certificate and its key go together."),
    "SF121": _error("a unix socket with the async transport", "Only the okhttp transport knows unix sockets."),
    "SF122": _warning("a key of another runtime", "This runtime ignores it, and says nothing."),
    "SF123": _warning("read otherwise than it looks", "The runtime leaves it out, or does nothing with it."),
    "SF124": _error("an empty list", "There must be something in it."),
    "SF125": _error("a state with a reserved name", "The runtime keeps a state of that name for itself."),
    "SF126": _warning("no target", "The records are read and dropped."),
    "SF127": _warning("a topic stands twice", "The runtime reads the last entry of a topic."),
    "SF128": _error("the type of a record", "Either every record has one type, or a field of each says its type."),
    "SF129": _error("gRPC", "No release can call a function over gRPC."),
}

_LOCK = {
    "SF201": _error(
        "a function is gone", "Its state is never read again, and messages that are on their way to it fail."
    ),
    "SF202": _error(
        "a state is gone, or renamed",
        "The runtime keeps what it holds in its checkpoints, and nobody sees it; the new name begins empty. "
        "`value(name=...)` keeps the stored name of a field that is renamed in the code.",
    ),
    "SF203": _error(
        "a state has another type",
        "Since 3.0 the runtime remembers the typename and restarts for ever; 2.x hands out the old bytes.",
    ),
    "SF204": _error(
        "an expiration was added or removed",
        "Flink refuses to restore the state (StateMigrationException), in 2.2 as in 3.x; 2.1 has one setting for all "
        "states of a function. The embedded runtime takes it.",
    ),
    "SF205": _note(
        "an expiration was changed",
        "Flink restores the state, and the new duration or mode holds from then on. In 2.x module.yaml says it.",
    ),
    "SF206": _error(
        "a type of messages is no longer accepted",
        "Messages that are on their way, delayed ones too, and what others still send, fail the job or go to the dead "
        "letters.",
    ),
    "SF207": _error("a field number has another type", "The old bytes are read as something else, or not at all."),
    "SF208": _warning("a field is gone", "Its number may be used again, for another meaning: reserve it."),
    "SF209": _error("an enum value has another number", "The old bytes mean something else."),
    "SF210": _warning("an enum value is gone", "The old bytes hold a number without a name."),
    "SF211": _error("a JSON key that must be there", "What was written before has no such key, and cannot be read."),
    "SF212": _warning("a JSON key is gone", "It is ignored when it is read, and lost when it is written again."),
    "SF213": _error("a JSON key has another type", "What was written before cannot be read."),
    "SF214": _note("a name was changed", "The bytes are the same."),
    "SF215": _error("another kind of type under one typename", "The old bytes cannot be read."),
    "SF216": _note("something new", "Nothing that is there depends on it."),
    "SF217": _error("a stored name of an Enum is gone", "Enums are stored by their names."),
    "SF218": _warning("a change that may lose data", "The old bytes are read, but not every value survives."),
}

_CHECK = {
    "SF301": _error("no entry serves a bound function", "A message to it fails the job, which restarts for ever."),
    "SF302": _error("no bound function answers an entry", "Its messages reach the app, which refuses them."),
    "SF303": _note("an entry of others", "Neither its URL nor its namespace is the app's: it is listed, not checked."),
    "SF304": _note("two entries match", "An entry of one function wins over that of its namespace."),
    "SF305": _error("a state is not declared", "The runtime sends what module.yaml declares, and nothing else (2.x)."),
    "SF306": _warning("a state too many", "The function declares its states, and this one is not among them (2.x)."),
    "SF307": _error(
        "another expiration",
        "In 2.x the expiration of module.yaml holds, whatever the code says. StateFun 2.1 has one for all states of a "
        "function: the longest, renewed by reading; 2.2 has one for each. Adding one to a state that a savepoint "
        "holds, or removing it, fails the restore.",
    ),
    "SF308": _error("an expiration that cannot be kept", "Format 1.0 has names of states only, and they never expire."),
    "SF310": _error(
        "a target does not take the type",
        "Records get the type of their topic, unread. The function must accept it in its type hint.",
    ),
    "SF311": _error("a target that does not exist", "It deploys, and kills the job on the first record."),
    "SF312": _error("a target that is bound to no function", "The app refuses every record that is sent to it."),
    "SF313": _warning("two types on one topic", "A record has one type: one of the two reads it wrongly."),
    "SF314": _warning(
        "raw bytes called a wrapper",
        "`io.statefun.types/string` is a protobuf message with a string in it. A producer that writes the plain text "
        "needs another type: `statefun.python/bytes` delivers the record as bytes, a JSON type reads it as JSON.",
    ),
    "SF320": _error("an egress that is not there", "The first record that is sent to it fails the job."),
    "SF321": _error("an egress of another kind", "Kafka and Kinesis egresses take their own records only."),
    "SF322": _note(
        "an egress that the app does not use", "Others may. `functions.uses(...)` names what cannot be seen."
    ),
    "SF323": _warning("a transaction longer than the broker allows", "The broker refuses the producer."),
    "SF324": _warning("no delivery guarantee", "Records are lost, or doubled, in every failure."),
    "SF325": _error("a function that no entry serves", "The first message to it fails the job."),
    "SF326": _note(
        "an egress of one's own",
        "What a `MessageEgress` sends goes to an egress that a Java module of the job binds: no file declares one.",
    ),
    "SF330": _note("sends by name", "The receiver is a text: use a `FunctionRef` or an egress, which can be checked."),
    "SF331": _note("nothing to silence", "The comment that silences this code can go."),
    "SF341": _warning(
        "a small maxNumBatchRequests",
        "It is no cap on a batch. When as many messages wait for one address, the subtask takes no message for any "
        "address until the request of that one is answered.",
    ),
    "SF342": _error("a timeout of zero", "The async transport takes it, and fails every request."),
    "SF343": _warning("connect is longer than call", "The call is over before the connection may be."),
    "SF345": _warning(
        "a start at the newest record", "`latest` is the default of the runtimes, whatever documents say."
    ),
    "SF347": _warning(
        "exactly-once needs checkpoints",
        "Without `execution.checkpointing.interval` the egress becomes `none` with one line in the log, and a restart "
        "loses all state. Silence this once it is set.",
    ),
    "SF348": _warning("no ingress", "A job needs one, in this file or in another module."),
}

CODES: dict[str, Code] = {**_FILE, **_STRUCTURE, **_LOCK, **_CHECK}

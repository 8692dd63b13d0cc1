"""A module.yaml beside the code: everything that can be known before the first message.

Here: functions and the entries that serve them, topics and their targets, egresses and references. States are in
`_check_states`, values that deploy and then stall or kill a job in `_check_values`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from statefun.catalog import Catalog, CatalogEgress
from statefun.findings import Finding, ModuleError
from statefun.functions import StatefulFunctions
from statefun.module._check_states import check_states
from statefun.module._check_values import check_values
from statefun.module._compare import Comparison
from statefun.module._model import (
    Egress,
    JsonlIngress,
    KafkaEgress,
    KafkaIngress,
    KinesisEgress,
    KinesisIngress,
    Module,
    PlaygroundEgress,
)
from statefun.module._reading import Source

__all__ = ["Report", "check", "require"]

PRIMITIVES = "io.statefun.types/"
RAW = "statefun.python/bytes"
KINDS = {"kafka": "KafkaEgress", "kinesis": "KinesisEgress", "message": "MessageEgress", "other": "an egress"}


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found."""

    findings: tuple[Finding, ...]
    """What is wrong: errors and warnings, in the order of the file."""
    notes: tuple[Finding, ...] = ()
    """What is worth knowing: entries of others, sends that cannot be checked."""
    silenced: tuple[Finding, ...] = ()
    """What is not reported, because a comment in the file or the caller says so."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What a runtime refuses, at start or on the first message."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def __str__(self) -> str:
        """Return everything that is reported, as it is printed."""
        return "\n".join(str(finding) for finding in (*self.findings, *self.notes))


def check(
    app: StatefulFunctions | Catalog,
    module: Module,
    *,
    endpoint: str | None = None,
    silence: Mapping[str, str] | None = None,
) -> Report:
    """Compare an app with the module that deploys it.

    `endpoint` is the URL at which the app is deployed; `silence` names codes that are not to be reported, each with
    the reason. What `read` had to say of the module is part of the report.
    """
    catalog = app if isinstance(app, Catalog) else Catalog.of(app)
    both = Comparison(catalog, module, endpoint)
    for part in (_functions, _entries, check_states, _targets, _topics, _egresses, _references, check_values, _by_name):
        part(both)
    silenced = {**module.silenced, **(silence or {})}
    found = [*module.findings, *module.unspoken, *both.findings]
    for code in sorted(silenced.keys() - {finding.code for finding in found}):
        both.report("SF331", None, f"{code} is silenced, and nothing has it any more")
    return _report([*found, *both.findings], silenced)


def require(app: StatefulFunctions | Catalog, module: Module) -> None:
    """Refuse an app that does not fit its module: raises ModuleError with what `check` finds, if it is an error."""
    report = check(app, module)
    if report.errors:
        raise ModuleError(report.errors)


def _report(findings: Iterable[Finding], silenced: Mapping[str, str]) -> Report:
    ordered = sorted(dict.fromkeys(findings), key=lambda one: (one.line == 0, one.line, one.column, one.code))
    spoken = [one for one in ordered if one.code not in silenced]
    return Report(
        findings=tuple(one for one in spoken if one.severity != "note"),
        notes=tuple(one for one in spoken if one.severity == "note"),
        silenced=tuple(one for one in ordered if one.code in silenced),
    )


# --- functions and the entries that serve them ---


def _functions(both: Comparison) -> None:
    """Every bound function is served by an entry."""
    for function in both.catalog.functions:
        if not both.is_served(function.typename):
            near = both.near(function.typename, both.exact)
            section = "functions" if both.is_v2 else "endpoints"
            both.report(
                "SF301", None, f"no entry under {section} serves {function.typename!r}, bound to {function.where}",
                did_you_mean=f"{near!r} in line {both.exact[near].source.place()[0]}" if near else "",
                expected=f"an entry for {function.typename!r}" + ("" if both.is_v2 else " or its namespace"),
                says="the first message to it fails the job",
            )  # fmt: skip


def _entries(both: Comparison) -> None:
    """Every entry of ours is answered by a bound function; those of others are listed."""
    for entry in both.module.endpoints:
        pattern, source = entry.pattern, entry.source
        covered = [name for name in both.functions if pattern.covers(name)]
        names = _where(both)
        if not both.is_ours(entry):
            both.report("SF303", source, f"{str(pattern)!r} is served elsewhere: {entry.url}", *names)
        elif not covered and not both.is_embedded:
            near = both.near(str(pattern), both.functions)
            both.report(
                "SF302", source, f"no bound function answers {str(pattern)!r}", *names,
                did_you_mean=repr(near) if near else "", expected=f"one of {_listed(both.functions)}",
            )  # fmt: skip
        whole = both.whole.get(pattern.namespace)
        if pattern.name is not None and whole is not None:
            line = whole.source.place()[0]
            problem = (
                f"{str(pattern)!r} is called at {entry.url}, and not as {str(whole.pattern)!r} of line {line} says"
            )
            both.report("SF304", source, problem, *names)


def _where(both: Comparison) -> tuple[str, ...]:
    """Return the way from an entry to the name of its functions."""
    if both.is_v2:
        return ("meta", "type")
    return ("functions",) if both.module.format == "components" else ("spec", "functions")


def _listed(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:10]) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")  # noqa: PLR2004


# --- what arrives ---


@dataclass(frozen=True, slots=True)
class _Feed:
    """Records of one type that go to some functions."""

    type: str
    targets: tuple[str, ...]
    source: Source
    type_key: str


def _feeds(module: Module) -> Iterable[_Feed]:
    key = "typeUrl" if module.format in ("1.0", "2.0") else "valueType"
    for ingress in module.ingresses:
        if isinstance(ingress, (KafkaIngress, KinesisIngress)):
            for topic in ingress.topics:
                yield _Feed(topic.type, topic.targets, topic.source, key)
        elif isinstance(ingress, JsonlIngress):
            yield _Feed(ingress.type or "", ingress.targets, ingress.source, key)


def _targets(both: Comparison) -> None:
    """Every target exists, and takes the type of the records."""
    for feed in _feeds(both.module):
        for target in dict.fromkeys(feed.targets):
            entry = both.serving(target)
            function = both.functions.get(target)
            if not both.is_served(target):
                both.report(
                    "SF311", feed.source, f"the target {target!r} is served by no entry", "targets", text=target,
                    did_you_mean=both.near_function(target), says="the first record fails the job",
                )  # fmt: skip
            elif function is None and entry is not None and both.is_ours(entry):
                both.report(
                    "SF312", feed.source, f"the target {target!r} is bound to no function", "targets", text=target,
                    did_you_mean=both.near_function(target), says="every record of it fails",
                )  # fmt: skip
            elif function is not None and feed.type and not function.takes(feed.type):
                accepted = ", ".join(dict.fromkeys(known.typename for known in function.accepts))
                near = both.near(feed.type, (known.typename for known in function.accepts))
                both.report(
                    "SF310", feed.source, f"records of type {feed.type!r} go to {target!r}: {function.where}",
                    feed.type_key, did_you_mean=repr(near) if near else "", expected=f"one of {accepted}",
                )  # fmt: skip


def _topics(both: Comparison) -> None:
    """Every topic has one type, and its records are no wrappers of a primitive."""
    seen: dict[tuple[str, str], _Feed] = {}
    for ingress in both.module.ingresses:
        if not isinstance(ingress, (KafkaIngress, KinesisIngress)):
            continue
        place = (ingress.address or "") if isinstance(ingress, KafkaIngress) else "kinesis"
        for topic in ingress.topics:
            feed = _Feed(topic.type, topic.targets, topic.source, "typeUrl" if both.is_v2 else "valueType")
            first = seen.setdefault((place, topic.name), feed)
            if first.type != topic.type:
                problem = (
                    f"records of {topic.name!r} are read as {topic.type!r} here, and as {first.type!r} in line "
                    f"{first.source.place(first.type_key)[0]}"
                )
                both.report("SF313", topic.source, problem, feed.type_key)
            if topic.type.startswith(PRIMITIVES):
                both.report(
                    "SF314", topic.source,
                    f"{topic.type!r} is the type of a wrapper message, and a record is its bytes as they are",
                    feed.type_key, did_you_mean=repr(RAW),
                )  # fmt: skip


# --- what leaves ---


def _egresses(both: Comparison) -> None:
    """Every egress that the app uses is there and of its kind; those that nobody uses are listed."""
    known = {egress.id: egress for egress in both.module.egresses}
    for used in both.catalog.egresses:
        egress = known.get(used.typename)
        users = f" ({', '.join(used.users)})" if used.users else ""
        if egress is None and used.kind in ("message", "other") and not both.is_embedded:
            problem = f"the egress {used.typename!r}{users} is none that a file can have: a Java module must bind it"
            both.report("SF326", None, problem)
        elif egress is None:
            near = both.near(used.typename, known)
            both.report(
                "SF320", None, f"the app sends to the egress {used.typename!r}{users}, which is not there",
                did_you_mean=f"{near!r} in line {known[near].source.place()[0]}" if near else "",
                expected=f"an egress with the id {used.typename!r}", says="the first record fails the job",
            )  # fmt: skip
        elif not _fits(used, egress):
            both.report(
                "SF321", egress.source,
                f"{used.typename!r} is {_article(egress)}, but the app sends to it as {KINDS[used.kind]}{users}",
                text=used.typename, says="the first record fails the job",
            )  # fmt: skip
    names = {used.typename for used in both.catalog.egresses}
    for egress in both.module.egresses:
        if egress.id not in names:
            both.report(
                "SF322", egress.source, f"the app is not seen to send to the egress {egress.id!r}", text=egress.id
            )


def _fits(used: CatalogEgress, egress: Egress) -> bool:
    if isinstance(egress, KafkaEgress):
        return used.kind in ("kafka", "other")
    if isinstance(egress, KinesisEgress):
        return used.kind in ("kinesis", "other")
    return used.kind in ("message", "other") if isinstance(egress, PlaygroundEgress) else True


def _article(egress: Egress) -> str:
    return {
        "KafkaEgress": "a Kafka egress",
        "KinesisEgress": "a Kinesis egress",
    }.get(type(egress).__name__, "an egress of the playground")


def _references(both: Comparison) -> None:
    """Every function that the app sends to is served, by whomever."""
    for reference in both.catalog.references:
        name = reference.typename
        if name in both.functions or both.is_served(name):
            continue
        users = f" ({', '.join(reference.users)})" if reference.users else ""
        both.report(
            "SF325", None, f"the app sends to {name!r}{users}, which is served by no entry",
            did_you_mean=both.near_function(name), says="the first message to it fails the job",
        )  # fmt: skip


def _by_name(both: Comparison) -> None:
    """List the sends whose receiver is a text: nothing is known of them."""
    for function in both.catalog.functions:
        if function.by_name:
            calls = ", ".join(function.by_name)
            problem = (
                f"{function.typename!r} sends {len(function.by_name)} times by name, which is not checked: {calls}"
            )
            both.report("SF330", None, problem)

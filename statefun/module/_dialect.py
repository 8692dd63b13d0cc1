"""How strictly a runtime reads a format, and how it reads names.

Here: the few things in which the readers of the runtimes differ throughout: strict or lenient scalars, where a name is
split, whether words are folded, and how the type of a record is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from statefun.module._fields import Field
from statefun.module._grammar import Text
from statefun.module._model import Pattern
from statefun.module._runtimes import Format, Runtime

__all__ = ["Dialect", "dialect", "to_pattern"]

PAIR_SAYS = "<s> does not conform to the <namespace>/<name> format"
TYPE_SAYS = "Invalid type name string: <s>. Must be of format <namespace>/<name>."
PATTERN_SAYS = "Invalid syntax for target functions. Only <namespace>/<name> or <namespace>/* are supported."


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one runtime reads one format."""

    runtime: Runtime
    format: Format
    strict: bool
    """Whether a text must be written as one: the older readers; the newer ones take a number for its digits."""
    pairs: bool
    """Whether a name is split at its last slash, as 2.x and 3.0 do; later a name has exactly one slash."""
    fold: bool
    """Whether upper and lower case are the same in enumerations."""
    type_key: str
    """How the type of a record is called."""

    def name(self, what: str, example: str, *, strict: bool | None = None) -> Text:
        """Return the shape of a name: "<namespace>/<name>"."""
        return Text(
            what=f'{what}: "<namespace>/<name>", e.g. "{example}"',
            strict=self.strict if strict is None else strict,
            check=_not_a_pair if self.pairs else _not_a_type,
            pattern="^.+/[^/]+$" if self.pairs else "^[^/]*/[^/]+/*$",
            says=PAIR_SAYS if self.pairs else TYPE_SAYS,
            clean=None if self.pairs else _canonical,
        )

    def own_id(self, what: str, example: str) -> tuple[Field, ...]:
        """Return the field `id`, which the spec of a component has; elsewhere the id stands in `meta`."""
        if self.format != "components":
            return ()
        says = None if self.strict else "NullPointerException"
        return (Field(name="id", of=self.name(what, example), needed=True, says=says),)

    def pattern(self, *, strict: bool) -> Text:
        """Return the shape of the functions of an endpoint."""
        return Text(
            what='functions: "<namespace>/<name>", or "<namespace>/*" for all of a namespace',
            strict=strict,
            check=_not_a_pattern,
            pattern=r"^[^/*]*/([^/*]+|\*)/*$",
            code="SF113",
            says=lambda text: TYPE_SAYS if _not_a_type(text) else PATTERN_SAYS,
            clean=_canonical,
        )

    def text(self, what: str, check: Callable[[str], str] | None = None) -> Text:
        """Return the shape of a text that is no name."""
        return Text(what=what, strict=self.strict, check=check)


def dialect(runtime: Runtime, format: Format) -> Dialect:
    """Return how a runtime reads a format."""
    old = format in ("1.0", "2.0") or (format == "3.0" and runtime == "3.0")
    return Dialect(
        runtime=runtime,
        format=format,
        strict=old,
        pairs=old,
        fold=old,
        type_key="typeUrl" if format in ("1.0", "2.0") else "valueType",
    )


def to_pattern(text: str) -> Pattern:
    """Make a pattern of a text that was found to be one."""
    namespace, _, name = text.rpartition("/")
    return Pattern(namespace, None if name == "*" else name)


def _not_a_pair(text: str) -> str:
    namespace, _, name = text.rpartition("/")
    return "" if namespace and name else f"{text!r} is not '<namespace>/<name>'"


def _not_a_type(text: str) -> str:
    parts = text.rstrip("/").split("/")  # Java's String.split drops empty parts at the end
    if parts[2:]:
        return f"{text!r} has more than one slash"
    return "" if parts[1:] and parts[1] else f"{text!r} is not '<namespace>/<name>'"


def _not_a_pattern(text: str) -> str:
    problem = _not_a_type(text)
    if problem:
        return problem
    namespace, name = text.rstrip("/").split("/")
    if "*" in namespace or ("*" in name and name != "*"):
        return f"{text!r}: a '*' stands for a whole name only"
    return ""


def _canonical(text: str) -> str:
    return text.rstrip("/")

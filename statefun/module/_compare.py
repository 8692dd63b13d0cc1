"""What both sides of a check are asked: which entry serves a function, which are ours, and what was found.

Here: `Comparison`, which the parts of the check share. What is checked stands in `_check` and the modules beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from statefun.catalog import Catalog, CatalogFunction
from statefun.findings import Finding, closest
from statefun.module._model import Endpoint, Module
from statefun.module._reading import Source

__all__ = ["Comparison"]

MANY = 100
"""Among how many names one that was meant is looked for, however little they have in common."""


@dataclass(slots=True)
class Comparison:
    """One app beside one module."""

    catalog: Catalog
    module: Module
    endpoint: str | None
    """The URL at which the app is deployed."""
    findings: list[Finding] = field(default_factory=list[Finding])
    functions: dict[str, CatalogFunction] = field(init=False)
    """The bound functions by name."""
    namespaces: set[str] = field(init=False)
    """The namespaces of the bound functions."""
    elsewhere: set[str] = field(init=False)
    """The functions that the code names as those of others: references to what is not bound."""
    exact: dict[str, Endpoint] = field(init=False)
    """The entries of single functions."""
    whole: dict[str, Endpoint] = field(init=False)
    """The entries of whole namespaces."""

    def __post_init__(self) -> None:
        self.functions = {function.typename: function for function in self.catalog.functions}
        self.namespaces = {name.rpartition("/")[0] for name in self.functions}
        self.elsewhere = {reference.typename for reference in self.catalog.references} - self.functions.keys()
        self.exact = {str(one.pattern): one for one in self.module.endpoints if one.pattern.name is not None}
        self.whole = {one.pattern.namespace: one for one in self.module.endpoints if one.pattern.name is None}

    @property
    def is_v2(self) -> bool:
        """Whether the module is one of StateFun 2.x, which declares states and speaks the older protocol."""
        return self.module.format in ("1.0", "2.0")

    @property
    def is_embedded(self) -> bool:
        """Whether the module is for the runtime of this SDK."""
        return self.module.runtime == "embedded"

    def serving(self, typename: str) -> Endpoint | None:
        """Return what serves a function: an entry of its own wins over one of its namespace."""
        return self.exact.get(typename) or self.whole.get(typename.rpartition("/")[0])

    def is_served(self, typename: str) -> bool:
        """Tell whether messages to a function arrive; the embedded runtime calls what is bound without an entry."""
        return (self.is_embedded and typename in self.functions) or self.serving(typename) is not None

    def is_ours(self, endpoint: Endpoint) -> bool:
        """Tell whether the app is to answer an entry: by its URL, or because it binds a function of the namespace."""
        if self.endpoint is not None and same_place(endpoint.url, self.endpoint):
            return True
        if str(endpoint.pattern) in self.elsewhere:
            return False
        return endpoint.pattern.namespace in self.namespaces

    def near_function(self, typename: str) -> str:
        """Return the known function that was meant, as a text."""
        near = self.near(typename, {*self.functions, *self.exact} - {typename})
        return repr(near) if near else ""

    def near(self, word: str, words: Iterable[str]) -> str:
        """Return the name that was meant, or "": of many, one that has a part in common with it."""
        known = sorted(words)
        if len(known) > MANY:
            parts = word.split("/")
            known = [other for other in known if any(part in other.split("/") for part in parts)][:MANY]
        return closest(word, known)

    def report(self, code: str, source: Source | None, problem: str, *names: str, **more: str) -> None:
        """Add a finding about a value of the module, or about the whole file."""
        if self.is_embedded:
            more.pop("says", None)  # which is about jobs
        if source is not None:
            self.findings.append(source.finding(code, problem, *names, **more))
        else:
            self.findings.append(
                Finding(code=code, file=self.module.path, line=0, column=0, path="", problem=problem, **more)
            )


def same_place(url: str, endpoint: str) -> bool:
    """Tell whether a URL of the module leads to where the app is deployed."""
    start = endpoint.rstrip("/")
    return url.rstrip("/") == start or url.startswith((f"{start}/", f"{start}?"))

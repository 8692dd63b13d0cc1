"""The error tree."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import statefun
from statefun import errors
from statefun.errors import BindError, StatefunError, UnknownFunction, reason, with_help
from statefun.findings import ModuleError
from statefun.lock import LockError

CLASSES = {
    **{name: found for name, found in vars(errors).items() if inspect.isclass(found) and name in errors.__all__},
    "findings.ModuleError": ModuleError,
    "lock.LockError": LockError,
}
PAGE = Path(__file__).parent.parent / "docs" / "reference" / "errors.md"


def test_every_error_is_one_of_three() -> None:
    """Each error says whose fault it is: the user's code, the peer, or the configuration; each is a StatefunError."""
    faults = (errors.UserCodeError, errors.PeerError, errors.ConfigError)
    for found in CLASSES.values():
        assert issubclass(found, StatefunError)
        assert found in (StatefunError, *faults) or sum(issubclass(found, fault) for fault in faults) == 1


def test_the_drawing_is_the_tree() -> None:
    """The tree in the module's docstring names every error, below its parent and beside its built-in kin."""
    drawn: dict[str, tuple[str, list[str]]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(
            r"^(?P<indent>[ │├└─]*)(?P<name>(?:\w+\.)?[A-Z]\w+)(?: +(?P<kin>(?:[A-Z]\w+Error(?:, )?)+))?(?:  |$)", line
        )
        if found is None or found["name"] not in CLASSES:
            continue
        depth = len(found["indent"]) // 4 - 1
        path[depth:] = [found["name"]]
        drawn[found["name"]] = (path[depth - 1] if depth else "Exception", (found["kin"] or "").split(", "))
    assert set(drawn) == set(CLASSES)
    for name, (parent, kin) in drawn.items():
        bases = [base.__name__ for base in CLASSES[name].__bases__]
        assert bases == [parent, *filter(None, kin)]


def test_the_page_is_the_tree() -> None:
    """The table of the reference has a row for every error, which says as what else it may be caught."""
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    short = {name.rpartition(".")[2]: found for name, found in CLASSES.items() if name != "StatefunError"}
    assert {name.rpartition(".")[2] for name in rows} == set(short)
    for name, kin in rows.items():
        bases = [base.__name__ for base in short[name.rpartition(".")[2]].__bases__]
        plain = [base for base in bases if base not in ("StatefunError", "UserCodeError", "PeerError", "ConfigError")]
        assert re.findall(r"`(\w+)`", kin) == plain


def test_what_is_public() -> None:
    """The errors that an app catches by name can be imported from the package itself."""
    exported = {name for name in CLASSES if hasattr(statefun, name)}
    assert exported >= {
        "BindError",
        "ConfigError",
        "PeerError",
        "SendError",
        "StateError",
        "StatefunError",
        "UserCodeError",
    }
    assert all(getattr(statefun, name) is CLASSES[name] for name in exported)


def test_bind_error() -> None:
    """A BindError holds what its text is made of."""
    error = BindError("a/b", "f (app.py:1)", "it is wrong", "make it right")
    assert (error.typename, error.function, error.problem, error.help) == (
        "a/b",
        "f (app.py:1)",
        "it is wrong",
        "make it right",
    )
    assert str(error) == "cannot bind 'a/b' to f (app.py:1): it is wrong\n  help: make it right"
    assert str(BindError("a/b", "f", "it is wrong")) == "cannot bind 'a/b' to f: it is wrong"


def test_unknown_function_is_readable() -> None:
    """An UnknownFunction shows its text, where a KeyError shows the repr of it."""
    error = UnknownFunction("no function is bound to 'a/b'")
    assert str(error) == "no function is bound to 'a/b'"
    assert isinstance(error, KeyError)


def test_words() -> None:
    """A help stands in a line of its own, and an error without a text is named by its class."""
    assert with_help("wrong", "") == "wrong"
    assert with_help("wrong", "right") == "wrong\n  help: right"
    assert reason(ValueError("text")) == "text"
    assert reason(ValueError()) == "ValueError"

from __future__ import annotations

import functools
import json
import types
from collections.abc import Callable
from typing import Any

from statefun._walk import Walk, codes_of


class Mark:
    """What is looked for."""

    def __init__(self, name: str) -> None:
        self.name = name


GLOBAL, DEFAULT, INNER, UNUSED = Mark("global"), Mark("default"), Mark("inner"), Mark("unused")
MODULE, PART, ELSEWHERE = types.ModuleType("marks"), types.ModuleType("marks.inner"), types.ModuleType("elsewhere")
vars(MODULE).update(deep=PART, outer=ELSEWHERE)
vars(PART)["MARK"] = INNER
vars(ELSEWHERE)["MARK"] = UNUSED
HELD = {"list": [(GLOBAL,)], "set": frozenset([DEFAULT])}


def found(fn: object) -> list[str]:
    """Return the marks that a callable refers to."""
    return sorted(one.name for one in Walk().reachable(fn) if isinstance(one, Mark))


def helper(mark: Mark = DEFAULT) -> object:
    """Refer to a mark, and to a function of another package."""
    return mark, GLOBAL, json.dumps


def keyword(*, mark: Mark = DEFAULT) -> object:
    """Refer to a mark by a keyword."""
    return mark


class Holder:
    """Refer to marks in every way that a class can."""

    held = INNER

    def __init__(self) -> None:
        self.mark = GLOBAL

    def method(self) -> object:
        """Refer to nothing but itself."""
        return self

    @staticmethod
    def static() -> object:
        """Refer to a mark."""
        return DEFAULT

    @property
    def computed(self) -> object:
        """Refer to a helper."""
        return keyword()


def test_functions() -> None:
    """The globals and defaults of a function and of those that it calls are found, and nothing else."""
    assert found(helper) == ["default", "global"]
    assert found(lambda: [helper()]) == ["default", "global"]
    assert found(keyword) == ["default"]
    assert found(json.dumps) == []


def test_closures() -> None:
    """What is closed over is found, also in a function inside."""
    mark = Mark("closed over")

    def outer() -> Callable[[], Mark]:
        return lambda: mark

    assert found(outer) == ["closed over"]


def test_containers() -> None:
    """Lists, sets and mappings are looked into."""
    assert found(lambda: HELD) == ["default", "global"]


def test_modules() -> None:
    """A module is looked into as far as the code spells it, and no further than its own parts."""
    assert found(lambda: MODULE.deep.MARK) == ["inner"]
    assert found(lambda: MODULE.outer.MARK) == []
    assert found(lambda: MODULE) == []


def test_methods() -> None:
    """The object of a method is looked at, and its class with everything in it."""
    assert found(Holder().method) == ["default", "global", "inner"]
    assert found(lambda: Holder) == ["default", "global", "inner"]


class Callable_:  # noqa: N801 -- Callable is a type hint
    """An object that can be called."""

    def __init__(self) -> None:
        self.mark = GLOBAL

    def __call__(self) -> object:
        """Refer to a mark."""
        return INNER


def test_callable_objects() -> None:
    """An object that can be called is looked at like that of a method."""
    assert found(Callable_()) == ["global", "inner"]


def test_wrappers() -> None:
    """Partials, wrapped functions and bound ones are taken apart."""

    @functools.wraps(helper)
    def wrapped(*arguments: Any) -> None: ...

    assert found(functools.partial(helper, GLOBAL)) == ["default", "global"]
    assert found(functools.partial(Holder().method)) == ["default", "global", "inner"]
    assert found(wrapped) == ["default", "global"]
    assert found(lambda: types.SimpleNamespace) == []


def test_objects_of_others() -> None:
    """An object of another package is not looked into, but for the function that it holds."""
    bound = types.SimpleNamespace(fn=helper, mark=UNUSED)
    held = [bound]

    assert found(lambda: held) == ["default", "global"]
    assert found(None) == []


def test_once() -> None:
    """A walk looks at an object once, however often it is asked, and with the same result."""
    walk = Walk()

    assert list(walk.reachable(helper)) == list(walk.reachable(helper))


def test_codes() -> None:
    """The code of a function comes with that of the functions inside it."""
    assert isinstance(test_closures, types.FunctionType)
    assert [code.co_name for code in codes_of(test_closures)] == ["test_closures", "outer", "<lambda>"]

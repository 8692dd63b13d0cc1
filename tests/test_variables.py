"""Type variables with defaults."""

from __future__ import annotations

import subprocess
import sys
import typing
from typing import Any

from shop_pb2 import Login

from statefun import Context, State, StatefulFunction, ValueSpec, _variables
from statefun._variables import pad


def test_pad() -> None:
    """What a subscript leaves out is filled in with the defaults."""
    assert pad(int, None) == (int, None)
    assert pad((int, str), None) == (int, str)
    assert pad(int, Any, State) == (int, Any, State)
    assert pad((int, str), Any, State) == (int, str, State)


def test_the_defaults_of_the_api() -> None:
    """The classes with defaults can be subscripted with fewer parameters than they have."""
    assert typing.get_args(ValueSpec[int]) == (int, type(None))
    assert typing.get_args(StatefulFunction[Login]) == (Login, Any, Any)
    assert typing.get_args(StatefulFunction[Login, State]) == (Login, State, Any)
    assert typing.get_args(Context[State]) == (State,)


def test_a_variable_is_one_of_typing() -> None:
    """At run time a variable is typing's own, with its bound and its variance."""
    variable: Any = _variables.TypeVar
    made = variable("made", bound=int, covariant=True, default=bool)
    assert isinstance(made, typing.TypeVar)
    assert made.__bound__ is int
    assert made.__covariant__


def test_typing_extensions_is_not_imported() -> None:
    """An import of statefun does not pay for typing_extensions."""
    code = "import sys, statefun; sys.exit('typing_extensions' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

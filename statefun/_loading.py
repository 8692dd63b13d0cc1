"""An app named on the command line: `module:functions`.

Here: `load_app`, the one place that imports a user's module.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from statefun.errors import ConfigError, with_help
from statefun.functions import StatefulFunctions

__all__ = ["App", "LoadError", "load_app"]


class LoadError(ConfigError):
    """The app that was named cannot be loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A registry, and what stands beside it in its module."""

    functions: StatefulFunctions
    around: Sequence[object]


def load_app(name: str) -> App:
    """Import "package.module:functions" from the folder at hand. Raises LoadError; what the module raises passes."""
    module_name, _, attribute = name.partition(":")
    if not module_name or module_name.endswith(".py") or "/" in module_name:
        raise LoadError(with_help(f"{name!r} names no app", "write module:functions, e.g. app:functions for app.py"))
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise
        raise LoadError(
            with_help(f"there is no module {module_name!r} in {here}", "run it where the app is")
        ) from error
    values: dict[str, object] = dict(vars(module))
    registries = {key: value for key, value in values.items() if isinstance(value, StatefulFunctions)}
    if not attribute and len(registries) == 1:
        attribute = next(iter(registries))
    functions = values.get(attribute)
    if not isinstance(functions, StatefulFunctions):
        known = ", ".join(f"{module_name}:{key}" for key in registries) or "none is in it"
        raise LoadError(with_help(f"{name!r} is no StatefulFunctions", f"what could be meant: {known}"))
    if not len(functions):
        raise LoadError(f"{module_name}:{attribute} binds no function")
    return App(functions=functions, around=list(values.values()))

"""An app named on the command line: `module:functions`.

Here: `load`, which imports it.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from statefun.errors import ConfigError, with_help
from statefun.functions import StatefulFunctions

__all__ = ["APP_HELP", "load"]

APP_HELP = "the app: module:functions, e.g. app:functions for the registry of app.py"


def load(name: str) -> StatefulFunctions:
    """Import "package.module:functions" from the folder at hand. Raises ConfigError; errors in it pass as they are."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not module_name.replace(".", "_").isidentifier():
        raise ConfigError(with_help(f"{name!r} names no app", "write module:functions, e.g. app:functions for app.py"))
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # what the app itself imports is missing
        raise ConfigError(
            with_help(f"there is no module {module_name!r} in {here}", "run it where the app is")
        ) from None
    registries = {key: value for key, value in vars(module).items() if isinstance(value, StatefulFunctions)}
    if not attribute and len(registries) == 1:
        return next(iter(registries.values()))
    found = registries.get(attribute)
    if found is None:
        known = ", ".join(f"{module_name}:{key}" for key in registries) or "none is in it"
        raise ConfigError(with_help(f"{name!r} is no StatefulFunctions", f"what could be meant: {known}"))
    return found

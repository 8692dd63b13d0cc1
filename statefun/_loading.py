"""An app named on the command line: `module:functions`.

Here: `load_app`, the one place that imports a user's module, and what is said when that fails.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path

from statefun.errors import ConfigError, with_help
from statefun.functions import StatefulFunctions

__all__ = ["APP_HELP", "LoadError", "load_app"]

APP_HELP = "the app: module:functions, e.g. app:functions for the registry of app.py"


class LoadError(ConfigError):
    """The app that was named cannot be loaded."""


def load_app(name: str) -> StatefulFunctions:
    """Import "package.module:functions" from the folder at hand.

    Raises LoadError: for a name that is none, and for a module that raises, with the line of the app where it did.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name.replace(".", "_").isidentifier() or module_name.endswith(".py"):
        raise LoadError(with_help(f"{name!r} names no app", "write module:functions, e.g. app:functions for app.py"))
    values = _import(module_name)
    registries = {key: value for key, value in values.items() if isinstance(value, StatefulFunctions)}
    if not attribute and len(registries) == 1:
        attribute = next(iter(registries))
    functions = registries.get(attribute)
    if functions is None:
        known = ", ".join(f"{module_name}:{key}" for key in registries) or "none is in it"
        raise LoadError(with_help(f"{name!r} is no StatefulFunctions", f"what could be meant: {known}"))
    if not len(functions):
        raise LoadError(f"{module_name}:{attribute} binds no function")
    return functions


def _import(module_name: str) -> dict[str, object]:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return dict(vars(importlib.import_module(module_name)))
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _failed(module_name, error) from error  # what the app itself imports is missing
        raise LoadError(
            with_help(f"there is no module {module_name!r} in {here}", "run it where the app is")
        ) from error
    except (Exception, SystemExit) as error:
        raise _failed(module_name, error) from error


def _failed(module_name: str, error: BaseException) -> LoadError:
    """Say where in the app it was, and what; a traceback would bury both."""
    kind, text = type(error).__name__, str(error)
    if isinstance(error, SyntaxError) and error.filename is not None:
        where, text = f"{_shown(error.filename)}:{error.lineno}", error.msg
    else:
        where = _where(error)
    problem = f"{module_name} cannot be imported: {where}: {kind}{f': {text}' if text else ''}"
    if "\n  help: " in problem:
        return LoadError(problem)
    return LoadError(with_help(problem, f"the whole traceback: {Path(sys.executable).name} -c 'import {module_name}'"))


def _where(error: BaseException) -> str:
    """Return the last line of the folder at hand that was on the way to an error; else the last one of any code."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    theirs = [frame for frame in frames if not Path(_shown(frame.filename)).is_absolute()]
    last = (theirs or frames)[-1]
    return f"{_shown(last.filename)}:{last.lineno}"


def _shown(filename: str) -> str:
    """Write a file of the folder at hand without the folder; what is installed below it is none of it."""
    path = Path(filename)
    try:
        relative = path.resolve().relative_to(Path.cwd())
    except ValueError:
        return filename
    return filename if "site-packages" in relative.parts else str(relative)

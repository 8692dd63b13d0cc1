"""The installation that the SDK runs in: who else owns its name, and which protobuf runs it.

Here: the two checks of a handler's creation and of `statefun doctor`. They read the installed distributions, once a
process; nothing else below the handler does I/O.
"""

from __future__ import annotations

import functools
import warnings

from statefun.errors import ConfigError, with_help

__all__ = ["check", "foreign_distributions", "is_pure_python"]

_OWN = "statefun"
_INIT = "statefun/__init__.py"


def check() -> None:
    """Refuse an installation in which another distribution owns `statefun`; warn of a slow protobuf, once.

    Raises ConfigError.
    """
    foreign = foreign_distributions()
    if foreign:
        name = foreign[0]
        msg = with_help(
            f"the distribution {name!r} is installed, too, and has the same import name: "
            "its files and ours lie over each other",
            f"pip uninstall {name} && pip install --force-reinstall statefun",
        )
        raise ConfigError(msg)
    if is_pure_python():
        _warn_of_pure_python()


@functools.cache
def foreign_distributions() -> tuple[str, ...]:
    """List the other distributions whose RECORD has `statefun/__init__.py`."""
    from importlib.metadata import distributions  # noqa: PLC0415 -- 10 ms that an import must not cost

    found: list[str] = []
    for distribution in distributions():
        record = distribution.read_text("RECORD") or ""
        if f"\n{_INIT}," in f"\n{record}" and distribution.metadata["Name"] != _OWN:
            found.append(distribution.metadata["Name"])
    return tuple(sorted(set(found)))


def is_pure_python() -> bool:
    """Tell whether protobuf runs without its compiled part."""
    from google.protobuf.internal import api_implementation  # noqa: PLC0415 -- imported by protobuf already

    return api_implementation.Type() == "python"


@functools.cache
def _warn_of_pure_python() -> None:
    warnings.warn(
        "protobuf runs without its compiled part, which makes a request 8 to 12 times slower "
        "(benchmarks/pure_python.py): install a protobuf wheel for this platform, and unset "
        "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION",
        RuntimeWarning,
        stacklevel=5,  # the line that makes the handler
    )

"""Type variables with defaults (PEP 696), without the cost of typing_extensions at an import.

Here: the names of typing_extensions that the core needs at run time on Pythons whose `typing` lacks them. To a type
checker they are typing_extensions' own. At run time a default matters only where a class is subscripted with fewer
parameters than it has, and `pad` fills those in. (typing_extensions imports inspect: 8 ms, a seventh of what
`import statefun` takes.)
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import TypeVar, dataclass_transform
else:

    def TypeVar(name, *, default=None, **options):  # noqa: ANN001, ANN003, ANN202, N802 -- stands in for the class
        """Make a type variable; `default` is for the checkers, and for `pad`."""
        del default
        return typing.TypeVar(name, **options)

    def dataclass_transform(**options):  # noqa: ANN003, ANN202
        """Mark a class whose subclasses are dataclasses."""
        return lambda cls: setattr(cls, "__dataclass_transform__", options) or cls


__all__ = ["TypeVar", "dataclass_transform", "pad"]


def pad(given: Any, *defaults: object) -> Any:
    """Fill in the parameters that a subscript leaves out."""
    parameters = given if given.__class__ is tuple else (given,)
    return (*parameters, *defaults[len(parameters) - 1 :])

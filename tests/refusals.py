"""How a test asks for the whole text of an error.

Here: `refusal`, which holds the class of what is raised and gives its text; and `plain`, a function that a test has to
bind and never calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["plain", "refusal"]


def refusal(kind: type[Exception], call: Callable[[], object]) -> str:
    """Return the text of what the call raises, which is of exactly this class."""
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    return str(caught.value)


def plain(context: Any, message: Any) -> None:
    """Do nothing with any message."""

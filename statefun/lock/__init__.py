"""What must not change between two deployments: the file `statefun.lock`.

`Lock.of` writes down an app's catalog, `compare` tells what a change does to the state and the messages of a job that
is restored, `decide` makes it all the same. Here: re-exports only.
"""

from __future__ import annotations

from statefun.lock._lock import Lock, LockError, compare, decide

__all__ = ["Lock", "LockError", "compare", "decide"]

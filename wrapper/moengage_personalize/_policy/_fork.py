"""New locks for a forked child, where one that another thread held at that instant would be held for ever.

The hook runs in the child before anything else of ours, while there is one thread.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Has something that a child must not inherit."""

    def reset_after_fork(self) -> None:
        """Replace locks, and whatever belongs to the parent alone."""
        ...


_ALL: WeakSet[Forkable] = WeakSet()


def register_after_fork(owner: Forkable) -> None:
    """Call its `reset_after_fork` in each child, for as long as it lives."""
    _ALL.add(owner)


def _after_fork() -> None:
    for owner in list(_ALL):
        owner.reset_after_fork()


with suppress(AttributeError):  # Windows has no fork, and no hook for it
    os.register_at_fork(after_in_child=_after_fork)

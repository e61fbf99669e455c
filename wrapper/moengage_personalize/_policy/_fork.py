"""What begins anew in a forked child, where a lock that another thread held at that instant is held for ever.

Law of this module: it runs in the child before anything else of ours, while there is one thread.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Has something that a child must not inherit."""

    def reset_after_fork(self) -> None:
        """Make locks, and whatever belongs to the parent alone, anew."""
        ...


_ALL: WeakSet[Forkable] = WeakSet()


def register_after_fork(owner: Forkable) -> None:
    """Call its `anew` in each child, for as long as it lives."""
    _ALL.add(owner)


def _after_fork() -> None:
    for owner in list(_ALL):
        owner.reset_after_fork()


with suppress(AttributeError):  # which Windows has not, and forks neither
    os.register_at_fork(after_in_child=_after_fork)

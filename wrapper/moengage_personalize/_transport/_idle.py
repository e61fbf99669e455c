"""The idle connections to one origin; the one that was used last serves first.

Law of this module: it may be called from several threads at once, and holds no lock.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar


class Keepable(Protocol):
    """A connection, blocking or awaited."""

    @property
    def clean(self) -> bool:
        """Whether it may serve another request, as far as this side of it knows."""
        ...

    @property
    def usable(self) -> bool:
        """Whether it is clean, not too old, and nothing has come since its answer, not even its end."""
        ...

    @property
    def expired(self) -> bool:
        """Whether it has lain idle for too long."""
        ...

    def close(self) -> None:
        """Close it at once."""
        ...


C = TypeVar("C", bound=Keepable)


def readable(descriptor: int) -> Callable[[], bool]:
    """What tells whether anything has come on a socket, its end included."""
    if not hasattr(select, "poll"):  # on Windows, where `select` takes every descriptor
        return lambda: bool(select.select([descriptor], [], [], 0)[0])
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return lambda: bool(poller.poll(0))


class Idle(Generic[C]):
    """Those that are kept."""

    def __init__(self) -> None:
        self._kept: deque[C] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._kept)

    def take(self) -> C | None:
        """One that is usable, or None."""
        with suppress(IndexError):  # none is left
            while not (connection := self._kept.pop()).usable:
                connection.close()
            return connection
        return None

    def give(self, connection: C) -> None:
        """Take a connection back after its answer, and let go of those that have lain idle for too long."""
        if connection.clean and not self._closed:
            self._kept.append(connection)
            if self._closed:  # meanwhile, by another thread
                self.close()
        else:
            connection.close()
        with suppress(IndexError):  # another thread was faster
            while self._kept[0].expired:
                self._kept.popleft().close()

    def close(self) -> None:
        """Close them; one that is in use is closed when it is given back."""
        self._closed = True
        while self._kept:
            self._kept.pop().close()

"""The deadline of one request, asked at each step what is left of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic

import httpcore


class Deadline:
    """So many seconds from now, and whether the request met a connection that the server had closed already."""

    __slots__ = ("at", "seconds", "stale")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at = monotonic() + seconds
        self.stale = False
        """The connection had served before and was closed by the server before a byte of the answer came."""

    def left(self, error: type[httpcore.TimeoutException]) -> float:
        """Seconds that are left; raise `error` if there are none."""
        left = self.at - monotonic()
        if left <= 0:
            raise error("the deadline of the call")
        return left


def shares(addresses: Sequence[str], deadline: Deadline) -> Iterator[tuple[str, float]]:
    """Each address with the seconds it may take, so that dead ones leave time for the next."""
    for position, address in enumerate(addresses):
        yield address, deadline.left(httpcore.ConnectTimeout) / (len(addresses) - position)

"""The deadline of one request, as it travels through httpx and httpcore down to each read and write.

Law of this module: httpcore hands the timeout that it was given to every operation unchanged. Given this, an operation
of ours asks what is left; to anybody else's it is the plain number of seconds that it was at the start.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import httpcore


class Deadline(float):
    """Seconds at the start, and what is left of them since; it also knows what became of its connection."""

    def __new__(cls, seconds: float) -> Deadline:
        return super().__new__(cls, seconds)

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.at = monotonic() + seconds
        self.stale = False
        """The connection had served before and was closed by the server before a byte of the answer came."""
        self._socket: Any = None

    def left(self, error: type[httpcore.TimeoutException]) -> float:
        """Seconds that are left; raise `error` if there are none."""
        left = self.at - monotonic()
        if left <= 0:
            raise error("the deadline of the call")
        return left

    def extensions(self) -> dict[str, Any]:
        """What httpx takes as the extensions of a request."""
        return {"timeout": {"connect": self, "read": self, "write": self, "pool": float(self)}}

    def uses(self, used: Any) -> None:
        """Take note of the socket that serves this request."""
        self._socket = used

    def abort(self) -> None:
        """End now: whoever reads from the connection finds its end, and gives it up in the usual way."""
        self.at = monotonic()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    @classmethod
    def of(cls, timeout: float | None) -> Deadline:
        """The deadline that came down as a timeout; one from now on where somebody else's number did."""
        return timeout if isinstance(timeout, Deadline) else cls(60.0 if timeout is None else timeout)


def shares(addresses: Sequence[str], deadline: Deadline) -> Iterator[tuple[str, float]]:
    """Each address with the seconds it may take, so that dead ones leave time for the next."""
    for position, address in enumerate(addresses):
        yield address, deadline.left(httpcore.ConnectTimeout) / (len(addresses) - position)

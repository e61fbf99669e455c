"""The deadline of one request, as it travels through httpx and httpcore down to each read and write.

Law of this module: httpcore hands the timeout that it was given to every operation unchanged. Given this, an operation
of ours asks what is left; to anybody else's it is the plain number of seconds that it was at the start.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
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
        self._give_up: Callable[[], object] | None = None

    def left(self, error: type[httpcore.TimeoutException]) -> float:
        """Seconds that are left; raise `error` if there are none."""
        left = self.at - monotonic()
        if left <= 0:
            raise error("the deadline of the call")
        return left

    def extensions(self) -> dict[str, Any]:
        """What httpx takes as the extensions of a request."""
        return {"timeout": {"connect": self, "read": self, "write": self, "pool": float(self)}}

    def uses(self, connection: Any) -> None:
        """Take note of the socket that serves this request: to give up is to shut it."""
        self._give_up = partial(_shut, connection)

    def waits(self, give_up: Callable[[], object]) -> None:
        """Take note of how to give up what is waited for now."""
        self._give_up = give_up

    def abort(self) -> None:
        """End now: whoever waits for the connection finds its end, and gives it up in the usual way."""
        self.at = monotonic()
        if self._give_up is not None:
            self._give_up()

    @classmethod
    def of(cls, timeout: float | None) -> Deadline:
        """The deadline that came down as a timeout; one from now on where somebody else's number did."""
        return timeout if isinstance(timeout, Deadline) else cls(60.0 if timeout is None else timeout)


def _shut(connection: Any) -> None:
    with suppress(OSError):
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except TypeError:  # uvloop's, which refuse every call
            with socket.socket(fileno=os.dup(connection.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)


def shares(addresses: Sequence[str], deadline: Deadline) -> Iterator[tuple[str, float]]:
    """Each address with the seconds it may take, so that dead ones leave time for the next."""
    for position, address in enumerate(addresses):
        yield address, deadline.left(httpcore.ConnectTimeout) / (len(addresses) - position)

"""What one connection has been used for: whether it is clean, and whether the server closed it while it lay idle."""

from __future__ import annotations

from time import monotonic
from typing import Any

from attrs import define

from ._deadline import Deadline
from ._framing import Framing


@define
class Epoch:
    """Shared by the connections of one pool; `renew` makes all that exist now unfit for another request."""

    number: int = 0

    def renew(self) -> None:
        """After one idle connection was found closed: the others were most likely closed with it."""
        self.number += 1


class Usage:
    """Told of each piece that goes out and comes in; the same for sync and async."""

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch
        self._born = epoch.number
        self._framing: Framing | None = None
        self._served = False
        self._spoilt = False

    def sends(self, deadline: Deadline, used: Any) -> None:
        """A piece of a request is about to go out; the first one begins a new exchange."""
        deadline.uses(used)
        if self._framing is None or self._framing.received:
            self._served = self._framing is not None
            self._framing = Framing()

    def receives(self, deadline: Deadline, data: bytes) -> None:
        """A piece of an answer came; an empty one is the end of the connection."""
        framing = self._framing or Framing()
        # Not where the end is one of ours: then no other connection is in doubt.
        deadline.stale = self._served and not data and not framing.received and monotonic() < deadline.at
        framing.feed(data)

    def spoil(self) -> None:
        """The connection must not serve again."""
        self._spoilt = True

    @property
    def dirty(self) -> bool:
        """Whether the connection cannot be proven clean."""
        unclean = self._framing is not None and not self._framing.clean
        return self._spoilt or unclean or self._born != self._epoch.number

"""HTTP/1.1 on one connection, without I/O: the bytes of a request, and what the bytes of its answer mean.

Law of this module: h11 alone reads them, and a connection serves the next visitor only if it has seen one whole answer
and nothing behind it, because bytes behind it would be taken for the answer to the next visitor's request.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from time import monotonic

import h11
from attrs import define

from .._http import httpcore
from ._content import Content, TooLarge
from ._deadline import Deadline

READ = 64 * 1024  # bytes
HEAD = 100 * 1024  # bytes of a head
# Answers before the answer; each costs a tenth of a millisecond, in an event loop everybody's.
INFORMATIONAL = 32
# Seconds. Just below the idle limits of common load balancers (60 and more), so that they seldom close first, and a
# service with a page a minute does not begin each with a handshake.
IDLE_EXPIRY = 55.0

Headers = list[tuple[bytes, bytes]]


@define
class Epoch:
    """Shared by the connections of one pool; `renew` makes all that exist now unfit for another request."""

    number: int = 0

    def renew(self) -> None:
        """After one idle connection was found closed: the others were most likely closed with it."""
        self.number += 1


class Dialogue:
    """One connection's requests and answers, one after the other."""

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch
        self._born = epoch.number
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD)
        self._informational = 0
        self._served = self._heard = self._clean = False
        self._until = inf
        self.status = 0
        self.headers: Iterable[tuple[bytes, bytes]] = ()
        """Of the last answer; their names are in lower case."""

    def asks(self, method: str, target: bytes, headers: Headers, body: bytes) -> bytes:
        """The bytes of a request."""
        self._clean = self._heard = False
        self._informational = 0
        send = self._state.send
        head = send(h11.Request(method=method, target=target, headers=headers)) or b""
        return head + (send(h11.Data(data=body)) or b"") + (send(h11.EndOfMessage()) or b"")

    def hears(self, data: bytes, content: Content, deadline: Deadline) -> bool:
        """Take what was read, nothing for the end of the connection; whether the answer is whole now."""
        if not data:
            self.lost(deadline)
            if not self._heard:
                raise httpcore.RemoteProtocolError("the server closed the connection without an answer")
        self._heard = True
        self._state.receive_data(data)
        try:
            return self._goes_on(content)
        except h11.RemoteProtocolError as error:
            if data:
                raise
            raise httpcore.RemoteProtocolError("the server closed the connection within its answer") from error

    def _goes_on(self, content: Content) -> bool:
        while (event := self._state.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Data):
                content.take(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._ended()
                return True
            elif event is h11.PAUSED:  # a proxy has connected: what comes next is not its own
                return True
            elif isinstance(event, h11.Response):
                self.status, self.headers = event.status_code, event.headers
            else:  # informational, and never 101, which h11 refuses where nobody asked for it
                self._informational += 1
                if self._informational > INFORMATIONAL:
                    raise TooLarge(f"more than {INFORMATIONAL} informational answers before the answer")
        return False

    def lost(self, deadline: Deadline) -> None:
        """The connection has ended; say so where it was the server that ended it, while it lay idle."""
        deadline.stale = self._served and not self._heard and monotonic() < deadline.at

    def _ended(self) -> None:
        state = self._state
        framed = sum(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)
        whole = state.our_state is h11.DONE and state.their_state is h11.DONE
        # Framed in two ways, others between may see another end than h11 does.
        if whole and framed < 2 and state.trailing_data == (b"", False):
            state.start_next_cycle()
            self._served = self._clean = True
            self._until = monotonic() + IDLE_EXPIRY

    @property
    def clean(self) -> bool:
        """Whether the connection may serve another request, as far as this side of it knows."""
        return self._clean and self._born == self._epoch.number

    @property
    def expired(self) -> bool:
        """Whether it has lain idle for too long."""
        return monotonic() >= self._until

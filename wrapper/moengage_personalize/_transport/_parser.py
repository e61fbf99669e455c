"""HTTP/1.1 on one connection, without I/O: what the bytes of an answer mean, and whether another request may follow.

Law of this module: httptools alone reads them, strictly, and a connection serves the next visitor only if it has seen
one whole answer and nothing behind it, because bytes behind it would be taken for the answer to the next visitor's
request.
"""

from __future__ import annotations

from math import inf
from time import monotonic

import httpcore
from attrs import define
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from ._body import Content, TooLarge
from ._deadline import Deadline

READ = 64 * 1024  # bytes
HEAD = 100 * 1024  # bytes of headers and trailers
FRAMED = 8  # bytes on the wire for one of a body, in the smallest of chunks
# Answers before the answer; each costs a hundredth of a millisecond, in an event loop everybody's.
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


class Hearing:
    """One answer, as the parser calls it out."""

    __slots__ = (
        "_tunnel",
        "body",
        "headed",
        "headers",
        "informational",
        "kept",
        "last",
        "odd",
        "on_body",
        "parser",
        "pieces",
        "status",
        "surplus",
        "whole",
    )

    def __init__(self, tunnel: bool) -> None:
        self.status = 0
        self.headers: Headers = []
        self.pieces: list[bytes] = []
        self.last: int | None = None
        """Which of the pieces no longer belongs to the answer."""
        self.whole = self.kept = False
        self.surplus = False
        """Whether another answer has begun behind it."""
        self.headed = self.odd = False
        self.informational = 0
        self.body = 0
        """Bytes of it."""
        self._tunnel = tunnel
        self.on_body = self.pieces.append
        self.parser = HttpResponseParser(self)

    def on_message_begin(self) -> None:
        self.surplus = self.whole

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.headed:  # not a trailer
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if not self.whole:
            self.status = self.parser.get_status_code()
            self.headed = self.status >= 200
            self.odd = self.odd or self.status < 100
            self.whole = self._tunnel and self.headed  # what comes next is not the proxy's own

    def on_message_complete(self) -> None:
        if self.headed:
            if not self.whole:
                self.kept, self.last = self.parser.should_keep_alive(), len(self.pieces)
            self.whole = True
        else:
            self.informational += 1
            self.headers.clear()


class Dialogue:
    """One connection's requests and answers, one after the other."""

    __slots__ = ("_born", "_clean", "_epoch", "_hearing", "_received", "_served", "_until")

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch
        self._born = epoch.number
        self._hearing: Hearing
        self._received = 0
        self._served = self._clean = False
        self._until = inf

    @property
    def status(self) -> int:
        """Of the last answer."""
        return self._hearing.status

    @property
    def headers(self) -> Headers:
        """Of the last answer."""
        return self._hearing.headers

    def begins(self, *, tunnel: bool = False) -> None:
        """A request is about to go out; one for a tunnel has an answer without a body."""
        self._clean = False
        self._received = 0
        self._hearing = Hearing(tunnel)

    def hears(self, data: bytes, content: Content, deadline: Deadline) -> bool:
        """Take what was read, nothing for the end of the connection; whether the answer is whole now."""
        hearing = self._hearing
        if hearing.whole:  # more than was asked for
            self._clean = False
            return True
        if not data:
            self.lost(deadline)
            return self._at_the_end()
        self._received += len(data)
        try:
            hearing.parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if error.__context__ is not None and not isinstance(error.__context__, Exception):
                raise error.__context__ from None  # an interrupt that came within a callback
            if not hearing.whole:
                raise httpcore.LocalProtocolError(f"expected HTTP/1.1, got {error}") from error
            hearing.surplus = True  # behind the answer
        piece = b"".join(hearing.pieces[: hearing.last])
        hearing.pieces.clear()
        hearing.body += len(piece)
        content.take(piece)
        if hearing.informational > INFORMATIONAL:
            raise TooLarge(f"more than {INFORMATIONAL} informational answers before the answer")
        if self._received > HEAD + FRAMED * hearing.body:
            raise TooLarge(f"headers or trailers of more than {HEAD:,} bytes")
        if hearing.odd:
            raise httpcore.LocalProtocolError(f"expected a status from 100, got {hearing.status}")
        if hearing.whole:
            self._ended()
            del hearing.parser  # which holds what holds it
            return True
        return False

    def _at_the_end(self) -> bool:
        names = {name.lower() for name, _ in self._hearing.headers}
        if self._hearing.headed and not names & {b"content-length", b"transfer-encoding"}:
            return True  # an answer without a length ends with its connection
        within = "within its answer" if self._received else "without an answer"
        raise httpcore.RemoteProtocolError(f"the server closed the connection {within}")

    def lost(self, deadline: Deadline) -> None:
        """The connection has ended; say so where it was the server that ended it, while it lay idle."""
        deadline.stale = self._served and not self._received and monotonic() < deadline.at

    def _ended(self) -> None:
        hearing = self._hearing
        if hearing.kept and not hearing.surplus and hearing.parser.get_http_version() == "1.1":
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

"""HTTP/1.1 on one connection, without I/O: how a request is written, what received bytes mean, who may follow.

httptools alone reads heads and chunks, strictly. What it takes and HTTP/1.1 has not (RTSP/1.0, HTTP/0.9) is refused
here, for which each head is held until it is whole.
"""

from __future__ import annotations

import random
import re
from contextlib import suppress
from functools import cache, lru_cache
from time import monotonic

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from msgspec import Struct

from .._messages import Request, Response
from ._body import ACCEPTED, ON_THE_WIRE, BodyReader
from ._exchange import ExchangeError, words
from ._origin import Headers, Origin, Proxy, split_url

HEAD = 100 * 1024  # bytes of one head, and of trailers
FRAMED = 8  # bytes on the wire for one of a body, in the smallest of chunks
# Answers before the answer; each costs a hundredth of a millisecond, in an event loop everybody's.
INFORMATIONAL = 32
# Seconds. Just below the idle limits of common load balancers (60 and more), so that they seldom close first, and a
# service with a page a minute does not begin each with a handshake.
IDLE_EXPIRY = 55.0
# Seconds, jittered by a fifth so that connections made together do not end together: a name that points elsewhere by
# now is followed, though the old address still answers.
MAX_AGE = 300.0
# The statuses that the API documents (spec/, and its page on rate limits). All of them have a body that the headers
# frame; after any other, such as 204 or 304, two readers may disagree on whether one follows.
KEEP_ALIVE_STATUSES = frozenset({200, 400, 401, 403, 429, 500})

_VERSION = b"HTTP/1."
_END = b"\r\n\r\n"  # of a head
_BARE_LF = re.compile(rb"(?<!\r)\n")  # after which no end need be waited for: httptools says what is wrong
# What httptools says (llhttp's own words, which quote nothing), in plainer ones.
_REASONS = {
    "Duplicate Content-Length": "Content-Length twice",
    "Invalid header value char": "a control character in a header",
    "Unexpected whitespace after header value": "a folded header",
}


class PoolGeneration(Struct):
    """Shared by the connections of one transport; `invalidate` lets none that exists now serve another request."""

    number: int = 0

    def invalidate(self) -> None:
        """After one idle connection was found closed: the others were most likely closed with it."""
        self.number += 1


class ResponseParser:
    """One response, as httptools calls it out."""

    def __init__(self, tunnel: bool) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        """Names in lower case; a header that came twice has its values joined, as RFC 9110, section 5.3 has it."""
        self.started = False
        """Whether any byte of it has come."""
        self._head = bytearray()
        self.body = BodyReader()
        self.headers_complete = self.message_complete = False
        self.keep_alive = False
        self.surplus = False
        """Whether anything came behind the response."""
        self._informational = 0
        self._received = 0
        self._tunnel = tunnel
        self.parser = HttpResponseParser(self)

    def feed(self, data: bytes | memoryview) -> None:
        """Take what was read; raise ExchangeError."""
        self.started = True
        if not self.headers_complete:
            self._head += data
            while True:
                if not self._head.startswith(_VERSION) and not _VERSION.startswith(self._head):
                    raise ExchangeError("protocol", "expected HTTP/1.1, got another protocol")
                end = self._head.find(_END) + len(_END)
                if end > HEAD or (end < len(_END) and len(self._head) > HEAD):
                    raise ExchangeError("limit", f"headers of more than {HEAD:,} bytes")
                if end < len(_END) and not _BARE_LF.search(self._head):
                    return
                if not self._head.startswith(b"1", 9):  # the first digit of the status
                    break
                self._parse(memoryview(self._head[:end]))  # an informational answer alone, before what is behind it
                del self._head[:end]
                if self._informational > INFORMATIONAL:
                    raise ExchangeError("limit", f"more than {INFORMATIONAL} informational answers before the answer")
            data = memoryview(self._head)
            self._received -= end
        self._received += len(data)
        self._parse(data)
        if not self.surplus and self._received > HEAD + FRAMED * self.body.size:
            raise ExchangeError("limit", f"trailers of more than {HEAD:,} bytes")
        if self.surplus and self._tunnel:
            raise ExchangeError("protocol", "expected a tunnel, got bytes of the proxy's own behind its answer")

    def _parse(self, data: bytes | memoryview) -> None:
        try:
            self.parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if error.__context__ is not None:  # what was raised within a callback: ours, or an interrupt
                raise error.__context__ from None
            if not self.message_complete:
                reason = str(error)
                raise ExchangeError("protocol", f"expected HTTP/1.1, got {_REASONS.get(reason, reason)}") from None
            self.surplus = True  # behind the response

    def on_message_begin(self) -> None:
        self.surplus = self.message_complete

    def on_headers_complete(self) -> None:
        if self.message_complete:
            return
        self.status = self.parser.get_status_code()
        if self.status < 100 or self.status == 101:
            raise ExchangeError("protocol", f"expected a status from 200, got {self.status}")
        if self.status < 200:
            return
        self.headers_complete = True
        self.message_complete = self._tunnel  # what comes next is not the proxy's own
        self.headers = _headers(memoryview(self._head)[: self._head.find(_END)])
        if int(self.headers.get("content-length", 0)) > ON_THE_WIRE:
            raise ExchangeError("limit", f"a body of more than {ON_THE_WIRE:,} bytes on the wire")

    def on_body(self, piece: bytes) -> None:
        if self.message_complete:
            self.surplus = True
        else:
            self.body.feed(piece)

    def on_message_complete(self) -> None:
        if not self.headers_complete:
            self._informational += 1
        elif not self.message_complete:
            self.message_complete = True
            self.keep_alive = (
                self.status in KEEP_ALIVE_STATUSES
                and ("content-length" in self.headers)
                != (self.headers.get("transfer-encoding", "").lower() == "chunked")
                and self.parser.should_keep_alive()
                and self.parser.get_http_version() == "1.1"
            )


def _headers(head: memoryview) -> dict[str, str]:
    """The headers of a head that httptools has taken, so that each is one line, with a colon behind its name."""
    headers: dict[str, str] = {}
    for line in str(head, "latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


class HTTP11Connection:
    """The requests and responses of one connection, one after the other."""

    def __init__(self, generation: PoolGeneration) -> None:
        self._generation = generation
        self._born = generation.number
        self._opened = self._idle_since = monotonic()
        self._max_age = MAX_AGE * random.uniform(0.8, 1.0)  # noqa: S311 -- no secret
        self._parser: ResponseParser | None = None
        self._served = self._clean = False
        self.must_close = False
        """Whether something outside its responses has gone wrong on it, so that it may serve no more."""

    def start_request(self, *, tunnel: bool = False) -> None:
        """Prepare for a request that is about to go out; the response to one for a tunnel has no body."""
        self._clean = False
        self._parser = ResponseParser(tunnel)

    def receive_data(self, data: bytes | memoryview) -> bool:
        """Take what was read, nothing for the end of the connection; whether the response is whole now."""
        parser = self._parser
        if parser is None or parser.message_complete:  # more than was asked for
            self.must_close = True
            return True
        if not data:
            return self._at_the_end(parser)
        parser.feed(data)
        if not parser.message_complete:
            return False
        if parser.keep_alive and not parser.surplus:
            self._served = self._clean = True
            self._idle_since = monotonic()
        del parser.parser  # which holds what holds it
        return True

    def _at_the_end(self, parser: ResponseParser) -> bool:
        if parser.headers_complete and not parser.headers.keys() & {"content-length", "transfer-encoding"}:
            del parser.parser
            return True  # a response without a length ends with its connection (RFC 9112, section 6.3)
        raise self.connection_lost()

    def connection_lost(self, error: Exception | None = None) -> ExchangeError:
        """What it means that the connection ended before the response did."""
        self._clean = False
        within = self._parser is not None and self._parser.started
        text = f"the server closed the connection {'within its answer' if within else 'without an answer'}"
        if error is not None:
            text = words(error)
        return ExchangeError("stale", text) if self._served and not within else ExchangeError("connection", text)

    def response(self, error: ExchangeError | None = None) -> Response:
        """The response, also where only its body was lost to `error`; raise that where it is what decides.

        The status of a refusal and its headers decide, and its body only supplies words (RFC 9110, section 15), so that
        a refusal is never lost to what is wrong with its body. A 408 on a connection that had served before is the
        keep-alive race in the server's words (section 15.5.9).
        """
        parser, self._parser = self._parser, None
        if parser is None or not parser.headers_complete:
            raise error or ExchangeError("connection", "no answer")
        if parser.status == 408 and self._served:
            raise ExchangeError("stale", "the server answered 408 on a connection that lay idle")
        try:
            if error is not None:
                raise error
            return Response(
                parser.status, parser.headers, parser.body.decode(parser.headers.get("content-encoding", ""))
            )
        except ExchangeError:
            if parser.status == 200:
                raise
            return Response(parser.status, parser.headers, b"")

    @property
    def reusable(self) -> bool:
        """Whether the connection may serve another request: it is clean, not idle for too long, and not too old.

        An instant of another clock counts as too long ago, so that a frozen one (freezegun) is not believed for good.
        """
        now = monotonic()
        return (
            self._clean
            and not self.must_close
            and self._born == self._generation.number
            and 0 <= now - self._idle_since < IDLE_EXPIRY
            and 0 <= now - self._opened < self._max_age
        )


def connect_request(origin: Origin, proxy: Proxy) -> memoryview:
    """What asks a proxy for a tunnel (RFC 9110, section 9.3.6)."""
    authority = str(origin).encode()
    return memoryview(_written("CONNECT", authority, [(b"Host", authority), *proxy.headers]) + b"\r\n")


def request_bytes(request: Request, proxy: Proxy | None) -> memoryview:
    """A request as it travels; as a view, of which a traceback shows nothing."""
    head = _head(request.method, request.url, proxy, tuple(request.headers.items()))
    return memoryview(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(request.body), request.body))


@lru_cache(maxsize=64)
def _head(method: str, url: str, proxy: Proxy | None, headers: tuple[tuple[str, str], ...]) -> bytes:
    """What each request of a client has in common; a proxy that makes no tunnel is told the whole URL."""
    origin, path = split_url(url)
    named = [(b"Host", origin.authority), (b"Accept-Encoding", ACCEPTED.encode()), (b"User-Agent", user_agent())]
    sent = [*named, *((name.encode(), value.encode()) for name, value in headers)]
    if proxy is None or origin.tls:
        return _written(method, path, sent)
    return _written(method, b"http://" + origin.authority + path, [*sent, *proxy.headers])


def _written(method: str, target: bytes, headers: Headers) -> bytes:
    """The first line of a request, and its headers."""
    lines = [b"%b %b HTTP/1.1\r\n" % (method.encode(), target), *(b"%b: %b\r\n" % header for header in headers)]
    head = b"".join(lines)
    if len(head.splitlines()) != len(lines):
        raise ExchangeError("protocol", "expected headers without line breaks, got one with some")
    return head


@cache
def user_agent() -> bytes:
    """Our name and version; without the version where the package is not installed, as in a zipapp."""
    with suppress(ImportError):  # which PackageNotFoundError is, and what an import is while the interpreter ends
        from importlib import metadata  # here, because it is slow to import

        return f"moengage-personalize/{metadata.version('moengage-personalize')}".encode()
    return b"moengage-personalize"

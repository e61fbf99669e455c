"""Between our Send and Answer and what travels on a connection, the same for both engines."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import httpcore
import httpx

from .._messages import Request, Response, TransportError
from ._body import ACCEPTED, BadlyPacked, Content, TooLarge
from ._deadline import Deadline
from ._origin import Proxy, Target, tunnel
from ._parser import Dialogue, Headers

TIMEOUTS = (httpx.TimeoutException, httpcore.TimeoutException, TimeoutError)
PROTOCOL = (httpx.LocalProtocolError, httpcore.LocalProtocolError, BadlyPacked)
HEADERS = [(b"Accept-Encoding", ACCEPTED.encode()), (b"User-Agent", b"moengage-personalize")]


def raw_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """The headers of a request as UTF-8, because httpx would refuse what is not ASCII."""
    return [(name.encode(), value.encode()) for name, value in headers]


def outgoing(dialogue: Dialogue, send: Request, where: Target, between: Proxy | None) -> bytes:
    """The bytes of a request."""
    head = _head(send.method, where, between, tuple(send.headers.items()))
    dialogue.begins()
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(send.body), send.body)


@lru_cache(maxsize=64)
def _head(method: str, where: Target, between: Proxy | None, headers: tuple[tuple[str, str], ...]) -> bytes:
    """What each request of a client has in common; a proxy that makes no tunnel is told the whole URL."""
    named = [(b"Host", where.authority), *HEADERS, *raw_headers(headers)]
    if between is None or where.tls:
        return written(method, where.path, named)
    return written(method, b"http://" + where.authority + where.path, [*named, *between.headers])


def asking_tunnel(dialogue: Dialogue, where: Target, between: Proxy) -> bytes:
    """The bytes that ask a proxy for a tunnel."""
    to = tunnel(where)
    dialogue.begins(tunnel=True)
    return written("CONNECT", to, [(b"Host", to), *between.headers]) + b"\r\n"


def written(method: str, target: bytes, headers: Headers) -> bytes:
    """The first line of a request, and its headers."""
    lines = [b"%b %b HTTP/1.1\r\n" % (method.encode(), target), *(b"%b: %b\r\n" % header for header in headers)]
    head = b"".join(lines)
    if len(head.splitlines()) != len(lines):
        raise httpcore.LocalProtocolError("expected headers without line breaks, got one with some")
    return head


def answer(status: int, headers: Iterable[tuple[bytes, bytes]], content: Content) -> Response:
    """The answer, unpacked."""
    read: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        read[key] = f"{read[key]}, {text}" if key in read else text
    return Response(status, read, content.unpack(read))


def no_answer(error: Exception, deadline: Deadline) -> TransportError:
    """Why no answer came."""
    if isinstance(error, TIMEOUTS):
        return TransportError("timeout", error)
    if isinstance(error, TooLarge):
        return TransportError("limit", error)
    if isinstance(error, PROTOCOL):
        return TransportError("protocol", error)
    return TransportError("stale" if deadline.stale else "connection", error)

"""Between our Send and Answer and what travels on a connection, the same for both engines."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from .._flow import Answer, NoAnswer, Send
from .._http import httpcore, httpx
from ._content import ACCEPTED, BadlyPacked, Content, TooLarge
from ._deadline import Deadline
from ._dialogue import Dialogue, Headers
from ._pool import Proxy, Target, tunnel

TIMEOUTS = (httpx.TimeoutException, httpcore.TimeoutException, TimeoutError)
PROTOCOL = (httpx.LocalProtocolError, httpcore.LocalProtocolError, BadlyPacked)
HEADERS = ((b"Accept-Encoding", ACCEPTED.encode()), (b"User-Agent", b"moengage-personalize"))


def raw_headers(send: Send) -> Headers:
    """The headers of a request as UTF-8, because httpx would refuse what is not ASCII."""
    return _encoded(send.headers.items())


def outgoing(dialogue: Dialogue, send: Send, where: Target, between: Proxy | None) -> bytes:
    """The bytes of a request; to a proxy that makes no tunnel the whole URL is told."""
    path, told = where.path, between.headers if between is not None and not where.tls else None
    if told is not None:
        path = b"http://" + where.authority + path
    written = _head(send.method, path, where.authority, told or (), tuple(send.headers.items()))
    dialogue.begins()
    return b"%bContent-Length: %d\r\n\r\n%b" % (written, len(send.body), send.body)


def connecting(dialogue: Dialogue, where: Target, between: Proxy) -> bytes:
    """The bytes that ask a proxy for a tunnel."""
    to = tunnel(where)
    dialogue.begins(tunnel=True)
    return head("CONNECT", to, [(b"Host", to), *between.headers]) + b"\r\n"


@lru_cache(maxsize=64)
def _head(
    method: str,
    path: bytes,
    authority: bytes,
    told: tuple[tuple[bytes, bytes], ...],
    headers: tuple[tuple[str, str], ...],
) -> bytes:
    """All but the length of a body: the same for each request of a client."""
    return head(method, path, [(b"Host", authority), *HEADERS, *_encoded(headers), *told])


def head(method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The first line of a request, and its headers."""
    lines = [b"%b %b HTTP/1.1\r\n" % (method.encode(), target), *(b"%b: %b\r\n" % header for header in headers)]
    written = b"".join(lines)
    if len(written.splitlines()) != len(lines):
        raise httpcore.LocalProtocolError("expected headers without line breaks, got one with some")
    return written


def _encoded(headers: Iterable[tuple[str, str]]) -> Headers:
    return [(name.encode(), value.encode()) for name, value in headers]


def answer(status: int, headers: Iterable[tuple[bytes, bytes]], content: Content) -> Answer:
    """The answer, unpacked."""
    read: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        read[key] = f"{read[key]}, {text}" if key in read else text
    return Answer(status, read, content.unpack(read))


def no_answer(error: Exception, deadline: Deadline) -> NoAnswer:
    """Why no answer came."""
    if isinstance(error, TIMEOUTS):
        return NoAnswer("timeout", error)
    if isinstance(error, TooLarge):
        return NoAnswer("limit", error)
    if isinstance(error, PROTOCOL):
        return NoAnswer("protocol", error)
    return NoAnswer("stale" if deadline.stale else "connection", error)

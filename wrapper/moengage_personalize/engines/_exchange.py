"""Between our Send and Answer and what travels on a connection, the same for both engines."""

from __future__ import annotations

from collections.abc import Iterable

from .._flow import Answer, NoAnswer, Send
from .._http import httpcore, httpx
from ._content import ACCEPTED, BadlyPacked, Content, TooLarge
from ._deadline import Deadline
from ._dialogue import Dialogue, Headers
from ._pool import Proxy, Target

TIMEOUTS = (httpx.TimeoutException, httpcore.TimeoutException, TimeoutError)
PROTOCOL = (httpx.LocalProtocolError, httpcore.LocalProtocolError, BadlyPacked)
HEADERS = [(b"Accept-Encoding", ACCEPTED.encode()), (b"User-Agent", b"moengage-personalize")]


def raw_headers(send: Send) -> Headers:
    """The headers of a request as UTF-8, because httpx would refuse what is not ASCII."""
    return [(name.encode(), value.encode()) for name, value in send.headers.items()]


def outgoing(dialogue: Dialogue, send: Send, where: Target, between: Proxy | None) -> bytes:
    """The bytes of a request; to a proxy that makes no tunnel the whole URL is told."""
    headers = [(b"Host", where.authority), *HEADERS, *raw_headers(send), (b"Content-Length", b"%d" % len(send.body))]
    path = where.path
    if between is not None and not where.tls:
        headers += between.headers
        path = b"http://" + where.authority + path
    return dialogue.asks(send.method, path, headers, send.body)


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

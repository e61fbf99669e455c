"""A server that does wrong what a server can: real sockets on 127.0.0.1, plain and TLS, a port for each mode.

    with FaultServer() as server:
        server.url("headers dripped")                        # http://127.0.0.1:…/v1
        server.url("half a JSON", tls=True, once=True)       # https://localhost:…/v1, good after the first answer

Law of this module: what a mode does is told by MODES alone, in one place, with what a correct client makes of it. No
behaviour outlives its peer or the server, none runs without a pause, and one that breaks fails the test that closes
the server.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from types import TracebackType
from typing import Any, Literal

import trustme
from attrs import field, frozen

DRIP = 0.02  # seconds between two bytes of what is dripped
LATE = 0.05  # seconds after an answer until its late surplus
SOMEBODY_ELSE = "SOMEBODY ELSE"  # the Title in an answer that was meant for another visitor
PIECE = 65536

# Where a mode has its fault: on its port, before the TLS handshake, in the certificate, before the request is read, or
# in the answer.
Stage = Literal["port", "accept", "certificate", "connect", "request"]
Behaviour = Callable[["Exchange"], Awaitable[None]]
Received = tuple[str, bytes, bytes]
"""Mode, head and body of a request, as received."""


@frozen
class Mode:
    """One thing that can go wrong, and what a call may then end as."""

    name: str
    behave: Behaviour = field(repr=False)
    outcomes: frozenset[str]
    """What `fetch("a")` without retries may end as: "value", or names of error classes."""
    savable: bool = False
    """Whether a retry saves the call when the first answer is this and the next is good."""
    tls_only: bool = False
    plain_only: bool = False
    at: Stage = "request"
    certificate: str = "good"


class Exchange:
    """One connection from the server's side, with the request that is being answered."""

    def __init__(self, server: FaultServer, listener: Listener) -> None:
        self._server = server
        self._listener = listener
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self.head = self.body = b""

    async def open(self, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        """Take an accepted connection over, with a handshake if there is a context."""
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(limit=2**20)
        protocol = asyncio.StreamReaderProtocol(self._reader)
        limits = {"ssl_handshake_timeout": 30.0, "ssl_shutdown_timeout": 0.2} if context else {}
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=context, **limits)
        self._writer = asyncio.StreamWriter(transport, protocol, self._reader, loop)

    async def receive(self) -> bool:
        """Read the next request; False if the peer went away instead."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            body = await self._reader.readexactly(int(length[1]) if length else 0)
        except asyncio.IncompleteReadError:
            return False
        self.head, self.body = head, body
        self._server.requests.append((self._listener.mode.name, head, body))
        return True

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()
        await asyncio.sleep(0)  # drain does not wait while the peer keeps up, and the others must have their turn

    def surplus_is_sent(self) -> None:
        """Say that the late answer is on its way."""
        self._server.surplus_sent.set()

    async def drip(self, data: bytes, wrap: Callable[[bytes], bytes] = bytes) -> None:
        """Send a byte at a time, each wrapped."""
        for position in range(len(data)):
            await self.send(wrap(data[position : position + 1]))
            await asyncio.sleep(DRIP)

    async def read(self) -> bytes:
        """Whatever the peer sends next, empty if it went away."""
        return await self._reader.read(PIECE)

    async def gone(self) -> None:
        """Wait until the peer goes away."""
        while await self.read():
            pass

    async def close(self) -> None:
        """End the connection as it should be ended, with FIN and close_notify."""
        self._writer.close()
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), 0.5)

    async def reset(self) -> None:
        """End the connection with RST, a moment after what was sent, so that the peer has read that."""
        await asyncio.sleep(DRIP)
        connection = self._writer.get_extra_info("socket")
        if connection is not None:  # the peer may have gone first
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.abort()

    async def abort(self) -> None:
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()

    def content(self, title: str | None = None) -> dict[str, Any]:
        """What a good answer to the request holds."""
        asked = json.loads(self.body)
        visitor = title or asked.get("identifiers", {}).get("customer_id", "nobody")
        return {"experiences": {key: experience(key, visitor) for key in asked.get("experience_key", [])}}

    def good(self, title: str | None = None) -> bytes:
        return whole(200, as_json(self.content(title)))

    def elsewhere(self) -> str:
        """The base URL of another host, which answers well and keeps what it is sent as mode "elsewhere"."""
        return self._server.elsewhere(tls=self._listener.tls).url

    async def other(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a good TLS server, for one who stands between."""
        return await asyncio.open_connection("127.0.0.1", self._server.elsewhere(tls=True).port)


# ---- Parts of answers -----------------------------------------------------------------------------------------------


def experience(key: str, title: str) -> dict[str, Any]:
    payload = {"Title": {"value": title, "data_type": "string"}}
    return {"payload": payload, "experience_context": {"cid": key}}


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def head(status: int, *headers: str, version: str = "1.1") -> bytes:
    """A status line and headers, as Latin-1 so that any byte can be written."""
    return "\r\n".join([f"HTTP/{version} {status} Any", *headers, "", ""]).encode("latin-1")


def whole(status: int, body: bytes, *headers: str, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return head(status, f"Content-Length: {length}", "Content-Type: application/json", *headers) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


CHUNKED = head(200, "Transfer-Encoding: chunked", "Content-Type: application/json")
LAST_CHUNK = b"0\r\n\r\n"
HTML = b"<!DOCTYPE html><html><body><h1>Bad Gateway</h1></body></html>"
REFUSED = as_json({"title": "Refused", "description": "not today", "code": "E1"})


def gzipped(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


@cache
def bomb() -> bytes:
    """A megabyte that is, unpacked, 1 GiB of spaces and then a good answer.

    A block that ends with a full flush knows nothing of the one before it, so that one is packed and then repeated.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    body = as_json({"experiences": {"a": experience("a", "from the bomb")}})
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    last = packer.compress(body) + packer.flush()
    checksum = zlib.crc32(body, 0x9AC47FA6)  # that of 2**30 spaces
    trailer = struct.pack("<II", checksum, (2**30 + len(body)) % 2**32)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + block * 1024 + last + trailer


# ---- Modes ----------------------------------------------------------------------------------------------------------

MODES: dict[str, Mode] = {}
BROKEN = ("ConnectionFailed",)
# Bytes that are no HTTP: a client may call it a broken connection or a malformed answer.
NOT_HTTP = ("ConnectionFailed", "MalformedResponse")
LATE_END = ("DeadlineExceeded",)
MALFORMED = ("MalformedResponse",)


def add(name: str, behave: Behaviour, *outcomes: str, **more: Any) -> None:
    MODES[name] = Mode(name, behave, frozenset(outcomes), **more)


def mode(name: str, *outcomes: str, **more: Any) -> Callable[[Behaviour], Behaviour]:
    def register(behave: Behaviour) -> Behaviour:
        add(name, behave, *outcomes, **more)
        return behave

    return register


def sends(make: Callable[[Exchange], bytes]) -> Behaviour:
    """Answer this, and go on with the connection."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(make(exchange))

    return behave


def answers(status: int, body: bytes, *headers: str) -> Behaviour:
    return sends(lambda _: whole(status, body, *headers))


def says(text: bytes, *headers: str) -> Behaviour:
    """Answer 200 with this text; GOOD in it stands for the experience of a good answer."""

    def make(exchange: Exchange) -> bytes:
        (found,) = list(exchange.content()["experiences"].values())[:1] or [None]
        return whole(200, text.replace(b"GOOD", as_json(found)), *headers)

    return sends(make)


def spoils(change: Callable[[dict[str, Any]], object]) -> Behaviour:
    """A good answer but for what is changed in its first experience."""

    def make(exchange: Exchange) -> bytes:
        content = exchange.content()
        change(next(iter(content["experiences"].values())))
        return whole(200, as_json(content))

    return sends(make)


def holds(value: bytes) -> Behaviour:
    """A good answer but for a second variable in its first experience, which has this for a value."""

    def make(exchange: Exchange) -> bytes:
        content = exchange.content()
        next(iter(content["experiences"].values()))["payload"]["Odd"] = {"value": "@odd@", "data_type": "json"}
        return whole(200, as_json(content).replace(b'"@odd@"', value))

    return sends(make)


async def good(exchange: Exchange) -> None:
    await exchange.send(exchange.good())


ELSEWHERE = Mode("elsewhere", good, frozenset({"value"}))
add("good", good, "value")

# The connection.
add("connection refused", good, *BROKEN, at="port")
add("black hole", good, *LATE_END, at="port")


@mode("accept and hang", *LATE_END, at="connect")
@mode("hang before headers", *LATE_END)
@mode("silent handshake", *LATE_END, at="accept", tls_only=True)
async def hang(exchange: Exchange) -> None:
    await exchange.gone()


@mode("accept and close", *BROKEN, at="connect", savable=True)
@mode("close before headers", *BROKEN, savable=True)
async def close(exchange: Exchange) -> None:
    await exchange.close()


@mode("accept and reset", *BROKEN, at="connect", savable=True)
@mode("reset before headers", *BROKEN, savable=True)
async def reset(exchange: Exchange) -> None:
    await exchange.reset()


@mode("reset in headers", *BROKEN, savable=True)
async def reset_in_headers(exchange: Exchange) -> None:
    await exchange.send(exchange.good()[:30])
    await exchange.reset()


@mode("reset after headers", *BROKEN, savable=True)
async def reset_after_headers(exchange: Exchange) -> None:
    await exchange.send(exchange.good().partition(b"{")[0])
    await exchange.reset()


@mode("reset in body", *BROKEN, savable=True)
async def reset_in_body(exchange: Exchange) -> None:
    await exchange.send(exchange.good()[:-5])
    await exchange.reset()


@mode("close in headers", *BROKEN, savable=True)
async def close_in_headers(exchange: Exchange) -> None:
    await exchange.send(exchange.good()[:30])
    await exchange.close()


# Connections that are kept, and do not last.
@mode("idle closed at once", "value")
async def idle_closed_at_once(exchange: Exchange) -> None:
    await exchange.send(exchange.good())
    await exchange.close()


@mode("idle closed under the next request", "value")
async def idle_closed_under_the_next_request(exchange: Exchange) -> None:
    await exchange.send(exchange.good())
    if await exchange.receive():
        await exchange.close()


@mode("idle reset under the next request", "value")
async def idle_reset_under_the_next_request(exchange: Exchange) -> None:
    await exchange.send(exchange.good())
    if await exchange.receive():
        await exchange.reset()


# Slow and endless.
@mode("headers dripped", *LATE_END)
async def headers_dripped(exchange: Exchange) -> None:
    await exchange.drip(exchange.good())


@mode("body dripped", *LATE_END)
async def body_dripped(exchange: Exchange) -> None:
    start, brace, body = exchange.good().partition(b"{")
    await exchange.send(start)
    await exchange.drip(brace + body)


@mode("chunks dripped", *LATE_END)
async def chunks_dripped(exchange: Exchange) -> None:
    await exchange.send(CHUNKED)
    await exchange.drip(as_json(exchange.content()), wrap=chunk)
    await exchange.send(LAST_CHUNK)


@mode("error body dripped", *LATE_END, "ServerError")  # where the deadline is longer than the drip
async def error_body_dripped(exchange: Exchange) -> None:
    await exchange.send(whole(500, b"", length=len(HTML)))
    await exchange.drip(HTML)


@mode("no Content-Length and hang", *LATE_END)
async def no_length_and_hang(exchange: Exchange) -> None:
    await exchange.send(head(200) + as_json(exchange.content()))
    await exchange.gone()


@mode("hang in body", *LATE_END)
async def hang_in_body(exchange: Exchange) -> None:
    await exchange.send(exchange.good()[:-5])
    await exchange.gone()


@mode("endless 103s", "DeadlineExceeded", "MalformedResponse")
async def endless_103s(exchange: Exchange) -> None:
    while True:
        await exchange.send(head(103, "Link: </style.css>; rel=preload"))
        await asyncio.sleep(0.005)


@mode("endless 103s, fast", "MalformedResponse")
async def endless_103s_fast(exchange: Exchange) -> None:
    while True:
        await exchange.send(head(103, "Link: </style.css>; rel=preload") * 100)


@mode("endless chunks", *MALFORMED)
async def endless_chunks(exchange: Exchange) -> None:
    await exchange.send(CHUNKED)
    while True:
        await exchange.send(chunk(b" " * PIECE))


# Framing.
@mode("body too short, then close", *BROKEN, savable=True)
async def too_short(exchange: Exchange) -> None:
    content = as_json(exchange.content())
    await exchange.send(whole(200, content, length=len(content) + 100))
    await exchange.close()


@mode("surplus answer", "value", "MalformedResponse")
async def surplus(exchange: Exchange) -> None:
    await exchange.send(exchange.good() + exchange.good(SOMEBODY_ELSE))


# Only a client that lets LATE pass before its next call can see it coming: sent sooner, it is the answer to that call.
@mode("surplus answer, late", "value")
async def surplus_late(exchange: Exchange) -> None:
    await exchange.send(exchange.good())
    await asyncio.sleep(LATE)
    await exchange.send(exchange.good(SOMEBODY_ELSE))
    exchange.surplus_is_sent()


@mode("surplus answer after the last chunk", "value", "MalformedResponse")
async def surplus_after_chunks(exchange: Exchange) -> None:
    chunks = CHUNKED + chunk(as_json(exchange.content())) + LAST_CHUNK
    await exchange.send(chunks + exchange.good(SOMEBODY_ELSE))


@mode("conflicting Content-Lengths", *NOT_HTTP, savable=True)
async def conflicting_lengths(exchange: Exchange) -> None:
    await exchange.send(whole(200, as_json(exchange.content()), "Content-Length: 7"))


@mode("chunked garbage", *NOT_HTTP, savable=True)
async def chunked_garbage(exchange: Exchange) -> None:
    await exchange.send(CHUNKED + b"this is no size\r\n{}\r\n")


@mode("chunked cut off", *BROKEN, savable=True)
async def chunked_cut_off(exchange: Exchange) -> None:
    await exchange.send(CHUNKED + chunk(as_json(exchange.content())[:-5]))
    await exchange.close()


@mode("good chunks", "value")
async def good_chunks(exchange: Exchange) -> None:
    content = as_json(exchange.content())
    await exchange.send(CHUNKED + chunk(content[:20]) + chunk(content[20:]) + LAST_CHUNK)


@mode("HTTP/1.0 with close", "value")
async def old_http(exchange: Exchange) -> None:
    await exchange.send(head(200, "Content-Type: application/json", version="1.0") + as_json(exchange.content()))
    await exchange.close()


@mode("SMTP banner", *NOT_HTTP, savable=True, at="connect")
async def smtp_banner(exchange: Exchange) -> None:
    await exchange.send(b"220 mail.example.com ESMTP\r\n")
    await exchange.read()
    await exchange.send(b"500 5.5.2 Error: bad syntax\r\n" * 5 + b"421 4.7.0 Error: too many errors\r\n\r\n")
    await exchange.close()


# Status and headers.
add("100 first", sends(lambda exchange: head(100) + exchange.good()), "value")
# h11 refuses an upgrade that nobody proposed before its status can be read.
add("101", sends(lambda _: head(101, "Upgrade: websocket", "Connection: upgrade")), *MALFORMED, "ConnectionFailed")
add("204", sends(lambda _: head(204)), *MALFORMED)
add("200 with empty body", answers(200, b""), *MALFORMED, savable=True)
for _status in (301, 302, 303, 307, 308):

    def _redirect(exchange: Exchange, status: int = _status) -> bytes:
        return whole(status, b"", f"Location: {exchange.elsewhere()}/experiences/fetch")

    add(f"{_status} to another host", sends(_redirect), *MALFORMED)
add("Set-Cookie", says(b'{"experiences":{"a":GOOD}}', "Set-Cookie: visitor=canary; Path=/"), "value")
for _status, _error in {
    400: "BadRequest",
    401: "AuthenticationFailed",
    403: "PermissionDenied",
    404: "APIError",
}.items():
    add(str(_status), answers(_status, REFUSED), _error)
for _status in (500, 520, 599):
    add(str(_status), answers(_status, REFUSED), "ServerError", savable=True)
for _status in (502, 503):
    add(f"{_status} with HTML", answers(_status, HTML, "Content-Type: text/html"), "ServerError", savable=True)
for _status in (600, 999):
    add(str(_status), answers(_status, REFUSED), *MALFORMED)


def limited(name: str, header: Callable[[float], str], *, savable: bool = True) -> None:
    """A 429 with a header that is made when it is answered."""
    behave = sends(lambda _: whole(429, REFUSED, header(time.time())))
    add(name, behave, "RateLimited", savable=savable)


limited("429", lambda _: "X-Any: header")
limited("429, reset in seconds", lambda now: f"X-RateLimit-Reset: {int(now) + 1}")
limited("429, reset in milliseconds", lambda now: f"X-RateLimit-Reset: {int(now * 1000) + 1000}")
limited("429, reset in the past", lambda now: f"X-RateLimit-Reset: {int(now) - 3600}")
limited("429, reset absurdly far", lambda _: f"X-RateLimit-Reset: {10**17}", savable=False)
limited("429, reset garbage", lambda _: "X-RateLimit-Reset: soon")
limited("429, Retry-After in seconds", lambda _: "Retry-After: 1")
limited(
    "429, Retry-After as a date",
    lambda now: "Retry-After: " + format_datetime(datetime.fromtimestamp(now + 1, UTC), usegmt=True),
)


@mode("10,000 headers", *NOT_HTTP, "value")
async def many_headers(exchange: Exchange) -> None:
    await exchange.send(whole(200, as_json(exchange.content()), *(f"X-{number}: filler" for number in range(10_000))))


@mode("a header of 1 MB", *NOT_HTTP, "value")
async def big_header(exchange: Exchange) -> None:
    await exchange.send(whole(200, as_json(exchange.content()), "X-Big: " + "x" * 1_000_000))


@mode("header bytes that are not text", *NOT_HTTP, "value")
async def header_not_text(exchange: Exchange) -> None:
    await exchange.send(whole(200, as_json(exchange.content()), "X-Odd: \xff\xfe\xff", "X-RateLimit-Limit: \xff\xb2"))


# JSON.
add("half a JSON", says(b'{"experiences":{"a":GOOD'), *MALFORMED, savable=True)
add("trailing bytes", says(b'{"experiences":{"a":GOOD}}, and more'), *MALFORMED, savable=True)
add("BOM", says(b'\xef\xbb\xbf{"experiences":{"a":GOOD}}'), *MALFORMED, "value")
add("invalid UTF-8", says(b'{"experiences":{"a":GOOD,"b\xff\xfe":1}}'), *MALFORMED, savable=True)
add("NaN", holds(b"NaN"), "value")
add("Infinity", holds(b"[-Infinity, Infinity]"), "value")
add("1e999", holds(b"1e999"), "value")
add("lone surrogate", holds(rb'"\ud800"'), "value")
add("duplicate keys", says(b'{"experiences":{"a":null,"a":GOOD},"x":1,"x":2}'), "value", *MALFORMED)
add("nested 100,000 deep", says(b'{"experiences":{"a":GOOD},"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), *MALFORMED)
add("a number of 10,000 digits", holds(b"7" * 10_000), "value", *MALFORMED)
add("a list for the object", says(b"[GOOD]"), *MALFORMED)
add("a string for the object", says(b'"experiences"'), *MALFORMED)
add("a list for the experiences", says(b'{"experiences":[GOOD]}'), *MALFORMED)
add("null experiences", says(b'{"experiences":null}'), "value", *MALFORMED)
add("null experience", says(b'{"experiences":{"a":null,"b":GOOD}}'), "value")
add("null payload", spoils(lambda found: found.update(payload=None)), "value")
add("null context", spoils(lambda found: found.update(experience_context=None)), "value")
add("null variable", spoils(lambda found: found["payload"].update(Odd=None)), "value")
add("a list for a payload", spoils(lambda found: found.update(payload=[1])), "value")


@mode("unknown enum values", "value")
@spoils
def unknown_enums(found: dict[str, Any]) -> None:
    found["payload"]["Odd"] = {"value": "x", "data_type": "hologram"}
    found["experience_context"] |= {"experience_type": "telepathic", "type": "abacus"}


add("a key that was not asked for", says(b'{"experiences":{"a":GOOD,"uninvited":GOOD}}'), "value")

# Size. The first of them is under 2 MB and over 100,000 tokens.
_MANY = b",".join(b'"%05d":{}' % number for number in range(100_000))
add("100,000 experiences", says(b'{"experiences":{"a":GOOD,' + _MANY + b"}}"), *MALFORMED)


async def stream(exchange: Exchange, length: int, piece: bytes, *, start: bytes = b"", end: bytes = b"") -> None:
    """A body of so many bytes, never held: a start, the same piece again and again, an end."""
    await exchange.send(whole(200, start, length=length))
    left = length - len(start) - len(end)
    while left:
        await exchange.send(piece[:left])
        left -= min(left, len(piece))
    await exchange.send(end)


@mode("20 MB of []", *MALFORMED)
async def many_lists(exchange: Exchange) -> None:
    start, end = b'{"experiences":{"a":[', b"[]]}}"
    await stream(exchange, 3 * 7_000_000 + len(start) + len(end), b"[]," * 20_000, start=start, end=end)


@mode("a body of 200 MB", *MALFORMED)
async def big_body(exchange: Exchange) -> None:
    await stream(exchange, 200 * 2**20, b" " * PIECE, end=as_json(exchange.content()))


# Content-Encoding.
@mode("gzip bomb", *MALFORMED, "DeadlineExceeded")  # whose two megabytes a machine under load reads for a while
async def gzip_bomb(exchange: Exchange) -> None:
    await exchange.send(whole(200, bomb(), "Content-Encoding: gzip"))


@mode("good gzip", "value")
async def good_gzip(exchange: Exchange) -> None:
    await exchange.send(whole(200, gzipped(as_json(exchange.content())), "Content-Encoding: gzip"))


@mode("truncated gzip", *MALFORMED, savable=True)
async def truncated_gzip(exchange: Exchange) -> None:
    packed = gzipped(as_json(exchange.content()))
    await exchange.send(whole(200, packed[: len(packed) // 2], "Content-Encoding: gzip"))


@mode("wrong Content-Encoding", *MALFORMED, savable=True)
async def wrong_encoding(exchange: Exchange) -> None:
    await exchange.send(whole(200, as_json(exchange.content()), "Content-Encoding: gzip"))


add("unknown Content-Encoding", answers(200, b"\x8b\x03\x80{}\x03", "Content-Encoding: br"), *MALFORMED)

# TLS.
for _certificate in ("unknown CA", "wrong name", "expired certificate"):
    add(_certificate, good, *BROKEN, at="certificate", certificate=_certificate, tls_only=True)


@mode("plain text on the TLS port", *BROKEN, at="accept", tls_only=True)
async def plain_text(exchange: Exchange) -> None:
    await exchange.read()
    await exchange.send(whole(400, b"TLS is not spoken here", "Connection: close"))
    await exchange.close()


@mode("close during handshake", *BROKEN, at="accept", tls_only=True, savable=True)
async def close_during_handshake(exchange: Exchange) -> None:
    await exchange.read()
    await exchange.close()


@mode("handshake dripped", *LATE_END, at="accept", tls_only=True)
async def handshake_dripped(exchange: Exchange) -> None:
    reader, writer = await exchange.other()
    try:
        # The server speaks as soon as it has the client's first words, for longer than anybody waits when dripped.
        writer.write(await exchange.read())
        while data := await reader.read(PIECE):
            await exchange.drip(data)
    finally:
        writer.transport.abort()


# ---- The server -----------------------------------------------------------------------------------------------------


class Certificates:
    """A CA of the tests' own and a context for each kind of certificate."""

    def __init__(self) -> None:
        self.ca = trustme.CA()
        yesterday = datetime.now(UTC) - timedelta(days=1)
        self.contexts = {
            "good": _context(self.ca.issue_cert("localhost")),
            "unknown CA": _context(trustme.CA().issue_cert("localhost")),
            "wrong name": _context(self.ca.issue_cert("elsewhere.example")),
            "expired certificate": _context(self.ca.issue_cert("localhost", not_after=yesterday)),
        }


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


class Listener:
    """A port for one mode; it listens unless the mode is that nobody does."""

    def __init__(self, mode: Mode, *, tls: bool, once: bool) -> None:
        self.mode = mode
        self.tls = tls
        self._once = once
        self._spent = False
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        host = "localhost" if tls else "127.0.0.1"
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}/v1"
        # A queue of length 0 holds one connection; the second of these is there in case a kernel holds two.
        self._fillers = [socket.socket() for _ in range(2)] if mode.name == "black hole" else []
        if mode.name != "connection refused":
            self.socket.listen(0 if self._fillers else 512)
        for filler in self._fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))

    def bad(self, stage: Stage) -> bool:
        """Whether the fault is due at this stage; with `once`, only the first time."""
        if self.mode.at != stage or (self._once and self._spent):
            return False
        self._spent = True
        return True

    def close(self) -> None:
        for held in [self.socket, *self._fillers]:
            held.close()


class FaultServer:
    """One thread and one event loop for the listeners of all modes; a context manager."""

    def __init__(self, patience: float = 6.0) -> None:
        """`patience` is for how many seconds a fault goes on, so that a client without a deadline fails, not hangs."""
        self.requests: list[Received] = []
        self.surplus_sent = threading.Event()
        self._patience = patience
        self._certificates = Certificates()
        self._listeners: list[Listener] = []
        self._elsewhere: dict[bool, Listener] = {}
        self._tasks: dict[asyncio.Task[None], socket.socket] = {}
        self._troubles: list[BaseException] = []
        self._loop: asyncio.AbstractEventLoop
        self._closing: asyncio.Event
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="fault server", daemon=True)

    def __enter__(self) -> FaultServer:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def url(self, mode: str, *, tls: bool = False, once: bool = False) -> str:
        """The base URL of a new listener for a mode; with `once` only what comes first there is bad."""
        wanted = MODES[mode]
        if wanted.plain_only if tls else wanted.tls_only:
            raise ValueError(f"expected a mode for {'TLS' if tls else 'plain connections'}, got {mode!r}")

        async def listen() -> str:
            return self._listen(wanted, tls=tls, once=once).url

        return asyncio.run_coroutine_threadsafe(listen(), self._loop).result(5)

    def ca_pem(self) -> bytes:
        """The certificate of the CA that a client is to trust."""
        return self._certificates.ca.cert_pem.bytes()

    def ssl_context(self) -> ssl.SSLContext:
        """A client's context that trusts the CA, and nobody else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._certificates.ca.configure_trust(context)
        return context

    def server_context(self) -> ssl.SSLContext:
        """That of a server whose certificate is good."""
        return self._certificates.contexts["good"]

    def connections(self) -> int:
        """How many connections are open on the server's side."""
        return len(self._tasks)

    def close(self) -> None:
        """End all connections, listeners and the thread; raise what a behaviour broke with, if one did."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join()
        if self._troubles:
            raise BaseExceptionGroup("expected behaviours that end in peace", self._troubles)

    def elsewhere(self, *, tls: bool) -> Listener:
        """The other host, made when it is first asked for; only for the loop's thread."""
        if tls not in self._elsewhere:
            self._elsewhere[tls] = self._listen(ELSEWHERE, tls=tls, once=False)
        return self._elsewhere[tls]

    def _listen(self, mode: Mode, *, tls: bool, once: bool) -> Listener:
        listener = Listener(mode, tls=tls, once=once)
        self._listeners.append(listener)
        if mode.at != "port":
            self._loop.add_reader(listener.socket, self._accept, listener)
        return listener

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._on_trouble)
        self._closing = asyncio.Event()
        self._started.set()
        await self._closing.wait()
        for listener in self._listeners:
            self._loop.remove_reader(listener.socket)
            listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _on_trouble(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, AttributeError) and "_call_connection_lost" in repr(context.get("handle")):
            return  # told twice of one connection when a write from resume_writing() fails: python/cpython#156512
        if not isinstance(error, OSError):
            self._troubles.append(error or RuntimeError(context["message"]))

    def _accept(self, listener: Listener) -> None:
        with suppress(OSError):
            connection, _ = listener.socket.accept()
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._serve(listener, connection))
            self._tasks[task] = connection
            task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task).close()  # its transport has closed it already, if it was ever given to one
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, OSError):
            self._troubles.append(error)

    async def _serve(self, listener: Listener, connection: socket.socket) -> None:
        exchange = Exchange(self, listener)
        mode = listener.mode
        raw = listener.bad("accept")
        kind = mode.certificate if listener.bad("certificate") else "good"
        await exchange.open(connection, self._certificates.contexts[kind] if listener.tls and not raw else None)
        try:
            if raw or listener.bad("connect"):
                await self._behave(mode, exchange)
                return
            while await exchange.receive():
                if listener.bad("request"):
                    await self._behave(mode, exchange)
                else:
                    await good(exchange)
        finally:
            await exchange.abort()

    async def _behave(self, mode: Mode, exchange: Exchange) -> None:
        async with asyncio.timeout(self._patience):
            await mode.behave(exchange)

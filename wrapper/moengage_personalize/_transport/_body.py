"""The body of a response: taken piece by piece within its limit, then decoded within another.

A response may cost no more memory than its limits, however small it was packed. httpx unpacks a piece whole, whatever
comes of it; here zlib is told where to stop.
"""

from __future__ import annotations

import zlib

from ._exchange import DecodingError, ExchangeError

ON_THE_WIRE = 2 * 1024 * 1024  # bytes
DECODED = 4 * 1024 * 1024
MEMBERS = 100  # of one gzip body; each costs a table of zlib's, and a copy of all that is behind it
ACCEPTED = "gzip"  # what a request says that it can take


class BodyReader:
    """Takes the pieces of one body as they stand on the wire."""

    __slots__ = ("_raw", "size")

    def __init__(self) -> None:
        self._raw: list[bytes] = []
        self.size = 0

    def feed(self, piece: bytes) -> None:
        """Keep one more piece; raise ExchangeError when it is one too many."""
        self.size += len(piece)
        if self.size > ON_THE_WIRE:
            self._raw.clear()
            raise ExchangeError("limit", f"a body of more than {ON_THE_WIRE:,} bytes on the wire")
        self._raw.append(piece)

    def decode(self, content_encoding: str = "") -> bytes:
        """The body without its content codings; raise DecodingError, or ExchangeError where it is too large.

        https://www.rfc-editor.org/rfc/rfc9110#section-8.4
        """
        raw = self._raw[0] if len(self._raw) == 1 else b"".join(self._raw)
        if not content_encoding or not raw:
            return raw
        tokens = [token.strip().lower() for token in content_encoding.split(",")]
        codings = [token for token in tokens if not _changes_nothing(token)]
        if not codings:
            return raw
        if codings not in (["gzip"], ["x-gzip"]):
            raise DecodingError("protocol", "a content coding that was not asked for")
        return _gunzip(raw)


def _changes_nothing(token: str) -> bool:
    """Whether a coding leaves a body as it is; charsets are none, and yet are sent as if they were."""
    if token in ("", "identity", "none"):
        return True
    try:
        " ".encode(token)
    except (LookupError, ValueError):
        return False
    return True


def _gunzip(packed: bytes) -> bytes:
    """All members of a gzip file, one behind the other (RFC 1952, section 2.2)."""
    body = bytearray()
    for _ in range(MEMBERS):
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            body += member.decompress(packed, DECODED + 1 - len(body))
        except zlib.error:
            raise DecodingError("protocol", "a body that is not gzip") from None
        if len(body) > DECODED:
            raise ExchangeError("limit", f"a body of more than {DECODED:,} bytes decoded")
        if not member.eof:
            raise DecodingError("protocol", "gzip that was cut off")
        packed = member.unused_data.lstrip(b"\0")  # which some fill up with
        if not packed:
            return bytes(body)
    raise ExchangeError("limit", f"gzip of more than {MEMBERS} members")

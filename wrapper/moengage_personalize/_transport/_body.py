"""The body of an answer, taken piece by piece within limits and unpacked.

Law of this module: an answer may cost no more memory than its limits, however small it was packed. httpx unpacks a
piece whole, whatever comes of it; here zlib is told where to stop.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

ON_THE_WIRE = 2 * 1024 * 1024  # bytes
UNPACKED = 4 * 1024 * 1024
ACCEPTED = "gzip"  # what a request says that it can take


class BadlyPacked(ValueError):
    """The body is not packed as it says."""


class TooLarge(ValueError):
    """The answer is larger than its limit, and would be again."""


class Content:
    """Takes the pieces of one body as they stand on the wire."""

    __slots__ = ("_packed",)

    def __init__(self) -> None:
        self._packed = bytearray()

    def take(self, piece: bytes) -> None:
        """Keep one more piece; raise TooLarge when it is one too many."""
        self._packed += piece
        if len(self._packed) > ON_THE_WIRE:
            raise TooLarge(f"a body of more than {ON_THE_WIRE:,} bytes on the wire")

    def unpack(self, headers: Mapping[str, str]) -> bytes:
        """The body; raise BadlyPacked or TooLarge."""
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding in ("identity", ""):
            return bytes(self._packed)
        if encoding not in ("gzip", "x-gzip"):
            raise BadlyPacked("a body packed as nobody asked for")
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            body = unpacker.decompress(self._packed, UNPACKED + 1)
        except zlib.error as error:
            raise BadlyPacked("a body that is not gzip") from error
        if len(body) > UNPACKED:
            raise TooLarge(f"a body of more than {UNPACKED:,} bytes unpacked")
        if not unpacker.eof:
            raise BadlyPacked("gzip that was cut off")
        return body

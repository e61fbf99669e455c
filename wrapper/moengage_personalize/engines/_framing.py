"""Follows the bytes of one HTTP/1.1 answer, to prove that a connection is clean when the answer has ended.

Law of this module: clean means that one whole answer came and nothing behind it, because bytes behind it would be taken
for the answer to the next visitor's request. What cannot be followed for certain is not clean.
https://www.rfc-editor.org/rfc/rfc9112#section-6.3
"""

from __future__ import annotations

import re
from collections.abc import Generator

from ._content import TooLarge

LENGTH = re.compile(rb"^content-length:[ \t]*(\d+)[ \t]*\r$", re.IGNORECASE | re.MULTILINE)
CHUNKED = re.compile(rb"^transfer-encoding:[ \t]*chunked[ \t]*\r$", re.IGNORECASE | re.MULTILINE)
FRAMING = re.compile(rb"^(?:content-length|transfer-encoding)[ \t]*:", re.IGNORECASE | re.MULTILINE)
STATUS = re.compile(rb"HTTP/1\.1 (\d{3})[ \r]")
LONGEST = 128 * 1024  # bytes; httpcore gives up sooner
INFORMATIONAL = 32  # answers before the answer; each costs a tenth of a millisecond, in an event loop everybody's

Steps = Generator[None, bytes, None]


class Framing:
    """One answer; `feed` it what was read, then ask whether it is `clean`."""

    def __init__(self) -> None:
        self.received = 0
        self._rest = b""
        self._ended = False
        self._steps: Steps = self._answer()
        next(self._steps)

    def feed(self, data: bytes) -> None:
        """Take the next bytes, in whatever pieces they come; raise TooLarge when an answer is announced without end."""
        self.received += len(data)
        if self._ended:
            self._rest += data
            return
        try:
            self._steps.send(data)
        except StopIteration:
            self._ended = True
        except ValueError as error:  # cannot be followed: never clean, and not followed any further
            self._steps = _ignore()
            next(self._steps)
            if isinstance(error, TooLarge):
                raise

    @property
    def clean(self) -> bool:
        """Whether one whole answer came and nothing behind it."""
        return self._ended and not self._rest

    def _answer(self) -> Steps:
        status, head, heads = b"100", b"", 0
        while status.startswith(b"1"):  # informational ones come before the answer
            if heads > INFORMATIONAL:
                raise TooLarge(f"more than {INFORMATIONAL} informational answers before the answer")
            heads += 1
            head = yield from self._until(b"\r\n\r\n")
            matched = STATUS.match(head)
            if matched is None or matched[1] == b"101":
                raise ValueError("not HTTP/1.1, or no longer")
            status = matched[1]
        lengths = LENGTH.findall(head)
        if len(FRAMING.findall(head)) > 1:
            raise ValueError("framed in two ways")
        if status in (b"204", b"304"):
            return
        if CHUNKED.search(head):
            yield from self._chunks()
        elif lengths:
            yield from self._skip(int(lengths[0]))
        else:
            raise ValueError("ends with the connection")

    def _chunks(self) -> Steps:
        while size := int((yield from self._until(b"\r\n")).partition(b";")[0], 16):
            yield from self._skip(size)
            if (yield from self._until(b"\r\n")) != b"\r\n":
                raise ValueError("a chunk longer than it said")
        while (yield from self._until(b"\r\n")) != b"\r\n":  # trailers
            pass

    def _until(self, end: bytes) -> Generator[None, bytes, bytes]:
        found = self._rest.find(end)
        while found < 0:
            if len(self._rest) > LONGEST:
                raise ValueError("a head or a line without an end")
            start = max(0, len(self._rest) - len(end))
            self._rest += yield
            found = self._rest.find(end, start)
        taken, self._rest = self._rest[: found + len(end)], self._rest[found + len(end) :]
        if taken.count(b"\n") != taken.count(b"\r\n"):
            raise ValueError("a bare LF, at which h11 ends a line too, so that the two would not agree")
        return taken

    def _skip(self, count: int) -> Steps:
        while len(self._rest) < count:
            count -= len(self._rest)
            self._rest = yield
        self._rest = self._rest[count:]


def _ignore() -> Steps:
    while True:
        yield

"""What bounds an exchange, one request with its response, and why one ended without: a deadline, and an exception.

The text of the exception is safe to show. The words of another library may quote a request, so that only the type of
its exception is repeated; an OSError with a number is the system's own, and knows nothing of what was sent.
"""

from __future__ import annotations

from time import monotonic
from typing import Literal

from .._messages import TransportError

Kind = Literal["busy", "timeout", "connection", "stale", "protocol", "limit"]


class ExchangeError(Exception):
    """The one kind of exception that a transport turns into a value; all others are not I/O's, and go through."""

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(text)
        self.kind: Kind = kind

    def outcome(self, peer: object) -> TransportError:
        """The value, which names who was asked, and holds no frame that the exception has passed."""
        link: BaseException | None = self
        while link is not None:
            link.__traceback__ = link.__context__ = None
            link = link.__cause__
        self.args = (f"{self} ({peer})",)
        return TransportError(self.kind, self)


class DecodingError(ExchangeError):
    """The body is not coded as Content-Encoding says."""


def words(error: BaseException) -> str:
    """What may be repeated of an exception that is not ours."""
    return str(error) if isinstance(error, OSError) and error.errno is not None else type(error).__name__


class Deadline:
    """So many seconds from now."""

    __slots__ = ("at", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at = monotonic() + seconds

    def remaining(self) -> float:
        """Seconds that are left, from 0; never more than there were, should the clock be set back (freezegun)."""
        left = self.at - monotonic()
        return min(left, self.seconds) if left > 0 else 0.0

    def left(self, step: str, parts: int = 1) -> float:
        """Seconds that are left for one of so many equal parts of a step; raise ExchangeError if there are none."""
        if not (left := self.remaining()):
            raise ExchangeError("timeout", f"the deadline passed while {step}")
        return left / parts

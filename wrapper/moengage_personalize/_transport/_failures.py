"""Why an exchange ended without a response: exceptions whose text is safe to show, one class for each reason.

The words of another library may quote a request, so that only the type of its exception is repeated. An OSError with
a number is the system's own: it says which step failed, and knows nothing of what was sent.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from .._messages import TransportError


class ExchangeError(Exception):
    """The one kind of exception that a transport turns into a value; all others are not I/O's, and go through."""

    kind: ClassVar[Literal["busy", "timeout", "connection", "stale", "protocol", "limit"]] = "connection"

    def outcome(self, peer: object) -> TransportError:
        """The value, which names who was asked, and holds no frame that the exception has passed."""
        link: BaseException | None = self
        while link is not None:
            link.__traceback__ = link.__context__ = None
            link = link.__cause__
        self.args = (f"{self} ({peer})",)
        return TransportError(self.kind, self)


class ConnectError(ExchangeError):
    """DNS, TCP, TLS or a proxy failed."""


class ReadError(ExchangeError):
    """The connection ended before the response did."""


class StaleConnectionError(ReadError):
    """The server closed a connection that had served before, while it lay idle: the keep-alive race."""

    kind = "stale"


class PoolTimeout(ExchangeError):
    """All connections were in use until the deadline."""

    kind = "busy"


class ExchangeTimeout(ExchangeError):
    """The deadline passed."""

    kind = "timeout"


class ProtocolError(ExchangeError):
    """What came is not HTTP/1.1, or what should go out would not be."""

    kind = "protocol"


class DecodingError(ProtocolError):
    """The body is not coded as Content-Encoding says."""


class TooLarge(ExchangeError):
    """The response is larger than its limit, and would be again."""

    kind = "limit"


def words(error: BaseException) -> str:
    """What may be repeated of an exception that is not ours."""
    return str(error) if isinstance(error, OSError) and error.errno is not None else type(error).__name__

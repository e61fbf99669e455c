"""Every error that leaves this package, and the rate limit that some of them carry.

    PersonalizeError(Exception)         .retryable
    ├── ConfigurationError              also ValueError; before any I/O
    ├── InvalidRequestError             also ValueError; before any I/O
    ├── DeadlineExceeded                also TimeoutError; .timeout
    ├── ConnectionFailed                also ConnectionError
    ├── MalformedResponse               .status
    ├── CircuitOpen                     .retry_at; before any I/O
    ├── EventsNotAccepted               .events .errors
    └── APIError                        .status .title .description .code .rate_limit
        ├── BadRequest 400   ├── AuthenticationFailed 401   ├── PermissionDenied 403
        ├── RateLimited 429  .retry_after                   └── ServerError 5xx

The text of an error says what was expected, then what came, and never holds a key, an Authorization header, a customer
id, an identifier or an IP address. Every error can be pickled.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import frozen


@frozen
class RateLimit:
    """What an answer said of the workspace's limit (x-ratelimit-* headers); a part that it left out is None."""

    limit: int | None
    remaining: int | None
    reset_at: datetime | None
    """In UTC."""


class PersonalizeError(Exception):
    """Anything that can go wrong in this package."""

    retryable: bool = False
    """Whether the same call may succeed when it is made again later."""


class ConfigurationError(PersonalizeError, ValueError):
    """The client was made or used in a way that cannot work; nothing was sent."""


class InvalidRequestError(PersonalizeError, ValueError):
    """The arguments of a call cannot make a request; nothing was sent."""


class DeadlineExceeded(PersonalizeError, TimeoutError):
    """The call did not end within its `timeout`, in seconds."""

    retryable = True

    def __init__(self, message: str, *, timeout: float = 0.0) -> None:
        super().__init__(message)
        self.timeout = timeout


class ConnectionFailed(PersonalizeError, ConnectionError):
    """No connection, or it broke before the answer was complete."""

    retryable = True


class MalformedResponse(PersonalizeError):
    """An answer came that is not what the API documents; `status` is its HTTP status."""

    def __init__(self, message: str, *, status: int = 0, retryable: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = retryable


class CircuitOpen(PersonalizeError):
    """The API has failed again and again, and nothing was sent; `retry_at`, in UTC, is when a call may go out again."""

    retryable = True

    def __init__(self, message: str, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class EventsNotAccepted(PersonalizeError):
    """Some events were not accepted: `events` are those to report again, `errors` what each of their requests met."""

    events: tuple[Any, ...] = ()
    errors: tuple[PersonalizeError, ...] = ()


class APIError(PersonalizeError):
    """The API refused the request.

    `title`, `description` and `code` are the API's own words, at most 500 characters of each, None where it gave none.
    They may repeat what was sent: a customer id, an identifier, a key. The text of the error holds the title only if it
    is one that the API documents, and never the description, unless the client is made with `strict=True`.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        title: str | None = None,
        description: str | None = None,
        code: str | None = None,
        rate_limit: RateLimit | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.title = title
        self.description = description
        self.code = code
        self.rate_limit = rate_limit


class BadRequest(APIError):
    """400: the request is not what the API accepts, or the workspace is not known in this data center."""


class AuthenticationFailed(APIError):
    """401: the workspace id or the Personalize API key is wrong, or the key has been regenerated."""


class PermissionDenied(APIError):
    """403: the key is valid but has no access to this API."""


class RateLimited(APIError):
    """429: the workspace has used up its limit; `retry_after` is in seconds, None where the answer did not say."""

    retryable = True
    retry_after: float | None = None


class ServerError(APIError):
    """5xx: the API, or a gateway before it, failed."""

    retryable = True

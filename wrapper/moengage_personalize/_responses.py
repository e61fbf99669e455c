"""Answers that refuse: status, headers and the API's own words become an error of our tree.

Law of this module: an answer may repeat what was sent, so that what no error text may hold is struck out first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import time

from attrs import frozen

from ._errors import (
    APIError,
    AuthenticationFailed,
    BadRequest,
    MalformedResponse,
    PermissionDenied,
    PersonalizeError,
    RateLimit,
    RateLimited,
    Secrets,
    ServerError,
)
from ._messages import Response
from ._reporting import Batch
from ._request import FetchRequest
from ._settings import Credentials

# https://www.moengage.com/docs/api/experiences/fetch-experience (responses); 403 and 429 come from gateways.
CLASSES: dict[int, type[APIError]] = {
    400: BadRequest,
    401: AuthenticationFailed,
    403: PermissionDenied,
    429: RateLimited,
}
LIMITS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
WORDS_KEPT = 500  # characters
MILLISECONDS_FROM = 1e11  # as seconds this is the year 5138


@frozen
class ErrorBody:
    """The fields of an error answer, whatever it put there."""

    title: object
    description: object
    code: object


def error_from_response(answer: Response, words: ErrorBody, secrets: Secrets) -> PersonalizeError:
    """The error that an answer other than 200 stands for."""
    status = answer.status
    kind = ServerError if 500 <= status < 600 else CLASSES.get(status, APIError)
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "a status without a name"
    if not 400 <= status < 600:
        return MalformedResponse(f"expected status 200, got {status} {phrase}", status=status)
    struck = sorted(secrets(), key=len, reverse=True)
    title, description, code = (_cleaned(word, struck) for word in (words.title, words.description, words.code))
    said = ": ".join(word for word in (title or phrase, description) if word)
    error = kind(
        f"expected status 200, got {status} {said}{f' (code {code})' if code else ''}",
        status=status,
        title=title,
        description=description,
        code=code,
        rate_limit=rate_limit(answer.headers),
    )
    if isinstance(error, RateLimited):
        error.retry_after = _retry_after(answer.headers)
    return error


def secrets(credentials: Credentials, *others: FetchRequest | Batch) -> Iterator[str]:
    """What no error text may repeat: the key, and what tells of those who are asked about."""
    yield credentials.api_key
    yield credentials.token
    for other in others:
        yield from other.secrets()


def limits(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that `rate_limit` reads, to be kept without the others."""
    return {name: headers[name] for name in LIMITS if name in headers}


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """What the x-ratelimit-* headers say; None if none of them says anything."""
    limit, remaining, reset = (_number(headers.get(name)) for name in LIMITS)
    if limit is None and remaining is None and reset is None:
        return None
    return RateLimit(limit, remaining, _moment(reset))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by Retry-After (seconds or a date) or else by x-ratelimit-reset (UTC epoch seconds)."""
    given = headers.get("retry-after", "")
    delay = _number(given)
    if delay is not None:
        return float(delay)
    reset = _date(given) or _seconds(_number(headers.get("x-ratelimit-reset")))
    return None if reset is None else max(0.0, reset - time())


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def _seconds(reset: int | None) -> float | None:
    return reset if reset is None or reset < MILLISECONDS_FROM else reset / 1000


def _moment(reset: int | None) -> datetime | None:
    seconds = _seconds(reset)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _cleaned(word: object, secrets: Iterable[str]) -> str | None:
    if not isinstance(word, str) or not word:
        return None
    for secret in secrets:
        word = word.replace(secret, "[redacted]")
    return word if len(word) <= WORDS_KEPT else f"{word[:WORDS_KEPT]}..."

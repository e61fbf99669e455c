"""What a refusal by the API becomes: an error of our tree, and when to come back.

The status and the headers decide which error it is; the body only supplies words. These words may repeat what was sent,
in any spelling, so that of them an error text holds only what cannot: a title that the API documents, and a code of the
documented shape. All of them stand on the error itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
    ServerError,
)
from ._messages import Response

# https://www.moengage.com/docs/api/experiences/fetch-experience (responses); 403 and 429 come from gateways.
CLASSES: dict[int, type[APIError]] = {
    400: BadRequest,
    401: AuthenticationFailed,
    403: PermissionDenied,
    429: RateLimited,
}
# The titles that the API documents, the only ones that stand in an error text; another may repeat what was sent.
# https://www.moengage.com/docs/api/experiences/fetch-experience (examples of 400 and 401)
TITLES = frozenset({"Authentication required", "Invalid Field Value", "Malformed JSON", "Request Error"})
# The shape of the documented code, GvHogFKc: "opaque, server-assigned", to be told to the support. Eight letters and
# digits, some of them large and some small, as no name, number, address, UUID, mail address or key of a workspace is.
CODE = re.compile(r"(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9]{8}", re.ASCII)
WORDS_KEPT = 500  # characters of each field
LIMITS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
MILLISECONDS_FROM = 1e11  # as seconds this is the year 5138


@frozen
class ErrorBody:
    """The fields of an error answer, whatever it put there."""

    title: object
    description: object
    code: object


def error_from_response(response: Response, body: ErrorBody, *, strict: bool = False) -> PersonalizeError:
    """The error that an answer other than 200 stands for.

    Args:
        response: the answer.
        body: what its body says, if anything.
        strict: for development and tests: the error text holds the API's own words, whatever they repeat.
    """
    status = response.status
    kind = ServerError if 500 <= status < 600 else CLASSES.get(status, APIError)
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "a status without a name"
    if not 400 <= status < 600:
        return MalformedResponse(f"expected status 200, got {status} {phrase}", status=status)
    title, description, code = map(_kept, (body.title, body.description, body.code))
    text = title if title and (strict or title in TITLES) else phrase
    if strict and description:
        text += f": {description}"
    if code and (strict or CODE.fullmatch(code)):
        text += f" (code {code})"
    error = kind(
        f"expected status 200, got {status} {printable(text)}",
        status=status,
        title=title,
        description=description,
        code=code,
        rate_limit=rate_limit(response.headers),
    )
    if isinstance(error, RateLimited):
        error.retry_after = _retry_after(response.headers)
    return error


def printable(text: str) -> str:
    """Text with what cannot be printed escaped, so that no answer moves a cursor or begins a line of a log."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


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


def _kept(word: object) -> str | None:
    if not isinstance(word, str) or not word:
        return None
    return word if len(word) <= WORDS_KEPT else f"{word[:WORDS_KEPT]}..."

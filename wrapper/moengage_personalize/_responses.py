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

from msgspec import Struct

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
from ._redact import printable

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
# The shape of the documented code, GvHogFKc: "opaque, server-assigned", useful to the support. Beside a documented
# title only: eight letters and digits, large and small, are no number, address, UUID or key, but may be a user's name.
CODE = re.compile(r"(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9]{8}", re.ASCII)
WORDS_KEPT = 500  # characters of each field
LIMITS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
# The first number: gateways write policies behind it ("10000, 10000;w=60"), and proxies join equal headers by a comma.
NUMBER = re.compile(r" *(\d{1,18})(\.\d{1,9})?(?= *(?:[,;]|$))", re.ASCII)
# x-ratelimit-reset is Unix time at MoEngage, and seconds from now or milliseconds elsewhere. As Unix time this is the
# year 2001, before there was any such API; as seconds from now it is 31 years: neither is meant.
UNIX_TIME_FROM = 1e9
MILLISECONDS_FROM = 1e11  # as seconds this is the year 5138, as milliseconds 1973
MAX_RETRY_AFTER = 86_400.0  # seconds; the limit is one of a minute, and whoever schedules by this must not overflow


class ErrorBody(Struct, frozen=True):
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
    documented = title in TITLES
    text = title if title and (documented or strict) else phrase
    if description and strict:
        text += f": {description}"
    if code and (strict or (documented and CODE.fullmatch(code))):
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


def rate_limit(headers: Mapping[str, str], received_at: float | None = None) -> RateLimit | None:
    """What the x-ratelimit-* headers say; None if none of them says anything.

    Args:
        headers: of a response, their names in lower case.
        received_at: Unix time when it came, by our clock; now, if not given.
    """
    found = [NUMBER.match(headers.get(name, "")) for name in LIMITS]
    if not any(found):
        return None
    limit, remaining, _ = (None if number is None else int(number[1]) for number in found)
    reset = _reset_time(headers, _now(headers, received_at))
    return RateLimit(limit, remaining, None if reset is None else datetime.fromtimestamp(reset, UTC))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by Retry-After (seconds or a date), or else by x-ratelimit-reset."""
    text, now = headers.get("retry-after", ""), _now(headers)
    seconds = NUMBER.match(text)
    if seconds is not None:
        return min(MAX_RETRY_AFTER, float(seconds[0]))
    until = _parse_date(text)
    if until is None:
        until = _reset_time(headers, now)
    return None if until is None else min(MAX_RETRY_AFTER, max(0.0, until - now))


def _reset_time(headers: Mapping[str, str], now: float) -> float | None:
    """Unix time of the reset, from x-ratelimit-reset in whichever unit it is; None for a time that nobody means."""
    number = NUMBER.match(headers.get("x-ratelimit-reset", ""))
    if number is None:
        return None
    reset = float(number[0])
    if reset < UNIX_TIME_FROM:
        reset = now + min(MAX_RETRY_AFTER, reset)
    elif reset >= MILLISECONDS_FROM:
        reset /= 1000
    return reset if reset < MILLISECONDS_FROM else None


def _now(headers: Mapping[str, str], received_at: float | None = None) -> float:
    """Unix time when a response was made: by the clock that its other times were taken from, if it shows that one."""
    date = _parse_date(headers.get("date", ""))
    if date is not None:
        return date
    return time() if received_at is None else received_at


def _parse_date(text: str) -> float | None:
    """Unix time of an HTTP date in any of its three forms (RFC 9110, 5.6.7); the one without a zone is UTC, too."""
    try:
        date = parsedate_to_datetime(text)
        return (date.replace(tzinfo=UTC) if date.tzinfo is None else date).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _kept(word: object) -> str | None:
    if not isinstance(word, str) or not word:
        return None
    return word if len(word) <= WORDS_KEPT else f"{word[:WORDS_KEPT]}..."

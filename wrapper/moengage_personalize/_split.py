"""One fetch in parts: the requests it is split into, what each brought, and the one result they make together.

A request that failed costs its own keys and no others, and a key that was not asked for is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from time import time

from msgspec import Struct

from . import _generated
from ._errors import PersonalizeError, RateLimit
from ._experiences import Experiences
from ._generated import Endpoint
from ._messages import Request, Response
from ._request import FetchRequest
from ._responses import rate_limit

# The API leaves out the rest in silence.
# https://www.moengage.com/docs/api/experiences/fetch-experience (request body, experience_key)
KEYS_PER_REQUEST = 25


class PartialResult(Struct, frozen=True):
    """What one answer brought, not yet decoded; its limit, which is seldom asked for, not yet read either."""

    experiences: Mapping[str, object]
    headers: Mapping[str, str]
    received_at: float


def split_keys(keys: tuple[str, ...] | None) -> Sequence[tuple[str, ...] | None]:
    """The keys of each request: of one without any, for all there are, and of none at all for no key."""
    if keys is None or 0 < len(keys) <= KEYS_PER_REQUEST:
        return (keys,)
    return [keys[start : start + KEYS_PER_REQUEST] for start in range(0, len(keys), KEYS_PER_REQUEST)]


def split_fetch(endpoint: Endpoint, fetch: FetchRequest) -> list[Request]:
    """The requests of a fetch; raise InvalidRequestError for a text that cannot be sent."""
    session = fetch.in_session
    fields = _generated.fetch_fields(
        fetch.customer_id,
        fetch.user_identifiers,
        session.at,
        session.ip_address,
        session.user_agent,
        session.attributes,
    )
    return [endpoint.request(_generated.fetch_body(fields, keys)) for keys in split_keys(fetch.keys)]


def read_part(response: Response, *, strict: bool = False) -> PartialResult:
    """What an answer brought; raise the error that it is instead."""
    return PartialResult(_generated.read_experiences(response, strict=strict), response.headers, time())


def merge_results(fetch: FetchRequest, outcomes: Sequence[PartialResult | PersonalizeError]) -> Experiences:
    """One result from the outcome of every request; keys that were not asked for are left out."""
    raw: dict[str, object] = {}
    failed: set[str] | None = set()
    error: PersonalizeError | None = None
    for keys, outcome in zip(split_keys(fetch.keys), outcomes, strict=True):
        if isinstance(outcome, PartialResult):
            found = outcome.experiences
            raw |= found if keys is None else {key: found[key] for key in keys if key in found}
        else:
            error = error or outcome
            failed = None if failed is None or keys is None else failed.union(keys)
    return Experiences(
        raw,
        _generated.decode,
        requested=fetch.keys,
        failed=failed,
        error=error,
        limit=partial(_least_left, outcomes),
        customer_id=fetch.customer_id,
    )


def _least_left(outcomes: Sequence[PartialResult | PersonalizeError]) -> RateLimit | None:
    limits = (
        rate_limit(outcome.headers, outcome.received_at)
        if isinstance(outcome, PartialResult)
        else getattr(outcome, "rate_limit", None)
        for outcome in outcomes
    )
    return min(filter(None, limits), key=_remaining, default=None)


def _remaining(limit: RateLimit) -> float:
    return math.inf if limit.remaining is None else limit.remaining

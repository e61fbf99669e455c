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
from ._experiences import Experiences, Limit
from ._generated import Endpoint
from ._messages import Request, Response
from ._request import FetchRequest
from ._responses import rate_limit

# The API leaves out the rest in silence.
# https://www.moengage.com/docs/api/experiences/fetch-experience (request body, experience_key)
KEYS_PER_REQUEST = 25


class SubRequest(Struct, frozen=True):
    """One request and the keys it asks for, None for all."""

    keys: tuple[str, ...] | None
    request: Request


class FetchPlan(Struct, frozen=True):
    """What is asked, and the requests that ask for it."""

    fetch: FetchRequest
    parts: tuple[SubRequest, ...]


class PartialResult(Struct, frozen=True):
    """What one answer brought, not yet decoded."""

    experiences: Mapping[str, object]
    limit: Limit
    """Of the workspace, as the answer says; read when it is asked for, which is seldom."""


def plan_fetch(endpoint: Endpoint, fetch: FetchRequest) -> FetchPlan:
    """Split a fetch into requests of at most 25 keys; raise InvalidRequestError for a text that cannot be sent."""
    keys, session = fetch.keys, fetch.in_session
    chunks: tuple[tuple[str, ...] | None, ...] = (keys,)  # one request without any key, for all there are
    if keys is not None and not 0 < len(keys) <= KEYS_PER_REQUEST:  # and none at all for no key
        chunks = tuple(keys[start : start + KEYS_PER_REQUEST] for start in range(0, len(keys), KEYS_PER_REQUEST))
    fields = _generated.fetch_fields(
        fetch.customer_id,
        fetch.user_identifiers,
        session.at,
        session.ip_address,
        session.user_agent,
        session.attributes,
    )
    parts = [SubRequest(chunk, endpoint.request(_generated.fetch_body(fields, chunk))) for chunk in chunks]
    return FetchPlan(fetch, tuple(parts))


def read_part(response: Response, *, strict: bool) -> PartialResult:
    """What an answer brought; raise the error that it is instead."""
    return PartialResult(
        _generated.read_experiences(response, strict=strict), partial(rate_limit, response.headers, time())
    )


def merge_results(plan: FetchPlan, outcomes: Sequence[PartialResult | PersonalizeError]) -> Experiences:
    """One result from the outcome of every request; keys that were not asked for are left out."""
    raw: dict[str, object] = {}
    failed: set[str] | None = set()
    errors: list[PersonalizeError] = []
    limits: list[Limit] = []
    for part, outcome in zip(plan.parts, outcomes, strict=True):
        if isinstance(outcome, PartialResult):
            found = outcome.experiences
            raw |= found if part.keys is None else {key: found[key] for key in part.keys if key in found}
            limits.append(outcome.limit)
        else:
            errors.append(outcome)
            failed = None if failed is None or part.keys is None else failed.union(part.keys)
            limits.append(partial(getattr, outcome, "rate_limit", None))
    return Experiences(
        raw,
        _generated.decode,
        requested=plan.fetch.keys,
        failed=failed,
        error=errors[0] if errors else None,
        limit=partial(_least_left, limits),
        customer_id=plan.fetch.customer_id,
    )


def _least_left(limits: Sequence[Limit]) -> RateLimit | None:
    return min(filter(None, (limit() for limit in limits)), key=_remaining, default=None)


def _remaining(limit: RateLimit) -> float:
    return math.inf if limit.remaining is None else limit.remaining

"""One fetch in parts: the requests it is split into, what each brought, and the one result they make together.

Law of this module: a part that failed costs its own keys and no others, and a key that was not asked for is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from attrs import field, frozen

from ._errors import PersonalizeError, RateLimit
from ._experiences import Experience, Experiences, Limit
from ._messages import Request


@frozen
class SubRequest:
    """One request and the keys it asks for, None for all."""

    keys: frozenset[str] | None
    send: Request


@frozen
class FetchPlan:
    """What one fetch sends."""

    requested: frozenset[str] | None
    asks: tuple[SubRequest, ...]


@frozen
class PartialResult:
    """What one answer brought, not yet decoded."""

    experiences: Mapping[str, object]
    limit: Limit = field(repr=False)
    """Of the workspace, as the answer says; read when it is asked for, which is seldom."""


def merge_results(
    plan: FetchPlan, outcomes: Sequence[PartialResult | PersonalizeError], decode: Callable[[str, object], Experience]
) -> Experiences:
    """One result from the outcome of every request; keys that were not asked for are left out."""
    raw: dict[str, object] = {}
    failed: set[str] | None = set()
    errors: list[PersonalizeError] = []
    limits: list[Limit] = []
    for ask, outcome in zip(plan.asks, outcomes, strict=True):
        if isinstance(outcome, PersonalizeError):
            errors.append(outcome)
            failed = None if failed is None or ask.keys is None else failed | ask.keys
            limits.append(partial(getattr, outcome, "rate_limit", None))
        else:
            found = outcome.experiences
            if ask.keys is not None and not found.keys() <= ask.keys:
                found = {key: one for key, one in found.items() if key in ask.keys}
            raw.update(found)
            limits.append(outcome.limit)
    return Experiences(
        raw,
        decode,
        requested=plan.requested,
        failed=None if failed is None else frozenset(failed),
        error=errors[0] if errors else None,
        limit=partial(_least, limits),
    )


def _least(limits: Sequence[Limit]) -> RateLimit | None:
    return min(filter(None, (limit() for limit in limits)), key=_left, default=None)


def _left(limit: RateLimit) -> float:
    return math.inf if limit.remaining is None else limit.remaining

"""What `observe` is given, and what `stats` shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import groupby
from typing import Literal
from urllib.parse import urlsplit

from attrs import frozen

from .._errors import PersonalizeError, RateLimit
from .._experiences import Reason
from .._policy import CircuitState

Operation = Literal["fetch", "metadata", "warm", "report_events", "value"]


@frozen
class Attempt:
    """One HTTP request that was sent, and what came of it."""

    request: int
    """Which request of the operation it belongs to, from 0; a retry belongs to the same one."""
    method: str
    url: str
    started: datetime
    """In UTC."""
    seconds: float
    """Until its outcome was known; the requests of one fetch that block side by side are known together."""
    status: int | None
    """Of the response; None if none came."""
    failure: Literal["busy", "timeout", "connection", "stale", "protocol", "limit"] | None
    """Why no response came: all connections were in use, the time was over, the connection failed or was closed while
    it lay idle, or what came was no HTTP or too much of it."""

    @property
    def host(self) -> str:
        """The host that it was sent to."""
        return urlsplit(self.url).hostname or ""


@frozen
class Call:
    """One operation of a client, after its end; it holds no personal data."""

    operation: Operation
    """"fetch", also of `fetch_or_empty` and of a page; "metadata", "warm"; "report_events", also of a reporter; or
    "value", for a variable of another type than a page asked for, which is shown once a key."""
    keys: tuple[str, ...] | None
    """The experience keys that were asked for, each once; None for all there are."""
    reasons: Mapping[str, Reason]
    """Why each of these keys, or of those that came, is there or absent, as `Experiences.reason` has it."""
    variations: Mapping[str, str]
    """The `moe_variation_id` of each key that was served, where there is one."""
    attempts: tuple[Attempt, ...]
    """Those that have ended, in the order of their ends; none if nothing was sent."""
    started: datetime
    """In UTC."""
    seconds: float
    rate_limit: RateLimit | None
    """What the API said of the workspace's limit, the least that was left; None if it did not."""
    circuit: CircuitState
    """Of this kind of operation, at its end: "closed", "open" or "half_open"."""
    outcome: str
    """"ok", the name of the class of `error`, or of what interrupted the operation, such as "CancelledError"."""
    error: PersonalizeError | None
    """What kept some or all of it away: a copy, without the words of the API and without events."""

    @property
    def served(self) -> tuple[str, ...]:
        """The keys that were served."""
        return tuple(key for key, reason in self.reasons.items() if reason == "served")

    @property
    def retries(self) -> int:
        """How often a request was tried again; the first time that it met a stale connection does not count."""
        ordered = sorted(self.attempts, key=lambda attempt: attempt.request)
        requests = (list(attempts) for _, attempts in groupby(ordered, lambda attempt: attempt.request))
        return sum(max(0, len(one) - 1 - any(attempt.failure == "stale" for attempt in one)) for one in requests)


@frozen
class ClientStats:
    """What a client has done since it was made, and how it is, as of now."""

    calls: int
    """Operations that were begun, by any thread or task of this process."""
    failures: Mapping[str, int]
    """Those that failed, in whole or in part, by the name of the error's class."""
    circuit: CircuitState
    """Of fetching; events and metadata have circuits of their own, which their `Call` shows."""
    throttled: float
    """Seconds for which a 429 still keeps fetches back; 0 if none does."""
    connections_open: int | None
    """Those in use included; None with an `http_client` of your own, which knows."""
    connections_idle: int | None

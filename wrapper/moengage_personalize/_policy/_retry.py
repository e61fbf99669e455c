"""What one client remembers from call to call: whether the API is down, over its limit, or worth another try.

Law of this module: told the time, no clock of its own; its locks are held for a few lines. All calls of a client share
it, from every thread and task, so that an outage costs the API hardly more requests than there are calls.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock

from .._errors import CircuitOpen, ConfigurationError, DeadlineExceeded, PersonalizeError, RateLimited
from ._circuit import Circuit, CircuitBreaker
from ._fork import register_after_fork

# Seconds. Full jitter over an exponential backoff, small beside the default timeout of one second.
BACKOFF = 0.05
BACKOFF_CAP = 1.0
MIN_ATTEMPT_TIME = 0.02  # what must be left after a pause
MIN_FAIR_TIMEOUT = (
    0.2  # a deadline shorter than this, and than the client's own, tells of the caller and not of the API
)
THROTTLE_CAP = 60.0  # the longest that a 429 keeps calls back

# As botocore's standard mode: tokens of the retry quota, what a retry costs, and what a success gives back.
QUOTA, RETRY_COST, RETRY_COST_THROTTLED, SUCCESS_REFUND = 500, 14, 5, 1


class RetryPolicy:
    """Asked before each call and told of each outcome; times are seconds of one monotonic clock, jitter from 0 to 1."""

    def __init__(self, max_retries: int, breaker: object, timeout: float = MIN_FAIR_TIMEOUT) -> None:
        if breaker is not None and not isinstance(breaker, CircuitBreaker):
            raise ConfigurationError(f"expected circuit_breaker to be a CircuitBreaker or None, got {breaker!r}")
        self._max_retries = max_retries
        self._fair = min(timeout, MIN_FAIR_TIMEOUT)
        self._circuit = None if breaker is None else Circuit(breaker)
        self.reset_after_fork()
        register_after_fork(self)
        self._tokens = QUOTA
        self._throttled_until = 0.0
        self._throttle: RateLimited | None = None

    def reset_after_fork(self) -> None:
        """In a forked child, too."""
        self._lock = Lock()

    def admit(self, now: float, jitter: float) -> None:
        """Raise what keeps a call from going out: RateLimited until the reset, CircuitOpen until the next probe."""
        if self._throttle is not None and now < self._throttled_until:
            raise _again(self._throttle, self._throttled_until - now)
        wait = None if self._circuit is None else self._circuit.seconds_until_allowed(now, jitter)
        if wait is not None:
            retry_at = datetime.now(UTC) + timedelta(seconds=wait)
            raise CircuitOpen(
                f"expected an API that answers, got a run of failures; next try in {wait:.1f} s", retry_at
            )

    def succeeded(self) -> None:
        """A call brought an answer."""
        if self._circuit is not None:
            self._circuit.succeeded()
        if self._tokens < QUOTA:
            with self._lock:
                self._tokens = min(QUOTA, self._tokens + SUCCESS_REFUND)

    def failed(
        self,
        error: PersonalizeError,
        attempt: int,
        left: float,
        now: float,
        jitter: Callable[[], float],
        sent: bool = True,
    ) -> float:
        """Seconds to pause before the next attempt of this call; raise the error to give up.

        Args:
            error: how the attempt ended.
            attempt: which one it was, from 1.
            left: seconds to the deadline of the call.
            now: the time.
            jitter: gives a number from 0 to 1.
            sent: whether the API was asked at all; one that waited for a connection in vain tells nothing of it.
        """
        asked, cost, opened = 0.0, RETRY_COST, False
        if isinstance(error, RateLimited):
            asked, cost = self._apply_rate_limit(error, now, jitter()), RETRY_COST_THROTTLED
        unfair = isinstance(error, DeadlineExceeded) and error.timeout < self._fair
        if self._circuit is not None and sent and not unfair:
            if error.retryable and not isinstance(error, RateLimited):
                opened = self._circuit.failed(now, jitter())
            else:
                self._circuit.succeeded()
        pause = asked + min(BACKOFF_CAP, BACKOFF * 2.0 ** min(attempt - 1, 16)) * jitter()
        final = opened or not error.retryable or attempt > self._max_retries
        if final or pause + MIN_ATTEMPT_TIME > left or not self._take(cost):
            raise error
        return pause

    def _apply_rate_limit(self, error: RateLimited, now: float, jitter: float) -> float:
        """Keep every call back for as long as a 429 asks, and give the seconds that are left of that."""
        with self._lock:
            if error.retry_after is not None:
                until = now + min(THROTTLE_CAP, error.retry_after) * (1 + 0.1 * jitter)
                self._throttled_until = max(until, self._throttled_until)
                self._throttle = error
            return max(0.0, self._throttled_until - now)

    def _take(self, cost: int) -> bool:
        with self._lock:
            if self._tokens < cost:
                return False
            self._tokens -= cost
            return True


def _again(throttle: RateLimited, wait: float) -> RateLimited:
    """The refusal of one call, said again to another that was not sent."""
    said = {name: getattr(throttle, name) for name in ("status", "title", "description", "code", "rate_limit")}
    error = RateLimited(f"expected to be within the rate limit, got a 429 before; next try in {wait:.1f} s", **said)
    error.retry_after = wait
    return error

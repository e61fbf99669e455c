"""Whether a call may go out, and whether one that failed is tried again: retry, quota and rate limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from .._arguments import short_repr
from .._errors import CircuitOpen, ConfigurationError, DeadlineExceeded, PersonalizeError, RateLimit, RateLimited
from ._circuit import Circuit, CircuitBreaker, CircuitState, seconds_until
from ._fork import register_after_fork

# Seconds.
BACKOFF = 0.05  # small beside the default timeout of one second; half of it outlasts a restart of 20 ms
BACKOFF_CAP = 1.0
MIN_ATTEMPT_TIME = 0.02  # what must be left of the deadline after a pause
MIN_FAIR_TIMEOUT = 0.2  # a call with less time than this, and than the client's timeout, says nothing about the API
THROTTLE_CAP = 60.0  # the longest that a 429 keeps calls back
THROTTLE_JITTER = 0.1  # and up to this part more, so that the processes of a service do not come back together

# Tokens of the retry quota, what a retry costs, and what a success gives back. A hundred retries: more than one process
# has calls under way, so that a short restart, which breaks them all at once, is mended for all.
QUOTA, RETRY_COST, RETRY_COST_THROTTLED, SUCCESS_REFUND = 1_400, 14, 5, 1


class RetryPolicy:
    """Decides before each attempt, and learns how it ended.

    Times are seconds of one monotonic clock, jitter is from 0 to 1, and `left` is what is left of a call's deadline.
    """

    def __init__(self, max_retries: int, breaker: Any, timeout: float = MIN_FAIR_TIMEOUT, operation: str = "") -> None:
        """`operation` is what the log calls the calls that share this policy."""
        if breaker is not None and not issubclass(type(breaker), CircuitBreaker):
            raise ConfigurationError(
                f"expected circuit_breaker to be a CircuitBreaker or None, got {short_repr(breaker)}"
            )
        self._max_retries = max_retries
        self._fair = min(timeout, MIN_FAIR_TIMEOUT)
        self._circuit = None if breaker is None else Circuit(breaker, operation)
        self.reset_after_fork()
        register_after_fork(self)
        self._tokens = QUOTA
        self._throttled_until = 0.0
        self._rate_limit: RateLimit | None = None

    def reset_after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may hold."""
        self._lock = Lock()

    def seconds_until_allowed(self, left: float, now: float, jitter: float, *, under_way: bool) -> float:
        """Seconds to wait before an attempt may go out, 0 for one that may.

        Args:
            left: seconds to the deadline of the call.
            now: the time.
            jitter: from 0 to 1.
            under_way: whether the call was let out before; the circuit keeps back new calls only.

        Raises:
            RateLimited: the limit is used up, and to wait for its reset would outlast the deadline.
            CircuitOpen: the API is down, and this is not the next probe.
        """
        wait = self.throttled(now) if self._throttled_until else 0.0
        if wait:
            pause = wait + BACKOFF * (1 + jitter) / 2
            if pause + MIN_ATTEMPT_TIME <= left:
                return pause
            raise self._still_limited(wait)
        if self._circuit is not None and self._circuit.failures and not under_way:
            wait = self._circuit.seconds_until_allowed(now, jitter)
            if wait:
                raise CircuitOpen(
                    f"expected an API that answers, got a run of failures; next try in {wait:.1f} s",
                    datetime.now(UTC) + timedelta(seconds=wait),
                )
        return 0.0

    def seconds_until_retry(
        self, error: PersonalizeError, attempt: int, left: float, now: float, jitter: float
    ) -> float | None:
        """Seconds to pause before the next attempt of a call; None for one that ends with this error.

        Args:
            error: how the attempt ended.
            attempt: which one it was, from 1.
            left: seconds to the deadline of the call.
            now: the time.
            jitter: from 0 to 1.
        """
        wait, cost = 0.0, RETRY_COST
        if isinstance(error, RateLimited):
            wait, cost = self._apply_rate_limit(error, now, jitter), RETRY_COST_THROTTLED
        pause = wait + min(BACKOFF_CAP, BACKOFF * 2.0 ** min(attempt - 1, 16)) * (1 + jitter) / 2
        if not error.retryable or attempt > self._max_retries or pause + MIN_ATTEMPT_TIME > left:
            return None
        return pause if self._take(cost) else None

    def succeeded(self) -> None:
        """A call brought an answer."""
        if self._circuit is not None and self._circuit.failures:
            self._circuit.succeeded()
        if self._tokens < QUOTA:
            with self._lock:
                self._tokens = min(QUOTA, self._tokens + SUCCESS_REFUND)

    def failed(self, error: PersonalizeError, had: float, now: float, jitter: float) -> None:
        """A call failed for good.

        Args:
            error: how it ended.
            had: seconds that the API had to answer it, retries included.
            now: the time.
            jitter: from 0 to 1.
        """
        if self._circuit is None or (isinstance(error, DeadlineExceeded) and had < self._fair):
            return
        if error.retryable and not isinstance(error, RateLimited):
            self._circuit.failed(now, jitter)
        else:
            self._circuit.succeeded()

    def circuit_state(self, now: float) -> CircuitState:
        """What the circuit does with the next call."""
        return "closed" if self._circuit is None else self._circuit.state(now)

    def throttled(self, now: float) -> float:
        """Seconds for which a 429 still keeps calls back."""
        return seconds_until(self._throttled_until, now, THROTTLE_CAP * (1 + THROTTLE_JITTER))

    def _apply_rate_limit(self, error: RateLimited, now: float, jitter: float) -> float:
        """Keep every call back for as long as a 429 asks, and give the seconds that are left of that."""
        with self._lock:
            wait = self.throttled(now)
            if error.retry_after is not None:
                asked = min(THROTTLE_CAP, error.retry_after) * (1 + THROTTLE_JITTER * jitter)
                if asked > wait:
                    self._throttled_until, wait = now + asked, asked
                self._rate_limit = error.rate_limit
            return wait

    def _still_limited(self, wait: float) -> RateLimited:
        """For a call that was not sent: without the words of the 429, which may repeat what another call sent."""
        error = RateLimited(
            f"expected to be within the rate limit, got a 429 before; next try in {wait:.1f} s",
            status=429,
            rate_limit=self._rate_limit,
        )
        error.retry_after = wait
        return error

    def _take(self, cost: int) -> bool:
        with self._lock:
            if self._tokens < cost:
                return False
            self._tokens -= cost
            return True

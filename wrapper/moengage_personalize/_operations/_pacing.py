"""How fast a batch asks, so that the pages that share its limit are served as if it were not there.

The limit is one of requests a minute for the whole workspace, and a batch that has used it up fails every page of every
process until the reset. So a batch obeys three rules, and the strictest decides. They take the time as an argument.

**Rate.** A bucket of allowance fills with `rate` and a customer takes out as many requests as it costs. A customer may
begin when nothing is owed; then it owes its cost. What was not used is kept for CATCH_UP, so that a thread that wakes
late costs no speed, and no minute has more than 2 % above the rate.

**Pace.** Each answer says what is left of the limit and when it is reset. With a third of the minute to go, a third of
the limit has to be left, whoever used the rest: then pages that alone would be within the limit are within it beside a
batch, too, because a batch only takes what they leave over. A batch that finds less waits until what is left is enough
for the rest of the minute. RESERVE more is left alone, for what pages ask at once.

**Refusals.** A 429, seen by the batch or by a page of the same client, stops it until the reset, and halves the rate,
which is back after RECOVERY: additive increase, multiplicative decrease, as TCP does it (RFC 5681, section 3.1). Where
the answer does not say when the reset is, the wait doubles from a second to a minute. An open circuit stops it until
the next probe. The customer that met one of these is not at fault, and is asked again, MAX_HOLDS times at most.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from .._errors import CircuitOpen, PersonalizeError, RateLimit, RateLimited

# Seconds.
WINDOW = 60.0  # of the limit. https://www.moengage.com/docs/api/experiences/fetch-experience (rate limit)
WINDOW_SLACK = 1.0  # a reset is a whole second, by the clock of another host
CATCH_UP = 1.0
SHORTEST = 1e-6  # of a wait; less is what rounding leaves, and added to the time it may change nothing
RECOVERY = 60.0
MIN_HOLD, MAX_HOLD = 0.5, 60.0  # after a refusal, whatever it asks for

RESERVE = 0.01  # of the limit
SLOWEST = 1 / 32  # of the rate
MAX_HOLDS = 10  # of one customer


class Pacer(Struct, eq=False):
    """Decides when the next customer of a batch may begin, and learns how each ended; `now` is monotonic, in seconds.

    Args:
        rate: requests a minute.
        cost: requests of one customer.
    """

    rate: float
    cost: int
    under_way: int = 0
    """Requests that have begun, which the answers so far may not have counted."""
    _filled: float | None = None
    """When the bucket was filled last; None before the first customer."""
    _allowance: float = 0.0
    """Requests; below 0 they are owed."""
    _held_until: float = 0.0
    _slowed_at: float | None = None
    _slowed_to: float = 1.0
    _silent_refusals: int = 0

    def seconds_until_start(self, now: float) -> float:
        """Seconds until the next customer may begin, 0 if it may now."""
        held = self._held_until - now
        if 0 < held <= MAX_HOLD + 1:  # more is a clock that was moved back
            return held
        per_second = self.rate * self._speed(now) / WINDOW
        elapsed = 0.0 if self._filled is None else max(0.0, now - self._filled)
        self._filled = now
        self._allowance = min(self._allowance + elapsed * per_second, CATCH_UP * per_second)
        wait = -self._allowance / per_second
        return wait if wait > SHORTEST else 0.0

    def start(self) -> None:
        """A customer begins."""
        self._allowance -= self.cost
        self.under_way += self.cost

    def finish(self, error: PersonalizeError | None, limit: RateLimit | None, now: float, utc: datetime) -> bool:
        """A customer's fetch ended; whether it is to be asked again, because something held it up that will pass.

        Args:
            error: what it ended with.
            limit: what the answers said of the workspace's limit.
            now: the time.
            utc: the same instant, to compare with the times of answers.
        """
        self.under_way -= self.cost
        if isinstance(error, RateLimited):
            self._refused(error.retry_after, now)
            return True
        if isinstance(error, CircuitOpen):
            self._hold(0.0 if error.retry_at is None else (error.retry_at - utc).total_seconds(), now)
            return True
        if error is None:
            self._silent_refusals = 0
        if limit is not None:
            self._keep_pace(limit, now, utc)
        return False

    def _speed(self, now: float) -> float:
        """The part of the rate that is used."""
        if self._slowed_at is None or not 0 <= now - self._slowed_at < RECOVERY:
            return 1.0
        return min(1.0, self._slowed_to + (now - self._slowed_at) / RECOVERY)

    def _refused(self, retry_after: float | None, now: float) -> None:
        if now >= self._held_until:  # once for all that were refused together
            self._slowed_to, self._slowed_at = max(SLOWEST, self._speed(now) / 2), now
            if retry_after is None:
                retry_after = 2.0 ** min(self._silent_refusals, 6)
                self._silent_refusals += 1
        if retry_after is not None:
            self._hold(max(MIN_HOLD, retry_after), now)

    def _hold(self, seconds: float, now: float) -> None:
        self._held_until = max(self._held_until, now + min(MAX_HOLD, seconds))

    def _keep_pace(self, limit: RateLimit, now: float, utc: datetime) -> None:
        if not limit.limit or limit.remaining is None or limit.reset_at is None:
            return
        left = (limit.reset_at - utc).total_seconds()
        spare = (limit.remaining - self.under_way) / limit.limit - RESERVE
        enough_for = max(0.0, WINDOW * spare)
        if left > WINDOW + WINDOW_SLACK:  # of another window than a minute, or by another clock: no pace can be had
            enough_for = 0.0 if spare <= 0 else left
        if enough_for < left:
            self._hold(min(left, 2 * (left - enough_for)), now)  # twice, because pages go on meanwhile

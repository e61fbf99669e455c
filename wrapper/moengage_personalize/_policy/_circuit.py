"""The circuit breaker: while the API is down, calls fail at once, but for one probe at a time.

The pause between probes grows with the outage, so that its end is noticed within a few percent of its length.
"""

from __future__ import annotations

import logging
from collections import deque
from threading import Lock
from typing import Literal

from attrs import frozen

from .._arguments import check_seconds, check_whole
from .._errors import ConfigurationError
from ._fork import register_after_fork

logger = logging.getLogger("moengage_personalize")
CircuitState = Literal["closed", "open", "half_open"]
GROWTH = 40.0  # a pause is this part of the outage so far: 1.5 s after a minute
JITTER = 0.3  # and up to this much more
# Seconds that a row of failures must last. Long beside a restart, which fails whatever is under way within some tens of
# milliseconds; short beside a timeout and a pause, so that an outage still costs few visitors the wait.
MIN_SPAN = 0.5


@frozen
class CircuitBreaker:
    """When a client fails fast: after `failures` calls in a row have failed for good, for a growing, jittered pause.

    Failed connections, deadlines, 5xx and broken answers are failures, when the retries of the call have not helped.
    Whatever else the API answers, 400, 401 and 429 too, shows that it is there and ends the row. A row of two or more
    opens the circuit only when it lasts for half a second: a restart of the API costs no more than the calls it breaks.

    Args:
        failures: how many calls in a row, from 1.
        within: seconds from the first of them to the last; a longer time between two begins another row.
        pause: seconds before the first probe.
        max_pause: seconds, the longest pause between two probes.

    Raises:
        ConfigurationError: a number that cannot be.
    """

    failures: int = 5
    within: float = 10.0
    pause: float = 1.0
    max_pause: float = 30.0

    def __attrs_post_init__(self) -> None:
        check_whole("failures", self.failures, 1)
        for name in ("within", "pause", "max_pause"):
            check_seconds(name, getattr(self, name), ConfigurationError)


def seconds_until(instant: float, now: float, longest: float) -> float:
    """Seconds until an instant that is so many away at most; 0 for one that is past or, by a clock moved back, further.

    A second more is taken for rounding, and for threads that have read the clock in another order.
    """
    wait = instant - now
    return min(wait, longest) if 0 < wait <= longest + 1 else 0.0


class Circuit:
    """The state of one client's circuit; times are seconds of one monotonic clock, jitter is from 0 to 1."""

    def __init__(self, settings: CircuitBreaker, operation: str = "") -> None:
        self._settings = settings
        self._operation = operation
        self.reset_after_fork()
        register_after_fork(self)
        self.failures: deque[float] = deque(maxlen=settings.failures)
        """When the last calls of the row failed; while there is none, the circuit is closed and has nothing to do."""
        self._row_began: float  # with the first failure
        self._opened_at: float | None = None
        self._retry_at: float  # while it is open

    def reset_after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may hold."""
        self._lock = Lock()

    def seconds_until_allowed(self, now: float, jitter: float) -> float:
        """Seconds until another call may go out, 0 for one that may.

        While the circuit is open that one is the probe, and the next pause begins with it: a probe that is never heard
        of again costs one pause.
        """
        with self._lock:
            if self._opened_at is None:
                return 0.0
            wait = seconds_until(self._retry_at, now, self._settings.max_pause)
            if wait:
                return wait
            if now < self._retry_at:  # the clock was moved back, and what it has measured is void
                self._opened_at = now
            self._retry_at = now + self._pause(now - self._opened_at, jitter)
            return 0.0

    def succeeded(self) -> None:
        """The API answered: close."""
        with self._lock:
            self.failures.clear()
            was_open, self._opened_at = self._opened_at is not None, None
        if was_open:
            self._log("closed")

    def state(self, now: float) -> CircuitState:
        """What a new call would meet: half open is a circuit whose next call is the probe."""
        with self._lock:
            if self._opened_at is None:
                return "closed"
            return "open" if seconds_until(self._retry_at, now, self._settings.max_pause) else "half_open"

    def failed(self, now: float, jitter: float) -> None:
        """A call failed for good: open, if it ends a row that is long enough."""
        failures, settings = self.failures, self._settings
        with self._lock:
            if failures and abs(now - failures[-1]) > settings.within:
                failures.clear()
            if not failures:
                self._row_began = now
            failures.append(now)
            if self._opened_at is not None or len(failures) < settings.failures:
                return
            long_enough = settings.failures == 1 or now - self._row_began >= MIN_SPAN
            opens = long_enough and now - failures[0] <= settings.within
            if opens:
                self._opened_at = now
                self._retry_at = now + self._pause(0.0, jitter)
        if opens:
            self._log("open")

    def _log(self, state: CircuitState) -> None:
        extra = {"personalize_operation": self._operation, "personalize_circuit": state}
        logger.info("circuit of %s: %s", self._operation, state, extra=extra)

    def _pause(self, outage: float, jitter: float) -> float:
        return min(self._settings.max_pause, max(self._settings.pause, outage / GROWTH) * (1 + JITTER * jitter))

"""Fails fast while the API is down: after a run of failures no call goes out but one probe at a time.

Law of this module: a state machine that is told the time and sees no call; its lock is held for a few lines, never
during a call. The pause between probes grows with the outage, so that its end is noticed within a few percent of it.
"""

from __future__ import annotations

from collections import deque
from threading import Lock

from attrs import frozen

from .._arguments import check_seconds, check_whole
from .._errors import ConfigurationError
from ._fork import register_after_fork

GROWTH = 40.0  # a pause is this part of the outage so far: 1.5 s after a minute
JITTER = 0.3  # and up to this much more


@frozen
class CircuitBreaker:
    """When a client fails fast: after `failures` in a row within so many seconds, for a growing, jittered pause.

    Args:
        failures: how many in a row, from 1. Failed connections, deadlines, 5xx and malformed answers count; whatever
            else the API answers, 400, 401 and 429 too, ends the row.
        within: seconds from the first of them to the last.
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


class Circuit:
    """The state of one client's circuit; times are seconds of one monotonic clock, jitter is from 0 to 1."""

    def __init__(self, settings: CircuitBreaker) -> None:
        self._settings = settings
        self.reset_after_fork()
        register_after_fork(self)
        self._failed: deque[float] = deque(maxlen=settings.failures)
        self._opened: float | None = None
        self._retry_at = 0.0

    def reset_after_fork(self) -> None:
        """In a forked child, too."""
        self._lock = Lock()

    def seconds_until_allowed(self, now: float, jitter: float) -> float | None:
        """Seconds until another call may go out, None for one that may.

        While the circuit is open that one is the probe, and the next pause begins with it: a probe that is never heard
        of again costs one pause.
        """
        with self._lock:
            if self._opened is None:
                return None
            if now < self._retry_at:
                return self._retry_at - now
            self._retry_at = now + self._pause(now, jitter)
            return None

    def succeeded(self) -> None:
        """The API answered: close."""
        if self._failed:
            with self._lock:
                self._failed.clear()
                self._opened = None

    def failed(self, now: float, jitter: float) -> bool:
        """A call failed; whether the circuit is open now."""
        with self._lock:
            self._failed.append(now)
            run = len(self._failed) == self._settings.failures and now - self._failed[0] <= self._settings.within
            if self._opened is None and run:
                self._opened = now
                self._retry_at = now + self._pause(now, jitter)
            return self._opened is not None

    def _pause(self, now: float, jitter: float) -> float:
        since = now - (now if self._opened is None else self._opened)
        return min(self._settings.max_pause, max(self._settings.pause, since / GROWTH) * (1 + JITTER * jitter))

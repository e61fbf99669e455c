"""When which events of a reporter are sent, as a generator that a thread or a task drives.

It does no I/O and never sleeps, and its clock is given. An event that was not accepted is sent again with the same
uuid, until it is refused for good, too old, or out of time at the close. No instant in the future is kept, only when a
span of time began and how long it is: a clock that is set back, as by a test that freezes time, then ends the span,
where it would move an instant out of reach.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from .._errors import PersonalizeError, RateLimited
from ..events import ExperienceEvent
from ._delivery import Rejection
from ._outbox import Item, Outbox

if TYPE_CHECKING:
    from .._spool import Spool

# Seconds.
MAINTENANCE_INTERVAL = 1.0  # of the spool
MAX_AGE = 600.0  # an event that cannot be delivered for so long is dropped; one taken over starts from zero
BACKOFF, BACKOFF_CAP = 0.5, 30.0
CLOSING_PAUSE = 0.2
REPORT_TIMEOUT = 3.0


class Span(Struct, frozen=True):
    """A span of time on a clock."""

    start: float
    seconds: float

    def left(self, now: float) -> float:
        """How much of it is left; nothing if it has passed, or begins in the future, as after a clock was set back."""
        passed = now - self.start
        return self.seconds - passed if 0 <= passed < self.seconds else 0.0


class Wait(Struct, frozen=True):
    """Do nothing for so many seconds, or until there is a full batch."""

    seconds: float


class Report(Struct, frozen=True):
    """Report these events within so many seconds, and answer with what was rejected."""

    events: list[ExperienceEvent]
    timeout: float


class Maintain(Struct, frozen=True):
    """Look after the spool, which may take long."""

    spool: Spool


Steps = Generator[Wait | Report | Maintain, Sequence[Rejection] | None, None]


class FlushSchedule(Struct, eq=False):
    """How one outbox is emptied."""

    outbox: Outbox
    interval: float
    max_batch: int
    now: Callable[[], float]
    jitter: Callable[[], float]
    closing: Span | None = None
    """The time for what is left, once it is to end."""
    flush_requested: bool = False
    """Send what there is, though it is neither a full batch nor old."""
    _failures: int = 0
    _backoff: Span = Span(0.0, 0.0)
    _maintained: Span = Span(0.0, 0.0)

    def steps(self) -> Steps:
        """What to do, one after the other, until it is to end and nothing is left, or its time is up."""
        items: list[Item] = []
        try:
            while self.closing is None or (self.closing.left(self.now()) and not self.outbox.empty):
                now = self.now()
                if (spool := self.outbox.spool) is not None and not self._maintained.left(now):
                    self._maintained, recovered = Span(now, MAINTENANCE_INTERVAL), self.outbox.recovered
                    yield Maintain(spool)
                    self.flush_requested |= self.outbox.recovered > recovered  # they have waited long enough
                elif (pause := self._pause(now)) > 0:
                    yield Wait(min(pause, self._until_something_else(now)))
                else:
                    items = self.outbox.take(self.max_batch)
                    self.outbox.mark_attempt(items)
                    timeout = REPORT_TIMEOUT if self.closing is None else min(REPORT_TIMEOUT, self.closing.left(now))
                    rejections = yield Report([item.event for item in items], max(0.001, timeout))
                    self._handle_result(items, rejections or ())
                    items = []
                    self._maintained = Span(0.0, 0.0)  # the spool holds them still
            self.outbox.end()
        finally:
            self.outbox.requeue(items)

    def _until_something_else(self, now: float) -> float:
        """Seconds until there is something else to do than to send."""
        closing = math.inf if self.closing is None else self.closing.left(now)
        return closing if self.outbox.spool is None else min(closing, self._maintained.left(now))

    def _pause(self, now: float) -> float:
        """Seconds until there is something to send; 0 for now."""
        backoff = self._backoff
        if self.closing is not None:  # the last chance: at once, and not rarely
            backoff = Span(backoff.start, min(backoff.seconds, CLOSING_PAUSE))
        if not self.flush_requested and (pause := backoff.left(now)):
            return pause
        oldest = self.outbox.oldest
        if oldest is None:
            self.flush_requested = False
            return self.interval
        if self.flush_requested or self.closing is not None or len(self.outbox) >= self.max_batch:
            return 0.0
        return Span(oldest, self.interval).left(now)

    def _handle_result(self, items: list[Item], rejections: Sequence[Rejection]) -> None:
        """Count what became of each, and queue again what may pass, after a pause."""
        now = self.now()
        rejected = {event.uuid: rejection for rejection in rejections for event in rejection.events}
        found: dict[str, list[Item]] = {"accepted": [], "refused": [], "expired": [], "again": []}
        for item in items:
            item.queued_at = min(item.queued_at, now)  # else an event of before the clock was set back never expires
            rejection = rejected.get(item.event.uuid)
            if rejection is None:
                found["accepted"].append(item)
            elif rejection.is_final:
                found["refused"].append(item)
            else:
                found["expired" if now - item.queued_at >= MAX_AGE else "again"].append(item)
        self.outbox.complete(found["accepted"])
        self.outbox.drop(found["refused"], "refused")
        self.outbox.drop(found["expired"], "expired")
        self.outbox.requeue(found["again"])
        jitter = self.jitter()
        pauses = [retry_pause(self._failures, one.error, jitter) for one in rejections if not one.is_final]
        self._failures = self._failures + 1 if pauses else 0
        self._backoff = Span(now, max(pauses, default=0.0))
        self.flush_requested &= not pauses


def retry_pause(failures: int, error: PersonalizeError, jitter: float, cap: float = BACKOFF_CAP) -> float:
    """Seconds until a report is tried again that has failed so many times before: at least as long as a 429 asks."""
    pause = min(cap, BACKOFF * 2.0 ** min(failures, 16)) * (0.5 + jitter / 2)
    retry_after = error.retry_after if isinstance(error, RateLimited) else None
    return max(pause, min(retry_after or 0.0, MAX_AGE))

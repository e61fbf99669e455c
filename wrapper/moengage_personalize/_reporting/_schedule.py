"""When which events of a reporter are sent, as a generator that a thread or a task drives.

Law of this module: no I/O and no sleep of its own, and a clock that it is given; an event that was not accepted is sent
again with the same uuid, until it is refused for good, too old, or out of time at the close.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import TypeVar

from attrs import define, frozen

from .._errors import BadRequest, EventsNotAccepted, PersonalizeError, RateLimited
from .._spool._spool import Spool
from ..events import ExperienceEvent
from ._item import Item
from ._outbox import Outbox

# Seconds.
TENDED = 1.0  # between two looks after the spool
KEPT = 600.0  # an event that cannot be delivered for so long is dropped; for one taken over it begins anew
BACKOFF, BACKOFF_CAP = 0.5, 30.0
CLOSING_PAUSE = 0.2
TIMEOUT = 3.0  # of one report

T = TypeVar("T")


@frozen
class Wait:
    """Do nothing for so many seconds, or until there is a full batch."""

    seconds: float


@frozen
class Report:
    """Report these events within so many seconds."""

    events: list[ExperienceEvent]
    timeout: float


@frozen
class Tend:
    """Look after the spool, which may take long."""

    spool: Spool


Steps = Generator[Wait | Report | Tend, PersonalizeError | None, None]


@define
class Delivery:
    """How one outbox is emptied."""

    outbox: Outbox
    interval: float
    batch: int
    now: Callable[[], float]
    jitter: Callable[[], float]
    ends_at: float | None = None
    """When to give up, once it is to end."""
    hurry: bool = False
    """Send what there is, though it is neither a full batch nor old."""
    _failures: int = 0
    _again_at: float = 0.0
    _tend_at: float = 0.0

    def steps(self) -> Steps:
        """What to do, one after the other, until it is to end and nothing is left, or its time is up."""
        parts: list[list[Item]] = []  # the last goes first; several while the bad event of a batch is searched
        try:
            while self.ends_at is None or (self.now() < self.ends_at and not self.outbox.empty):
                if (spool := self.outbox.spool) is not None and self.now() >= self._tend_at:
                    self._tend_at, recovered = self.now() + TENDED, self.outbox.recovered
                    yield Tend(spool)
                    self.hurry |= self.outbox.recovered > recovered  # they have waited long enough
                    continue
                pause = 0.0 if parts else self._pause()
                if pause > 0:
                    yield Wait(min(pause, self._until()))
                    continue
                parts = parts or [self.outbox.take(self.batch)]
                self.outbox.trying(parts[-1])
                left = TIMEOUT if self.ends_at is None else min(TIMEOUT, max(0.001, self.ends_at - self.now()))
                error = yield Report([item.event for item in parts[-1]], left)
                parts = self._settle(parts, error)
                self._tend_at = self.now()  # the spool has them still
        finally:
            self._return(parts)
            if self.ends_at is not None:
                self.outbox.end()

    def _until(self) -> float:
        """Seconds until there is something else to do than to send."""
        now = self.now()
        end = math.inf if self.ends_at is None else self.ends_at - now
        return end if self.outbox.spool is None else min(end, self._tend_at - now)

    def _pause(self) -> float:
        """Seconds until there is something to send; 0 for now."""
        now, oldest = self.now(), self.outbox.oldest
        ending = self.ends_at is not None
        again = min(self._again_at, now + CLOSING_PAUSE) if ending else self._again_at
        if self._failures and now < again and not self.hurry:
            return again - now
        if oldest is None:
            self.hurry = False
            return self.interval
        if self.hurry or ending or len(self.outbox) >= self.batch:
            return 0.0
        return max(0.0, oldest + self.interval - now)

    def _settle(self, parts: list[list[Item]], error: PersonalizeError | None) -> list[list[Item]]:
        """Count what became of the last part; what is to be sent next without a pause."""
        *rest, items = parts
        if error is None:
            self.outbox.accepted(items)
            self._failures = 0
            return rest
        cause = cause_of(error)
        if isinstance(cause, BadRequest):
            if len(items) > 1:
                return [*rest, *halves(items)]
            self.outbox.drop(items, "refused")
            return rest
        old = [item for item in items if self.now() - item.at >= KEPT]
        self.outbox.drop(old, "expired")
        self._return([*rest, [item for item in items if item not in old]])
        self._again_at = self.now() + pause_after(self._failures, cause, self.jitter())
        self._failures += 1
        self.hurry = False
        return []

    def _return(self, parts: list[list[Item]]) -> None:
        self.outbox.back([item for part in reversed(parts) for item in part])


def cause_of(error: PersonalizeError) -> PersonalizeError:
    """What the request of a report met."""
    return error.errors[0] if isinstance(error, EventsNotAccepted) and error.errors else error


def halves(items: list[T]) -> list[list[T]]:
    """Both halves of a batch that was refused; the first of them comes last, as it goes first."""
    return [items[len(items) // 2 :], items[: len(items) // 2]]


def pause_after(failures: int, cause: PersonalizeError, jitter: float, cap: float = BACKOFF_CAP) -> float:
    """Seconds until a report is tried again that has failed so many times before: at least as long as a 429 asks."""
    pause = min(cap, BACKOFF * 2.0 ** min(failures, 16)) * (0.5 + jitter / 2)
    asked = cause.retry_after if isinstance(cause, RateLimited) else None
    return max(pause, min(asked or 0.0, KEPT))

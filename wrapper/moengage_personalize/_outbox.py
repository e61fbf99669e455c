"""Events that wait to be reported, and what became of the others: a queue that can count.

Law of this module: at any moment created = sent + dropped + queued, exactly. An event leaves the queue only when the
API has accepted it or when it is counted as dropped, with a reason.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from typing import Any, cast

from attrs import define, frozen

from .events import ExperienceEvent

logger = logging.getLogger("moengage_personalize")

OnDrop = Callable[[ExperienceEvent, str], object]


@frozen
class ReporterStats:
    """What became of the events of one reporter: created = sent + queued + all that were dropped."""

    created: int
    sent: int
    queued: int
    """Those on their way included."""
    retried: int
    """How often one was sent again, with the same uuid."""
    dropped: Mapping[str, int]
    """By reason: "full", "refused", "expired", "closed" or "invalid"."""
    oldest_age: float | None
    """Seconds that the oldest of the queued has waited; None if there is none."""


@define(eq=False)
class Item:
    """One event that waits."""

    event: ExperienceEvent
    at: float
    tried: bool = False


class Outbox:
    """The queue; its lock is held for a few lines, and may be taken again by its thread, as in a signal handler."""

    def __init__(self, size: int, on_drop: OnDrop | None, now: Callable[[], float]) -> None:
        self._size = size
        self._on_drop = on_drop
        self._now = now
        self._lock = RLock()
        self._waiting: deque[Item] = deque()
        self._flying: list[Item] = []
        self._created = self._sent = self._retried = 0
        self._dropped: Counter[str] = Counter()
        self.closed = False

    def put(self, event: object) -> int:
        """Take one event, and say how many wait; the oldest goes if the queue is full."""
        reason = "" if isinstance(event, ExperienceEvent) else "invalid"
        gone = Item(cast(Any, event), self._now())
        with self._lock:
            self._created += 1
            if self.closed:
                reason = reason or "closed"
            elif not reason:
                self._waiting.append(gone)
                if len(self._waiting) + len(self._flying) > self._size:
                    gone, reason = self._waiting.popleft(), "full"
            if reason:
                self._dropped[reason] += 1
            waiting = len(self._waiting)
        if reason:
            self._tell([gone], reason)
        return waiting

    def __len__(self) -> int:
        """How many wait, those on their way not included."""
        return len(self._waiting)

    @property
    def empty(self) -> bool:
        """Whether nothing waits and nothing is on its way."""
        return not self._waiting and not self._flying

    @property
    def oldest(self) -> float | None:
        """When the oldest of those that wait was put; None if there is none."""
        with self._lock:
            return self._waiting[0].at if self._waiting else None

    def stats(self) -> ReporterStats:
        """What became of all events until now."""
        with self._lock:
            oldest = min((item.at for item in (*self._flying, *list(self._waiting)[:1])), default=None)
            return ReporterStats(
                self._created,
                self._sent,
                len(self._waiting) + len(self._flying),
                self._retried,
                dict(self._dropped),
                None if oldest is None else self._now() - oldest,
            )

    def take(self, count: int | None = None) -> list[Item]:
        """So many of the oldest, all without a count; they are on their way until told what became of them."""
        with self._lock:
            number = len(self._waiting) if count is None else min(count, len(self._waiting))
            taken = [self._waiting.popleft() for _ in range(number)]
            self._flying += taken
        return taken

    def trying(self, items: Sequence[Item]) -> None:
        """These are about to be sent."""
        with self._lock:
            self._retried += sum(item.tried for item in items)
            for item in items:
                item.tried = True

    def accepted(self, items: Sequence[Item]) -> None:
        """The API has them."""
        with self._lock:
            self._landed(items)
            self._sent += len(items)

    def back(self, items: Sequence[Item]) -> None:
        """They wait again, before all others."""
        with self._lock:
            self._landed(items)
            self._waiting.extendleft(reversed(items))

    def drop(self, items: Sequence[Item], reason: str) -> None:
        """They are lost, and counted."""
        with self._lock:
            self._landed(items)
            if items:
                self._dropped[reason] += len(items)
        self._tell(items, reason)

    def _landed(self, items: Sequence[Item]) -> None:
        landed = {id(item) for item in items}
        self._flying = [item for item in self._flying if id(item) not in landed]

    def _tell(self, items: Sequence[Item], reason: str) -> None:
        if self._on_drop is None:
            return
        for item in items:
            try:
                self._on_drop(item.event, reason)
            except Exception as error:  # noqa: BLE001 -- a page must not break for what a callback of the service does
                logger.warning("reporter: on_drop raised %s", type(error).__name__)

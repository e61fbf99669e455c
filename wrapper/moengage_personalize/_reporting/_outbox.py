"""Events that wait to be reported, and what became of the others: a queue that can count.

Law of this module: at any moment created + recovered = sent + dropped + queued + spooled, exactly. An event leaves the
queue only when the API has accepted it or when it is counted as dropped, with a reason.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any

from .._spool._spool import CHUNK, Row, Spool
from ..events import ExperienceEvent
from ._item import Item, OnDrop, ReporterStats, recovered

logger = logging.getLogger("moengage_personalize")


class Outbox:
    """The queue; its lock is held for a few lines, and may be taken again by its thread, as in a signal handler."""

    def __init__(self, size: int, on_drop: OnDrop | None, now: Callable[[], float], spool: Spool | None = None) -> None:
        self._size = size
        self._on_drop = on_drop
        self._now = now
        self._lock = RLock()
        self._waiting: deque[Item] = deque()
        self._flying: list[Item] = []
        self._created = self._sent = self._retried = 0
        self._dropped: Counter[str] = Counter()
        self.closed = False
        self.spool = spool
        self.recovered = 0
        self.tended = spool is None
        """Whether it has been looked after what others have left."""

    def put(self, event: Any) -> int:
        """Take one event, and say how many wait; the oldest goes if the queue is full."""
        reason = "" if isinstance(event, ExperienceEvent) else "invalid"
        gone = Item(event, self._now())
        if self.spool is not None and not reason and not self.closed:
            try:
                gone.row = next(iter(self.spool.write([gone.text()])), None)
            except ValueError:  # not JSON: nobody could send it
                reason = "invalid"
        with self._lock:
            self._created += 1
            if self.closed and gone.row is None:
                reason = reason or "closed"
            elif not reason:
                self._waiting.append(gone)
                if len(self._waiting) + len(self._flying) > self._size:
                    gone, reason = self._waiting.popleft(), "full"
            if reason:
                self._dropped[reason] += 1
            waiting = len(self._waiting)
        if reason:
            self._done([gone])
            self._tell([gone], reason)
            if self.spool is not None:
                self.spool.sweep()
        return waiting

    def __len__(self) -> int:
        """How many wait, those on their way not included."""
        return len(self._waiting)

    @property
    def empty(self) -> bool:
        """Whether nothing waits, here or left by others, and nothing is on its way."""
        return not self._waiting and not self._flying and self.tended

    @property
    def oldest(self) -> float | None:
        """When the oldest of those that wait was put; None if there is none."""
        with self._lock:
            return self._waiting[0].at if self._waiting else None

    def stats(self) -> ReporterStats:
        """What became of all events until now."""
        with self._lock:
            here = [*self._flying, *self._waiting]
            created, sent, retried, adopted = self._created, self._sent, self._retried, self.recovered
            dropped = dict(self._dropped)
        oldest, spooled = min((item.at for item in here), default=None), sum(self._kept(item) for item in here)
        return ReporterStats(
            created,
            sent,
            len(here) - spooled,
            retried,
            dropped,
            None if oldest is None else self._now() - oldest,
            spooled,
            adopted,
            {} if self.spool is None else dict(self.spool.errors),
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
        self._done(items)

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
        self._done(items)
        self._tell(items, reason)

    def tend(self, spool: Spool) -> None:
        """Look after the spool: not in a page or an event loop, because it may take long."""
        spool.tidy()
        self._save(spool)
        while (not self.closed or not self.tended) and (found := spool.orphans()):
            self._adopt(found)
        self.tended = True

    def end(self) -> None:
        """What still waits stays in the spool, for whoever comes next; without one it is lost."""
        if self.spool is not None:
            self._save(self.spool)
        items = self.take()
        self.back([item for item in items if self._kept(item)])
        self.drop([item for item in items if not self._kept(item)], "closed")
        self.tended = True
        if self.spool is not None:
            self.spool.sweep()
            self.spool.release()

    def _save(self, spool: Spool) -> None:
        """Write to the spool what it could not take when it was put, or took in a file that was set aside."""
        with self._lock:
            strip_tracebacks = [item for item in (*self._flying, *self._waiting) if not spool.holds(item.row)]
        for start in range(0, len(strip_tracebacks), CHUNK):
            part = strip_tracebacks[start : start + CHUNK]
            rows = spool.write([item.text() for item in part])
            with self._lock:
                still = {id(item) for item in (*self._flying, *self._waiting)}
                for item, row in zip(part, rows, strict=False):
                    item.row = row
            spool.done(item.row for item in part if id(item) not in still)

    def _adopt(self, found: Sequence[tuple[Row, bytes]]) -> None:
        """Have what a dead process has left wait here, before all others."""
        good, bad = recovered(found, self._now())
        with self._lock:
            self.recovered += len(found)
            self._flying += [*good, *bad]
            self.back(good)
            surplus = self.take(max(0, len(self._waiting) + len(self._flying) - len(bad) - self._size))
        self.drop(bad, "invalid")
        self.drop(surplus, "full")

    def _landed(self, items: Sequence[Item]) -> None:
        landed = {id(item) for item in items}
        self._flying = [item for item in self._flying if id(item) not in landed]

    def _kept(self, item: Item) -> bool:
        return self.spool is not None and self.spool.holds(item.row)

    def _done(self, items: Sequence[Item]) -> None:
        if self.spool is not None:
            self.spool.done(item.row for item in items)

    def _tell(self, items: Sequence[Item], reason: str) -> None:
        if self._on_drop is None:
            return
        for item in items:
            try:
                self._on_drop(item.event, reason)
            except Exception as error:  # noqa: BLE001 -- a page must not break for what a callback of the service does
                logger.warning("reporter: on_drop raised %s", type(error).__name__)

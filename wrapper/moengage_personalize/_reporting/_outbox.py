"""Events that wait to be reported, and what became of the others: a queue that can count.

At any moment created + recovered = sent + dropped + queued + spooled, exactly. An event leaves the queue only when the
API has accepted it or when it is counted as dropped, with a reason.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any, cast

from attrs import Factory, frozen
from msgspec import Struct

from .._errors import InvalidRequestError
from ..events import ExperienceEvent

if TYPE_CHECKING:  # a spool is imported only where one is asked for
    from .._spool import Row, Spool

logger = logging.getLogger("moengage_personalize")
OnDrop = Callable[[ExperienceEvent, str], object]


@frozen
class ReporterStats:
    """What became of the events of one reporter: created + recovered = sent + queued + spooled + all dropped."""

    created: int
    sent: int
    queued: int
    """In memory alone, those in flight included."""
    retried: int
    """How often one was sent again, with the same uuid."""
    dropped: Mapping[str, int]
    """By reason: "full", "refused", "expired", "closed" or "invalid"."""
    oldest_age: float | None
    """Seconds that the oldest of those that wait has waited here; None if there is none."""
    spooled: int = 0
    """In the spool, those in flight included; after the close, those that were left in it."""
    recovered: int = 0
    """Taken over from processes that ended."""
    spool_errors: Mapping[str, int] = Factory(dict[str, int])
    """How often the spool failed: "busy", "full", "corrupt", "foreign" or "failed"; no event was lost by it."""


class Item(Struct, eq=False):
    """One event that waits."""

    event: ExperienceEvent
    queued_at: float
    row: Row | None = None
    """Where it is in the spool."""
    attempted: bool = False

    def text(self) -> bytes:
        """As JSON; ValueError for an event that is not."""
        return self.event.to_json().encode()


class Outbox:
    """The queue.

    Its lock is held for a few lines that never wait, and may be taken again by its thread, as in a signal handler.
    """

    def __init__(self, size: int, on_drop: OnDrop | None, now: Callable[[], float], spool: Spool | None = None) -> None:
        self._size = size
        self._on_drop = on_drop
        self._now = now
        self._lock = RLock()
        self._waiting: deque[Item] = deque()
        self._in_flight: list[Item] = []
        self._created = self._sent = self._retried = 0
        self._dropped: Counter[str] = Counter()
        self.closed = False
        """Whether no more events are taken."""
        self.ended = False
        """Whether all that was to be done is done."""
        self.spool = spool
        self.recovered = 0
        self._adopted = spool is None
        """Whether what dead processes have left was looked for."""

    def put(self, event: Any) -> int:
        """Take one event, and say how many wait; the oldest goes if the queue is full."""
        reason = "" if isinstance(event, ExperienceEvent) else "invalid"
        item = Item(event, self._now())
        if self.spool is not None and not reason and not self.closed:
            try:
                item.row = next(iter(self.spool.write([item.text()])), None)
            except ValueError:  # not JSON: nobody could send it
                reason = "invalid"
        with self._lock:
            self._created += 1
            if self.closed and item.row is None:
                reason = reason or "closed"
            elif not reason:
                self._waiting.append(item)
                if len(self._waiting) + len(self._in_flight) > self._size:
                    item, reason = self._waiting.popleft(), "full"
            if reason:
                self._dropped[reason] += 1
            waiting = len(self._waiting)
        if reason:
            self._mark_done([item])
            self._call_on_drop([item], reason)
            if self.spool is not None:
                self.spool.remove_done()
        return waiting

    def __len__(self) -> int:
        """How many wait, those in flight not included."""
        return len(self._waiting)

    @property
    def empty(self) -> bool:
        """Whether nothing waits, here or left by others, and nothing is in flight."""
        return not self._waiting and not self._in_flight and self._adopted

    @property
    def oldest(self) -> float | None:
        """When the oldest of those that wait was put; None if there is none."""
        with self._lock:
            return self._waiting[0].queued_at if self._waiting else None

    def stats(self) -> ReporterStats:
        """What became of all events until now."""
        with self._lock:
            items = [*self._in_flight, *self._waiting]
            spooled = sum(self._is_spooled(item) for item in items)
            return ReporterStats(
                created=self._created,
                sent=self._sent,
                queued=len(items) - spooled,
                retried=self._retried,
                dropped=dict(self._dropped),
                oldest_age=max((max(0.0, self._now() - item.queued_at) for item in items), default=None),
                spooled=spooled,
                recovered=self.recovered,
                spool_errors={} if self.spool is None else dict(self.spool.errors),
            )

    def take(self, count: int | None = None) -> list[Item]:
        """So many of the oldest, all without a count; they are in flight until it is said what became of them."""
        with self._lock:
            number = len(self._waiting) if count is None else min(count, len(self._waiting))
            taken = [self._waiting.popleft() for _ in range(number)]
            self._in_flight += taken
        return taken

    def mark_attempt(self, items: Sequence[Item]) -> None:
        """These are about to be sent."""
        with self._lock:
            self._retried += sum(item.attempted for item in items)
            for item in items:
                item.attempted = True

    def complete(self, items: Sequence[Item]) -> None:
        """The API has them."""
        with self._lock:
            self._land(items)
            self._sent += len(items)
        self._mark_done(items)

    def requeue(self, items: Sequence[Item]) -> None:
        """They wait again, before all others."""
        with self._lock:
            self._land(items)
            self._waiting.extendleft(reversed(items))

    def drop(self, items: Sequence[Item], reason: str) -> None:
        """They are lost, and counted."""
        with self._lock:
            self._land(items)
            if items:
                self._dropped[reason] += len(items)
        self._mark_done(items)
        self._call_on_drop(items, reason)

    def maintain(self, spool: Spool) -> None:
        """Look after the spool: not in a page or an event loop, because it may take long."""
        spool.maintain()
        self._store(spool)
        while (not self.closed or not self._adopted) and (found := spool.adopt_orphans()):
            self._adopt(found)
        self._adopted = True

    def end(self) -> None:
        """What still waits stays in the spool, for whoever comes next; without one it is lost."""
        if self.spool is not None:
            self._store(self.spool)
        items = self.take()
        self.requeue([item for item in items if self._is_spooled(item)])
        self.drop([item for item in items if not self._is_spooled(item)], "closed")
        self._adopted = True
        if self.spool is not None:
            self.spool.remove_done()
            self.spool.release()
        self.ended = True

    def _store(self, spool: Spool) -> None:
        """Write to the spool what it could not take when it was put, or took in a file that was set aside."""
        with self._lock:
            missing = [item for item in (*self._in_flight, *self._waiting) if not spool.holds(item.row)]
        for start in range(0, len(missing), spool.CHUNK):
            part = missing[start : start + spool.CHUNK]
            rows = spool.write([item.text() for item in part])
            with self._lock:
                present = {id(item) for item in (*self._in_flight, *self._waiting)}
                for item, row in zip(part, rows, strict=False):
                    item.row = row
            spool.mark_done(item.row for item in part if id(item) not in present)

    def _adopt(self, found: Sequence[tuple[Row, bytes]]) -> None:
        """Have what a dead process has left wait here, before all others."""
        good, bad = _items(found, self._now())
        with self._lock:
            self.recovered += len(found)
            self._in_flight += [*good, *bad]
            self.requeue(good)
            surplus = self.take(max(0, len(self._waiting) + len(self._in_flight) - len(bad) - self._size))
        self.drop(bad, "invalid")
        self.drop(surplus, "full")

    def _land(self, items: Sequence[Item]) -> None:
        landed = {id(item) for item in items}
        self._in_flight = [item for item in self._in_flight if id(item) not in landed]

    def _is_spooled(self, item: Item) -> bool:
        return self.spool is not None and self.spool.holds(item.row)

    def _mark_done(self, items: Sequence[Item]) -> None:
        if self.spool is not None:
            self.spool.mark_done(item.row for item in items)

    def _call_on_drop(self, items: Sequence[Item], reason: str) -> None:
        if self._on_drop is None:
            return
        for item in items:
            try:
                self._on_drop(item.event, reason)
            except Exception as error:  # noqa: BLE001 -- a page must not break for what a callback of the service does
                logger.warning("reporter: on_drop raised %s", type(error).__name__)


def _items(found: Iterable[tuple[Row, bytes]], now: float) -> tuple[list[Item], list[Item]]:
    """Items of rows and JSON, and those apart that hold no event."""
    good: list[Item] = []
    bad: list[Item] = []
    for row, text in found:
        try:
            good.append(Item(ExperienceEvent.from_json(text), now, row))
        except InvalidRequestError:
            bad.append(Item(cast(Any, text), now, row))
    return good, bad

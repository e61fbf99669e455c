"""A reporter as values: a clock that is moved, no thread, no task and no network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from event_samples import shown

from moengage_personalize import (
    ExperienceEvent,
    PersonalizeError,
    ReporterStats,
    ServerError,
)
from moengage_personalize._reporting._delivery import Delivery, Rejection
from moengage_personalize._reporting._outbox import Outbox
from moengage_personalize._reporting._schedule import FlushSchedule, Maintain, Report, Wait
from moengage_personalize._spool import Spool

Answer = Callable[[tuple[ExperienceEvent, ...]], PersonalizeError | None]  # what a request with these events meets
DOWN = ServerError("down")


def deliver(events: Iterable[ExperienceEvent], answer: Answer) -> Delivery:
    """A report whose requests are answered so, as the clients drive one."""
    delivery = Delivery(events)
    for _ in range(1_000):
        if not (batches := delivery.next_batches()):
            return delivery
        delivery.handle_results(batches, [answer(batch.events) for batch in batches])
    raise AssertionError("it never came to an end")


class World:
    """A reporter without a thread: steps are performed by hand, and waiting moves the clock."""

    def __init__(self, size: int = 1000, interval: float = 2.0, batch: int = 100, spool: Spool | None = None) -> None:
        self.time = 1000.0
        self.gone: list[tuple[ExperienceEvent, str]] = []
        self.outbox = Outbox(size, lambda event, reason: self.gone.append((event, reason)), self.now, spool)
        self.schedule = FlushSchedule(self.outbox, interval, batch, self.now, lambda: 1.0)
        self.steps = self.schedule.steps()
        self.sent: list[list[ExperienceEvent]] = []
        self.pauses: list[float] = []
        self._outcome: Sequence[Rejection] | None = None

    def now(self) -> float:
        return self.time

    def put(self, count: int = 1) -> list[ExperienceEvent]:
        made = [shown() for _ in range(count)]
        for event in made:
            self.outbox.put(event)
        return made

    def step(self, answer: Answer = lambda _: None) -> Wait | Report | Maintain:
        step = self.steps.send(self._outcome)
        self._outcome = None
        if isinstance(step, Report):
            self.sent.append(step.events)
            self._outcome = deliver(step.events, answer).rejections
        elif isinstance(step, Maintain):
            self.outbox.maintain(step.spool)
        else:
            self.pauses.append(step.seconds)
            self.time += step.seconds
        return step

    def until(self, done: Callable[[], bool], answer: Answer = lambda _: None) -> None:
        for _ in range(10_000):
            if done():
                return
            self.step(answer)
        raise AssertionError("it never came to be")

    def until_ended(self, answer: Answer = lambda _: None) -> None:
        with suppress(StopIteration):
            for _ in range(10_000):
                self.step(answer)
            raise AssertionError("it never came to an end")

    @property
    def stats(self) -> ReporterStats:
        stats = self.outbox.stats()
        waiting = stats.queued + stats.spooled
        assert stats.created + stats.recovered == stats.sent + waiting + sum(stats.dropped.values())
        return stats


def failing(error: PersonalizeError) -> Answer:
    return lambda _: error

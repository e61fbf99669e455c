"""A reporter as values: a clock that is moved, no thread, no task and no network."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from event_samples import shown

from moengage_personalize import (
    EventsNotAccepted,
    ExperienceEvent,
    PersonalizeError,
    ReporterStats,
    ServerError,
)
from moengage_personalize._reporting._outbox import Outbox
from moengage_personalize._reporting._schedule import Delivery, Report, Tend, Wait
from moengage_personalize._spool._spool import Spool

Response = Callable[[list[ExperienceEvent]], PersonalizeError | None]
DOWN = ServerError("down")


class World:
    """A reporter without a thread: steps are performed by hand, and waiting moves the clock."""

    def __init__(self, size: int = 1000, interval: float = 2.0, batch: int = 100, spool: Spool | None = None) -> None:
        self.time = 1000.0
        self.gone: list[tuple[ExperienceEvent, str]] = []
        self.outbox = Outbox(size, lambda event, reason: self.gone.append((event, reason)), self.now, spool)
        self.delivery = Delivery(self.outbox, interval, batch, self.now, lambda: 1.0)
        self.steps = self.delivery.steps()
        self.sent: list[list[ExperienceEvent]] = []
        self.pauses: list[float] = []
        self._outcome: PersonalizeError | None = None

    def now(self) -> float:
        return self.time

    def put(self, count: int = 1) -> list[ExperienceEvent]:
        made = [shown() for _ in range(count)]
        for event in made:
            self.outbox.put(event)
        return made

    def step(self, answer: Response = lambda _: None) -> Wait | Report | Tend:
        step = self.steps.send(self._outcome)
        self._outcome = None
        if isinstance(step, Report):
            self.sent.append(step.events)
            self._outcome = answer(step.events)
        elif isinstance(step, Tend):
            self.outbox.tend(step.spool)
        else:
            self.pauses.append(step.seconds)
            self.time += step.seconds
        return step

    def until(self, done: Callable[[], bool], answer: Response = lambda _: None) -> None:
        for _ in range(10_000):
            if done():
                return
            self.step(answer)
        raise AssertionError("it never came to be")

    def until_ended(self) -> None:
        with suppress(StopIteration):
            while True:
                self.step()

    @property
    def stats(self) -> ReporterStats:
        stats = self.outbox.stats()
        waiting = stats.queued + stats.spooled
        assert stats.created + stats.recovered == stats.sent + waiting + sum(stats.dropped.values())
        return stats


def failing(error: PersonalizeError) -> Response:
    def fail(events: list[ExperienceEvent]) -> PersonalizeError:
        whole = EventsNotAccepted("expected, got")
        whole.events, whole.errors = tuple(events), (error,)
        return whole

    return fail

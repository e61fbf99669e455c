"""A batch of events that came out of a queue, reported once: what is left of it, and whether to come back.

Law of this module: what was not accepted is left, as it came, whatever the reason; a bad event costs itself alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import Factory, define

from .._errors import BadRequest, EventsNotAccepted, InvalidRequestError, PersonalizeError
from .._reporting._batches import ELEMENTS
from .._reporting._schedule import cause_of, halves
from ..events import ExperienceEvent


@define
class Left:
    """What of a batch was not accepted."""

    texts: list[str] = Factory(list[str])
    events: list[ExperienceEvent] = Factory(list[ExperienceEvent])
    """The same, but for what is no event."""
    errors: list[PersonalizeError] = Factory(list[PersonalizeError])
    """What each met."""
    again: bool = False
    """Whether the last of them may pass."""

    def keep(self, events: Sequence[ExperienceEvent], error: PersonalizeError) -> None:
        """These were not accepted."""
        self.events += events
        self.texts += [event.to_json() for event in events]
        self.errors.append(error)

    def error(self, total: int) -> EventsNotAccepted:
        """The error that tells of it."""
        came = f"{len(self.texts)} that were not: {self.errors[-1]}"
        error = EventsNotAccepted(f"expected {total} events to be accepted, got {came}")
        error.events, error.errors = tuple(self.events), tuple(self.errors)
        error.retryable = any(one.retryable for one in self.errors)
        return error


def deliver(report: Callable[[list[ExperienceEvent]], object], texts: Iterable[str]) -> Left:
    """Report a batch as far as it goes, which is until something fails that may pass."""
    left, events = Left(), list[ExperienceEvent]()
    for text in texts:
        try:
            events.append(ExperienceEvent.from_json(text))
        except InvalidRequestError as error:
            left.texts.append(text)
            left.errors.append(error)
    parts = [events[start : start + ELEMENTS] for start in range(0, len(events), ELEMENTS)][::-1]
    while parts and not left.again:
        part = parts.pop()
        try:
            report(part)
        except PersonalizeError as error:
            cause = cause_of(error)
            if not isinstance(cause, BadRequest):
                left.again = True
                left.keep([event for one in (part, *parts[::-1]) for event in one], cause)
            elif len(part) > 1:
                parts += halves(part)
            else:
                left.keep(part, cause)
    return left

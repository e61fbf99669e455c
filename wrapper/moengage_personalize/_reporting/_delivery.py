"""One report of events: the requests that carry them, and what became of each.

The API refuses a request as a whole: with 400 for one bad event among its hundreds, with 413 for all that are together
too long. So a request that is refused in this way is sent again as two halves, until an event that is refused is alone.
An event is always in one of three places: accepted, in a request that is still to be sent, or rejected with its error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from msgspec import Struct

from .. import _json
from .._arguments import check_items, type_name
from .._errors import APIError, BadRequest, EventsNotAccepted, InvalidRequestError, PersonalizeError
from ..events import ExperienceEvent

T = TypeVar("T")

# https://www.moengage.com/docs/api/experiences/track-experience-events (request body, elements)
MAX_ELEMENTS = 100
MAX_ACTIONS = 100  # of one element; the API names no limit, and a request should stay a small one
CONCURRENCY = 16  # requests of one report under way at a time
CONTENT_TOO_LARGE = 413


class Batch(Struct, frozen=True):
    """The events of one request, an element each for those that share customer, time zone and attributes."""

    elements: tuple[tuple[ExperienceEvent, ...], ...]

    @property
    def events(self) -> tuple[ExperienceEvent, ...]:
        """All of them, in the order of the elements."""
        return tuple(event for element in self.elements for event in element)


class Rejection(Struct, frozen=True):
    """Events that were not accepted, and why."""

    events: tuple[ExperienceEvent, ...]
    error: PersonalizeError

    @property
    def is_final(self) -> bool:
        """Whether the API would refuse them again; everything else may pass."""
        return is_refusal(self.error)


class Delivery:
    """Says which requests to send next, takes how each of them ended, and keeps what was rejected.

    Raises:
        InvalidRequestError: something else than events.
    """

    def __init__(self, events: Iterable[ExperienceEvent]) -> None:
        self._events: dict[str, ExperienceEvent] = {}
        self.rejections: list[Rejection] = []
        for event in check_items("events", events, "an iterable of ExperienceEvents"):
            if not issubclass(type(event), ExperienceEvent):
                raise InvalidRequestError(f"expected events to be ExperienceEvents, got {type_name(event)}")
            self._events[event.uuid] = event
        self._waiting = make_batches(event for event in self._events.values() if self._is_json(event))

    def _is_json(self, event: ExperienceEvent) -> bool:
        """Whether it can be sent: attributes may have been changed since they were checked."""
        try:
            event.to_json()
        except ValueError as error:
            self.rejections.append(Rejection((event,), InvalidRequestError(f"expected an event as JSON, got {error}")))
            return False
        return True

    def next_batches(self) -> list[Batch]:
        """The requests to send now, side by side; none when all is done."""
        batches, self._waiting = self._waiting[:CONCURRENCY], self._waiting[CONCURRENCY:]
        return batches

    def handle_results(self, batches: Sequence[Batch], outcomes: Sequence[object]) -> None:
        """Take what each of these requests ended with: an error, or anything else if it was accepted."""
        halves: list[Batch] = []
        for batch, outcome in zip(batches, outcomes, strict=True):
            if isinstance(outcome, PersonalizeError):
                events = batch.events
                if is_refusal(outcome) and len(events) > 1:
                    middle = len(events) // 2
                    halves += [*make_batches(events[:middle]), *make_batches(events[middle:])]
                else:
                    self.rejections.append(Rejection(events, outcome))
        self._waiting = halves + self._waiting

    @property
    def error(self) -> PersonalizeError | None:
        """The first that kept events away."""
        return self.rejections[0].error if self.rejections else None

    def raise_for_rejected(self) -> None:
        """Raise one error that carries every event that was not accepted, if there are any."""
        rejected = {event.uuid for rejection in self.rejections for event in rejection.events}
        if rejected:
            events = [event for event in self._events.values() if event.uuid in rejected]
            raise not_accepted(len(self._events), len(events), events, [one.error for one in self.rejections])


def make_batches(events: Iterable[ExperienceEvent]) -> list[Batch]:
    """The requests that report these events, as they come."""
    users: dict[tuple[str, object, bytes], list[ExperienceEvent]] = {}
    for event in events:
        attributes = _json.dumps(event.user_attributes)
        users.setdefault((event.customer_id, event.user_timezone_offset, attributes), []).append(event)
    elements = [part for user in users.values() for part in _parts(tuple(user), MAX_ACTIONS)]
    return [Batch(part) for part in _parts(tuple(elements), MAX_ELEMENTS)]


def _parts(whole: tuple[T, ...], size: int) -> Iterator[tuple[T, ...]]:
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


def is_refusal(error: PersonalizeError) -> bool:
    """Whether it is for the events themselves that a request was refused, so that the same one would be again."""
    too_large = isinstance(error, APIError) and error.status == CONTENT_TOO_LARGE
    return too_large or isinstance(error, BadRequest | InvalidRequestError)


def not_accepted(
    total: int, rejected: int, events: Iterable[ExperienceEvent], errors: Sequence[PersonalizeError]
) -> EventsNotAccepted:
    """The error of a report that was not accepted in full; its text and its cause are the first of the errors."""
    error = EventsNotAccepted(f"expected {total} events to be accepted, got {rejected} rejected: {errors[0]}")
    error.events, error.errors = tuple(events), tuple(errors)
    error.retryable = any(one.retryable for one in errors)
    error.__cause__ = errors[0]
    return error

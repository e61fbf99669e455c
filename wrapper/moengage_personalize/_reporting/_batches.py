"""Events on their way to the API: grouped by customer, in requests of at most 100, and what became of each.

Law of this module: an event is either accepted or in the error that is raised, never lost between the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from attrs import frozen

from .. import _json
from .._errors import EventsNotAccepted, InvalidRequestError, PersonalizeError
from ..events import ExperienceEvent

# https://www.moengage.com/docs/api/experiences/track-experience-events (request body, elements)
ELEMENTS = 100
ACTIONS = 100  # of one element; the API names no limit, and a request should stay a small one


@frozen
class Batch:
    """The events of one request."""

    elements: tuple[dict[str, Any], ...]
    events: tuple[ExperienceEvent, ...]


def batches(given: Iterable[ExperienceEvent]) -> list[Batch]:
    """The requests that report these events, in their order; the same event is reported once."""
    events: dict[str, ExperienceEvent] = {}
    for event in given:
        if not isinstance(event, ExperienceEvent):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers err
            raise InvalidRequestError(f"expected events to be ExperienceEvents, got {type(event).__name__}")
        events[event.uuid] = event
    users: dict[tuple[str, object, bytes], list[ExperienceEvent]] = {}
    for event in events.values():
        users.setdefault((event.customer_id, event.user_timezone_offset, _attributes(event)), []).append(event)
    elements = iter([part for user in users.values() for part in _parts(user, ACTIONS)])
    made: list[Batch] = []
    while chosen := list(islice(elements, ELEMENTS)):
        made.append(Batch(tuple(_element(part) for part in chosen), tuple(event for part in chosen for event in part)))
    return made


def settle(asked: Sequence[Batch], outcomes: Sequence[object]) -> None:
    """Raise one error that carries every event that was not accepted, if there are any."""
    pairs = list(zip(asked, outcomes, strict=True))
    errors = [outcome for _, outcome in pairs if isinstance(outcome, PersonalizeError)]
    if not errors:
        return
    missing = tuple(
        event for batch, outcome in pairs if isinstance(outcome, PersonalizeError) for event in batch.events
    )
    total = sum(len(batch.events) for batch in asked)
    error = EventsNotAccepted(f"expected {total} events to be accepted, got {len(missing)} refused: {errors[0]}")
    error.events, error.errors = missing, tuple(errors)
    error.retryable = any(one.retryable for one in errors)
    raise error from errors[0]


def _parts(events: list[ExperienceEvent], size: int) -> Iterator[list[ExperienceEvent]]:
    for start in range(0, len(events), size):
        yield events[start : start + size]


def _attributes(event: ExperienceEvent) -> bytes:
    return b"" if event.user_attributes is None else _json.dumps(event.user_attributes)


def _element(events: Sequence[ExperienceEvent]) -> dict[str, Any]:
    first = events[0]
    element: dict[str, Any] = {"customer_id": first.customer_id, "actions": [_action(event) for event in events]}
    if first.user_attributes is not None:
        element["user_attributes"] = dict(first.user_attributes)
    if first.user_timezone_offset is not None:
        element["user_timezone_offset"] = first.user_timezone_offset
    return element


def _action(event: ExperienceEvent) -> dict[str, Any]:
    # In both places, because the published schema has b_id beside the attributes and the published examples within.
    clicked = {} if event.element is None else {"b_id": event.element}
    return {
        "action": event.action,
        "moe_event_uuid": event.uuid,
        "event_time": event.at,
        "platform": event.platform,
        "attributes": {**event.context, **clicked},
        **clicked,
    }

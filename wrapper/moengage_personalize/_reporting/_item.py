"""One event that waits to be reported, and what is told of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from attrs import Factory, define, frozen

from .._errors import InvalidRequestError
from .._spool._spool import Row
from ..events import ExperienceEvent

OnDrop = Callable[[ExperienceEvent, str], object]


@frozen
class ReporterStats:
    """What became of the events of one reporter: created + recovered = sent + queued + spooled + all dropped."""

    created: int
    sent: int
    queued: int
    """In memory alone, those on their way included."""
    retried: int
    """How often one was sent again, with the same uuid."""
    dropped: Mapping[str, int]
    """By reason: "full", "refused", "expired", "closed" or "invalid"."""
    oldest_age: float | None
    """Seconds that the oldest of those that wait has waited here; None if there is none."""
    spooled: int = 0
    """In the spool, those on their way included; after the close, those that were left in it."""
    recovered: int = 0
    """Taken over from processes that ended."""
    spool_errors: Mapping[str, int] = Factory(dict[str, int])
    """How often the spool failed: "busy", "full", "corrupt", "foreign" or "failed"; no event was lost by it."""


@define(eq=False)
class Item:
    """One event that waits."""

    event: ExperienceEvent
    at: float
    row: Row | None = None
    """Where it is in the spool."""
    tried: bool = False

    def text(self) -> bytes:
        """As JSON; ValueError for an event that is not."""
        return self.event.to_json().encode()


def recovered(found: Iterable[tuple[Row, bytes]], at: float) -> tuple[list[Item], list[Item]]:
    """Items of rows and JSON, and those apart that hold no event."""
    good: list[Item] = []
    bad: list[Item] = []
    for row, text in found:
        try:
            good.append(Item(ExperienceEvent.from_json(text), at, row))
        except InvalidRequestError:
            bad.append(Item(cast(Any, text), at, row))
    return good, bad
